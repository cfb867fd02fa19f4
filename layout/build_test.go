package layout_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/layout"
)

func counts() []int { return []int{1, 2, 3, 5, 9, 16, 25, 26, 40} }

func canvases() []layout.Canvas {
	return []layout.Canvas{
		{Width: 1280, Height: 720}, {Width: 720, Height: 1280}, {Width: 1920, Height: 1080, FPS: 25}, {Width: 640, Height: 480, FPS: 15},
		{Width: 1080, Height: 1080}, {Width: 144, Height: 3840, FPS: 1}, {Width: 3840, Height: 144, FPS: 60}, {Width: 144, Height: 144},
	}
}

// everyLayout calls fn for every layout, number of peers and canvas, once with a screen share from 3 to 7 s
// by the second peer (by the first of one).
func everyLayout(t *testing.T, fn func(t *testing.T, o layout.Options, s layout.Session, n int)) {
	t.Helper()
	for _, name := range layout.LayoutNames() {
		for _, c := range canvases() {
			for _, n := range counts() {
				t.Run(fmt.Sprintf("%s/%dx%d/%d", name, c.Width, c.Height, n), func(t *testing.T) {
					t.Parallel()
					s := room(n)
					s.Tracks = append(s.Tracks, share("slides", fmt.Sprintf("p%02d", min(n-1, 1)), span(3000, 7000)))
					fn(t, layout.Options{Canvas: c, Layout: name, Names: true, Regions: []layout.Region{
						{Rect: layout.Rect{Width: c.Width, Height: c.Height / 4 * 2}, Show: "rest"},
						{Rect: layout.Rect{Y: c.Height / 4 * 2, Width: c.Width / 4 * 2, Height: c.Height / 4}, Show: "screen"},
					}}, s, n)
				})
			}
		}
	}
}

func TestEveryLayout(t *testing.T) {
	t.Parallel()
	everyLayout(t, func(t *testing.T, o layout.Options, s layout.Session, n int) {
		t.Helper()
		p := build(t, o, s)
		require.Len(t, p.Scenes, map[bool]int{true: 1, false: 3}[o.Layout == layout.Grid || o.Layout == layout.Spotlight])
		requireSound(t, p)
		crowd := n
		if n > 25 {
			crowd = 25
		}
		for i, scene := range p.Scenes {
			shared := i == 1
			want := map[layout.Name]int{
				layout.Grid: crowd, layout.Spotlight: min(n, 6), layout.Single: 1, layout.PiP: 1, layout.Sidebar: min(n, 5), layout.Custom: crowd,
			}[scene.Layout]
			if shared {
				require.NotEqual(t, layout.Grid, scene.Layout)
				want = map[layout.Name]int{layout.Sidebar: 1 + min(n, 4), layout.Single: 1, layout.PiP: 2, layout.Custom: min(n+1, 25)}[scene.Layout]
			}
			require.Len(t, scene.Tiles, want, "%s %d", scene.Layout, i)
			screens := slices.ContainsFunc(scene.Tiles, func(tile layout.Tile) bool { return tile.Kind == layout.TileScreen })
			require.Equal(t, shared, screens)
		}
	})
}

// requireSound holds a plan against what is true of every plan.
func requireSound(t require.TestingT, p layout.Plan) {
	canvas := layout.Rect{Width: p.Canvas.Width, Height: p.Canvas.Height}
	var frame int64
	var from int64
	for i, scene := range p.Scenes {
		require.Equal(t, frame, scene.FirstFrame)
		require.EqualValues(t, from, scene.From)
		require.Less(t, scene.FirstFrame, scene.EndFrame)
		require.Less(t, scene.From, scene.To)
		frame, from = scene.EndFrame, int64(scene.To)
		// To is the time of EndFrame: the frame before is before it, the frame itself is not.
		fps := int64(p.Canvas.FPS)
		if i < len(p.Scenes)-1 {
			require.Equal(t, scene.EndFrame, (from/1e9)*fps+(from%1e9*fps+1e9-1)/1e9)
			next := p.Scenes[i+1]
			require.False(t, scene.Layout == next.Layout && slices.Equal(scene.Tiles, next.Tiles), "scene %d repeats", i)
		}
		require.NotEqual(t, layout.Auto, scene.Layout)
		require.LessOrEqual(t, len(scene.Tiles), 25)
		for k, tile := range scene.Tiles {
			// Plain comparisons first: a plan of the largest kind has half a million tiles.
			r := tile.Rect
			if (r.X|r.Y|r.Width|r.Height)&1 != 0 || r.Width <= 0 || r.Height <= 0 || !canvas.Contains(r) {
				require.Fail(t, "odd, empty or outside", "%+v", r)
			}
			if i < 1000 {
				requireKind(t, tile)
			}
			for _, other := range scene.Tiles[:k] {
				if other.Z > tile.Z || other.Z == tile.Z && other.Rect.Overlaps(r) {
					require.Fail(t, "out of order or overlapping", "%s: %+v and %+v", scene.Layout, other, tile)
				}
			}
		}
	}
	require.Equal(t, p.Frames, frame)
	require.EqualValues(t, p.Duration, from)
}

// requireKind holds a tile's fields against its kind.
func requireKind(t require.TestingT, tile layout.Tile) {
	switch tile.Kind {
	case layout.TileScreen:
		require.Equal(t, layout.FitContain, tile.Fit, "a screen is never cropped")
		require.NotEmpty(t, tile.TrackID)
	case layout.TileCamera:
		require.Equal(t, layout.FitCropUpToQuarter, tile.Fit)
		require.NotEmpty(t, tile.TrackID)
	case layout.TileAvatar:
		require.NotEmpty(t, tile.Initials)
		require.Empty(t, tile.TrackID)
	case layout.TileOverflow:
		require.Positive(t, tile.Others)
		require.Empty(t, tile.PeerID)
	default:
		require.Fail(t, "unknown kind", "%q", tile.Kind)
	}
}

// TestGridIsTheLargest finds the best grid by trying all of them, apart from the package's own search.
func TestGridIsTheLargest(t *testing.T) {
	t.Parallel()
	for _, c := range append(canvases()[:5], layout.Canvas{Width: 144, Height: 144}, layout.Canvas{Width: 360, Height: 640}) { // the last two have ties
		gap := 2 * int(float64(c.Height)*8/720/2+0.5)
		for n := 1; n <= 25; n++ {
			tiles := build(t, layout.Options{Canvas: c, Layout: layout.Grid}, room(n)).Scenes[0].Tiles
			bestArea, bestRows := 0, 0
			for cols := 1; cols <= n; cols++ {
				rows := (n + cols - 1) / cols
				for w := 2; cols*w+(cols-1)*gap <= c.Width; w += 2 {
					h := (w*9 + 15) / 16
					h += h % 2
					if rows*h+(rows-1)*gap > c.Height {
						break
					}
					if w*h > bestArea || w*h == bestArea && rows < bestRows {
						bestArea, bestRows = w*h, rows
					}
				}
			}
			lines := map[int][]layout.Rect{}
			for _, tile := range tiles {
				require.Equal(t, bestArea, tile.Rect.Width*tile.Rect.Height, "%d on %dx%d", n, c.Width, c.Height)
				lines[tile.Rect.Y] = append(lines[tile.Rect.Y], tile.Rect)
			}
			require.Len(t, lines, bestRows, "%d on %dx%d", n, c.Width, c.Height)
			for _, line := range lines {
				left, last := line[0].X, line[len(line)-1]
				require.InDelta(t, left, c.Width-last.X-last.Width, 2, "the row is centred")
			}
			first, last := tiles[0].Rect, tiles[len(tiles)-1].Rect
			require.InDelta(t, first.Y, c.Height-last.Y-last.Height, 2, "the block is centred")
			if n > 1 {
				second := tiles[1].Rect
				require.Equal(t, gap, max(second.X-first.X-first.Width, second.Y-first.Y-first.Height))
			}
		}
	}
}

func TestRectangles(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		layout        layout.Name
		width, height int
		peers         int
		want          []layout.Rect
	}{
		{layout.Grid, 1280, 720, 1, []layout.Rect{{Width: 1280, Height: 720}}},
		{layout.Grid, 1280, 720, 2, []layout.Rect{{X: 0, Y: 180, Width: 636, Height: 358}, {X: 644, Y: 180, Width: 636, Height: 358}}},
		{layout.Grid, 1280, 720, 3, []layout.Rect{{X: 4, Width: 632, Height: 356}, {X: 644, Width: 632, Height: 356}, {X: 324, Y: 364, Width: 632, Height: 356}}},
		{layout.Grid, 720, 1280, 2, []layout.Rect{{Y: 226, Width: 720, Height: 406}, {Y: 646, Width: 720, Height: 406}}},
		{layout.Sidebar, 1280, 720, 2, []layout.Rect{
			{Width: 1032, Height: 720}, {X: 1040, Y: 220, Width: 240, Height: 136}, {X: 1040, Y: 364, Width: 240, Height: 136}}},
		{layout.Sidebar, 720, 1280, 2, []layout.Rect{
			{Width: 720, Height: 1170}, {X: 184, Y: 1184, Width: 168, Height: 96}, {X: 366, Y: 1184, Width: 168, Height: 96}}},
		{layout.Single, 1280, 720, 2, []layout.Rect{{Width: 1280, Height: 720}}},
		{layout.PiP, 1280, 720, 2, []layout.Rect{{Width: 1280, Height: 720}, {X: 952, Y: 532, Width: 320, Height: 180}}},
		{layout.Spotlight, 1280, 720, 3, []layout.Rect{
			{X: 128, Width: 1024, Height: 576}, {X: 396, Y: 584, Width: 240, Height: 136}, {X: 644, Y: 584, Width: 240, Height: 136}}},
	} {
		t.Run(fmt.Sprintf("%s/%dx%d/%d", tc.layout, tc.width, tc.height, tc.peers), func(t *testing.T) {
			t.Parallel()
			s := room(tc.peers)
			if tc.layout != layout.Grid {
				s.Tracks = append(s.Tracks, share("slides", "p00", always()...))
			}
			p := build(t, layout.Options{Canvas: layout.Canvas{Width: tc.width, Height: tc.height}, Layout: tc.layout}, s)
			require.Len(t, p.Scenes, 1)
			require.Equal(t, tc.want, rects(p.Scenes[0].Tiles))
		})
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	for _, name := range layout.LayoutNames() {
		p := build(t, layout.Options{Layout: name, Regions: regionsOfStandup()[2:]}, layout.Session{Duration: sec})
		require.Len(t, p.Scenes, 1)
		require.Empty(t, p.Scenes[0].Tiles)
		require.Contains(t, string(toJSON(t, p)), `"tiles": []`)
	}
	p := build(t, layout.Options{}, layout.Session{})
	require.Zero(t, p.Frames)
	require.Empty(t, p.Scenes)
	require.Contains(t, string(toJSON(t, p)), `"scenes": []`)
	require.Equal(t, -1, p.SceneAt(0))
}
