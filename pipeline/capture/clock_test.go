package capture

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var clockRates = []int{8000, 48000, 90000}

// TestTickDurations holds the conversion of ticks both ways against each other.
func TestTickDurations(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom(clockRates).Draw(t, "rate")
		ticks := rapid.Int64Range(-1<<44, 1<<44).Draw(t, "ticks")
		d := tickDuration(ticks, rate)
		require.Equal(t, ticks, durationTicks(d, rate))
		require.Equal(t, -d, tickDuration(-ticks, rate))
		require.InDelta(t, float64(ticks)/float64(rate), d.Seconds(), 1e-3)
		require.GreaterOrEqual(t, tickDuration(ticks+1, rate), d)
	})
	for _, wild := range []int64{math.MaxInt64, math.MinInt64} {
		for _, rate := range clockRates {
			require.Equal(t, wild > 0, tickDuration(wild, rate) > 0)
		}
	}
}

// drawMapping makes a mapping whose pieces only ever skip forward in time, as clocks do that stop.
func drawMapping(t *rapid.T) Mapping {
	m := Mapping{Rate: rapid.SampledFrom(clockRates).Draw(t, "rate")}
	at := time.Duration(rapid.Int64Range(-int64(time.Hour), int64(time.Hour)).Draw(t, "at"))
	from := int64(0)
	for range rapid.IntRange(1, 6).Draw(t, "pieces") {
		p := Piece{From: from, At: at, PPM: rapid.Float64Range(-500, 500).Draw(t, "ppm")}
		m.Pieces = append(m.Pieces, p)
		from += rapid.Int64Range(1, int64(m.Rate)*1000).Draw(t, "length")
		at = p.session(from, m.Rate) + time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "stop"))
	}
	return m
}

// TestMappingMonotonic: session time never runs back, and a piece's inverse gives its ticks.
func TestMappingMonotonic(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := drawMapping(t)
		end := m.Pieces[len(m.Pieces)-1].From + int64(m.Rate)*100
		a := rapid.Int64Range(-int64(m.Rate), end).Draw(t, "a")
		b := rapid.Int64Range(a, end).Draw(t, "b")
		require.LessOrEqual(t, m.Session(a), m.Session(b))
		p := m.piece(a)
		require.Equal(t, a, p.ticksAt(p.session(a, m.Rate), m.Rate))
		for _, p := range m.Pieces {
			require.Equal(t, p.At, m.Session(p.From), "a piece begins where it says")
		}
	})
}

// TestFitLine finds offset and drift of a clock from points with noise, some of them wrong.
func TestFitLine(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom(clockRates).Draw(t, "rate")
		ppm := rapid.Float64Range(-300, 300).Draw(t, "ppm")
		n := rapid.IntRange(30, 200).Draw(t, "points")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		truth := Piece{From: 1000, At: 3 * time.Second, PPM: ppm}
		var points []point
		for i := range n {
			p := point{Ticks: 1000 + int64(i*5*rate)}
			p.At = truth.session(p.Ticks, rate) + time.Duration(rng.NormFloat64()*float64(time.Millisecond))
			if i%17 == 5 {
				p.At += time.Duration(rng.Int64N(int64(40*time.Millisecond))) - 20*time.Millisecond
			}
			points = append(points, p)
		}
		line, residual, fitted := fitLine(points, rate, 0)
		require.True(t, fitted)
		require.Less(t, residual, 8*time.Millisecond)
		for _, at := range []int64{points[0].Ticks, points[n/2].Ticks, points[n-1].Ticks} {
			require.InDelta(t, truth.session(at, rate), line.session(at, rate), float64(4*time.Millisecond))
		}
	})
	// Too short for a drift: the one given is taken.
	line, _, fitted := fitLine([]point{{0, 0}, {48000, time.Second + 300*time.Microsecond}}, 48000, 7)
	require.False(t, fitted)
	require.InDelta(t, 7, line.PPM, 0)
}

// TestReportRuns rejects single wrong reports and splits where the media clock stood still.
func TestReportRuns(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom(clockRates).Draw(t, "rate")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		n := rapid.IntRange(8, 60).Draw(t, "reports")
		stop := rapid.IntRange(2, n-3).Draw(t, "stop")
		stood := time.Duration(rapid.Int64Range(0, int64(40*time.Second)).Draw(t, "stood"))
		if stood < 300*time.Millisecond {
			stood = 0
		}
		wrong := map[int]bool{}
		if bad := rapid.IntRange(2, n-2).Draw(t, "wrong"); bad != stop && bad != stop-1 && bad != stop+1 {
			wrong[bad] = true
		}
		var points []point
		for i := range n {
			p := point{Ticks: int64(i * 5 * rate), At: time.Duration(i)*5*time.Second + time.Duration(rng.Int64N(int64(8*time.Millisecond)))}
			if i >= stop {
				p.At += stood
			}
			if wrong[i] {
				p.At += time.Second * 7 / 10
			}
			points = append(points, p)
		}
		runs, rejected := reportRuns(points, rate)
		require.Equal(t, len(wrong), rejected)
		want := 2
		if stood == 0 {
			want = 1
		}
		require.Len(t, runs, want)
		if want == 2 {
			require.Equal(t, int64(stop*5*rate), runs[1][0].Ticks)
		}
	})
}

// TestSenderClock finds how far a sender's wall clock is off, and when it was set.
func TestSenderClock(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		first := time.Duration(rapid.Int64Range(-int64(5*time.Hour), int64(5*time.Hour)).Draw(t, "first"))
		then := first
		if rapid.Bool().Draw(t, "set") {
			then += time.Duration(rapid.Int64Range(int64(time.Second), int64(time.Hour)).Draw(t, "by"))
		}
		var reports []report
		for i := range 20 {
			at := time.Duration(i) * 5 * time.Second
			off := first
			if i >= 10 {
				off = then
			}
			delay := 5*time.Millisecond + time.Duration(rng.Int64N(int64(30*time.Millisecond)))
			reports = append(reports, report{ticks: int64(i), ntp: at - off, received: at + delay, known: true})
		}
		runs := senderClock(reports)
		for i, r := range reports {
			at, ok := correct(r, runs)
			require.True(t, ok)
			// Within the least delay, or within what a clock may be off and still be believed.
			require.InDelta(t, time.Duration(i)*5*time.Second, at, float64(clockTrust+clockStep))
			if len(runs) > 0 && first.Abs() > 2*clockTrust && then.Abs() > 2*clockTrust {
				require.InDelta(t, time.Duration(i)*5*time.Second, at, float64(36*time.Millisecond))
			}
		}
		// A report that contradicts all others is no clock that was set.
		odd := slices.Clone(reports)
		odd[4].ntp += 20 * time.Minute
		require.Len(t, senderClock(odd), len(runs))
	})
	require.Nil(t, senderClock(nil))
}

// TestNearestUnwrap: whole turns only, and never further than half of one.
func TestNearestUnwrap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v, want := rapid.Int64Range(-1<<33, 1<<33).Draw(t, "v"), rapid.Int64Range(-1<<50, 1<<50).Draw(t, "want")
		got := nearestUnwrap(v, want)
		require.Zero(t, (got-v)%(1<<32))
		require.LessOrEqual(t, max(got-want, want-got), int64(1)<<31)
	})
}

// TestClockChoice sorts kinds by trust: reports first, then the file, then arrivals.
func TestClockChoice(t *testing.T) {
	t.Parallel()
	kinds := []MappingKind{MappedByArrival, MappedByReports, MappedByFile}
	slices.SortFunc(kinds, func(a, b MappingKind) int { return cmp.Compare(a.trust(), b.trust()) })
	require.Equal(t, []MappingKind{MappedByReports, MappedByFile, MappedByArrival}, kinds)
}
