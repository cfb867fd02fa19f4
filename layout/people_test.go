package layout_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/layout"
)

func TestOverflow(t *testing.T) {
	t.Parallel()
	s := room(27)
	s.Peers[3].Leave = 8 * sec
	s.Events = []layout.Event{
		speaks(1*sec, "p05"), speaks(3*sec, "p26"), speaks(5*sec, "p24"), speaks(7*sec, "p05"),
	}
	p := build(t, layout.Options{Layout: layout.Grid}, s)
	first := who(at(t, p, 0))
	require.Len(t, first, 25)
	require.Equal(t, []string{"p00", "p01", "p23", "+3"}, []string{first[0], first[1], first[23], first[24]})
	require.Equal(t, first, who(at(t, p, 2*sec)), "a visible speaker changes nothing")

	// p26 takes the place of the last of those who never spoke, then p24 likewise.
	second := slices.Clone(first)
	second[23] = "p26"
	require.Equal(t, second, who(at(t, p, 3*sec)))
	third := slices.Clone(second)
	third[22] = "p24"
	require.Equal(t, third, who(at(t, p, 5*sec)))
	require.Equal(t, third, who(at(t, p, 7*sec)))

	// One leaves: the first of the waiting gets the seat, nobody else moves.
	fourth := slices.Clone(third)
	fourth[3], fourth[24] = "p22", "+2"
	require.Equal(t, fourth, who(at(t, p, 8*sec)))
}

func TestOverflowBeginsAndEnds(t *testing.T) {
	t.Parallel()
	s := room(26)
	s.Peers[25].Join = 2 * sec
	s.Peers[7].Leave = 6 * sec
	p := build(t, layout.Options{Layout: layout.Grid}, s)
	require.Len(t, p.Scenes, 3)
	require.Equal(t, "p24", who(p.Scenes[0].Tiles)[24])
	require.Equal(t, "+2", who(p.Scenes[1].Tiles)[24])
	last := who(p.Scenes[2].Tiles)
	require.True(t, slices.IsSorted(last))
	require.Len(t, last, 25)
	require.NotContains(t, last, "p07")
}

func TestActiveSpeakerIsHeld(t *testing.T) {
	t.Parallel()
	large := func(s layout.Session) (list []string, starts []time.Duration) {
		for _, scene := range build(t, layout.Options{Layout: layout.Single, Canvas: layout.Canvas{FPS: 10}}, s).Scenes {
			list, starts = append(list, who(scene.Tiles)[0]), append(starts, scene.From)
		}
		return list, starts
	}
	for name, tc := range map[string]struct {
		change func(*layout.Session)
		who    []string
		at     []time.Duration
	}{
		"nobody spoke": {func(*layout.Session) {}, []string{"p00"}, []time.Duration{0}},
		"two seconds": {func(s *layout.Session) {
			s.Events = []layout.Event{speaks(1*sec, "p01"), speaks(1500*ms, "p02"), speaks(6*sec, "p00")}
		}, []string{"p00", "p01", "p02", "p00"}, []time.Duration{0, 1 * sec, 3 * sec, 6 * sec}},
		"a short word does not count": {func(s *layout.Session) {
			s.Events = []layout.Event{speaks(1*sec, "p01"), speaks(1500*ms, "p02"), speaks(2*sec, "p01")}
		}, []string{"p00", "p01"}, []time.Duration{0, 1 * sec}},
		"the latest who waits": {func(s *layout.Session) {
			s.Events = []layout.Event{speaks(2*sec, "p00"), speaks(0, "p01"), speaks(1*sec, "p02")}
		}, []string{"p01", "p00"}, []time.Duration{0, 2 * sec}},
		"the speaker leaves": {func(s *layout.Session) {
			s.Peers[1].Leave = 1 * sec
			s.Events = []layout.Event{speaks(3*sec, "p02"), speaks(0, "p01"), speaks(500*ms, "p02")}
		}, []string{"p01", "p02"}, []time.Duration{0, 1 * sec}},
		"after leaving, who spoke last": {func(s *layout.Session) {
			s.Peers[1].Leave = 5 * sec
			s.Events = []layout.Event{speaks(0, "p02"), speaks(3*sec, "p01")}
		}, []string{"p02", "p01", "p02"}, []time.Duration{0, 3 * sec, 5 * sec}},
		"absent and unknown peers": {func(s *layout.Session) {
			s.Peers[1].Leave = 1 * sec
			s.Events = []layout.Event{speaks(4*sec, "p01"), speaks(5*sec, "ghost"), speaks(6*sec, ""), {At: 7 * sec, Type: "hand-raised", PeerID: "p02"}}
		}, []string{"p00"}, []time.Duration{0}},
		"stretches of speech": {func(s *layout.Session) {
			s.Peers[1].Speaking = []layout.Interval{span(1000, 8000)}
			s.Peers[2].Speaking = []layout.Interval{span(4000, 6500)}
		}, []string{"p00", "p01", "p02", "p01"}, []time.Duration{0, 1 * sec, 4 * sec, 6500 * ms}},
		"events win over stretches": {func(s *layout.Session) {
			s.Peers[1].Speaking = []layout.Interval{span(1000, 8000)}
			s.Events = []layout.Event{speaks(2*sec, "p02")}
		}, []string{"p00", "p02"}, []time.Duration{0, 2 * sec}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := room(3)
			tc.change(&s)
			list, starts := large(s)
			require.Equal(t, tc.who, list)
			require.Equal(t, tc.at, starts)
		})
	}
}

func TestSidebarShowsWhoSpoke(t *testing.T) {
	t.Parallel()
	s := room(8)
	s.Events = []layout.Event{speaks(0, "p06"), speaks(2*sec, "p04"), speaks(4*sec, "p05"), speaks(7*sec, "p00"), speaks(9*sec, "p07")}
	s.Tracks = append(s.Tracks, share("old", "p02", span(5000, 9500)), share("new", "p05", span(6000, 8000)), share("again", "p01", span(9700, 9900)))
	p := build(t, layout.Options{}, s)
	for _, tc := range []struct {
		at   time.Duration
		want []string
	}{
		{5 * sec, []string{"[old]", "p02", "p04", "p05", "p06"}}, // the three who spoke, in order
		{6 * sec, []string{"[new]", "p05", "p04", "p00", "p06"}}, // p05's seat is free
		{7 * sec, []string{"[new]", "p05", "p04", "p00", "p06"}},
		{8 * sec, []string{"[old]", "p02", "p04", "p00", "p06"}},
		{9 * sec, []string{"[old]", "p02", "p04", "p00", "p07"}}, // p06 spoke longest ago
		{9500 * ms, []string{"p00", "p01", "p02", "p03", "p04", "p05", "p06", "p07"}},
		{9700 * ms, []string{"[again]", "p01", "p00", "p05", "p07"}}, // a new share, a new choice
	} {
		require.Equal(t, tc.want, who(at(t, p, tc.at)), "at %v", tc.at)
	}
}

func TestPins(t *testing.T) {
	t.Parallel()
	s := room(3)
	s.Tracks = append(s.Tracks, share("slides", "p01", span(4000, 7000)))
	s.Events = []layout.Event{
		speaks(0, "p00"),
		{At: 1 * sec, Type: layout.EventPin, PeerID: "p02"},
		{At: 2 * sec, Type: layout.EventPin, TrackID: "p01-cam"},
		{At: 3 * sec, Type: layout.EventUnpin, TrackID: "p01-cam"},
		{At: 5 * sec, Type: layout.EventPin, TrackID: "slides"},
		{At: 8 * sec, Type: layout.EventUnpin},
	}
	p := build(t, layout.Options{Layout: layout.Spotlight}, s)
	var got []string
	for _, scene := range p.Scenes {
		got = append(got, who(scene.Tiles)[0])
	}
	require.Equal(t, []string{"p00", "p02", "p01", "p02", "[slides]", "p02", "p00"}, got)
	require.Equal(t, []string{"[slides]", "p00", "p01", "p02"}, who(at(t, p, 5*sec)))
}

func TestWhenThereIsAPicture(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		screen         bool
		present, muted []layout.Interval
		want           []layout.Interval
	}{
		"held three seconds":       {false, []layout.Interval{span(1000, 3000)}, nil, []layout.Interval{span(1000, 6000)}},
		"a short gap":              {false, []layout.Interval{span(0, 3000), span(5000, 10_000)}, nil, []layout.Interval{span(0, 10_000)}},
		"a long gap":               {false, []layout.Interval{span(0, 2000), span(7000, 10_000)}, nil, []layout.Interval{span(0, 5000), span(7000, 10_000)}},
		"a mute":                   {false, []layout.Interval{span(0, 10_000)}, []layout.Interval{span(2000, 4000)}, []layout.Interval{span(0, 2000), span(4000, 10_000)}},
		"no frame after the mute":  {false, []layout.Interval{span(0, 2000), span(5000, 10_000)}, []layout.Interval{span(2100, 3000)}, []layout.Interval{span(0, 2100), span(5000, 10_000)}},
		"frames end in a mute":     {false, []layout.Interval{span(0, 2000)}, []layout.Interval{span(1900, 3000)}, []layout.Interval{span(0, 1900)}},
		"frames end with a mute":   {false, []layout.Interval{span(0, 2000)}, []layout.Interval{span(1000, 2000)}, []layout.Interval{span(0, 1000)}},
		"muted for ever":           {false, always(), []layout.Interval{{From: 4 * sec, To: layout.Forever}}, []layout.Interval{span(0, 4000)}},
		"a still screen":           {true, []layout.Interval{span(1000, 2000), span(9000, 9500)}, nil, []layout.Interval{span(1000, 9500)}},
		"a muted screen":           {true, []layout.Interval{span(1000, 2000), span(8000, 9000)}, []layout.Interval{span(4000, 5000)}, []layout.Interval{span(1000, 4000), span(8000, 9000)}},
		"out of order and doubled": {false, []layout.Interval{span(5000, 10_000), span(0, 6000), span(7000, 3000)}, nil, []layout.Interval{span(0, 10_000)}},
		"never":                    {false, nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := room(1)
			s.Tracks = []layout.Track{{ID: "v", PeerID: "p00", Kind: layout.Video, Screen: tc.screen, Present: tc.present, Muted: tc.muted}}
			var got []layout.Interval
			for _, scene := range build(t, layout.Options{Layout: layout.Single, Canvas: layout.Canvas{FPS: 10}}, s).Scenes {
				if tile := scene.Tiles[0]; tile.TrackID == "v" {
					got = append(got, layout.Interval{From: scene.From, To: scene.To})
				} else {
					require.Equal(t, layout.TileAvatar, tile.Kind)
				}
			}
			require.Equal(t, tc.want, got)
		})
	}
}

func TestRolesNamesAndStays(t *testing.T) {
	t.Parallel()
	s := room(4)
	s.Peers[1].Role, s.Peers[2].Role = "host", "viewer"
	s.Peers[0].Join, s.Peers[3].Join = 2*sec, -5*sec                                                // there before the recording began
	s.Peers = append(s.Peers, layout.Peer{ID: "p03", Role: "guest", Join: 4 * sec, Leave: 5 * sec}) // inside the other stay
	p := build(t, layout.Options{Layout: layout.Grid, Roles: []string{"guest", "host"}}, s)
	require.Len(t, p.Scenes, 2)
	require.Equal(t, []string{"p03", "p01"}, who(p.Scenes[0].Tiles))
	require.Equal(t, []string{"p03", "p01", "p00"}, who(p.Scenes[1].Tiles))
	require.Empty(t, p.Scenes[1].Tiles[0].Label)

	s.Tracks = nil
	s.Peers = s.Peers[:3]
	s.Peers[0].Name, s.Peers[1].Name, s.Peers[2].Name = "  élodie\x00\u202e  van der\nBerg ", "", "宏"
	tiles := at(t, build(t, layout.Options{Names: true}, s), 9*sec)
	require.Equal(t, []string{"p01", "宏", "élodie van der Berg"}, []string{tiles[0].Label, tiles[1].Label, tiles[2].Label})
	require.Equal(t, []string{"P", "宏", "ÉB"}, []string{tiles[0].Initials, tiles[1].Initials, tiles[2].Initials})
	tiles = at(t, build(t, layout.Options{}, s), 9*sec)
	require.Empty(t, tiles[2].Label)
	require.Equal(t, "ÉB", tiles[2].Initials)
}

func TestRegions(t *testing.T) {
	t.Parallel()
	box := func(i int) layout.Rect {
		return layout.Rect{X: 320 * (i % 4), Y: 180 * (i / 4), Width: 320, Height: 180}
	}
	s := room(5)
	s.Peers[0].Role, s.Peers[1].Role = "host", "host"
	s.Events = []layout.Event{speaks(2*sec, "p03")}
	s.Peers[1].Leave = 4 * sec
	o := layout.Options{Layout: layout.Custom, Regions: []layout.Region{
		{Rect: box(0), Show: "role:host"}, {Rect: box(1), Show: "role:host"}, {Rect: box(2), Show: "peer:p02"},
		{Rect: box(3), Show: "peer:nobody"}, {Rect: box(4), Show: "screen"}, {Rect: box(5), Show: "rest"}, {Rect: box(0), Z: -1, Show: "speaker"},
	}}
	p := build(t, o, s)
	require.Equal(t, []string{"p00", "p00", "p01", "p02", "p03", "p04"}, who(at(t, p, 0)))
	require.Equal(t, []string{"p03", "p00", "p01", "p02", "p04"}, who(at(t, p, 2*sec)))
	require.Equal(t, []string{"p03", "p00", "p02", "p04"}, who(at(t, p, 4*sec)))
	require.Equal(t, box(0), at(t, p, 0)[0].Rect)

	// A region as small as can be counts those it cannot show.
	o.Regions = []layout.Region{{Rect: layout.Rect{Width: 2, Height: 2}, Show: "rest"}}
	require.Equal(t, []string{"+5"}, who(at(t, build(t, o, s), 0)))
}
