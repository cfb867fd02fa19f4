package layout

import (
	"fmt"
	"slices"
	"strings"
)

// Name is the name of a layout.
type Name string

// The layouts of layouts.md.
const (
	// Auto is Sidebar while somebody shares a screen, else Grid.
	Auto Name = "auto"
	// Grid shows everybody in equal cells.
	Grid Name = "grid"
	// Sidebar shows the screen (else the active speaker) and at most 4 peers beside it.
	Sidebar Name = "sidebar"
	// Spotlight shows the pinned peer or the active speaker large, and at most 5 others in a strip below.
	Spotlight Name = "spotlight"
	// Single shows the screen, else the active speaker, on the whole canvas.
	Single Name = "single"
	// PiP is Single with the presenter in the lower right corner.
	PiP Name = "pip"
	// Custom shows what Options.Regions say.
	Custom Name = "regions"
)

// LayoutNames returns all layouts, the default first.
func LayoutNames() []Name { return []Name{Auto, Grid, Sidebar, Spotlight, Single, PiP, Custom} }

// Limits of a request.
const (
	maxRoles    = 100
	maxNameSize = 512 // bytes in the name of a role or in the id of a peer
)

// Options is what a request asks for. The zero value is 1280×720 at 30 fps, black, layout auto, all roles,
// no names.
type Options struct {
	// Canvas is the picture's size, rate and background.
	Canvas Canvas
	// Layout is the layout's name; empty means Auto.
	Layout Name
	// Regions are the rectangles of the layout Custom, at most 25; other layouts ignore them.
	Regions []Region
	// Roles are the roles that are seen (and heard, see Selects); empty means all.
	Roles []string
	// Names says whether tiles carry the peer's name.
	Names bool
}

// Region is one rectangle of the layout Custom.
type Region struct {
	// Rect is where it is, inside the canvas, even.
	Rect
	// Z is the stacking order, higher in front; of equals the later is in front.
	Z int
	// Show is peer:ID, role:NAME (the first peer of that role that no other region shows), screen, speaker,
	// or rest (a grid of everybody whom no other region shows; once).
	Show string
}

// What a region can show; peer and role are followed by a colon and a name.
const (
	showPeer    = "peer"
	showRole    = "role"
	showScreen  = "screen"
	showSpeaker = "speaker"
	showRest    = "rest"
)

// show returns what the region shows, and the name after the colon if there is one.
func (r Region) show() (kind, name string) {
	kind, name, _ = strings.Cut(r.Show, ":")
	return kind, name
}

// WithDefaults returns the options with every zero value replaced by what it stands for.
func (o Options) WithDefaults() Options {
	o.Canvas = o.Canvas.withDefaults()
	if o.Layout == "" {
		o.Layout = Auto
	}
	return o
}

// Selects reports whether a peer of the role is seen and heard.
func (o Options) Selects(role string) bool {
	return len(o.Roles) == 0 || slices.Contains(o.Roles, role)
}

// Validate checks the options against the limits, without a session. It returns all problems joined, each
// an *InputError that names the field.
func (o Options) Validate() error {
	o = o.WithDefaults()
	p := &problems{}
	o.check(p)
	return p.err()
}

func (o Options) check(p *problems) {
	if names := LayoutNames(); !slices.Contains(names, o.Layout) {
		p.add("layout", fmt.Sprintf("use one of %s", names), "%s is not a layout", quote(string(o.Layout)))
	}
	o.Canvas.check(p)
	if len(o.Roles) > maxRoles {
		p.add("roles", "", "%d entries, at most %d are allowed", len(o.Roles), maxRoles)
	}
	for i, role := range o.Roles {
		if role == "" || len(role) > maxNameSize {
			p.add(fmt.Sprintf("roles[%d]", i), "write the name of a role", "empty or longer than %d bytes", maxNameSize)
		}
	}
	if o.Layout == Custom {
		o.checkRegions(p)
	}
}

func (o Options) checkRegions(p *problems) {
	switch {
	case len(o.Regions) == 0:
		p.add("regions", "list the rectangles", "missing for the layout regions")
	case len(o.Regions) > maxTiles:
		p.add("regions", "", "%d entries, at most %d are allowed", len(o.Regions), maxTiles)
		return
	}
	rest := false
	for i, r := range o.Regions {
		field := fmt.Sprintf("regions[%d]", i)
		if side := r.outside(o.Canvas); side != "" {
			p.add(field+"."+side, fmt.Sprintf("stay inside the canvas of %d×%d", o.Canvas.Width, o.Canvas.Height),
				"%d×%d at %d,%d is not inside the canvas", r.Width, r.Height, r.X, r.Y)
		} else if side := r.odd(); side != "" {
			p.add(field+"."+side, "use even numbers", "%d×%d at %d,%d has an odd number", r.Width, r.Height, r.X, r.Y)
		}
		if !isShow(r.Show) {
			p.add(field+".show", "use peer:ID, role:NAME, screen, speaker or rest", "%s says nothing to show", quote(r.Show))
		}
		if r.Show == showRest && rest {
			p.add(field+".show", "use rest once", "rest is already shown by an earlier region")
		}
		rest = rest || r.Show == showRest
	}
}

// outside names the number that puts the region outside the canvas, or nothing.
func (r Region) outside(c Canvas) string {
	switch {
	case r.X < 0 || r.X >= c.Width:
		return "x"
	case r.Y < 0 || r.Y >= c.Height:
		return "y"
	case r.Width < 2 || r.Width > c.Width-r.X:
		return "width"
	case r.Height < 2 || r.Height > c.Height-r.Y:
		return "height"
	}
	return ""
}

// odd names the first odd number of the region, or nothing.
func (r Region) odd() string {
	switch {
	case r.X%2 != 0:
		return "x"
	case r.Y%2 != 0:
		return "y"
	case r.Width%2 != 0:
		return "width"
	case r.Height%2 != 0:
		return "height"
	}
	return ""
}

func isShow(s string) bool {
	switch s {
	case showScreen, showSpeaker, showRest:
		return true
	}
	kind, name, _ := strings.Cut(s, ":")
	return (kind == showPeer || kind == showRole) && name != "" && len(name) <= maxNameSize
}

// checkRoles refuses roles that nobody in the session has: a misspelt filter would give an empty film.
// A session without peers knows no roles, so it refuses none.
func (o Options) checkRoles(s Session, p *problems) {
	if len(s.Peers) == 0 {
		return
	}
	unknown := func(role string) bool {
		return !slices.ContainsFunc(s.Peers, func(peer Peer) bool { return peer.Role == role })
	}
	const hint = "use a role that a peer of the session has"
	for i, role := range o.Roles {
		if unknown(role) {
			p.add(fmt.Sprintf("roles[%d]", i), hint, "nobody has the role %s", quote(role))
		}
	}
	if o.Layout != Custom {
		return
	}
	for i, r := range o.Regions {
		if kind, name := r.show(); kind == showRole && unknown(name) {
			p.add(fmt.Sprintf("regions[%d].show", i), hint, "nobody has the role %s", quote(name))
		}
	}
}
