package transcode

import (
	"math"

	"rushes/transcode/internal/av"
)

// soundLine puts decoded sound onto a time line of samples: gaps become silence, what comes twice is dropped,
// and a clock that runs fast or slow is corrected by resampling, never by cutting.
type soundLine struct {
	rate     int
	channels int
	next     int64   // sample at which the next block is due, noTime before the first
	drift    float64 // slow mean of the difference between timestamps and samples, in samples
	wait     int64   // no new correction before this sample
	res      *av.Resampler
	out      func(channels [][]float32) error
	gap      func(at, n int64)
	zeros    [][]float32
	lost     concealer
	jitter   int64 // ms: hardGap or trackGap
	exact    bool  // the next block goes where its timestamp says: the time line was cut before it
}

const (
	hardGap      = 60 // ms by which sound must be off to be a gap or an overlap, not jitter, where a file's timestamps tell
	trackGap     = 8  // the same where they are RTP times, which do not jitter
	exactGap     = 1  // the same where the time line was cut
	softDrift    = 3  // ms of lasting difference that begin a correction
	correctionMS = 8_000
)

// block adds samples that begin at a sample of the line by their timestamps.
func (l *soundLine) block(at int64, channels [][]float32) error {
	if l.next == noTime {
		l.next = at
	}
	off := at - l.next
	ms := int64(l.rate / 1000)
	most := l.jitter * ms
	if l.exact {
		most = exactGap * ms
	}
	switch {
	case off > most:
		l.exact = false
		if off > l.jitter*ms {
			l.gap(l.next, off)
		}
		if err := l.fill(off); err != nil {
			return err
		}
		l.drift = 0
	case off < -most:
		drop := min(int(-off), len(channels[0]))
		channels = from(channels, drop)
		l.drift = 0
		l.exact = l.exact && len(channels[0]) == 0
	default:
		l.exact = false
		if err := l.correct(float64(off), len(channels[0])); err != nil {
			return err
		}
	}
	return l.emit(channels)
}

// correct follows a slow drift: once it is sure, the resampler spreads it over some seconds.
func (l *soundLine) correct(off float64, n int) error {
	weight := math.Min(float64(n)/float64(2*l.rate), 1)
	l.drift += (off - l.drift) * weight
	if l.next < l.wait || math.Abs(l.drift) < float64(softDrift*l.rate/1000) {
		return nil
	}
	distance := correctionMS * l.rate / 1000
	if err := l.res.Compensate(int(math.Round(l.drift)), distance); err != nil {
		return err
	}
	l.wait = l.next + int64(distance)
	return nil
}

// fill closes a hole of n samples: what was lost is concealed, what was not sent is silence.
func (l *soundLine) fill(n int64) error {
	l.lost.rate = l.rate
	if made := l.lost.fill(n); made != nil {
		return l.emit(made)
	}
	return l.silence(n)
}

// silence adds n samples of it.
func (l *soundLine) silence(n int64) error {
	if l.zeros == nil {
		l.zeros = make([][]float32, l.channels)
		for i := range l.zeros {
			l.zeros[i] = make([]float32, l.rate/10)
		}
	}
	for n > 0 {
		k := min(n, int64(len(l.zeros[0])))
		if err := l.emit(upto(l.zeros, int(k))); err != nil {
			return err
		}
		n -= k
	}
	return nil
}

func (l *soundLine) emit(channels [][]float32) error {
	if len(channels) == 0 || len(channels[0]) == 0 {
		return nil
	}
	l.next += int64(len(channels[0]))
	l.lost.rate = l.rate
	l.lost.heard(channels)
	return l.out(channels)
}

func from(ch [][]float32, n int) [][]float32 {
	out := make([][]float32, len(ch))
	for i := range ch {
		out[i] = ch[i][n:]
	}
	return out
}

func upto(ch [][]float32, n int) [][]float32 {
	out := make([][]float32, len(ch))
	for i := range ch {
		out[i] = ch[i][:n]
	}
	return out
}
