package transcode

import "math"

// limiter keeps stereo or mono sound below a ceiling without clipping it: it sees peaks some milliseconds ahead,
// turns the gain down smoothly before they come and lets it rise slowly afterwards. Quiet sound passes unchanged.
type limiter struct {
	ceiling float64     // of a sample's magnitude: −1 dBFS
	delay   [][]float32 // ring of the samples that are looked ahead at
	need    []float64   // gain that each of them needs, beside delay
	at      int
	gain    float64
	release float64 // per sample
}

const (
	limitLookAhead = 240 // samples: 5 ms at 48 kHz
	limitRelease   = 0.15
)

func newLimiter(channels int) *limiter {
	l := &limiter{ceiling: math.Pow(10, -1.0/20), gain: 1, need: make([]float64, limitLookAhead), delay: make([][]float32, channels)}
	for i := range l.delay {
		l.delay[i] = make([]float32, limitLookAhead)
	}
	for i := range l.need {
		l.need[i] = 1
	}
	l.release = 1 - math.Exp(-1/(limitRelease*outputRate))
	return l
}

// run limits samples in place. What comes out is what went in limitLookAhead samples before.
func (l *limiter) run(channels [][]float32) {
	for i := range channels[0] {
		peak := 0.0
		for _, ch := range channels {
			peak = math.Max(peak, math.Abs(float64(ch[i])))
		}
		need := 1.0
		if peak > l.ceiling {
			need = l.ceiling / peak
			l.spread(need)
		}
		target := l.need[l.at]
		if target < l.gain {
			l.gain = target
		} else {
			l.gain += (target - l.gain) * l.release
		}
		for c, ch := range channels {
			out := l.delay[c][l.at]
			l.delay[c][l.at] = ch[i]
			ch[i] = float32(float64(out) * l.gain)
		}
		l.need[l.at] = need
		l.at = (l.at + 1) % limitLookAhead
	}
}

// spread lowers the gain of the samples before a peak along a straight slope, so that it is down when the peak comes.
func (l *limiter) spread(need float64) {
	for back := 1; back < limitLookAhead; back++ {
		i := (l.at - back + limitLookAhead) % limitLookAhead
		if l.need[i] <= need {
			return // what comes before is low enough for that one already
		}
		slope := need + (1-need)*float64(back)/limitLookAhead
		if l.need[i] <= slope {
			continue
		}
		l.need[i] = slope
	}
}
