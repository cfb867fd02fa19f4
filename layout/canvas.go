package layout

// The limits of layouts.md for a canvas.
const (
	minShortSide = 144
	maxShortSide = 1920
	maxLongSide  = 3840
	maxFPS       = 60
)

// Canvas is the picture that everything is drawn on.
type Canvas struct {
	// Width in pixels, even; with Height zero as well, 1280.
	Width int `json:"width"`
	// Height in pixels, even; with Width zero as well, 720.
	Height int `json:"height"`
	// FPS is frames per second, 1 to 60; zero means 30. AutoFPS finds one for the sources.
	FPS int `json:"fps"`
	// Background is the colour behind the tiles as #rrggbb; empty means black.
	Background string `json:"background"`
}

func (c Canvas) withDefaults() Canvas {
	if c.Width == 0 && c.Height == 0 {
		c.Width, c.Height = 1280, 720
	}
	if c.FPS == 0 {
		c.FPS = 30
	}
	if c.Background == "" {
		c.Background = "#000000"
	}
	return c
}

func (c Canvas) check(p *problems) {
	const hint = "use even sizes, the short side 144 to 1920, the long side up to 3840"
	short := min(c.Width, c.Height)
	for _, side := range []struct {
		name  string
		value int
	}{{"width", c.Width}, {"height", c.Height}} {
		outside := side.value == short && (short < minShortSide || short > maxShortSide) || side.value > maxLongSide
		if outside || side.value%2 != 0 {
			p.add(side.name, hint, "%d does not do for a canvas of %d×%d", side.value, c.Width, c.Height)
		}
	}
	if c.FPS < 1 || c.FPS > maxFPS {
		p.add("fps", "use 1 to 60", "%d is outside the limits", c.FPS)
	}
	if !isColour(c.Background) {
		p.add("background", "use #rrggbb", "%s is not a colour", quote(c.Background))
	}
}

func isColour(s string) bool {
	if len(s) != len("#rrggbb") || s[0] != '#' {
		return false
	}
	for _, c := range []byte(s[1:]) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

// rect is the whole canvas.
func (c Canvas) rect() Rect { return Rect{Width: c.Width, Height: c.Height} }

// gap is the distance between tiles in pixels: 8 at 720 lines, scaled with the height, even. On a canvas
// more than four times as high as wide it is less, as the tiles would have no room beside it.
func (c Canvas) gap() int { return max(2, min(2*((c.Height+90)/180), evenDown(c.Width/20))) }

// portrait says whether the canvas is higher than wide: sidebars then lie below.
func (c Canvas) portrait() bool { return c.Height > c.Width }
