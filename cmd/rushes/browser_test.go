package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/fixtures"
)

// TestPackagesPlayInBrowsers plays packages of all kinds in hls.js and in Shaka Player, in headless Chromium: over every
// join in every layer, from every join, and holds what the players found against what is known of the stream.
func TestPackagesPlayInBrowsers(t *testing.T) {
	t.Parallel()
	list := []*playedPackage{livePackage(t), changedPackage(t), callPackage(t)}
	if p := realPackage(t); p != nil {
		list = append(list, p)
	}
	byName := map[string]*playedPackage{}
	for _, p := range list {
		byName[p.Name] = p
	}
	for _, got := range browse(t, list) {
		t.Run(got.Name+"/"+got.Player, func(t *testing.T) {
			text, err := json.Marshal(got)
			require.NoError(t, err)
			t.Logf("%s", text) // read when something is wrong
			playsWell(t, byName[got.Name], got)
		})
	}
}

// livePackage has two layers, a hole, a pause and a restarted encoder, its segments in one file each.
func livePackage(t *testing.T) *playedPackage {
	t.Helper()
	again := liveScript(6 * time.Second)
	again.Identity = 6
	lives := []lived{{script: liveScript(14 * time.Second), lost: []int{2}}, {script: again, began: 20 * time.Second}}
	// Segments 0, 1 | 3, 4 | 6 | 0, 1, 2 of the second life.
	pause := fixtures.Interval{From: 10 * time.Second, To: 12 * time.Second}
	p := &playedPackage{Name: "live", Duration: 16, Joins: []float64{4, 8, 10}, Sizes: []playedSize{{320, 180}, {256, 144}},
		kinds: []string{"rushes.hole", "rushes.paused", "rushes.encoder-restart"}}
	p.make(t, liveCapture(t, []int{180, 144}, lives, []fixtures.Interval{pause}, map[string]any{"segments": "single-file"}))
	return p
}

// changedPackage has an encoder that came back with another frame rate and sampling rate: a discontinuity.
func changedPackage(t *testing.T) *playedPackage {
	t.Helper()
	other := liveScript(6 * time.Second)
	other.Rate, other.SampleRate = fixtures.Rate{Num: 15, Den: 1}, 44_100
	p := &playedPackage{Name: "changed", Duration: 12, Joins: []float64{6}, Sizes: []playedSize{{320, 180}, {256, 144}}, set: true,
		kinds: []string{"rushes.encoder-restart"}}
	p.make(t, liveCapture(t, []int{180, 144}, []lived{{script: liveScript(6 * time.Second)}, {script: other, began: 9 * time.Second}}, nil, nil))
	return p
}

func liveScript(length time.Duration) fixtures.Script {
	return fixtures.Script{Duration: length, Identity: 5, Rate: fixtures.Rate{Num: 30, Den: 1}}
}

// callPackage is the recording of a call with a lower layer encoded from it.
func callPackage(t *testing.T) *playedPackage {
	t.Helper()
	p := &playedPackage{Name: "call", Duration: 8, Joins: []float64{}, Sizes: []playedSize{{320, 180}, {256, 144}}}
	p.make(t, beam(t, fixtures.BeamSpec{Script: script(8 * time.Second), Record: fixtures.FragmentedMP4(), Room: "call"}), "--assets", "vod", "--ladder", "144")
	return p
}

// realPackage is the live stream among the real captures, nil when they are not there.
func realPackage(t *testing.T) *playedPackage {
	t.Helper()
	folder := filepath.Join("..", "..", "..", "shared", "captures", "hls-ts")
	if _, err := os.Stat(folder); os.IsNotExist(err) {
		return nil
	}
	p := &playedPackage{Name: "real", Duration: 36.021, Joins: []float64{18.021}, Short: 0.72, Sizes: []playedSize{{640, 360}, {480, 270}, {320, 180}},
		kinds: []string{"rushes.encoder-restart"}}
	p.make(t, folder, "--assets", "vod")
	return p
}

// make processes a capture into the package.
func (p *playedPackage) make(t *testing.T, folder string, args ...string) {
	t.Helper()
	data := t.TempDir()
	got := rushes(t, append([]string{"process", folder, "--data", data, "--json", "--preset", "ultrafast"}, args...)...)
	requireSuccess(t, got)
	var out struct {
		Assets []catalog.AssetDocument
	}
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &out))
	require.Len(t, out.Assets, 1)
	require.Equal(t, catalog.RoomVOD, out.Assets[0].Type)
	p.folder = filepath.Dir(filepath.Join(data, "blobs", filepath.FromSlash(out.Assets[0].Path)))
}

// playsWell holds what a player found against what is known.
func playsWell(t *testing.T, p *playedPackage, got *playResult) {
	t.Helper()
	require.Empty(t, got.Error, "%s", got.State)
	require.Empty(t, got.Fatal)
	require.Empty(t, got.Notes)
	require.InDelta(t, p.Duration, got.Duration, 0.1)
	require.Equal(t, p.Sizes, got.Found)
	require.Positive(t, got.Pictures)
	require.Positive(t, got.Sound)
	require.Len(t, got.Levels, len(p.Sizes))
	for i, level := range got.Levels {
		at := fmt.Sprintf("level %d", i)
		require.Equal(t, p.Sizes[i], level.Shown, at)
		short := 0.0
		if i == 0 {
			short = p.Short
		}
		require.InDelta(t, got.Duration, level.Ended, 0.1, at)
		for kind, ranges := range map[string][]span{"all": level.Buffered, "video": level.Video, "audio": level.Audio} {
			require.Len(t, ranges, 1, "%s, %s", at, kind)
			require.InDelta(t, 0, ranges[0][0], 0.1, "%s, %s", at, kind)
			require.InDelta(t, got.Duration, ranges[0][1], 0.1+short, "%s, %s", at, kind)
		}
		require.Len(t, level.Crossings, len(p.Joins))
		for j, c := range level.Crossings {
			require.InDelta(t, p.Joins[j], c.At, 0.001)
			require.Zero(t, c.Seeks, "%s, join at %v: the player jumped", at, c.At)
			require.Zero(t, c.Waits, "%s, join at %v: the player stood still", at, c.At)
			require.Less(t, c.Jump, 0.3, "%s, join at %v", at, c.At)
			require.Positive(t, c.Pictures)
			require.Greater(t, c.Last, c.At, "%s: no picture after the join at %v", at, c.At)
		}
	}
	require.Len(t, got.Seeks, 3*len(p.Joins))
	for _, s := range got.Seeks {
		require.InDelta(t, s.At, s.Landed, 0.2, "seek to %v", s.At)
		require.Greater(t, s.Reached, s.Landed)
	}
	showsStills(t, p, got)
	knowsJoins(t, p, got)
}

// showsStills holds the storyboard and the poster against the length.
func showsStills(t *testing.T, p *playedPackage, got *playResult) {
	t.Helper()
	cues := got.Storyboard.Cues
	require.NotEmpty(t, cues)
	require.Positive(t, got.Storyboard.Poster.Width)
	end := 0.0
	for _, c := range cues {
		require.InDelta(t, end, c.From, 0.002)
		require.Greater(t, c.To, c.From)
		require.True(t, c.Inside, "cue at %v names pixels outside of its sheet", c.From)
		end = c.To
	}
	require.InDelta(t, p.Duration, end, 0.1)
	if got.Images == nil {
		return
	}
	require.Equal(t, 1, got.Images.Tracks)
	require.Len(t, got.Images.Stills, 3)
	for _, s := range got.Images.Stills {
		require.LessOrEqual(t, s.From, s.At)
		require.Greater(t, s.To, s.At)
		require.Positive(t, s.Width*s.Height)
		require.LessOrEqual(t, s.X+s.Width, s.Sheet.Width)
		require.LessOrEqual(t, s.Y+s.Height, s.Sheet.Height)
	}
}

// knowsJoins holds the date ranges and the wall clock against the joins.
func knowsJoins(t *testing.T, p *playedPackage, got *playResult) {
	t.Helper()
	if got.DateRanges == nil {
		return
	}
	require.Len(t, got.DateRanges, len(p.Joins))
	for i, r := range got.DateRanges {
		require.Equal(t, p.kinds[i], r.Class)
		require.InDelta(t, p.Joins[i], r.MediaTime, 0.1)
		require.Positive(t, r.Duration)
	}
	for i, c := range got.Clocks {
		if !p.set {
			break // the date ranges alone tell
		}
		require.False(t, c.Wall.IsZero())
		after := got.DateRanges[i].Start.Add(time.Duration((got.DateRanges[i].Duration + c.At - p.Joins[i]) * float64(time.Second)))
		require.WithinDuration(t, after, c.Wall, 150*time.Millisecond, "join at %v", p.Joins[i])
	}
}
