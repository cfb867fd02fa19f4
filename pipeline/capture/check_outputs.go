package capture

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The limits of layouts.md: the short side of the canvas, its long side, and what
// we allow beyond it.
const (
	minCanvas     = 144
	maxCanvasEdge = 1920
	maxCanvasLong = 3840
	maxFPS        = 60
	minThumbnail  = 16
)

// DefaultOutputs returns what is made of a capture that does not say.
func DefaultOutputs(source Source) Outputs {
	o := outputDefaults()
	o.Assets = defaultAssets(source)
	return o
}

// outputDefaults is what the manifest is decoded over: absent fields keep it.
func outputDefaults() Outputs {
	return Outputs{
		Composition: Composition{Layout: "auto", Width: 1280, Height: 720, FPS: 30, Background: "#000000", Names: true},
		Thumbnails:  Thumbnails{Enabled: true, Width: 1280, Height: 720, Offsets: defaultOffsets()},
	}
}

func defaultOffsets() []Seconds { return []Seconds{{Duration: 2 * time.Second}} }

func defaultAssets(source Source) []string {
	switch source {
	case SourceSFU:
		return []string{AssetTrack, AssetRoomCompositeLegacy}
	case SourceLiveStream:
		return []string{AssetRoomVOD, AssetRoomComposite}
	default:
		return []string{AssetRoomComposite}
	}
}

// PossibleAssets returns the asset types that a source can give.
func PossibleAssets(source Source) []string {
	switch source {
	case SourceSFU:
		return []string{AssetTrack, AssetRoomCompositeLegacy, AssetStream, AssetRoomVOD}
	case SourceLiveStream:
		return defaultAssets(source)
	default:
		return append(defaultAssets(source), AssetRoomVOD)
	}
}

func layoutNames() []string {
	return []string{"auto", "grid", "sidebar", "spotlight", "single", "pip", "regions"}
}

// Validate checks the outputs against the limits of layouts.md and the asset
// types that the source can give. It returns all problems joined, each an
// *InputError whose Field starts with "outputs.".
func (o *Outputs) Validate(source Source) error {
	p := &problems{}
	o.check(source, p)
	return p.err()
}

func (c *checker) outputs() {
	o := &c.m.Outputs
	if len(o.Assets) == 0 {
		o.Assets = defaultAssets(c.m.Source)
	}
	if o.Thumbnails.Offsets == nil {
		o.Thumbnails.Offsets = defaultOffsets()
	}
	o.Composition.Background = strings.ToLower(o.Composition.Background)
	o.check(c.m.Source, &c.problems)
	slices.SortStableFunc(o.Thumbnails.Offsets, func(a, b Seconds) int { return cmp.Compare(a.Duration, b.Duration) })
	o.Assets = unique(o.Assets)
	o.Thumbnails.Offsets = unique(o.Thumbnails.Offsets)
	slices.SortFunc(o.VOD.Ladder, func(a, b int) int { return b - a })
	o.VOD.Ladder = slices.Compact(o.VOD.Ladder)
}

// unique drops repeats and keeps the order of first appearance.
func unique[T comparable](list []T) []T {
	seen := make(map[T]bool, len(list))
	return slices.DeleteFunc(list, func(v T) bool {
		again := seen[v]
		seen[v] = true
		return again
	})
}

func (o *Outputs) check(source Source, p *problems) {
	possible := PossibleAssets(source)
	for i, a := range o.Assets {
		if !slices.Contains(possible, a) {
			p.add(fmt.Sprintf("outputs.assets[%d]", i), fmt.Sprintf("a %s capture gives %s", source, strings.Join(possible, ", ")),
				"%s cannot be made", quote(a))
		}
	}
	if o.TrackFormat != "" && o.TrackFormat != TrackFormatMP4 {
		p.add("outputs.track_format", "use "+TrackFormatMP4+", or leave it out to copy tracks", "%s is not a format of tracks", quote(o.TrackFormat))
	}
	o.Composition.check(p)
	o.Thumbnails.check(p)
	o.VOD.check(source, p)
}

// maxRungs bounds the layers of a ladder.
const maxRungs = 8

func (v *VOD) check(source Source, p *problems) {
	const at = "outputs.vod."
	if v.Segments != "" && v.Segments != SegmentsSeparate && v.Segments != SegmentsSingleFile {
		p.add(at+"segments", "use "+SegmentsSeparate+" or "+SegmentsSingleFile, "%s is not a way to store segments", quote(v.Segments))
	}
	switch {
	case len(v.Ladder) > maxRungs:
		p.add(at+"ladder", "", "%d entries, at most %d are allowed", len(v.Ladder), maxRungs)
		return
	case len(v.Ladder) > 0 && source == SourceLiveStream:
		p.add(at+"ladder", "leave it out: a live stream has its own layers", "a live-stream capture is not encoded again")
	}
	for i, height := range v.Ladder {
		if height < minCanvas || height > maxCanvasEdge || height%2 != 0 {
			p.add(fmt.Sprintf("%sladder[%d]", at, i), fmt.Sprintf("use even heights, %d to %d", minCanvas, maxCanvasEdge), "%d is outside the limits", height)
		}
	}
}

func (c *Composition) check(p *problems) {
	const at = "outputs.composition."
	if names := layoutNames(); !slices.Contains(names, c.Layout) {
		p.add(at+"layout", "use "+strings.Join(names, ", "), "%s is not a layout", quote(c.Layout))
	}
	short := min(c.Width, c.Height)
	sizeHint := fmt.Sprintf("use even sizes, the short side %d to %d, the long side up to %d", minCanvas, maxCanvasEdge, maxCanvasLong)
	for _, side := range []struct {
		name  string
		value int
	}{{"width", c.Width}, {"height", c.Height}} {
		outside := side.value == short && (short < minCanvas || short > maxCanvasEdge) || side.value > maxCanvasLong
		if outside || side.value%2 != 0 {
			p.add(at+side.name, sizeHint, "%d does not do for a canvas of %d×%d", side.value, c.Width, c.Height)
		}
	}
	if c.FPS != AutoFPS && (c.FPS < 1 || c.FPS > maxFPS) {
		p.add(at+"fps", fmt.Sprintf("use 1 to %d, or auto", maxFPS), "%d is outside the limits", c.FPS)
	}
	if !isColour(c.Background) {
		p.add(at+"background", "use #rrggbb", "%s is not a colour", quote(c.Background))
	}
	if len(c.Roles) > maxRoles {
		p.add(at+"roles", "", "%d entries, at most %d are allowed", len(c.Roles), maxRoles)
	}
	for i, role := range c.Roles {
		if role == "" || len(role) > maxIDLength {
			p.add(fmt.Sprintf("%sroles[%d]", at, i), "write the name of a role", "empty or longer than %d bytes", maxIDLength)
		}
	}
	c.checkRegions(p)
}

func (c *Composition) checkRegions(p *problems) {
	const at = "outputs.composition.regions"
	switch {
	case c.Layout == "regions" && len(c.Regions) == 0:
		p.add(at, "list the rectangles", "missing for the layout regions")
	case len(c.Regions) > maxRegions:
		p.add(at, "", "%d entries, at most %d are allowed", len(c.Regions), maxRegions)
		return
	}
	for i, r := range c.Regions {
		field := fmt.Sprintf("%s[%d]", at, i)
		if r.X < 0 || r.Y < 0 || r.Width < 2 || r.Height < 2 ||
			r.X > c.Width || r.Y > c.Height || r.Width > c.Width-r.X || r.Height > c.Height-r.Y {
			p.add(field, fmt.Sprintf("stay inside the canvas of %d×%d", c.Width, c.Height),
				"%d×%d at %d,%d is not inside the canvas", r.Width, r.Height, r.X, r.Y)
		} else if (r.X|r.Y|r.Width|r.Height)&1 != 0 {
			p.add(field, "use even numbers", "%d×%d at %d,%d has an odd number", r.Width, r.Height, r.X, r.Y)
		}
		if !isShow(r.Show) {
			p.add(field+".show", "use peer:ID, role:NAME, screen, speaker or rest", "%s says nothing to show", quote(r.Show))
		}
	}
}

func isShow(s string) bool {
	switch s {
	case "screen", "speaker", "rest":
		return true
	}
	kind, name, _ := strings.Cut(s, ":")
	return (kind == "peer" || kind == "role") && name != "" && len(name) <= maxIDLength
}

func isColour(s string) bool {
	return len(s) == 7 && s[0] == '#' && strings.Trim(s[1:], "0123456789abcdefABCDEF") == ""
}

func (t *Thumbnails) check(p *problems) {
	const at = "outputs.thumbnails."
	for _, side := range []struct {
		name  string
		value int
	}{{"width", t.Width}, {"height", t.Height}} {
		if side.value < minThumbnail || side.value > maxCanvasLong {
			p.add(at+side.name, fmt.Sprintf("use %d to %d", minThumbnail, maxCanvasLong), "%d is outside the limits", side.value)
		}
	}
	if len(t.Offsets) > maxOffsets {
		p.add(at+"offsets", "", "%d entries, at most %d are allowed", len(t.Offsets), maxOffsets)
		return
	}
	for i, o := range t.Offsets {
		if why := o.problem(); why != "" {
			p.add(fmt.Sprintf("%soffsets[%d]", at, i), "write seconds from the beginning as a number", "%s", why)
		}
	}
}
