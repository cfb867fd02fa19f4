package layout

// single shows the screen, else the active speaker, on the whole canvas; with the presenter in the lower
// right corner at a quarter of the width when that is asked for.
func (d *director) single(m *moment, corner bool) []Tile {
	canvas := d.o.Canvas.rect()
	screen, presenter := m.screen()
	if screen == nil {
		if speaker := m.leading(); speaker != nil {
			return []Tile{d.peer(speaker, canvas, 0)}
		}
		return nil
	}
	tiles := []Tile{d.screen(screen, canvas, 0)}
	if corner {
		cell := cellIn(canvas.Width/4, canvas.Height-2*d.gap)
		tiles = append(tiles, d.peer(presenter, Rect{
			X: canvas.Width - cell.Width - d.gap, Y: canvas.Height - cell.Height - d.gap,
			Width: cell.Width, Height: cell.Height,
		}, 1))
	}
	return tiles
}
