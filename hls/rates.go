package hls

import (
	"slices"

	mp4ff "github.com/Eyevinn/mp4ff/mp4"
)

// rateMeter finds out how many pictures a second there are at most.
type rateMeter struct{ milli int64 }

// add looks at a segment's pictures. The rate is that of the duration that most of them have: single ones are off by
// the rounding of a container's clock, or held.
func (m *rateMeter) add(samples []mp4ff.Sample, timescale uint32) {
	durations := make([]uint32, len(samples))
	for i, s := range samples {
		durations[i] = s.Dur
	}
	slices.Sort(durations)
	middle := durations[len(durations)/2]
	// Milliseconds of a container's clock make 33 and 34 of 33.3: the mean of what is close to the middle tells.
	var sum, n int64
	for _, d := range durations {
		if d >= middle-middle/8 && d <= middle+middle/8 {
			sum += int64(d)
			n++
		}
	}
	if sum > 0 {
		m.milli = max(m.milli, scale(n*1000, int64(timescale), sum))
	}
}

// bitRates measures a playlist's segments: the peak over every run of segments that lasts 0.5 to 1.5 target durations,
// and the average of all (RFC 8216bis, 4.1). Both are in bit/s, rounded up. skip leaves entries out.
func bitRates(list []segmentEntry, target int64) (peak, average int64) {
	var bytes, total int64
	var time Tick
	for i, s := range list {
		if s.gap {
			continue
		}
		bytes += s.length
		time += s.end - s.start
		var runBytes int64
		var run Tick
		for _, e := range list[i:] {
			if e.gap {
				break
			}
			runBytes += e.length
			run += e.end - e.start
			if run*2 > 3*Tick(target)*Timescale {
				break
			}
			if run*2 >= Tick(target)*Timescale {
				peak = max(peak, bitRate(runBytes, run))
			}
		}
		total++
	}
	if total == 0 || time <= 0 {
		return 0, 0
	}
	average = bitRate(bytes, time)
	return max(peak, average), average
}

// bitRate is bytes per time in bit/s, rounded up.
func bitRate(bytes int64, t Tick) int64 {
	if t <= 0 {
		return 0
	}
	r := scale(bytes*8, Timescale, int64(t))
	if fromRate(r, t) < bytes*8 {
		r++
	}
	return r
}

// fromRate is how many bits a rate makes in a time.
func fromRate(rate int64, t Tick) int64 { return scale(rate, int64(t), Timescale) }
