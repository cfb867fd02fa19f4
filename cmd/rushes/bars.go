package main

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"rushes/pipeline"
)

// bars shows how a job goes on: a bar per stage with its speed and time left. It shows nothing where nobody
// looks, that is when standard error is no terminal.
type bars struct {
	p     *mpb.Progress
	bar   *mpb.Bar
	total int64 // as the stage said last
	pace  *pace
}

// pace is what one bar's texts are made of; mpb asks for them from a goroutine of its own.
type pace struct {
	started time.Time
	speed   atomic.Uint64 // bits of a float64
}

var _ pipeline.Observer = (*bars)(nil)

func newBars(e env) *bars {
	if !e.terminal {
		return &bars{}
	}
	return &bars{p: mpb.New(mpb.WithOutput(e.stderr), mpb.WithWidth(50), mpb.WithRefreshRate(150*time.Millisecond))}
}

// StageStarted begins a bar. It has no total yet: a bar that begins with one never heeds SetTotal, and Wait
// would wait for ever.
func (b *bars) StageStarted(stage string, index, total int) {
	if b.p == nil {
		return
	}
	b.total, b.pace = 0, &pace{started: time.Now()}
	b.bar = b.p.AddBar(0,
		mpb.PrependDecorators(decor.Name(fmt.Sprintf("%d/%d %-10s", index+1, total, stage)), decor.Percentage(decor.WCSyncSpace)),
		mpb.AppendDecorators(decor.Any(b.pace.rate), decor.Any(b.pace.left)))
}

func (p *pace) rate(decor.Statistics) string {
	speed := math.Float64frombits(p.speed.Load())
	if speed <= 0 {
		return ""
	}
	return fmt.Sprintf(" %.1f× real time", speed)
}

func (p *pace) left(s decor.Statistics) string {
	if s.Completed || s.Current <= 0 || s.Total <= s.Current {
		return ""
	}
	took := time.Since(p.started)
	return fmt.Sprintf(", %v left", (time.Duration(float64(took) * float64(s.Total-s.Current) / float64(s.Current))).Round(time.Second))
}

// Progress moves the bar.
func (b *bars) Progress(_ string, p pipeline.Progress) {
	if b.bar == nil || p.Total <= 0 {
		return
	}
	b.pace.speed.Store(math.Float64bits(p.Speed))
	b.total = p.Total
	b.bar.SetTotal(p.Total, false)
	b.bar.SetCurrent(p.Done)
}

// StageDone ends the bar.
func (b *bars) StageDone(_ string, r pipeline.StageResult) {
	if b.bar == nil {
		return
	}
	if r.Err != nil {
		b.bar.Abort(false)
	} else {
		b.bar.SetTotal(max(b.total, 1), true)
	}
	b.bar = nil
}

func (b *bars) close() {
	if b.p != nil {
		b.p.Wait()
	}
}
