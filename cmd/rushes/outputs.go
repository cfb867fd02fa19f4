package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rushes/pipeline/capture"
)

// chunkFlag says how composites are rendered.
type chunkFlag struct {
	Chunk time.Duration `help:"About how much of a composite is rendered, and kept should the work be interrupted, at a time." default:"60s" env:"RUSHES_CHUNK"`
}

// outputFlags change what is made of a capture; a flag that is not given leaves it to the manifest.
type outputFlags struct {
	AssetTypes  []string `name:"assets" help:"Asset types to make instead of those of the manifest." sep:"," placeholder:"LIST" env:"RUSHES_ASSETS"`
	TrackFormat string   `help:"Format of track assets instead of the manifest's: auto copies each into the container of its codec, mp4 encodes H.264 and AAC." enum:",auto,mp4" default:"" placeholder:"FORMAT" env:"RUSHES_TRACK_FORMAT"`
	Ladder      []int    `help:"Heights of lower layers to encode for a room-vod of a call, such as 720,480,360." sep:"," placeholder:"LIST" env:"RUSHES_LADDER"`
	layoutFlags `embed:""`
}

// patch gives the flags as the part of "outputs" that they change; see capture.Override.
func (f *outputFlags) patch() (json.RawMessage, error) {
	out := map[string]any{}
	if len(f.AssetTypes) > 0 {
		types := slices.Clone(f.AssetTypes)
		for i, name := range types {
			if name == "vod" { // as people call it
				types[i] = capture.AssetRoomVOD
			}
		}
		out["assets"] = types
	}
	switch f.TrackFormat {
	case "":
	case "auto":
		out["track_format"] = ""
	default:
		out["track_format"] = f.TrackFormat
	}
	if len(f.Ladder) > 0 {
		out["vod"] = map[string]any{"ladder": f.Ladder}
	}
	composition, err := f.layoutFlags.patch()
	if err != nil {
		return nil, err
	}
	if len(composition) > 0 {
		out["composition"] = composition
	}
	if len(out) == 0 {
		return nil, nil
	}
	return json.Marshal(out)
}

// apply writes the flags over what the manifest says.
func (f *outputFlags) apply(c *capture.Capture) error {
	patch, err := f.patch()
	if err != nil {
		return err
	}
	return c.Override(patch)
}

// layoutFlags change outputs.composition of the manifest; a flag that is not given leaves it as it is.
type layoutFlags struct {
	Layout     string   `help:"Layout of the composite: auto, grid, sidebar, spotlight, single, pip or regions." placeholder:"NAME" env:"RUSHES_LAYOUT"`
	Size       string   `help:"Size of the composite's picture." placeholder:"WxH" env:"RUSHES_SIZE"`
	FPS        string   `name:"fps" help:"Frames per second of the composite, or auto: the lowest usual rate that no camera exceeds." placeholder:"N" env:"RUSHES_FPS"`
	Roles      []string `help:"Only peers with these roles are seen and heard." sep:"," placeholder:"LIST" env:"RUSHES_ROLES"`
	Background string   `help:"Colour behind the tiles." placeholder:"#RRGGBB" env:"RUSHES_BACKGROUND"`
	NoNames    bool     `help:"Draw no names on the tiles." env:"RUSHES_NO_NAMES"`
}

// Validate refuses a chunk that is shorter than what can be cut.
func (f *chunkFlag) Validate() error {
	if f.Chunk != 0 && f.Chunk < time.Second { // 0, as where no flags are, is the usual length
		return fmt.Errorf("--chunk: %v is less than 1s", f.Chunk)
	}
	return nil
}

// patch gives the flags as the part of "composition" that they change.
func (f *layoutFlags) patch() (map[string]any, error) {
	out := map[string]any{}
	if f.Layout != "" {
		out["layout"] = f.Layout
	}
	if f.Size != "" {
		w, h, ok := strings.Cut(f.Size, "x")
		width, err1 := strconv.Atoi(w)
		height, err2 := strconv.Atoi(h)
		if !ok || err1 != nil || err2 != nil {
			return nil, fmt.Errorf("--size: %q is not like 1280x720", f.Size)
		}
		out["width"], out["height"] = width, height
	}
	switch {
	case f.FPS == "auto":
		out["fps"] = f.FPS
	case f.FPS != "":
		n, err := strconv.Atoi(f.FPS)
		if err != nil {
			return nil, fmt.Errorf("--fps: %q is neither a whole number nor auto", f.FPS)
		}
		out["fps"] = n
	}
	if len(f.Roles) > 0 {
		out["roles"] = f.Roles
	}
	if f.Background != "" {
		out["background"] = f.Background
	}
	if f.NoNames {
		out["names"] = false
	}
	return out, nil
}
