package capture

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func epoch() time.Time { return time.Date(2026, 11, 22, 17, 0, 0, 0, time.UTC) }

func interval(from, to time.Duration) Interval {
	return Interval{From: At(epoch().Add(from)), To: At(epoch().Add(to))}
}

func TestTimelineCutsPauses(t *testing.T) {
	t.Parallel()
	const s = time.Second
	tl, clipped := NewTimeline(epoch(), epoch().Add(100*s), []Interval{
		interval(50*s, 60*s), interval(10*s, 15*s), interval(12*s, 20*s), interval(20*s, 21*s), interval(95*s, 120*s), interval(7*s, 7*s),
	})
	require.True(t, clipped)
	require.Equal(t, []Pause{{From: 10 * s, To: 21 * s}, {From: 50 * s, To: 60 * s, before: 11 * s}, {From: 95 * s, To: 100 * s, before: 21 * s}}, tl.Paused)
	total, known := tl.Duration()
	require.True(t, known)
	require.Equal(t, 74*s, total)
	for _, tt := range []struct {
		at, out time.Duration
		paused  bool
	}{
		{-3 * s, -3 * s, false}, {0, 0, false}, {10*s - 1, 10*s - 1, false}, {10 * s, 10 * s, true}, {21*s - 1, 10 * s, true},
		{21 * s, 10 * s, false}, {50 * s, 39 * s, true}, {60 * s, 39 * s, false}, {61 * s, 40 * s, false}, {99 * s, 74 * s, true}, {110 * s, 84 * s, false},
	} {
		out, paused := tl.Output(tt.at)
		require.Equal(t, tt.out, out, "at %v", tt.at)
		require.Equal(t, tt.paused, paused, "at %v", tt.at)
	}
	require.Equal(t, 21*s, tl.Session(10*s))
	require.Equal(t, epoch().Add(21*s), tl.Wall(tl.Session(10*s)))
	require.Equal(t, 5*s, tl.Offset(epoch().Add(5*s)))
}

func TestTimelineWithoutStop(t *testing.T) {
	t.Parallel()
	tl, clipped := NewTimeline(epoch(), time.Time{}, []Interval{interval(-5*time.Second, 2*time.Second)})
	require.True(t, clipped)
	_, known := tl.Duration()
	require.False(t, known)
	require.Equal(t, 2*time.Second, tl.PausedTotal())
}

func TestTimelineProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		length := time.Duration(rapid.Int64Range(0, 1000).Draw(t, "length"))
		at := rapid.Int64Range(-50, 1100)
		var pauses []Interval
		for range rapid.IntRange(0, 8).Draw(t, "pauses") {
			pauses = append(pauses, interval(time.Duration(at.Draw(t, "from")), time.Duration(at.Draw(t, "to"))))
		}
		tl, _ := NewTimeline(epoch(), epoch().Add(length), pauses)

		kept, previous := time.Duration(0), time.Duration(-1<<62)
		for offset := -time.Duration(60); offset < 1200; offset++ {
			out, paused := tl.Output(offset)
			require.GreaterOrEqual(t, out, previous, "Output never decreases")
			previous = out
			require.Equal(t, inAny(pauses, offset) && offset >= 0 && offset < length, paused, "at %d", offset)
			if paused {
				continue
			}
			require.Equal(t, offset, tl.Session(out), "Session undoes Output")
			if offset >= 0 && offset < length {
				kept++
			}
		}
		total, known := tl.Duration()
		require.True(t, known)
		require.Equal(t, kept, total, "the duration is what is not paused")
		for out := time.Duration(0); out < total; out++ {
			back, paused := tl.Output(tl.Session(out))
			require.Equal(t, out, back, "Output undoes Session")
			require.False(t, paused)
		}
	})
}

func inAny(pauses []Interval, offset time.Duration) bool {
	for _, p := range pauses {
		if w := epoch().Add(offset); !w.Before(p.From.Time) && w.Before(p.To.Time) {
			return true
		}
	}
	return false
}
