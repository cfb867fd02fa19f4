package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rushes/catalog"
)

// skew is how far the clocks of machines may be apart before a job's RunAt is
// taken for the future.
const skew = 2 * time.Second

// place is a job's place in the line for room on the machine. A ticket waits with
// it, and may leave before it: then the place may be kept, see leave.
type place struct {
	job    catalog.Job
	cancel context.CancelFunc // leaves the line
	// settled is closed when answer is known.
	settled chan struct{}
	answer  Look
	// watchers is how many tickets wait with the place; it belongs to the worker's
	// lock.
	watchers int
}

// Look answers a ticket: it claims the job if it waits to run and the machine has
// room for it, and returns as soon as there may be room for another one. The
// attempt goes on when ctx ends.
//
// The answer is Later when the room did not come in time, the catalog could not
// be asked or the worker stops, and Taken otherwise: the job runs, or needs
// nobody. A ticket for a job whose time has not come is Taken as well: its time
// brings a ticket of its own, or else the sweeper.
func (w *Worker) Look(ctx context.Context, jobID string) Look {
	ctx, leave := w.looks.enter(ctx)
	defer leave()
	if !w.awaitPause(ctx) {
		return Later
	}
	job, answer := w.read(ctx, jobID)
	if answer != nil {
		return *answer
	}
	p := w.join(ctx, job)
	if p == nil {
		return Later
	}
	timer := time.NewTimer(w.cfg.Wait)
	defer timer.Stop()
	select {
	case <-p.settled:
	case <-timer.C:
	case <-ctx.Done():
	}
	if !w.leave(ctx, p) {
		return Later
	}
	if p.answer == Taken {
		w.awaitRoom(ctx)
	}
	return p.answer
}

// awaitPause waits until the worker takes jobs, and reports whether it does.
func (w *Worker) awaitPause(ctx context.Context) bool {
	w.mu.Lock()
	left := time.Until(w.pauseTo)
	w.mu.Unlock()
	return ctx.Err() == nil && (left <= 0 || sleep(ctx, left))
}

// read asks the catalog for the job, and answers the ticket at once when the job
// does not wait to run.
func (w *Worker) read(ctx context.Context, jobID string) (catalog.Job, *Look) {
	taken, later := Taken, Later
	call, stop := context.WithTimeout(ctx, w.cfg.CallTimeout)
	defer stop()
	job, err := w.cfg.Jobs.JobByID(call, jobID)
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		return job, &taken
	case err != nil:
		if ctx.Err() == nil {
			w.cfg.Events.Trouble(fmt.Errorf("looking at job %s: %w", jobID, err))
		}
		return job, &later
	case job.State != catalog.JobQueued:
		return job, &taken
	}
	switch early := time.Until(job.RunAt); {
	case early > skew:
		return job, &taken
	case early > 0 && !sleep(ctx, early):
		return job, &later
	}
	return job, nil
}

// join returns the job's place in the line, which others may have as well, or nil
// when the worker cannot take the job now.
func (w *Worker) join(ctx context.Context, job catalog.Job) *place {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running[job.ID] > 0 {
		return nil // an attempt that has lost its claim is not out yet
	}
	if p := w.places[job.ID]; p != nil {
		p.watchers++
		return p
	}
	// The line outlives the ticket; Stop ends it through the scope.
	line, leave := w.looks.enter(context.WithoutCancel(ctx))
	line, cancel := context.WithCancel(line)
	p := &place{job: job, cancel: cancel, settled: make(chan struct{}), watchers: 1}
	started := w.start(func() {
		defer leave()
		defer cancel()
		w.queueUp(line, p)
	})
	if !started {
		cancel()
		leave()
		return nil
	}
	w.places[job.ID] = p
	return p
}

// leave ends a ticket's wait with a place and reports whether the place is
// settled. Without any ticket the place is given up, but for one, which is kept: a
// job that needs most of the machine would else lose its turn to small ones again
// and again, because no ticket waits for hours. Its goroutine claims the job when
// its turn comes; its ticket is free for other workers in the meantime.
func (w *Worker) leave(ctx context.Context, p *place) (settled bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p.watchers--
	select {
	case <-p.settled:
		return true
	default:
	}
	switch {
	case p.watchers > 0 || w.kept == p:
	case w.kept == nil:
		w.kept = p
		ctx, leave := w.looks.enter(context.WithoutCancel(ctx))
		if !w.start(func() { defer leave(); w.keep(ctx, p) }) {
			leave()
		}
	default:
		p.cancel()
	}
	return false
}

// keep gives a kept place up when its job does not wait any more: another worker
// has it, or it was canceled.
func (w *Worker) keep(ctx context.Context, p *place) {
	ticker := time.NewTicker(w.cfg.Wait)
	defer ticker.Stop()
	for {
		select {
		case <-p.settled:
			return
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if _, answer := w.read(ctx, p.job.ID); answer != nil && *answer == Taken {
			p.cancel()
			return
		}
	}
}

// queueUp waits for room, claims the job and makes the attempt. ctx is that of the
// wait only.
func (w *Worker) queueUp(ctx context.Context, p *place) {
	cost := p.job.Cost
	cost.CPU, cost.Memory = max(cost.CPU, w.cfg.Least.CPU), max(cost.Memory, w.cfg.Least.Memory)
	if w.cfg.Admission.Acquire(ctx, cost) != nil {
		w.settlePlace(p, Later)
		return
	}
	defer w.cfg.Admission.Release(cost)
	if !w.awaitPause(ctx) {
		w.settlePlace(p, Later)
		return
	}
	began := time.Now()
	unhurried := context.WithoutCancel(ctx)
	job, answer, claimed := w.claim(unhurried, p)
	w.settlePlace(p, answer)
	if !claimed {
		return
	}
	a := &attempt{
		w: w, job: job, claim: catalog.Claim{JobID: job.ID, Fence: job.Fence},
		began: began, over: make(chan struct{}),
	}
	a.run(unhurried)
}

// claim makes the job the worker's. A claim that was made and whose answer did not
// arrive has no heartbeat, and the sweeper puts it right.
func (w *Worker) claim(ctx context.Context, p *place) (_ catalog.Job, answer Look, claimed bool) {
	ctx, leave := w.writes.enter(ctx)
	defer leave()
	call, stop := context.WithTimeout(ctx, w.cfg.CallTimeout)
	defer stop()
	job, err := w.cfg.Jobs.ClaimJob(call, p.job.ID, w.cfg.Name)
	switch {
	case err == nil:
		w.mu.Lock()
		w.running[job.ID]++
		w.mu.Unlock()
		return job, Taken, true
	case errors.Is(err, catalog.ErrNotClaimable), errors.Is(err, catalog.ErrNotFound):
		return job, Taken, false
	}
	w.cfg.Events.Trouble(fmt.Errorf("claiming job %s: %w", p.job.ID, err))
	return job, Later, false
}

// settlePlace answers all tickets that wait with the place, which is gone then.
func (w *Worker) settlePlace(p *place, answer Look) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.kept == p {
		w.kept = nil
	}
	delete(w.places, p.job.ID)
	p.answer = answer
	close(p.settled)
}

// awaitRoom waits until there is room for a small job and nobody in front of it,
// so that a worker that is full fetches no more tickets.
func (w *Worker) awaitRoom(ctx context.Context) {
	if w.cfg.Admission.Acquire(ctx, w.cfg.Least) == nil {
		w.cfg.Admission.Release(w.cfg.Least)
	}
}

// sleep waits for d, and reports whether ctx lasted as long.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
