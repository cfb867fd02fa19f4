package layout_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/layout"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	ms  = time.Millisecond
	sec = time.Second
)

// golden holds got against testdata/name.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

func toJSON(t require.TestingT, p layout.Plan) []byte {
	data, err := json.MarshalIndent(p, "", "  ")
	require.NoError(t, err)
	return append(data, '\n')
}

func build(t require.TestingT, o layout.Options, s layout.Session) layout.Plan {
	if h, ok := t.(interface{ Helper() }); ok {
		h.Helper()
	}
	p, err := layout.Build(o, s)
	require.NoError(t, err)
	return p
}

// span is an interval in milliseconds.
func span(from, to int) layout.Interval {
	return layout.Interval{From: time.Duration(from) * ms, To: time.Duration(to) * ms}
}

func always() []layout.Interval { return []layout.Interval{{To: layout.Forever}} }

func cam(peer string, present ...layout.Interval) layout.Track {
	return layout.Track{ID: peer + "-cam", PeerID: peer, Kind: layout.Video, Present: present}
}

func share(id, peer string, present ...layout.Interval) layout.Track {
	return layout.Track{ID: id, PeerID: peer, Kind: layout.Video, Screen: true, Present: present}
}

func speaks(at time.Duration, peer string) layout.Event {
	return layout.Event{At: at, Type: layout.EventActiveSpeaker, PeerID: peer}
}

// room is a session of n peers p00, p01, … who have their cameras on from beginning to end, 10 s.
func room(n int) layout.Session {
	s := layout.Session{Duration: 10 * sec}
	for i := range n {
		id := fmt.Sprintf("p%02d", i)
		s.Peers = append(s.Peers, layout.Peer{ID: id, Name: "Peer " + id, Role: "guest", Leave: layout.Forever})
		s.Tracks = append(s.Tracks, cam(id, always()...))
	}
	return s
}

// who lists the peers on the tiles, "+N" for an overflow and "[track]" for a screen.
func who(tiles []layout.Tile) []string {
	list := []string{}
	for _, tile := range tiles {
		switch tile.Kind {
		case layout.TileOverflow:
			list = append(list, fmt.Sprintf("+%d", tile.Others))
		case layout.TileScreen:
			list = append(list, "["+tile.TrackID+"]")
		default:
			list = append(list, tile.PeerID)
		}
	}
	return list
}

// at returns the tiles on the first frame at or after a time.
func at(t *testing.T, p layout.Plan, when time.Duration) []layout.Tile {
	t.Helper()
	frame := int64((when*time.Duration(p.Canvas.FPS) + sec - 1) / sec)
	i := p.SceneAt(frame)
	require.GreaterOrEqual(t, i, 0)
	return p.Scenes[i].Tiles
}

func rects(tiles []layout.Tile) []layout.Rect {
	list := make([]layout.Rect, 0, len(tiles))
	for _, tile := range tiles {
		list = append(list, tile.Rect)
	}
	return list
}

// standup is the session of the sample capture of that name, in milliseconds; with a made-up share.
func standup(withShare bool) layout.Session {
	s := layout.Session{
		Duration: 40_738_928 * time.Microsecond,
		Peers: []layout.Peer{
			{ID: "alice", Name: "Alice", Role: "host", Join: 544 * ms, Leave: 40_739 * ms},
			{ID: "dave", Name: "Dave", Role: "guest", Join: 1227 * ms, Leave: 36_018 * ms},
			{ID: "carol", Name: "Carol", Role: "guest", Join: 2032 * ms, Leave: 25_037 * ms},
			{ID: "bob", Name: "Bob (sync test)", Role: "guest", Join: 5034 * ms, Leave: 40_739 * ms},
			{ID: "carol", Name: "Carol", Role: "guest", Join: 31_043 * ms, Leave: 40_739 * ms},
		},
		Tracks: []layout.Track{
			{ID: "alice-mic", PeerID: "alice", Kind: layout.Audio, Present: []layout.Interval{span(901, 40_700)}, Muted: []layout.Interval{span(22_032, 26_025)}},
			{ID: "alice-cam", PeerID: "alice", Kind: layout.Video, Present: []layout.Interval{span(1073, 40_700)}, Muted: []layout.Interval{span(10_025, 14_023)}},
			{ID: "dave-mic", PeerID: "dave", Kind: layout.Audio, Present: []layout.Interval{span(1599, 35_999)}, Muted: []layout.Interval{span(18_022, 24_024)}},
			{ID: "carol-mic", PeerID: "carol", Kind: layout.Audio, Present: []layout.Interval{span(2415, 25_014)}},
			{ID: "carol-cam", PeerID: "carol", Kind: layout.Video, Present: []layout.Interval{span(2552, 16_020), span(21_075, 24_984)}, Muted: []layout.Interval{span(16_031, 21_028)}},
			{ID: "bob-mic", PeerID: "bob", Kind: layout.Audio, Present: []layout.Interval{span(5268, 40_700)}},
			{ID: "bob-cam", PeerID: "bob", Kind: layout.Video, Present: []layout.Interval{span(5286, 40_700)}},
			{ID: "carol-mic-2", PeerID: "carol", Kind: layout.Audio, Present: []layout.Interval{span(31_246, 40_700)}},
			{ID: "carol-cam-2", PeerID: "carol", Kind: layout.Video, Present: []layout.Interval{span(31_372, 40_700)}},
		},
		Events: []layout.Event{
			speaks(1201*ms, "alice"), speaks(2100*ms, "dave"), speaks(3302*ms, "alice"), speaks(4201*ms, "dave"),
			speaks(5107*ms, "carol"), speaks(9300*ms, "carol"), speaks(15_301*ms, "carol"), speaks(18_001*ms, "alice"),
			speaks(24_301*ms, "dave"), speaks(26_700*ms, "alice"), speaks(34_201*ms, "carol"), speaks(39_600*ms, "carol"),
		},
	}
	if withShare {
		s.Tracks = append(s.Tracks, share("bob-screen", "bob", span(12_000, 28_500)))
	}
	return s
}
