package transcode_test

import (
	"encoding/json"
	"image"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/fixtures"
	"rushes/transcode"
)

// TestConvertRealBeams converts recordings that browsers and a screen grabber made, and holds what comes out against
// the same measurement of the source.
func TestConvertRealBeams(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", "shared", "captures")
	if _, err := os.Stat(root); err != nil {
		t.Skip("no sample captures")
	}
	manifests, err := filepath.Glob(filepath.Join(root, "*", "capture.json"))
	require.NoError(t, err)
	for _, m := range manifests {
		text, err := os.ReadFile(m)
		require.NoError(t, err)
		var c struct {
			Source    string
			StartedAt time.Time `json:"started_at"`
			StoppedAt time.Time `json:"stopped_at"`
			Paused    []struct{ From, To time.Time }
			Files     []struct{ Path string }
		}
		require.NoError(t, json.Unmarshal(text, &c))
		if c.Source != "beam" || len(c.Files) != 1 {
			continue
		}
		t.Run(filepath.Base(filepath.Dir(m)), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(filepath.Dir(m), c.Files[0].Path)
			// The flashing picture is the upper left of four; its beeps have no ramps.
			cfg := fixtures.MeterConfig{Area: image.Rect(16, 16, 304, 224), NoCodes: true, Beep: fixtures.BeepConfig{Ramp: -1}}
			src, err := fixtures.Measure(t.Context(), path, cfg)
			if err != nil {
				require.ErrorIs(t, err, fixtures.ErrDamaged)
				t.Logf("source: %v", err)
			}
			rec := recording(t, path)
			rec.Length = c.StoppedAt.Sub(c.StartedAt)
			for _, p := range c.Paused {
				rec.Paused = append(rec.Paused, transcode.Interval{From: p.From.Sub(c.StartedAt), To: p.To.Sub(c.StartedAt)})
			}
			rec.Video.Preset = "veryfast"
			out, res, err := try(t, rec)
			require.NoError(t, err)
			playable(t, out, false)
			r, err := fixtures.Measure(t.Context(), out, cfg)
			require.NoError(t, err, "the output decodes without an error")
			t.Logf("video copied %v, audio copied %v, defects %+v", res.VideoCopied, res.AudioCopied, res.Defects)
			t.Logf("duration: source %v, output %v; pictures: %d, %d", src.Duration, r.Duration, src.Video.Count, r.Video.Count)
			require.InDelta(t, src.Duration.Seconds(), r.Duration.Seconds(), 0.067)
			require.Empty(t, r.Holes)
			require.Len(t, r.Offsets, len(src.Offsets))
			for i, o := range r.Offsets {
				t.Logf("beep at %v: source %v, output %v, difference %v", src.Offsets[i].At, src.Offsets[i].Offset, o.Offset, o.Offset-src.Offsets[i].Offset)
				require.InDelta(t, src.Offsets[i].Offset.Seconds(), o.Offset.Seconds(), 0.020)
			}
		})
	}
}
