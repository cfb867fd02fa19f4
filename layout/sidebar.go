package layout

// How many small tiles there are at most.
const (
	sidebarTiles = 4
	stripTiles   = 5
)

// sidebar shows the newest screen, and beside it the presenter and those who spoke last. Without a screen
// the active speaker takes its place, as in single.
func (d *director) sidebar(m *moment) []Tile {
	screen, presenter := m.screen()
	if screen == nil {
		return d.speakerAside(m)
	}
	small := append([]*stay{presenter}, d.side.update(m.others(presenter), sidebarTiles-1, m.speaker)...)
	free, cells := d.sideCells(len(small))
	return d.beside(d.large(screen, presenter, free), small, cells)
}

func (d *director) speakerAside(m *moment) []Tile {
	speaker := m.leading()
	if speaker == nil {
		return nil
	}
	small := d.few.update(m.others(speaker), sidebarTiles, m.speaker)
	free, cells := d.sideCells(len(small))
	return d.beside(d.large(nil, speaker, free), small, cells)
}

// beside returns the large tile and a small one for each peer.
func (d *director) beside(large Tile, small []*stay, cells []Rect) []Tile {
	tiles := append(make([]Tile, 0, 1+len(small)), large)
	for i, st := range small {
		tiles = append(tiles, d.peer(st, cells[i], 0))
	}
	return tiles
}

// sideCells returns n cells at the right of the canvas, below on a portrait one, and the free area beside
// them. The cells have one size, however many there are: it has room for four.
func (d *director) sideCells(n int) (free Rect, cells []Rect) {
	if d.o.Canvas.portrait() {
		return d.stripCells(n, sidebarTiles)
	}
	free = d.o.Canvas.rect()
	if n == 0 {
		return free, nil
	}
	cell := d.smallCell(d.o.Canvas.Width, (free.Height-(sidebarTiles-1)*d.gap)/sidebarTiles)
	side := Rect{X: free.Width - cell.Width, Width: cell.Width, Height: free.Height}
	free.Width = side.X - d.gap
	return free, column(side, n, cell, d.gap)
}

// stripCells returns n cells at the bottom of the canvas, and the free area above them. Their size has
// room for most of them.
func (d *director) stripCells(n, most int) (free Rect, cells []Rect) {
	free = d.o.Canvas.rect()
	if n == 0 {
		return free, nil
	}
	cell := d.smallCell((free.Width-(most-1)*d.gap)/most, free.Height/2)
	strip := Rect{Y: free.Height - cell.Height, Width: free.Width, Height: cell.Height}
	free.Height = strip.Y - d.gap
	return free, row(strip, n, cell, d.gap)
}

// smallCell is a cell of 240 px at 1280 on the canvas' long side, smaller where it would not fit.
func (d *director) smallCell(width, height int) Size {
	long := max(d.o.Canvas.Width, d.o.Canvas.Height)
	return cellIn(min(width, 240*long/1280), height)
}
