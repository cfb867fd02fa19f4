package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"rushes/catalog"
	"rushes/pipeline"
)

type jobsWatchCmd struct {
	IDs      []string `arg:"" optional:"" name:"id" help:"Ids of jobs; without any, all that are not over."`
	dataFlag `embed:""`
}

// lookEvery is how often a watcher looks at the catalog.
const lookEvery = 500 * time.Millisecond

// Run shows the jobs until all are over. The exit status is that of a command that had made them: 0 when all are
// completed.
func (c *jobsWatchCmd) Run(ctx context.Context, e env) (err error) {
	d, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	ids := c.IDs
	if len(ids) == 0 {
		if ids, err = openJobs(ctx, d); err != nil {
			return err
		}
	}
	w := newJobWatch(e)
	defer w.close()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	completed, over := 0, map[string]bool{}
	for len(over) < len(ids) {
		for _, id := range ids {
			if over[id] {
				continue
			}
			job, err := d.catalog.JobByID(ctx, id)
			if err != nil {
				return noJob(id, err)
			}
			w.show(job)
			if over[id] = job.State.Final(); !over[id] {
				delete(over, id)
			}
			if job.State == catalog.JobCompleted {
				completed++
			}
		}
		if len(over) == len(ids) {
			break
		}
		select {
		case <-ctx.Done():
			return &exitError{code: pipeline.ExitOther}
		case <-ticker.C:
		}
	}
	if completed < len(ids) {
		return &exitError{code: pipeline.ExitCode(completed, len(ids)-completed, nil)}
	}
	return nil
}

// openJobs gives the ids of the capture jobs that are not over, the oldest first.
func openJobs(ctx context.Context, d *data) (ids []string, err error) {
	for _, state := range catalog.JobStates() {
		if state.Final() {
			continue
		}
		for after := ""; ; {
			jobs, err := d.catalog.ListJobs(ctx, catalog.JobFilter{Kind: catalog.CaptureJob, State: state, After: after})
			if err != nil {
				return nil, err
			}
			for _, j := range jobs {
				ids, after = append(ids, j.ID), j.ID
			}
			if len(jobs) < catalog.MaxPage {
				break
			}
		}
	}
	return ids, nil
}

// jobWatch shows jobs: a bar each where somebody looks, else a line for each change.
type jobWatch struct {
	env  env
	p    *mpb.Progress
	bars map[string]*jobBar
}

// jobBar is what is shown of a job.
type jobBar struct {
	bar  *mpb.Bar
	said string
	text chan string // what the bar's decorator shows now: one value at all times
}

func newJobWatch(e env) *jobWatch {
	w := &jobWatch{env: e, bars: map[string]*jobBar{}}
	if e.terminal {
		w.p = mpb.New(mpb.WithOutput(e.stderr), mpb.WithWidth(50), mpb.WithRefreshRate(150*time.Millisecond))
	}
	return w
}

// show brings what is shown of a job up to date.
func (w *jobWatch) show(j catalog.Job) {
	b := w.bars[j.ID]
	if b == nil {
		b = &jobBar{text: make(chan string, 1)}
		b.text <- ""
		if w.p != nil {
			b.bar = w.p.AddBar(catalog.ProgressDone, mpb.PrependDecorators(decor.Name(j.ID+" "), decor.Percentage(decor.WCSyncSpace)),
				mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
					text := <-b.text
					b.text <- text
					return text
				})))
		}
		w.bars[j.ID] = b
	}
	said := string(j.State)
	if j.State == catalog.JobRunning && j.Stage != "" {
		said += " " + clean(j.Stage)
	}
	if j.Error != nil {
		said += ": " + clean(j.Error.Message)
	}
	if w.p == nil {
		if said != b.said {
			fmt.Fprintf(w.env.stdout, "%s  %5.1f%%  %s\n", j.ID, float64(j.Progress)/10, said)
		}
		b.said = said
		return
	}
	<-b.text
	b.text <- " " + said
	switch {
	case j.State == catalog.JobCompleted:
		b.bar.SetCurrent(catalog.ProgressDone)
	case j.State.Final():
		b.bar.Abort(false)
	default:
		b.bar.SetCurrent(int64(min(j.Progress, catalog.ProgressDone-1)))
	}
}

func (w *jobWatch) close() {
	if w.p == nil {
		return
	}
	for _, b := range w.bars {
		if !b.bar.Completed() {
			b.bar.Abort(false)
		}
	}
	w.p.Wait()
}
