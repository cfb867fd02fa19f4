package transcode

import (
	"image"

	"rushes/layout"
	"rushes/transcode/internal/av"
)

// artist draws what is not a picture of a camera, once for each peer and size: avatars, names and icons.
type artist struct {
	canvas layout.Canvas
	typist *typist
	tiles  map[tileKey]*av.Overlay
	labels map[labelKey]*av.Overlay
}

type tileKey struct {
	peer, initials string
	w, h, others   int
}

type labelKey struct {
	text string
	w, h int
}

func newArtist(c layout.Canvas) (*artist, error) {
	t, err := newTypist()
	if err != nil {
		return nil, err
	}
	return &artist{canvas: c, typist: t, tiles: map[tileKey]*av.Overlay{}, labels: map[labelKey]*av.Overlay{}}, nil
}

// tile gives what a tile shows without a picture: the peer's avatar, or how many others there are.
func (a *artist) tile(t layout.Tile) *av.Overlay {
	key := tileKey{t.PeerID, t.Initials, t.Rect.Width, t.Rect.Height, t.Others}
	if o, ok := a.tiles[key]; ok {
		return o
	}
	var img *image.RGBA
	switch {
	case t.Kind == layout.TileOverflow:
		img = a.typist.overflow(key.w, key.h, t.Others)
	default:
		img = a.typist.avatar(key.w, key.h, t.Initials, layout.AvatarColour(t.PeerID))
	}
	o := newOverlay(img)
	a.tiles[key] = o
	return o
}

// badges gives a tile's name and icon and where they stand: at the bottom left and the bottom right.
func (a *artist) badges(t layout.Tile) []badge {
	var out []badge
	height := max(a.canvas.Height/30, 12) &^ 1
	height = min(height, t.Rect.Height/3&^1)
	margin := max(height/4, 2) &^ 1
	if height < 8 || t.Kind == layout.TileOverflow {
		return nil
	}
	room := t.Rect.Width - 2*margin
	if t.MicMuted {
		if o := a.label(labelKey{"", height, height}, func() *image.RGBA { return a.typist.micMuted(height) }); o != nil && o.W <= room {
			out = append(out, badge{o, (t.Rect.Width - margin - o.W) &^ 1, (t.Rect.Height - margin - o.H) &^ 1})
			room -= o.W + margin
		}
	}
	if t.Label != "" {
		if o := a.label(labelKey{t.Label, room, height}, func() *image.RGBA { return a.typist.label(t.Label, room, height) }); o != nil && o.W <= room {
			out = append(out, badge{o, margin, (t.Rect.Height - margin - o.H) &^ 1})
		}
	}
	return out
}

func (a *artist) label(key labelKey, draw func() *image.RGBA) *av.Overlay {
	if o, ok := a.labels[key]; ok {
		return o
	}
	o := newOverlay(draw())
	a.labels[key] = o
	return o
}

// newOverlay converts a picture with premultiplied alpha, of even size; nil stays nil.
func newOverlay(img *image.RGBA) *av.Overlay {
	if img == nil || img.Rect.Dx() < 2 || img.Rect.Dy() < 2 {
		return nil
	}
	w, h := img.Rect.Dx()&^1, img.Rect.Dy()&^1
	o := &av.Overlay{W: w, H: h, Y: make([]byte, w*h), Alpha: make([]byte, w*h), Cb: make([]byte, w*h/4), Cr: make([]byte, w*h/4), ChromaA: make([]byte, w*h/4)}
	for y := 0; y < h; y += 2 {
		for x := 0; x < w; x += 2 {
			var cb, cr, weight, alpha int
			for i := range 4 {
				px, py := x+i&1, y+i>>1
				p := img.Pix[py*img.Stride+4*px:]
				a := int(p[3])
				c := rgbToYCbCr(straight(p[0], a), straight(p[1], a), straight(p[2], a))
				o.Y[py*w+px], o.Alpha[py*w+px] = c[0], byte(a)
				cb, cr, weight, alpha = cb+int(c[1])*a, cr+int(c[2])*a, weight+a, alpha+a
			}
			at := y/2*(w/2) + x/2
			o.Cb[at], o.Cr[at], o.ChromaA[at] = 128, 128, byte(alpha/4)
			if weight > 0 {
				o.Cb[at], o.Cr[at] = byte(cb/weight), byte(cr/weight)
			}
		}
	}
	return o
}

// straight undoes the multiplication by alpha.
func straight(v uint8, alpha int) uint8 {
	if alpha == 0 {
		return 0
	}
	return uint8(min(int(v)*255/alpha, 255))
}
