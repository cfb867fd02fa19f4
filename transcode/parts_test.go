package transcode_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/fixtures"
	"rushes/transcode"
)

// beam makes a capture and gives the recording that it describes.
func beam(t *testing.T, b fixtures.BeamSpec) transcode.Recording {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, fixtures.Beam(t.Context(), dir, b))
	text, err := os.ReadFile(filepath.Join(dir, "capture.json"))
	require.NoError(t, err)
	var m struct {
		StartedAt time.Time `json:"started_at"`
		StoppedAt time.Time `json:"stopped_at"`
		Paused    []struct{ From, To time.Time }
		Files     []struct {
			Path      string
			StartedAt time.Time `json:"started_at"`
		}
	}
	require.NoError(t, json.Unmarshal(text, &m))
	rec := transcode.Recording{Video: transcode.VideoSettings{Preset: "ultrafast"}}
	if !m.StoppedAt.IsZero() {
		rec.Length = m.StoppedAt.Sub(m.StartedAt)
	}
	for _, p := range m.Paused {
		rec.Paused = append(rec.Paused, transcode.Interval{From: p.From.Sub(m.StartedAt), To: p.To.Sub(m.StartedAt)})
	}
	for _, f := range m.Files {
		rec.Parts = append(rec.Parts, transcode.Part{Source: source(t, filepath.Join(dir, f.Path)), Start: f.StartedAt.Sub(m.StartedAt)})
	}
	return rec
}

// truth is the media time of every frame of a script.
func truth(s fixtures.Script) map[int]time.Duration {
	out := map[int]time.Duration{}
	for f := range s.FrameList() {
		out[f.Code.Frame] = time.Duration(f.PTS) * time.Second / fixtures.Timescale
	}
	return out
}

// follows requires that a film shows the script's frames at their times less what cut says, and all of them but
// the ones named.
func follows(t *testing.T, s fixtures.Script, r fixtures.Report, tolerance time.Duration, lost ...int) {
	t.Helper()
	missing := map[int]bool{}
	for _, n := range lost {
		missing[n] = true
	}
	times := truth(s)
	seen := map[int]bool{}
	for _, f := range r.Frames {
		require.NoError(t, f.Err)
		require.False(t, seen[f.Code.Frame], "frame %d comes twice", f.Code.Frame)
		seen[f.Code.Frame] = true
		require.InDelta(t, times[f.Code.Frame].Seconds(), f.PTS.Seconds(), tolerance.Seconds(), "time of frame %d", f.Code.Frame)
	}
	for n := range times {
		require.True(t, seen[n] || missing[n], "frame %d is missing", n)
	}
	require.Empty(t, r.Holes)
	require.Empty(t, r.Backwards)
	require.Empty(t, r.Sequence.OutOfOrder)
	for _, o := range r.CodeOffsets {
		require.InDelta(t, 0, o.Offset.Seconds(), 0.020, "A/V offset at %v", o.Session)
	}
	t.Logf("offsets %v", r.CodeOffsets)
}

// TestConvertParts joins parts of one kind and of different kinds, with and without a hole between them.
func TestConvertParts(t *testing.T) {
	t.Parallel()
	part := func(from, to int, spec *fixtures.RecordSpec) fixtures.BeamPart {
		return fixtures.BeamPart{Interval: fixtures.Interval{From: ms(from), To: ms(to)}, Record: spec}
	}
	vp8, vp9, mp4, ts, opus := fixtures.WebMVP8(), fixtures.WebMVP9(), fixtures.FragmentedMP4(), fixtures.MPEGTS(), fixtures.Matroska("libopus")
	for name, tc := range map[string]struct {
		spec  fixtures.RecordSpec
		parts []fixtures.BeamPart
		sizes []fixtures.SizeChange
		copy  bool
	}{
		"webm":            {vp8, []fixtures.BeamPart{part(0, 2000, nil), part(2000, 3400, nil), part(3400, 5000, nil)}, nil, false},
		"webm, hole":      {vp8, []fixtures.BeamPart{part(0, 2000, nil), part(3000, 5000, nil)}, nil, false},
		"mp4":             {mp4, []fixtures.BeamPart{part(0, 2000, nil), part(2000, 5000, nil)}, nil, true},
		"mp4, hole":       {mp4, []fixtures.BeamPart{part(0, 2000, nil), part(3000, 5000, nil)}, nil, true},
		"ts, hole":        {ts, []fixtures.BeamPart{part(0, 2000, nil), part(3000, 5000, nil)}, nil, true},
		"all kinds":       {vp8, []fixtures.BeamPart{part(0, 1500, &vp9), part(1500, 3000, &mp4), part(3000, 4000, &ts), part(4000, 5000, &opus)}, nil, false},
		"h264, two kinds": {mp4, []fixtures.BeamPart{part(0, 2000, nil), part(2000, 5000, &ts)}, nil, false},
		"sizes": {mp4, []fixtures.BeamPart{part(0, 2500, nil), part(2500, 5000, nil)},
			[]fixtures.SizeChange{{At: ms(2500), Width: 240, Height: 180}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := small(5)
			s.Sizes = tc.sizes
			rec := beam(t, fixtures.BeamSpec{Script: s, Record: tc.spec, Parts: tc.parts})
			_, res, r := converted(t, rec)
			var lost []int
			for n, at := range truth(s) {
				inside := false
				for _, p := range tc.parts {
					inside = inside || at >= p.From && at < p.To
				}
				if !inside {
					lost = append(lost, n)
				}
			}
			// Between parts, the encoders' delays may move what follows by a sound frame.
			follows(t, s, r, ms(70), lost...)
			require.InDelta(t, 5, r.Duration.Seconds(), 0.1)
			require.Equal(t, tc.copy, res.VideoCopied)
		})
	}
}

// TestConvertPauses cuts pauses out where the recorder's clock ran on and leaves them alone where it stopped.
func TestConvertPauses(t *testing.T) {
	t.Parallel()
	pause := func(from, to int) fixtures.Interval { return fixtures.Interval{From: ms(from), To: ms(to)} }
	for name, pauses := range map[string][]fixtures.Interval{
		"middle":    {pause(2200, 3700)},
		"beginning": {pause(0, 1500)},
		"end":       {pause(4500, 6000)},
		"several":   {pause(1200, 2200), pause(3100, 3450), pause(4700, 5300)},
	} {
		for kind, spec := range map[string]fixtures.RecordSpec{"webm": fixtures.WebMVP8(), "mp4": fixtures.FragmentedMP4(), "ts": fixtures.MPEGTS()} {
			for _, runOn := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/clock runs %v", name, kind, runOn), func(t *testing.T) {
					t.Parallel()
					s := small(6)
					s.Pauses = pauses
					_, _, r := converted(t, beam(t, fixtures.BeamSpec{Script: s, Record: spec, RunOn: runOn}))
					var border []int
					if kind == "ts" && runOn { // all is a sound frame later, see TestConvertPausesWithMedia
						for n, at := range truth(s) {
							for i, p := range pauses {
								if cut := p.From - paused(pauses[:i]); at < cut && at > cut-ms(23) {
									border = append(border, n)
								}
							}
						}
					}
					follows(t, s, r, ms(25), border...)
					require.InDelta(t, s.MediaDuration().Seconds(), r.Duration.Seconds(), 0.1)
				})
			}
		}
	}
}

// paused is the length of pauses.
func paused(pauses []fixtures.Interval) (sum time.Duration) {
	for _, p := range pauses {
		sum += p.To - p.From
	}
	return sum
}

// TestConvertPausesWithMedia cuts pauses out of recordings in which pictures and sound go on through them.
func TestConvertPausesWithMedia(t *testing.T) {
	t.Parallel()
	for kind, spec := range map[string]fixtures.RecordSpec{"webm": fixtures.WebMVP8(), "mp4": fixtures.FragmentedMP4(), "ts": fixtures.MPEGTS()} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			rec := beam(t, fixtures.BeamSpec{Script: small(6), Record: spec})
			rec.Paused = []transcode.Interval{{From: ms(1500), To: ms(2300)}, {From: ms(4100), To: ms(4600)}}
			_, res, r := converted(t, rec)
			require.False(t, res.VideoCopied, "a pause ends between two key frames")
			cut := small(6)
			cut.Pauses = []fixtures.Interval{{From: ms(1500), To: ms(2300)}, {From: ms(4100), To: ms(4600)}}
			held := map[int]bool{} // the picture that a pause ends with may be shown again
			want := map[time.Duration]time.Duration{}
			for f := range cut.FrameList() {
				want[f.Code.Time] = time.Duration(f.PTS) * time.Second / fixtures.Timescale
			}
			for _, f := range r.Frames {
				require.NoError(t, f.Err)
				at, ok := want[f.Code.Time]
				if !ok {
					held[f.Code.Frame] = true
					continue
				}
				require.InDelta(t, at.Seconds(), f.PTS.Seconds(), 0.025, "frame at %v", f.Code.Time)
				delete(want, f.Code.Time)
			}
			if kind == "ts" {
				// The silence before the first sound is the beginning of such a file, so that all is a sound frame later.
				for _, border := range []time.Duration{ms(1480), ms(4080)} {
					delete(want, border)
				}
			}
			require.Empty(t, want, "pictures outside of the pauses are missing")
			if kind != "ts" {
				require.Empty(t, held)
			}
			require.InDelta(t, 4.7, r.Duration.Seconds(), 0.06)
			for _, o := range r.CodeOffsets {
				require.InDelta(t, 0, o.Offset.Seconds(), 0.012) // frames of AAC are kept whole
			}
			require.Empty(t, r.Holes)
		})
	}
}
