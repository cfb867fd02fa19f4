package main

import (
	"fmt"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"rushes/pipeline"
)

// bars shows how a job goes on: a bar per stage with its speed and time left. It shows nothing where nobody
// looks, that is when standard error is no terminal.
type bars struct {
	p       *mpb.Progress
	bar     *mpb.Bar
	started time.Time
	speed   float64
}

var _ pipeline.Observer = (*bars)(nil)

func newBars(e env) *bars {
	if !e.terminal {
		return &bars{}
	}
	return &bars{p: mpb.New(mpb.WithOutput(e.stderr), mpb.WithWidth(50), mpb.WithRefreshRate(150*time.Millisecond))}
}

// StageStarted begins a bar.
func (b *bars) StageStarted(stage string, index, total int) {
	if b.p == nil {
		return
	}
	b.started, b.speed = time.Now(), 0
	b.bar = b.p.AddBar(1,
		mpb.PrependDecorators(decor.Name(fmt.Sprintf("%d/%d %-10s", index+1, total, stage)), decor.Percentage(decor.WCSyncSpace)),
		mpb.AppendDecorators(decor.Any(b.rate), decor.Any(b.left)))
}

func (b *bars) rate(decor.Statistics) string {
	if b.speed <= 0 {
		return ""
	}
	return fmt.Sprintf(" %.1f× real time", b.speed)
}

func (b *bars) left(s decor.Statistics) string {
	if s.Completed || s.Current <= 0 || s.Total <= s.Current {
		return ""
	}
	took := time.Since(b.started)
	return fmt.Sprintf(", %v left", (time.Duration(float64(took) * float64(s.Total-s.Current) / float64(s.Current))).Round(time.Second))
}

// Progress moves the bar.
func (b *bars) Progress(_ string, p pipeline.Progress) {
	if b.bar == nil || p.Total <= 0 {
		return
	}
	b.speed = p.Speed
	b.bar.SetTotal(p.Total, false)
	b.bar.SetCurrent(min(p.Done, p.Total-1))
}

// StageDone ends the bar.
func (b *bars) StageDone(_ string, r pipeline.StageResult) {
	if b.bar == nil {
		return
	}
	if r.Err != nil {
		b.bar.Abort(false)
	} else {
		b.bar.SetTotal(-1, true)
	}
	b.bar = nil
}

func (b *bars) close() {
	if b.p != nil {
		b.p.Wait()
	}
}
