package transcode

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rushes/transcode/internal/av"
)

// TestTicks converts ticks to nanoseconds and back without a loss, and in order.
func TestTicks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		scale := rapid.SampledFrom([]int{1000, 8000, 12800, 15360, 44100, 48000, 90000, 1_000_000}).Draw(t, "timescale")
		const days = 1000 * 24 * 3600
		ticks := rapid.Int64Range(-int64(scale)*days, int64(scale)*days).Draw(t, "ticks")
		tb := av.Rational{Num: 1, Den: scale}
		ns := nanos(ticks, tb)
		if back := ticksOf(ns, scale); back != ticks {
			t.Fatalf("%d ticks of 1/%d are %d ns, which are %d ticks", ticks, scale, ns, back)
		}
		if nanos(ticks+1, tb) <= ns {
			t.Fatal("not in order")
		}
	})
	require.Equal(t, int64(1)<<62, nanos(1<<62, av.Rational{Num: 1, Den: 1}))
	require.Equal(t, -int64(1)<<62, nanos(-1<<62, av.Rational{Num: 1001, Den: 1}))
	require.Equal(t, int64(1_000_000), nanos(1, av.Rational{Num: 1, Den: 1000}))
	require.Equal(t, int64(2_000_000_000), nanos(2, av.Rational{Num: 1, Den: 0}), "a broken time base is no crash")
}

// TestClock throws any times at a clock: what it places never runs back further than the container may, nor beyond
// what is believable.
func TestClock(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const streams = 2
		limit := rapid.SampledFrom([]int64{0, int64(time.Hour)}).Draw(t, "limit")
		c := newClock("film", streams, 0, 0, limit, func(Defect) {})
		last := [streams]int64{noTime, noTime}
		at := int64(0)
		for range rapid.IntRange(1, 60).Draw(t, "packets") {
			stream := rapid.IntRange(0, streams-1).Draw(t, "stream")
			if rapid.IntRange(0, 9).Draw(t, "jump") == 0 {
				at = rapid.Int64Range(-int64(30*24*time.Hour), int64(30*24*time.Hour)).Draw(t, "to")
			} else {
				at += rapid.Int64Range(0, int64(100*time.Millisecond)).Draw(t, "step")
			}
			end := c.end
			placed := at + c.place(stream, at, int64(20*time.Millisecond))
			if last[stream] != noTime && placed < last[stream]-int64(backwardJump) {
				t.Fatalf("stream %d runs back from %v to %v", stream, show(last[stream]), show(placed))
			}
			if far := int64(trustedJump + forwardJump); limit == 0 && placed > end+far || limit > 0 && placed > max(limit, end+int64(forwardJump)) {
				t.Fatalf("stream %d leaps from %v to %v", stream, show(end), show(placed))
			}
			last[stream] = placed
		}
	})
}

// TestCutter takes pauses out: output time never runs back, stands still inside of them, and lacks their length.
func TestCutter(t *testing.T) {
	t.Parallel()
	second := func() *rapid.Generator[time.Duration] {
		return rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.IntRange(0, 100).Draw(t, "s")) * time.Second
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		pauses := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Interval {
			return Interval{From: second().Draw(t, "from"), To: second().Draw(t, "to")}
		}), 0, 6).Draw(t, "pauses")
		c := newCutter(pauses)
		before, cut := int64(-1), int64(0)
		for s := range 102 {
			now := int64(s) * int64(time.Second)
			inside := false
			for _, p := range pauses {
				inside = inside || now >= int64(p.From) && now < int64(p.To)
			}
			out, paused := c.at(now)
			if paused != inside || out < before || out != now-cut {
				t.Fatalf("%v comes out at %v, paused %v, after %v of pauses", show(now), show(out), paused, show(cut))
			}
			if inside {
				cut += int64(time.Second)
				if next := c.resumes(now); next <= now {
					t.Fatal("a pause that does not end")
				}
			}
			before = out
		}
		if cut != c.total() {
			t.Fatalf("%v cut, %v said", show(cut), show(c.total()))
		}
	})
}

// TestFit holds the place of a picture against its shape.
func TestFit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		side := rapid.IntRange(8, 2000)
		sw, sh := side.Draw(t, "source width"), side.Draw(t, "source height")
		w, h := side.Draw(t, "width")&^1, side.Draw(t, "height")&^1
		r := fit(sw, sh, av.Rational{Num: 0, Den: 1}, av.Rational{}, w, h)
		if (r.X|r.Y|r.W|r.H)&1 != 0 || r.X < 0 || r.Y < 0 || r.W < 2 || r.H < 2 || r.X+r.W > w || r.Y+r.H > h {
			t.Fatalf("%+v in %dx%d", r, w, h)
		}
		if w-r.W > 4 && h-r.H > 4 {
			t.Fatalf("%+v leaves room on all sides of %dx%d", r, w, h)
		}
		// One side fills the output, the other is within four pixels of what the shape asks for.
		wantH, wantW := float64(r.W)*float64(sh)/float64(sw), float64(r.H)*float64(sw)/float64(sh)
		if max(wantH-float64(r.H), float64(r.H)-wantH) > 5 && max(wantW-float64(r.W), float64(r.W)-wantW) > 5 {
			t.Fatalf("%dx%d became %+v", sw, sh, r)
		}
	})
	// Wide pixels: 720x576 with 16:11 is as wide as 1047x576.
	require.Equal(t, av.Rect{X: 0, Y: 8, W: 1280, H: 704}, fit(720, 576, av.Rational{Num: 16, Den: 11}, av.Rational{}, 1280, 720), "")
}
