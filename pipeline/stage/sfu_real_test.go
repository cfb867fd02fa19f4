package stage_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/fixtures"
	"rushes/pipeline/capture"
)

// realCapture copies a sample capture, with another manifest if one is named, and makes its track assets.
func realCapture(t *testing.T, name, manifest string) *session {
	t.Helper()
	from := filepath.Join("..", "..", "..", "shared", "captures", name)
	if _, err := os.Stat(from); err != nil {
		t.Skip("the sample captures are not here")
	}
	folder := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.CopyFS(folder, os.DirFS(from)))
	tracksOnly(t, filepath.Join(folder, manifest))
	s := processFolder(t, filepath.Join(folder, manifest))
	require.NoError(t, s.err)
	require.Zero(t, s.out.Failed)
	for _, a := range s.out.Assets {
		require.Equal(t, catalog.AssetCompleted, a.Status)
		s.clean(a)
	}
	return s
}

// tracksOnly makes a manifest ask for track assets only.
func tracksOnly(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	var m map[string]any
	require.NoError(t, json.Unmarshal(b, &m))
	m["outputs"] = outputs("track")
	b, err = json.Marshal(m)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, b, 0o644))
}

// marks gives the flashes and beeps of an asset, as they lie on the wall clock: what is off from even seconds.
func (s *session) marks(id string) (flashes, beeps []time.Duration) {
	s.Helper()
	a := s.asset(id)
	r, err := fixtures.Measure(s.Context(), s.path(a), fixtures.MeterConfig{Beep: fixtures.BeepConfig{Ramp: -1}, NoCodes: true})
	require.NoError(s, err)
	off := func(at time.Duration) time.Duration {
		moment := a.StartedAt.Add(at)
		return moment.Sub(moment.Round(2 * time.Second))
	}
	for _, f := range r.Flashes {
		if !f.Clipped {
			flashes = append(flashes, off(f.Start))
		}
	}
	for _, b := range r.Beeps {
		if !b.Clipped {
			beeps = append(beeps, off(b.Start))
		}
	}
	return flashes, beeps
}

func median(in []time.Duration) time.Duration {
	slices.Sort(in)
	return in[len(in)/2]
}

// TestStandup holds the sample of a real call against its notes, as written by Pion and as dumped.
func TestStandup(t *testing.T) {
	t.Parallel()
	for _, manifest := range []string{"capture.json", "capture-rtpdump.json"} {
		t.Run(manifest, func(t *testing.T) {
			t.Parallel()
			s := realCapture(t, "standup", manifest)
			flashes, _ := s.marks("bob-cam")
			_, beeps := s.marks("bob-mic")
			require.GreaterOrEqual(t, len(flashes), 16)
			require.GreaterOrEqual(t, len(beeps), 17)
			flash, beep := median(flashes), median(beeps)
			t.Logf("flashes %v (%v to %v), beeps %v (%v to %v)", flash, flashes[0], flashes[len(flashes)-1], beep, beeps[0], beeps[len(beeps)-1])
			require.InDelta(t, 0, flash, float64(nearEnough))
			require.InDelta(t, 0, beep, float64(nearEnough))
			require.InDelta(t, flash, beep, float64(nearEnough))
			for _, d := range beeps {
				require.InDelta(t, 0, d, float64(nearEnough))
			}
			for id, want := range map[string]time.Duration{"alice-mic": 39889 * ms, "dave-mic": 34399 * ms, "bob-mic": 35478 * ms, "carol-mic": 22598 * ms, "carol-mic-2": 9940 * ms} {
				if id == "carol-mic-2" && manifest == "capture.json" {
					want = 9500 * ms // the Ogg file ends earlier
				}
				a, r := s.measure(id)
				t.Logf("%s: %v of %v at %d ms, silence %d ms", id, a.Duration, want, a.Metadata.OffsetMS, s.sync(a).SilenceMS)
				require.InDelta(t, want, a.Duration, float64(80*ms), id)
				require.Empty(t, r.Holes)
			}
			require.Greater(t, s.sync(s.asset("alice-mic")).SilenceMS, int64(3900))
			cam, _ := s.measure("carol-cam")
			require.InDelta(t, 22431*ms, cam.Duration, float64(300*ms))
			require.NotEmpty(t, cam.Metadata.Defects)
			t.Logf("carol-cam: %v, dropped %v, lost %d", cam.Duration, s.sync(cam).Dropped, s.sync(cam).PacketsLost)
		})
	}
}

// TestNine makes every track of nine people's call.
func TestNine(t *testing.T) {
	t.Parallel()
	s := realCapture(t, "nine", "capture.json")
	tracks := 0
	for _, a := range s.out.Assets {
		if a.Type != catalog.TrackAsset {
			continue
		}
		tracks++
		require.InDelta(t, 42*time.Second, a.Duration, float64(2500*ms), a.Metadata.TrackID)
	}
	require.Equal(t, 18, tracks)
}

// TestJanus holds the tracks of a Janus recording against what janus-pp-rec makes of them.
func TestJanus(t *testing.T) {
	t.Parallel()
	s := realCapture(t, "janus-2014", "capture.json")
	c, err := capture.Open(t.Context(), filepath.Join("..", "..", "..", "shared", "captures", "janus-2014"))
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	ix, err := capture.BuildIndex(t.Context(), c)
	require.NoError(t, err)
	for _, track := range ix.Tracks {
		id := track.Track.ID
		a, r := s.measure(id)
		if track.Track.Kind == capture.KindVideo {
			require.Equal(t, 173, track.Units)
			require.EqualValues(t, 173, r.Video.Count)
			require.InDelta(t, 10490*ms, a.Duration, float64(100*ms))
			require.Equal(t, 640, a.Metadata.Resolution.Width)
		} else {
			require.Equal(t, 529, track.Units)
			require.InDelta(t, 10580*ms, a.Duration, float64(30*ms))
			require.Empty(t, r.Holes)
		}
	}
}
