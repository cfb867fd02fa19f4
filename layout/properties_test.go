package layout_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rushes/layout"
)

// drawSession gives busy sessions of up to 30 s. What rapid draws are the sizes and a seed: its own numbers
// crowd round zero, and the changes would all fall into the first frames.
func drawSession(t *rapid.T) layout.Session {
	d := dice{Rand: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))}
	d.most = []int{1, 4, 8, 45}[d.IntN(4)]
	s := layout.Session{Duration: time.Duration(d.Int64N(int64(30 * sec)))}
	for range d.most + d.IntN(3*d.most) {
		s.Peers = append(s.Peers, layout.Peer{
			ID: d.peer(), Name: rapid.StringN(0, 20, 80).Draw(t, "name"), Role: []string{"", "host", "guest"}[d.IntN(3)],
			Join: d.time(), Leave: d.time() + 10*sec*time.Duration(d.IntN(3)), Speaking: d.spans(),
		})
	}
	for i := range d.IntN(3 * d.most) {
		s.Tracks = append(s.Tracks, layout.Track{
			ID: fmt.Sprintf("t%02d", i), PeerID: d.peer(), Kind: []layout.Media{layout.Audio, layout.Video, layout.Video}[d.IntN(3)],
			Screen: d.IntN(10) == 0, Present: d.spans(), Muted: d.spans(),
		})
	}
	types := []layout.EventType{layout.EventActiveSpeaker, layout.EventActiveSpeaker, layout.EventActiveSpeaker, layout.EventPin, layout.EventUnpin, "else"}
	for range d.IntN(30) {
		e := layout.Event{At: d.time(), Type: types[d.IntN(len(types))], PeerID: d.peer()}
		if e.Type != layout.EventActiveSpeaker && d.IntN(2) == 0 {
			e.PeerID, e.TrackID = "", fmt.Sprintf("t%02d", d.IntN(d.most))
		}
		s.Events = append(s.Events, e)
	}
	return s
}

// dice are evenly spread numbers.
type dice struct {
	*rand.Rand
	most int
}

func (d dice) peer() string { return fmt.Sprintf("p%02d", d.IntN(d.most)) }

// time gives times round a session of up to 30 s, now and then a full second or an absurd one.
func (d dice) time() time.Duration {
	switch d.IntN(40) {
	case 0:
		return []time.Duration{layout.Forever / 2, -layout.Forever, 1 << 60, 0, -1}[d.IntN(5)]
	case 1:
		return time.Duration(d.IntN(30)) * sec
	default:
		return time.Duration(d.Int64N(int64(32*sec))) - sec
	}
}

func (d dice) spans() []layout.Interval {
	list := make([]layout.Interval, d.IntN(4))
	for i := range list {
		list[i] = layout.Interval{From: d.time(), To: d.time()}
	}
	return list
}

func drawOptions(t *rapid.T) layout.Options {
	side := func(name string) int { return 2 * rapid.IntRange(72, 960).Draw(t, name) }
	o := layout.Options{
		Canvas: layout.Canvas{Width: side("width"), Height: side("height"), FPS: rapid.IntRange(1, 60).Draw(t, "fps")},
		Layout: rapid.SampledFrom(layout.LayoutNames()).Draw(t, "layout"),
		Names:  rapid.Bool().Draw(t, "names"),
	}
	shows := []string{"peer:p00", "peer:p01", "role:host", "role:guest", "screen", "speaker", "rest"}
	for i, show := range rapid.Permutation(shows).Draw(t, "shows")[:rapid.IntRange(1, len(shows)).Draw(t, "regions")] {
		x := 2 * rapid.IntRange(0, o.Canvas.Width/2-1).Draw(t, "x")
		y := 2 * rapid.IntRange(0, o.Canvas.Height/2-1).Draw(t, "y")
		o.Regions = append(o.Regions, layout.Region{Rect: layout.Rect{
			X: x, Y: y, Width: 2 * rapid.IntRange(1, (o.Canvas.Width-x)/2).Draw(t, "w"), Height: 2 * rapid.IntRange(1, (o.Canvas.Height-y)/2).Draw(t, "h"),
		}, Z: i, Show: show})
	}
	return o
}

func TestPlanProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o, s := drawOptions(t), drawSession(t)
		// Unknown roles are refused; every session here has both.
		s.Peers = append(s.Peers, layout.Peer{ID: "x", Role: "host"}, layout.Peer{ID: "y", Role: "guest"})
		p := build(t, o, s)
		requireSound(t, p)
		require.EqualValues(t, 1, p.Step)
		requireStable(t, p, s)
		requirePresence(t, p, s)
		require.Equal(t, toJSON(t, p), toJSON(t, build(t, o, s)))
	})
}

// requireStable checks that of two peers that two neighbouring scenes both show in their grid, the first
// stays first; and where the grid is full, that nobody moves who stays. When the 26th comes, the one on the
// last place has to make way, and may take another's place as the speaker.
func requireStable(t require.TestingT, p layout.Plan, s layout.Session) {
	for i := 1; i < len(p.Scenes); i++ {
		a, b := p.Scenes[i-1], p.Scenes[i]
		if a.Layout != layout.Grid || b.Layout != layout.Grid {
			continue
		}
		x, y := who(a.Tiles), who(b.Tiles)
		full := func(list []layout.Tile) bool { return len(list) == 25 && list[24].Kind == layout.TileOverflow }
		rejoined := func(id string) bool { // within the frames of the two scenes: another stay, another place
			return slices.ContainsFunc(s.Peers, func(peer layout.Peer) bool {
				return peer.ID == id && peer.Join > a.To-sec/time.Duration(p.Canvas.FPS)-1 && peer.Join <= a.To+1
			})
		}
		if full(b.Tiles) && len(a.Tiles) == 25 {
			x = x[:24]
			for k, id := range x {
				if j := slices.Index(y, id); j >= 0 && !rejoined(id) {
					require.Equal(t, k, j, "%s moved", id)
				}
			}
			continue
		}
		var common []string
		for _, id := range x {
			if slices.Contains(y, id) && id[0] == 'p' && !rejoined(id) {
				common = append(common, id)
			}
		}
		var after []string
		for _, id := range y {
			if slices.Contains(common, id) {
				after = append(after, id)
			}
		}
		require.Equal(t, common, after)
	}
}

// requirePresence asks the session itself, frame by frame at scene borders: whoever has a tile is in the
// room, and in a grid with places for all, everybody who is in the room has one.
func requirePresence(t require.TestingT, p layout.Plan, s layout.Session) {
	for _, scene := range p.Scenes {
		for _, frame := range []int64{scene.FirstFrame, scene.EndFrame - 1} {
			here := map[string]bool{}
			for _, peer := range s.Peers {
				// In units of 1/fps ns, so that a frame's time is exact.
				fps := int64(p.Canvas.FPS)
				join, leave := int64(max(peer.Join, 0)), int64(min(peer.Leave, s.Duration))
				if now := frame * int64(sec); now >= min(join, int64(s.Duration)+1)*fps && now < leave*fps && join < leave {
					here[peer.ID] = true
				}
			}
			seen := map[string]bool{}
			for _, tile := range scene.Tiles {
				if tile.Kind != layout.TileOverflow {
					require.True(t, here[tile.PeerID], "%s is not there at frame %d", tile.PeerID, frame)
					seen[tile.PeerID] = true
				}
			}
			if scene.Layout == layout.Grid && len(here) <= 25 {
				require.Equal(t, here, seen)
			}
		}
	}
}
