package transcode

import (
	"strconv"

	"rushes/layout"
	"rushes/transcode/internal/av"
)

// canvas is one of a few pictures that take turns: one is drawn while others are being encoded. Each remembers
// which picture of every tile it shows, so that only what has changed is drawn.
type canvas struct {
	frame *av.Frame
	scene int   // -1 = nothing drawn
	shows []int // version of every tile of the scene
}

// tileState is a tile of the scene at hand.
type tileState struct {
	layout.Tile
	player  *player
	version int     // of what it shows now; −1 = avatar
	last    *canvas // that has the version drawn
	badges  []badge
	under   []int // tiles in front of this one, which must be drawn again after it
}

// badge is a label or an icon on a tile.
type badge struct {
	overlay *av.Overlay
	x, y    int
}

// painter draws scenes onto canvases.
type painter struct {
	comp       *Composite
	players    map[string]*player
	art        *artist
	background [3]uint8
	scene      int
	tiles      []tileState
	drawn      int
}

// enter begins a scene.
func (p *painter) enter(scene int) {
	p.scene = scene
	p.tiles = p.tiles[:0]
	for _, t := range p.comp.Plan.Scenes[scene].Tiles {
		s := tileState{Tile: t, version: -2, player: p.players[t.TrackID]}
		s.badges = p.art.badges(t)
		p.tiles = append(p.tiles, s)
	}
	for i := range p.tiles {
		for k := i + 1; k < len(p.tiles); k++ {
			if p.tiles[i].Rect.Overlaps(p.tiles[k].Rect) {
				p.tiles[i].under = append(p.tiles[i].under, k)
			}
		}
	}
}

// update notes what every tile shows now.
func (p *painter) update() {
	for i := range p.tiles {
		t := &p.tiles[i]
		version := -1
		if t.player != nil && t.player.has {
			version = t.player.version
		}
		if version != t.version {
			t.version, t.last = version, nil
		}
	}
}

// paint brings a canvas up to date.
func (p *painter) paint(c *canvas) error {
	canvas := p.comp.Plan.Canvas
	if c.scene != p.scene {
		c.scene = p.scene
		c.shows = c.shows[:0]
		for range p.tiles {
			c.shows = append(c.shows, -2)
		}
		av.Fill(c.frame, av.Rect{W: canvas.Width, H: canvas.Height}, p.background[0], p.background[1], p.background[2])
	}
	for i := range p.tiles {
		t := &p.tiles[i]
		if c.shows[i] == t.version {
			continue
		}
		if err := p.tile(c, t); err != nil {
			return err
		}
		c.shows[i] = t.version
		for _, k := range t.under {
			c.shows[k] = -2
		}
		if len(t.under) == 0 {
			t.last = c
		}
	}
	return nil
}

// tile draws one tile: from the canvas that has it already, or anew.
func (p *painter) tile(c *canvas, t *tileState) error {
	r := av.Rect{X: t.Rect.X, Y: t.Rect.Y, W: t.Rect.Width, H: t.Rect.Height}
	if t.last != nil && t.last != c && t.last.scene == p.scene {
		av.CopyPart(c.frame, t.last.frame, r)
		return nil
	}
	p.drawn++
	if t.version < 0 {
		if art := p.art.tile(t.Tile); art != nil {
			av.Blend(c.frame, art, r.X, r.Y)
		}
	} else if err := p.picture(c, t, r); err != nil {
		return err
	}
	for _, b := range t.badges {
		av.Blend(c.frame, b.overlay, r.X+b.x, r.Y+b.y)
	}
	return nil
}

func (p *painter) picture(c *canvas, t *tileState, r av.Rect) error {
	f := t.player.shown
	size := layout.Size{Width: f.Width, Height: f.Height}
	crop, dst := layout.Place(size, t.Rect, t.Fit)
	if dst != t.Rect {
		av.Fill(c.frame, r, p.background[0], p.background[1], p.background[2])
	}
	if dst.Width == 0 || dst.Height == 0 {
		return nil
	}
	return t.player.scaler.DrawPart(c.frame, av.Rect{X: dst.X, Y: dst.Y, W: dst.Width, H: dst.Height}, f,
		av.Rect{X: crop.X, Y: crop.Y, W: crop.Width, H: crop.Height})
}

// colour converts #rrggbb to BT.709 in limited range; what is no colour is black.
func colour(hex string) [3]uint8 {
	v, err := strconv.ParseUint(trimHash(hex), 16, 32)
	if err != nil || len(hex) != 7 {
		v = 0
	}
	return rgbToYCbCr(uint8(v>>16), uint8(v>>8), uint8(v))
}

func trimHash(s string) string {
	if s != "" && s[0] == '#' {
		return s[1:]
	}
	return s
}

// rgbToYCbCr is ITU-R BT.709-6, items 3.2 to 3.5, for 8 bits in limited range.
func rgbToYCbCr(r, g, b uint8) [3]uint8 {
	rf, gf, bf := float64(r)/255, float64(g)/255, float64(b)/255
	y := 0.2126*rf + 0.7152*gf + 0.0722*bf
	return [3]uint8{uint8(16 + 219*y + 0.5), uint8(128 + 224*(bf-y)/1.8556 + 0.5), uint8(128 + 224*(rf-y)/1.5748 + 0.5)}
}
