package layout

import (
	"cmp"
	"fmt"
	"slices"
)

// maxTiles is how many tiles there are at most.
const maxTiles = 25

// director turns moments into tiles. The seats are its only memory.
type director struct {
	o    Options
	gap  int
	all  seats // grid, and rest of regions
	side seats // sidebar, beside a screen
	few  seats // spotlight's strip, and the sidebar without a screen
}

func newDirector(o Options) *director { return &director{o: o, gap: o.Canvas.gap()} }

// arrange returns the layout that is in force, and its tiles with the lowest first.
func (d *director) arrange(m *moment) (Name, []Tile) {
	screen, _ := m.screen()
	if screen == nil {
		d.side = seats{} // the next share begins with those who spoke last before it
	}
	name := d.o.Layout
	if name == Auto {
		if name = Grid; screen != nil {
			name = Sidebar
		}
	}
	tiles := []Tile{} // [] in JSON, not null
	switch name {
	case Sidebar:
		tiles = append(tiles, d.sidebar(m)...)
	case Spotlight:
		tiles = append(tiles, d.spotlight(m)...)
	case Single, PiP:
		tiles = append(tiles, d.single(m, name == PiP)...)
	case Custom:
		tiles = append(tiles, d.regions(m)...)
	default:
		tiles = append(tiles, d.crowd(m, m.peers, d.o.Canvas.rect(), maxTiles, 0)...)
	}
	slices.SortStableFunc(tiles, func(a, b Tile) int { return cmp.Compare(a.Z, b.Z) })
	return name, tiles
}

// crowd is the grid of peers in area, in at most room tiles: when they are more, the last tile counts those
// who are not seen. Where even that many cells do not fit, there are fewer.
func (d *director) crowd(m *moment, peers []*stay, area Rect, room, z int) []Tile {
	cells := grid(area, min(len(peers), room), d.gap)
	for room = min(len(peers), room); cells == nil && room > 1; {
		room--
		cells = grid(area, room, d.gap)
	}
	seen := len(cells)
	if others := len(peers) > seen; others && seen > 0 {
		seen--
	}
	tiles := make([]Tile, 0, len(cells))
	for i, st := range d.all.update(peers, seen, m.speaker) {
		tiles = append(tiles, d.peer(st, cells[i], z))
	}
	if n := len(peers) - seen; n > 0 && len(cells) > 0 {
		tiles = append(tiles, Tile{
			Rect: cells[len(cells)-1], Z: z, Kind: TileOverflow, Others: n, Label: fmt.Sprintf("+%d others", n),
		})
	}
	return tiles
}

// peer is a peer's tile: the camera, or the avatar when there is no picture.
func (d *director) peer(st *stay, r Rect, z int) Tile {
	t := Tile{Rect: r, Z: z, Kind: TileAvatar, PeerID: st.ID, Initials: st.initials, MicMuted: *st.mic}
	if d.o.Names {
		t.Label = st.label
	}
	for _, v := range st.cameras { // the newest first
		if v.on {
			t.Kind, t.TrackID, t.Fit = TileCamera, v.id, FitCropUpToQuarter
			break
		}
	}
	return t
}

// screen is the tile of a shared screen. It fits area whole, whatever its size.
func (d *director) screen(v *video, area Rect, z int) Tile {
	return Tile{Rect: area, Z: z, Kind: TileScreen, PeerID: v.peer, TrackID: v.id, Fit: FitContain}
}

// large is the large tile beside small ones: a screen takes all of area; a peer takes a 16:9 cell of it,
// so that no camera is cropped more than in a grid, on a portrait canvas all.
func (d *director) large(v *video, st *stay, area Rect) Tile {
	if v != nil {
		return d.screen(v, area, 0)
	}
	if cell := cellIn(area.Width, area.Height); cell.Width > 0 && !d.o.Canvas.portrait() {
		area = area.centred(cell)
	}
	return d.peer(st, area, 0)
}
