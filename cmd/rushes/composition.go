package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"rushes/pipeline/capture"
)

// compositionFlags are process's: how the composite looks, and how it is rendered.
type compositionFlags struct {
	layoutFlags `embed:""`
	Chunk       time.Duration `help:"About how much of a composite is rendered, and kept should the run be interrupted, at a time." default:"60s" env:"RUSHES_CHUNK"`
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
func (f *compositionFlags) Validate() error {
	if f.Chunk != 0 && f.Chunk < time.Second { // 0, as where no flags are, is the usual length
		return fmt.Errorf("--chunk: %v is less than 1s", f.Chunk)
	}
	return nil
}

// apply writes the flags over a manifest's composition.
func (f *layoutFlags) apply(c *capture.Composition) error {
	if f.Layout != "" {
		c.Layout = f.Layout
	}
	if f.Size != "" {
		w, h, ok := strings.Cut(f.Size, "x")
		width, err1 := strconv.Atoi(w)
		height, err2 := strconv.Atoi(h)
		if !ok || err1 != nil || err2 != nil {
			return fmt.Errorf("--size: %q is not like 1280x720", f.Size)
		}
		c.Width, c.Height = width, height
	}
	switch {
	case f.FPS == "auto":
		c.FPS = capture.AutoFPS
	case f.FPS != "":
		n, err := strconv.Atoi(f.FPS)
		if err != nil {
			return fmt.Errorf("--fps: %q is neither a whole number nor auto", f.FPS)
		}
		c.FPS = capture.FrameRate(n)
	}
	if len(f.Roles) > 0 {
		c.Roles = f.Roles
	}
	if f.Background != "" {
		c.Background = f.Background
	}
	if f.NoNames {
		c.Names = false
	}
	return nil
}
