package capture

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// arrivalTrack is a track of packets of 20 ms with what happens to it.
type arrivalTrack struct {
	length time.Duration
	ppm    float64
	jitter time.Duration
	stops  []Gap // the media clock stands still and nothing is sent
	jams   []Gap // everything waits for the end
	rng    *rand.Rand
}

// log gives the arrivals and, for each tick, the session time that is true.
func (a arrivalTrack) log() (l arrivalLog, truth func(ticks int64) time.Duration) {
	l.rate = 48000
	last := time.Duration(0)
	places := map[int64]time.Duration{}
	for at, ticks := time.Duration(0), int64(0); at < a.length; ticks += 960 {
		for _, s := range a.stops {
			if at >= s.From && at < s.To {
				at = s.To
			}
		}
		arrival := at + 10*time.Millisecond + time.Duration(a.rng.Int64N(int64(a.jitter)+1))
		for _, j := range a.jams {
			if arrival >= j.From && arrival < j.To {
				arrival = j.To
			}
		}
		last = max(last, arrival)
		l.add(ticks, last)
		places[ticks] = at
		at += time.Duration(20e6 * (1 + a.ppm/1e6))
	}
	return l, func(ticks int64) time.Duration { return places[ticks] }
}

// TestArrivalCuts: jitter and jams are no cuts, however late they make packets; a clock that stands still for 0.3 s
// or more is one.
func TestArrivalCuts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := arrivalTrack{length: 60 * time.Second, jitter: time.Duration(rapid.Int64Range(0, int64(80*time.Millisecond)).Draw(t, "jitter")),
			ppm: rapid.Float64Range(-200, 200).Draw(t, "ppm"), rng: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))}
		jam := func(from, to int64, name string) {
			at := time.Duration(rapid.Int64Range(from, to).Draw(t, name)) * time.Millisecond
			a.jams = append(a.jams, Gap{at, at + time.Duration(rapid.Int64Range(50, 2500).Draw(t, name+" length"))*time.Millisecond})
		}
		jam(3_000, 15_000, "first jam")
		jam(45_000, 52_000, "second jam")
		stands := rapid.Bool().Draw(t, "stands")
		if stands {
			from := time.Duration(rapid.Int64Range(25_000, 35_000).Draw(t, "stop")) * time.Millisecond
			a.stops = []Gap{{from, from + time.Duration(rapid.Int64Range(300, 40_000).Draw(t, "stop length"))*time.Millisecond}}
			a.length += a.stops[0].To - from
			a.jams[1].From += a.stops[0].To - from
			a.jams[1].To += a.stops[0].To - from
		}
		l, truth := a.log()
		cuts := l.cuts()
		if !stands {
			require.Empty(t, cuts)
		} else {
			require.Len(t, cuts, 1)
			require.InDelta(t, a.stops[0].To, truth(cuts[0]), float64(100*time.Millisecond))
		}
		pieces, _, _ := l.pieces()
		require.Len(t, pieces, len(cuts)+1)
		m := Mapping{Rate: 48000, Pieces: pieces}
		for ticks := int64(0); ticks < 48000*58; ticks += 48000 * 2 {
			require.InDelta(t, truth(ticks)+10*time.Millisecond, m.Session(ticks), float64(25*time.Millisecond), "tick %d", ticks)
		}
	})
}

// TestArrivalNothing has no packets, and one.
func TestArrivalNothing(t *testing.T) {
	t.Parallel()
	l := arrivalLog{rate: 90000}
	require.Empty(t, l.cuts())
	pieces, _, used := l.pieces()
	require.Empty(t, pieces)
	require.Zero(t, used)
	l.add(0, time.Second)
	pieces, _, _ = l.pieces()
	require.Len(t, pieces, 1)
	require.Equal(t, time.Second, pieces[0].At)
}
