package layout_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rushes/layout"
)

// drawTime gives times around a session of up to 30 s, and absurd ones.
func drawTime(t *rapid.T, name string) time.Duration {
	if rapid.IntRange(0, 30).Draw(t, name+" kind") == 0 {
		return rapid.SampledFrom([]time.Duration{layout.Forever, -layout.Forever, 1 << 60, 0, -1}).Draw(t, name)
	}
	return time.Duration(rapid.Int64Range(-int64(sec), int64(31*sec)).Draw(t, name))
}

func drawSpans(t *rapid.T, name string) []layout.Interval {
	list := make([]layout.Interval, rapid.IntRange(0, 4).Draw(t, name))
	for i := range list {
		list[i] = layout.Interval{From: drawTime(t, name), To: drawTime(t, name)}
	}
	return list
}

func drawSession(t *rapid.T) layout.Session {
	s := layout.Session{Duration: time.Duration(rapid.Int64Range(0, int64(30*sec)).Draw(t, "duration"))}
	most := rapid.SampledFrom([]int{1, 3, 7, 40}).Draw(t, "most")
	id := func() string { return fmt.Sprintf("p%02d", rapid.IntRange(0, most).Draw(t, "peer")) }
	for range rapid.IntRange(0, 2*most).Draw(t, "stays") {
		s.Peers = append(s.Peers, layout.Peer{
			ID: id(), Name: rapid.StringN(0, 20, 80).Draw(t, "name"), Role: rapid.SampledFrom([]string{"", "host", "guest"}).Draw(t, "role"),
			Join: drawTime(t, "join"), Leave: drawTime(t, "leave"), Speaking: drawSpans(t, "speaking"),
		})
	}
	for i := range rapid.IntRange(0, 2*most).Draw(t, "tracks") {
		s.Tracks = append(s.Tracks, layout.Track{
			ID: fmt.Sprintf("t%02d", i), PeerID: id(), Kind: rapid.SampledFrom([]layout.Media{layout.Audio, layout.Video, layout.Video}).Draw(t, "kind"),
			Screen: rapid.IntRange(0, 4).Draw(t, "screen") == 0, Present: drawSpans(t, "present"), Muted: drawSpans(t, "muted"),
		})
	}
	types := []layout.EventType{layout.EventActiveSpeaker, layout.EventActiveSpeaker, layout.EventPin, layout.EventUnpin, "else"}
	for range rapid.IntRange(0, 20).Draw(t, "events") {
		e := layout.Event{At: drawTime(t, "at"), Type: rapid.SampledFrom(types).Draw(t, "type"), PeerID: id()}
		if e.Type != layout.EventActiveSpeaker && rapid.Bool().Draw(t, "by track") {
			e.PeerID, e.TrackID = "", fmt.Sprintf("t%02d", rapid.IntRange(0, most).Draw(t, "track"))
		}
		s.Events = append(s.Events, e)
	}
	return s
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
