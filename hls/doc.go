// Package hls turns what a live stream left behind into what people play: VOD
// packages (HLS with CMAF fragments) and one progressive MP4 per layer, without
// decoding and without libav.
//
// # From a dump to a package
//
//	Dump ──▶ Open ──▶ Timeline ──▶ Timeline.Write
//	         scan, order, align     read once, write segments, playlists, MP4
//
// A [Dump] names the segments of each layer: by the recorder's log, by a
// playlist ([ReadPlaylist]) or by nothing but file names ([FromNames]). [Open]
// looks at every segment, puts them in order by their media time, drops doubles
// and finds out where encoders were restarted and where everything is missing.
// The result is a [Timeline]: one clock on which all layers and the shared sound
// lie, with what was wrong in [Timeline.Defects]. [Timeline.Write] reads the media
// once, one fragment of one layer in memory at a time.
//
// # Time
//
// A [Tick] is 1/[Timescale] second: every timescale in use (90 kHz, the sampling
// rates, the frame rates with and without 1001) divides it, so times of different
// tracks are compared exactly. Each output track keeps its own timescale.
//
// What is missing everywhere, a restart and a pause are closed: media time goes on,
// program date time jumps and a date range names the cause ([Join]). What is missing
// in one layer only stays: the picture before it is held, or, when that would be too
// long, the layer has a gap there. Missing sound becomes silence.
//
// # How to read another kind of segment
//
// Fragmented and progressive MP4 are read here. Anything else goes to the
// [Demuxer] given to Open, which hands out a [Reader]: access units as a track of
// an MP4 would hold them. Nothing else needs to change.
package hls
