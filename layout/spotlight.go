package layout

// spotlight shows what is pinned, else the active speaker, large, and others in a strip below.
func (d *director) spotlight(m *moment) []Tile {
	screen, star := m.pinned()
	if star == nil {
		star = m.leading()
	}
	if star == nil {
		return nil
	}
	others := m.peers
	if screen == nil {
		others = m.others(star)
	}
	small := d.few.update(others, stripTiles, m.speaker)
	free, cells := d.stripCells(len(small), stripTiles)
	return d.beside(d.large(screen, star, free), small, cells)
}
