package hls

import (
	"math"
	"math/bits"
	"time"
)

// Timescale is the number of ticks in a second: the least rate in which 90 kHz, the
// usual sampling rates, 1/15360 s and NTSC's frame durations are whole numbers.
const Timescale = 1_411_200_000

// Tick is a moment or a span in 1/Timescale second.
type Tick int64

// maxTick bounds times that files claim: 30 days.
const maxTick = Tick(30 * 24 * 3600 * Timescale)

// Duration converts to nanoseconds, rounded to the nearest.
func (t Tick) Duration() time.Duration {
	return time.Duration(scale(int64(t), int64(time.Second), Timescale))
}

// ticksOf converts a span of wall time.
func ticksOf(d time.Duration) Tick { return Tick(scale(int64(d), Timescale, int64(time.Second))) }

// fromScale converts from a track's timescale.
func fromScale(v int64, timescale uint32) Tick {
	return Tick(scale(v, Timescale, int64(timescale)))
}

// toScale converts to a track's timescale, rounded to the nearest.
func toScale(t Tick, timescale uint32) int64 { return scale(int64(t), int64(timescale), Timescale) }

// scale is v*mul/div rounded to the nearest, half up, saturating.
func scale(v, mul, div int64) int64 {
	if v < 0 {
		return -scaleUp(uint64(-v), uint64(mul), uint64(div), true)
	}
	return scaleUp(uint64(v), uint64(mul), uint64(div), false)
}

func scaleUp(v, mul, div uint64, negative bool) int64 {
	hi, lo := bits.Mul64(v, mul)
	half := div / 2
	if negative {
		half = (div - 1) / 2 // half up: -1.5 becomes -1
	}
	lo, carry := bits.Add64(lo, half, 0)
	hi += carry
	if hi >= div {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, div)
	return int64(min(q, math.MaxInt64))
}

func abs(t Tick) Tick {
	if t < 0 {
		return -t
	}
	return t
}
