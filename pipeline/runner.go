package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Run is one attempt at one job, handed to every stage. The exported fields are
// set before Execute and not changed afterwards; the methods are safe for
// concurrent use by the goroutines of a stage.
type Run struct {
	// JobID is the catalog's id of the job.
	JobID string
	// Attempt counts from 1.
	Attempt int
	// Scratch is the job's folder; the caller opens it and closes or removes it.
	Scratch *Scratch
	// Observer is told how the job goes on; nil for nobody.
	Observer Observer

	mu      sync.Mutex
	stage   string
	started time.Time
	reused  bool
	closers []closer
}

type closer struct {
	what string
	io.Closer
}

// Progress reports how far the current stage has come; p.Speed is filled in.
func (r *Run) Progress(p Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.Speed = 0
	if took := time.Since(r.started); took > 0 {
		p.Speed = float64(p.Media) / float64(took)
	}
	r.observer().Progress(r.stage, p)
}

// CloseLater has c closed when Execute ends, in reverse order; what names it in
// the error if that fails. It is for things that one stage opens for later ones.
func (r *Run) CloseLater(what string, c io.Closer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closers = append(r.closers, closer{what, c})
}

func (r *Run) observer() Observer {
	if r.Observer == nil {
		return nobody{}
	}
	return r.Observer
}

func (r *Run) setReused(reused bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reused = reused
}

// Execute runs the stages in order and stops at the first error, which it returns
// as a *StageError. When ctx has ended, the error also wraps the context's, so
// that its kind is KindInterrupted whatever the stage made of it. Errors of closing
// are joined to it, or returned alone: a job with one has not succeeded.
//
// Execute starts no goroutine. It does not touch the scratch folder: the caller
// removes it after success, and closes it otherwise so that the next attempt finds
// what is done.
func Execute(ctx context.Context, run *Run, stages ...Stage) (err error) {
	if err := checkNames(stages); err != nil {
		return err
	}
	defer func() {
		if closeErr := run.closeAll(); closeErr != nil {
			err = errors.Join(err, closeErr)
		}
	}()
	for i, stage := range stages {
		if err := run.execute(ctx, stage, i, len(stages)); err != nil {
			return err
		}
	}
	return nil
}

func (r *Run) execute(ctx context.Context, stage Stage, index, total int) error {
	name := stage.Name()
	if ctx.Err() != nil {
		return &StageError{Stage: name, Err: fmt.Errorf("not started: %w", ended(ctx, nil))}
	}
	r.mu.Lock()
	r.stage, r.started, r.reused = name, time.Now(), false
	r.observer().StageStarted(name, index, total)
	r.mu.Unlock()

	err := stage.Run(ctx, r)
	if err != nil {
		err = &StageError{Stage: name, Err: ended(ctx, err)}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.observer().StageDone(name, StageResult{Took: time.Since(r.started), Reused: r.reused && err == nil, Err: err})
	return err
}

// ended adds to a stage's error why the context ended, if it did. A library that
// was cut off often returns an error of its own that says nothing of it.
func ended(ctx context.Context, err error) error {
	reason := ctx.Err()
	if reason == nil || errors.Is(err, reason) {
		return err
	}
	if cause := context.Cause(ctx); !errors.Is(cause, reason) {
		reason = fmt.Errorf("%w: %w", reason, cause)
	}
	if err == nil {
		return reason
	}
	return fmt.Errorf("%w: %w", reason, err)
}

// closeAll closes in reverse order and forgets, so that a Run can be executed
// again.
func (r *Run) closeAll() error {
	r.mu.Lock()
	closers := r.closers
	r.closers = nil
	r.mu.Unlock()
	var errs []error
	for i := len(closers) - 1; i >= 0; i-- {
		if err := closers[i].Close(); err != nil {
			errs = append(errs, fmt.Errorf("closing %s: %w", closers[i].what, err))
		}
	}
	return errors.Join(errs...)
}

func checkNames(stages []Stage) error {
	seen := make(map[string]bool, len(stages))
	for _, s := range stages {
		name := s.Name()
		if err := checkName(name); err != nil {
			return Permanent(fmt.Errorf("stage: %w", err))
		}
		if seen[name] {
			return Permanent(fmt.Errorf("stage %s is twice in the job", name))
		}
		seen[name] = true
	}
	return nil
}
