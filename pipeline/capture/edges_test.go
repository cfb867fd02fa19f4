package capture

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stopped makes the index of a track of 20 ms packets whose RTP clock stood still for stop after some packets: what
// was sent later is later by that, while the ticks go on without a gap. Reports come at the given packets.
func stopped(packets, at int, stop time.Duration, arrivals, ended bool, reports ...int) *TrackIndex {
	const rate, step = 48000, 960
	t := &TrackIndex{Track: &Track{ID: "mic", Kind: KindAudio}, Units: packets, Mapping: Mapping{Rate: rate}, arrivals: arrivalLog{rate: rate}}
	wall := func(n int) time.Duration {
		d := time.Second + time.Duration(n)*20*time.Millisecond
		if n >= at {
			d += stop
		}
		return d
	}
	const delay = 25 * time.Millisecond
	for n := range packets {
		if arrivals {
			t.arrivals.add(int64(n)*step, wall(n)+delay+time.Duration(n%3)*time.Millisecond)
		}
	}
	for _, n := range reports {
		t.reports = append(t.reports, report{ticks: int64(n) * step, ntp: wall(n), received: wall(n) + delay, known: true})
	}
	t.mutes = []Gap{{From: wall(at - 1), To: wall(at)}}
	f := FileIndex{File: &File{}, First: 0, Last: int64(packets) * step, Units: packets, num: 1, den: 1, started: wall(0) + delay}
	if ended {
		f.length = wall(packets-1) - wall(0)
	}
	t.Files = []FileIndex{f}
	return t
}

// A clock that stops before the first sender report, or after the last, moves nobody's sound: each packet stays within
// 60 ms of when it was sent, by the arrival times as by the mutes alone.
func TestMendEdges(t *testing.T) {
	t.Parallel()
	const stop = 1200 * time.Millisecond
	for name, c := range map[string]struct {
		track *TrackIndex
		at    int
	}{
		"before the first, by arrival": {stopped(1000, 40, stop, true, false, 150, 400, 650, 900), 40},
		"before the first, by mute":    {stopped(1000, 40, stop, false, false, 150, 400, 650, 900), 40},
		"between first and second":     {stopped(1000, 40, stop, true, false, 20, 150, 400, 650, 900), 40},
		"after the last, by arrival":   {stopped(1000, 950, stop, true, true, 150, 400, 650, 900), 950},
		"after the last, by mute":      {stopped(1000, 950, stop, false, true, 150, 400, 650, 900), 950},
		"no stop at all":               {stopped(1000, 40, 0, true, true, 150, 400, 650, 900), 40},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			group{c.track}.align()
			require.Equal(t, MappedByReports, c.track.Mapping.Kind)
			for n := range 1000 {
				want := time.Second + time.Duration(n)*20*time.Millisecond
				if n >= c.at && name != "no stop at all" {
					want += stop
				}
				if n >= c.at-4 && n <= c.at+4 {
					continue // the mute says only about where
				}
				require.InDelta(t, want.Seconds(), c.track.Mapping.Session(int64(n)*960).Seconds(), 0.06, "packet %d", n)
			}
		})
	}
}
