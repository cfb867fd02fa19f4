package layout

// regions shows what the request put into each rectangle. A region whose peer, screen or speaker is not
// there stays background.
func (d *director) regions(m *moment) []Tile {
	shown := map[*stay]bool{}
	tiles := make([]Tile, len(d.o.Regions))
	put := func(i int, st *stay) {
		if r := d.o.Regions[i]; st != nil {
			shown[st], tiles[i] = true, d.peer(st, r.Rect, r.Z)
		}
	}
	rest, used := -1, 0
	// Named peers come first: a region for a role takes none of them.
	for i, r := range d.o.Regions {
		switch kind, name := r.show(); kind {
		case showPeer:
			put(i, m.stay(name))
		case showScreen:
			if screen, _ := m.screen(); screen != nil {
				tiles[i] = d.screen(screen, r.Rect, r.Z)
			}
		case showRest:
			rest = i
		}
	}
	for i, r := range d.o.Regions {
		if kind, name := r.show(); kind == showRole {
			put(i, m.firstOf(name, shown))
		}
	}
	for i, r := range d.o.Regions {
		if r.Show == showSpeaker {
			put(i, m.leading())
		}
	}
	list := make([]Tile, 0, maxTiles)
	for _, t := range tiles {
		if t.Kind != "" {
			used++
		}
	}
	for i, t := range tiles {
		switch {
		case i == rest:
			list = append(list, d.rest(m, d.o.Regions[i], shown, maxTiles-used)...)
		case t.Kind != "":
			list = append(list, t)
		}
	}
	return list
}

// rest is the grid of everybody whom no region shows.
func (d *director) rest(m *moment, r Region, shown map[*stay]bool, room int) []Tile {
	peers := make([]*stay, 0, len(m.peers))
	for _, st := range m.peers {
		if !shown[st] {
			peers = append(peers, st)
		}
	}
	return d.crowd(m, peers, r.Rect, room, r.Z)
}

// firstOf returns the first peer of the role that is not shown yet, or nil.
func (m *moment) firstOf(role string, shown map[*stay]bool) *stay {
	for _, st := range m.peers {
		if st.Role == role && !shown[st] {
			return st
		}
	}
	return nil
}
