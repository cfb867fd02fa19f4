package stage_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/fixtures"
	"rushes/layout"
	"rushes/pipeline/capture"
	"rushes/pipeline/stage"
)

// crowd is n people of 3 s: the second leaves early, the last comes late, the first shares a screen for a while.
func crowd(n int) []fixtures.SFUTrack {
	var tracks []fixtures.SFUTrack
	for i := range n {
		start, length := time.Duration(0), 3*time.Second
		switch {
		case i == n-1 && n > 2:
			start, length = 1370*ms, 1630*ms
		case i == 1:
			length = 2240 * ms
		}
		tracks = append(tracks, person(i, start, length)...)
	}
	return append(tracks, share(0, 40, 910*ms, 1230*ms))
}

// TestCompositeLayouts makes every layout with several numbers of people: the right one in the right place at every
// frame, changes on the exact frame, everybody heard.
func TestCompositeLayouts(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 3, 5, 9, 16, 26} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			c := newCall(t, fixtures.SFUSpec{Tracks: crowd(n)}, nil)
			for _, name := range layout.LayoutNames() {
				if !soak() && (n > 9 && name != layout.Grid && name != layout.Auto || n == 3 && name != layout.Grid) {
					continue // RUSHES_SOAK=1 has them all
				}
				t.Run(string(name), func(t *testing.T) {
					f := c.compose(t, func(m *capture.Manifest, _ *stage.Config) {
						o := small(m)
						o.Layout = string(name)
						if name == layout.Custom {
							o.Regions = []capture.Region{{X: 0, Y: 0, Width: 320, Height: 180, Show: "screen"}, {X: 320, Y: 0, Width: 320, Height: 180, Show: "peer:peer-00"}, {X: 0, Y: 180, Width: 640, Height: 180, Show: "rest"}}
						}
					})
					f.everyFrame(nil)
					if name == layout.Grid || name == layout.Auto {
						f.crowdIn(n, name)
					}
				})
			}
		})
	}
}

// crowdIn holds what the crowd does against numbers that no plan has made. Frames are 1/15 s.
func (f *film) crowdIn(n int, name layout.Name) {
	f.T.Helper()
	begin := min(n, 25)
	if n > 2 {
		begin = min(n-1, 25)
	}
	require.Len(f.T, f.tiles(0), begin)
	if name == layout.Auto {
		f.boundary(14) // 0.91 s: the screen
		require.Equal(f.T, 1, f.kinds(14)[layout.TileScreen])
		require.Zero(f.T, f.kinds(13)[layout.TileScreen])
		tile, _ := f.tile(14, "screen")
		require.GreaterOrEqual(f.T, tile.Rect.Width, 500)
		f.boundary(34) // 2.21 s, where its last picture ends
		require.Zero(f.T, f.kinds(34)[layout.TileScreen])
		require.Equal(f.T, 1, f.kinds(33)[layout.TileScreen])
		return
	}
	if n > 2 {
		f.boundary(21) // 1.37 s: the late one
		require.Len(f.T, f.tiles(21), min(begin+1, 25))
	}
	if n > 1 {
		f.boundary(34) // 2.24 s: the one who leaves
		require.Len(f.T, f.tiles(34), min(max(n-1, 1), 25))
	}
	if n == 26 {
		require.Equal(f.T, 1, f.kinds(30)[layout.TileOverflow])
	}
	if n == 2 { // cells of 16:9 side by side, a gap of 4 between them
		a, _ := f.tile(5, "peer-00-cam")
		b, _ := f.tile(5, "peer-01-cam")
		require.Equal(f.T, a.Rect.Y, b.Rect.Y)
		require.InDelta(f.T, 318, a.Rect.Width, 12)
		require.InDelta(f.T, 16.0/9, float64(a.Rect.Width)/float64(a.Rect.Height), 0.05)
	}
	f.heard(n)
}

// heard wants everybody who is there to be heard at unity gain, in the middle of the film and at its end.
func (f *film) heard(n int) {
	f.T.Helper()
	var all []int
	for i := range n {
		all = append(all, i)
	}
	for _, at := range []fixtures.Interval{{From: 100 * ms, To: 1200 * ms}, {From: 1600 * ms, To: 2150 * ms}, {From: 2350 * ms, To: 2950 * ms}} {
		tones, err := fixtures.Tones(f.T.Context(), f.file, at, all)
		require.NoError(f.T, err)
		for _, tone := range tones {
			there := true
			switch {
			case tone.Identity == n-1 && n > 2:
				there = at.From > 1370*ms
			case tone.Identity == 1:
				there = at.To < 2240*ms
			}
			if there {
				require.InDelta(f.T, fixtures.TonePeak, tone.Heard, 1, "tone of %d of %d at %v", tone.Identity, n, at)
			} else {
				require.Less(f.T, tone.Heard, fixtures.TonePeak-25, "tone of %d of %d at %v", tone.Identity, n, at)
			}
		}
	}
}
