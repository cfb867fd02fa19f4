package layout_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/layout"
)

func TestThousandsOfEvents(t *testing.T) {
	t.Parallel()
	s := room(300)
	s.Duration = 10 * time.Hour
	for i := range 50_000 {
		s.Events = append(s.Events, speaks(time.Duration(i)*700*ms, fmt.Sprintf("p%02d", i*7%300)))
	}
	p := build(t, layout.Options{Names: true}, s)
	requireSound(t, p)
	require.LessOrEqual(t, len(p.Scenes), layout.MaxScenes)
	require.Greater(t, len(p.Scenes), 100)
}

// TestCapOnScenes has a microphone that is switched twice every frame, for an hour.
func TestCapOnScenes(t *testing.T) {
	t.Parallel()
	s := room(2)
	s.Duration = time.Hour
	mic := layout.Track{ID: "mic", PeerID: "p00", Kind: layout.Audio}
	for at := time.Duration(0); at < s.Duration; at += 40 * ms {
		mic.Muted = append(mic.Muted, layout.Interval{From: at, To: at + 20*ms})
	}
	s.Tracks = append(s.Tracks, mic)
	s.Peers[1].Join = 1000 * sec
	p := build(t, layout.Options{Canvas: layout.Canvas{FPS: 60}}, s)
	require.LessOrEqual(t, len(p.Scenes), layout.MaxScenes)
	require.EqualValues(t, (p.Frames+layout.MaxScenes-1)/layout.MaxScenes, p.Step)
	requireSound(t, p)
	// Changes come late rather than early, by less than a step.
	for _, scene := range p.Scenes {
		if len(scene.Tiles) == 2 {
			require.GreaterOrEqual(t, scene.FirstFrame, int64(60_000))
			require.Less(t, scene.FirstFrame, 60_000+p.Step)
			break
		}
	}
}

func TestAbsurdTimes(t *testing.T) {
	t.Parallel()
	s := room(3)
	far := 250 * 365 * 24 * time.Hour
	s.Peers[1].Join = far
	s.Peers[2].Join, s.Peers[2].Leave = -far, far
	s.Tracks[0].Present = []layout.Interval{{From: -far, To: 2 * sec}, {From: far, To: layout.Forever}, {From: layout.Forever, To: -far}}
	s.Events = []layout.Event{speaks(far, "p02"), speaks(-far, "p02")}
	p := build(t, layout.Options{}, s)
	requireSound(t, p)
	require.Len(t, p.Scenes, 2)
	require.Equal(t, 5*sec, p.Scenes[0].To)
	require.Equal(t, []string{"p02", "p00"}, who(p.Scenes[0].Tiles))

	s.Duration = 10_000 * time.Hour
	p = build(t, layout.Options{Canvas: layout.Canvas{FPS: 60}}, s)
	require.EqualValues(t, 10_000*3600*60, p.Frames)
	requireSound(t, p)
}

func TestLongNamesDoNotFillThePlan(t *testing.T) {
	t.Parallel()
	s := room(1)
	s.Peers[0].Name = strings.Repeat("Ж", 10_000)
	tile := build(t, layout.Options{Names: true}, s).Scenes[0].Tiles[0]
	require.Equal(t, strings.Repeat("Ж", 127)+"…", tile.Label)
	s.Peers[0].Name = "\xff\xfe\x00 🎉 "
	require.Equal(t, "🎉", build(t, layout.Options{Names: true}, s).Scenes[0].Tiles[0].Label)
}

func TestAvatarColour(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for i := range 100 {
		c := layout.AvatarColour(fmt.Sprint(i))
		require.Regexp(t, "^#[0-9a-f]{6}$", c)
		require.Equal(t, c, layout.AvatarColour(fmt.Sprint(i)))
		seen[c] = true
	}
	require.Greater(t, len(seen), 60)
}
