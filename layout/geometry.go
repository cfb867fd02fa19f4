package layout

// Size is a picture's size in pixels, upright and with square pixels: rotation and pixel aspect have
// already been applied.
type Size struct {
	// Width in pixels.
	Width int `json:"width"`
	// Height in pixels.
	Height int `json:"height"`
}

// Rect is a rectangle in pixels. Those of a plan have even numbers only, so that they fall between the
// samples of 4:2:0 chroma.
type Rect struct {
	// X is the left edge.
	X int `json:"x"`
	// Y is the upper edge.
	Y int `json:"y"`
	// Width in pixels.
	Width int `json:"width"`
	// Height in pixels.
	Height int `json:"height"`
}

// Contains reports whether o lies inside r.
func (r Rect) Contains(o Rect) bool {
	return o.X >= r.X && o.Y >= r.Y && o.X+o.Width <= r.X+r.Width && o.Y+o.Height <= r.Y+r.Height
}

// Overlaps reports whether r and o share a pixel.
func (r Rect) Overlaps(o Rect) bool {
	return r.X < o.X+o.Width && o.X < r.X+r.Width && r.Y < o.Y+o.Height && o.Y < r.Y+r.Height
}

// centred returns a rectangle of the size in the middle of r; r has even numbers, and so has the result.
func (r Rect) centred(s Size) Rect {
	return Rect{X: r.X + evenDown((r.Width-s.Width)/2), Y: r.Y + evenDown((r.Height-s.Height)/2), Width: s.Width, Height: s.Height}
}

func evenDown(n int) int { return n &^ 1 }

func evenUp(n int) int { return (n + 1) &^ 1 }

// cellHeight is the height of a 16:9 cell, rounded up: a cell a little too high lets a 4:3 camera lose at
// most a quarter, one a little too low would not.
func cellHeight(width int) int { return evenUp((width*9 + 15) / 16) }

// cellIn returns the largest 16:9 cell with even sides that fits; zero when there is none.
func cellIn(width, height int) Size {
	if width < 2 || height < 2 {
		return Size{}
	}
	w := min(evenDown(width), evenDown(height*16/9))
	for w >= 2 && cellHeight(w) > height {
		w -= 2
	}
	if w < 2 {
		return Size{}
	}
	return Size{Width: w, Height: cellHeight(w)}
}

// grid returns n equal 16:9 cells in area, row by row. The number of columns is the one that gives the
// largest cell, of equals the one with fewer rows. The rows are centred as a block, and so is a short last
// row. It returns nil when not even the smallest cells fit.
func grid(area Rect, n, gap int) []Rect {
	var cell Size
	cols, rows := 0, 0
	for c := 1; c <= n; c++ {
		r := (n + c - 1) / c
		s := cellIn((area.Width-(c-1)*gap)/c, (area.Height-(r-1)*gap)/r)
		got, best := s.Width*s.Height, cell.Width*cell.Height
		if got > best || got == best && got > 0 && r < rows {
			cell, cols, rows = s, c, r
		}
	}
	if cols == 0 {
		return nil
	}
	rects := make([]Rect, 0, n)
	block := area.centred(Size{Width: area.Width, Height: rows*(cell.Height+gap) - gap})
	for y := block.Y; len(rects) < n; y += cell.Height + gap {
		line := Rect{X: area.X, Y: y, Width: area.Width, Height: cell.Height}
		rects = append(rects, row(line, min(cols, n-len(rects)), cell, gap)...)
	}
	return rects
}

// row returns n cells side by side in the middle of area.
func row(area Rect, n int, cell Size, gap int) []Rect {
	rects := make([]Rect, n)
	line := area.centred(Size{Width: n*(cell.Width+gap) - gap, Height: cell.Height})
	for i := range rects {
		rects[i] = Rect{X: line.X + i*(cell.Width+gap), Y: line.Y, Width: cell.Width, Height: cell.Height}
	}
	return rects
}

// column returns n cells one below the other in the middle of area.
func column(area Rect, n int, cell Size, gap int) []Rect {
	rects := make([]Rect, n)
	line := area.centred(Size{Width: cell.Width, Height: n*(cell.Height+gap) - gap})
	for i := range rects {
		rects[i] = Rect{X: line.X, Y: line.Y + i*(cell.Height+gap), Width: cell.Width, Height: cell.Height}
	}
	return rects
}
