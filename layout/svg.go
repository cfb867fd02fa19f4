package layout

import (
	"bytes"
	"encoding/xml"
	"fmt"
)

// SVG draws a scene, given by its index: rectangles, names and icons, for people who want to see a plan.
// A camera and an avatar have the colour of their peer, a screen is grey. The same scene gives the same
// bytes. An index outside the plan gives the empty background.
func (p Plan) SVG(scene int) []byte {
	var b bytes.Buffer
	w, h := p.Canvas.Width, p.Canvas.Height
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif">`+"\n", w, h, w, h)
	if scene >= 0 && scene < len(p.Scenes) {
		s := p.Scenes[scene]
		fmt.Fprintf(&b, "<title>%s: %v to %v, frames %d to %d</title>\n", s.Layout, s.From, s.To, s.FirstFrame, s.EndFrame-1)
	}
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="%s"/>`+"\n", w, h, escaped(p.Canvas.Background))
	if scene >= 0 && scene < len(p.Scenes) {
		for i, t := range p.Scenes[scene].Tiles {
			t.draw(&b, i)
		}
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// draw writes one tile; its text is clipped to the tile.
func (t Tile) draw(b *bytes.Buffer, number int) {
	r := t.Rect
	font := max(4, min(r.Height/8, r.Width/12, 28))
	fmt.Fprintf(b, `<svg x="%d" y="%d" width="%d" height="%d" overflow="hidden">`, r.X, r.Y, r.Width, r.Height)
	fmt.Fprintf(b, "<title>tile %d: %s</title>", number, escaped(describe(t)))
	fmt.Fprintf(b, `<rect width="100%%" height="100%%" fill="%s"/>`, t.fill())
	if middle := t.middle(); middle != "" {
		fmt.Fprintf(b, `<text x="%d" y="%d" font-size="%d" fill="#ffffff" text-anchor="middle" dominant-baseline="central">%s</text>`,
			r.Width/2, r.Height/2, max(font*3/2, r.Height/6), escaped(middle))
	}
	if t.Label != "" && t.Kind != TileOverflow {
		fmt.Fprintf(b, `<text x="%d" y="%d" font-size="%d" fill="#ffffff">%s</text>`, font/2, r.Height-font/2, font, escaped(t.Label))
	}
	if t.MicMuted {
		x, y := r.Width-font, font
		fmt.Fprintf(b, `<circle cx="%d" cy="%d" r="%d" fill="#c03030"/><path d="M%d %dL%d %d" stroke="#ffffff" stroke-width="2"/>`,
			x, y, font/2, x-font/3, y-font/3, x+font/3, y+font/3)
	}
	b.WriteString("</svg>\n")
}

func (t Tile) fill() string {
	switch t.Kind {
	case TileCamera, TileAvatar:
		return AvatarColour(t.PeerID)
	case TileScreen:
		return "#606060"
	default:
		return "#303030"
	}
}

// middle is the text in the middle of the tile.
func (t Tile) middle() string {
	switch t.Kind {
	case TileAvatar:
		return t.Initials
	case TileOverflow:
		return t.Label
	default:
		return t.TrackID
	}
}

func describe(t Tile) string {
	return fmt.Sprintf("%s %s %s, %d×%d at %d,%d, z %d", t.Kind, t.PeerID, t.TrackID, t.Rect.Width, t.Rect.Height, t.Rect.X, t.Rect.Y, t.Z)
}

// escaped makes text from outside safe inside XML.
func escaped(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a buffer never fails
	return b.String()
}
