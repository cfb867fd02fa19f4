package main

import "rushes/pipeline/capture"

// trackFlags change how track assets are made; a flag that is not given leaves it to the manifest.
type trackFlags struct {
	TrackFormat string `help:"Format of track assets instead of the manifest's: auto copies each into the container of its codec, mp4 encodes H.264 and AAC." enum:",auto,mp4" default:"" placeholder:"FORMAT" env:"RUSHES_TRACK_FORMAT"`
}

// apply writes the flags over a manifest's outputs.
func (f *trackFlags) apply(o *capture.Outputs) {
	switch f.TrackFormat {
	case "":
	case "auto":
		o.TrackFormat = ""
	default:
		o.TrackFormat = f.TrackFormat
	}
}
