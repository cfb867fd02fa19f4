package pipeline

import (
	"cmp"
	"math/rand/v2"
	"time"
)

// The backoff of jobs when nobody says otherwise.
const (
	DefaultBackoffBase = 2 * time.Second // the longest first delay
	DefaultBackoffMost = 5 * time.Minute // the longest delay
)

// Backoff says how long to wait before something is tried again: exponential
// with full jitter, so that what failed together does not come back together.
// The zero value is ready to use; it is safe for concurrent use if Random is.
type Backoff struct {
	// Base bounds the first delay; every further bound is twice the one before.
	// It defaults to DefaultBackoffBase.
	Base time.Duration
	// Most bounds all delays. It defaults to DefaultBackoffMost.
	Most time.Duration
	// Random returns a number from 0 to n-1. It defaults to the generator of
	// math/rand/v2.
	Random func(n int64) int64
}

// Delay returns the wait after the given attempt, which counts from 1: more than
// nothing, and at most Base × 2^(attempt-1) or Most.
func (b Backoff) Delay(attempt int) time.Duration {
	bound, most := cmp.Or(b.Base, DefaultBackoffBase), cmp.Or(b.Most, DefaultBackoffMost)
	for i := 1; i < attempt && bound < most; i++ {
		bound *= 2 // cannot overflow: what exceeds most ends the loop
	}
	bound = max(min(bound, most), 1)
	random := b.Random
	if random == nil {
		random = rand.Int64N
	}
	return time.Duration(1 + random(int64(bound)))
}
