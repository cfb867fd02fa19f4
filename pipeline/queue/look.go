package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"

	"rushes/pipeline"
)

// LookLimit is how long a look may take: then its context ends. A look that waits
// for admission answers Later by then and gets the ticket again.
const LookLimit = 10 * time.Minute

// LookFunc looks at a job: it claims it, or finds that it needs nobody, and answers
// pipeline.Taken; or cannot do so now and answers pipeline.Later. It is called from
// several goroutines, never twice at a time for one job by one Queue. ctx ends when
// Serve's context does and after [LookLimit]; the look should return soon after.
// ctx is no context for the job itself, nor for a claim that must not be half made.
type LookFunc func(ctx context.Context, jobID string) pipeline.Look

// Counts is what a Queue has seen since New.
type Counts struct {
	// Taken and Later are how many looks ended with which answer.
	Taken, Later uint64
	// Bad is how many tickets could not be read, and were removed.
	Bad uint64
	// Panicked is how many looks panicked; they count as Later too.
	Panicked uint64
	// Outages is how often Redis went away while serving.
	Outages uint64
}

// counters are the changing Counts.
type counters struct{ taken, later, bad, panicked, outages atomic.Uint64 }

// Counts returns what the Queue has seen since New.
func (q *Queue) Counts() Counts {
	return Counts{
		Taken: q.counts.taken.Load(), Later: q.counts.later.Load(), Bad: q.counts.bad.Load(),
		Panicked: q.counts.panicked.Load(), Outages: q.counts.outages.Load(),
	}
}

// errLater is how Asynq is told to put a ticket back.
var errLater = errors.New("to be looked at later")

// viewer shows the tickets of one Serve to its look.
type viewer struct {
	queue  *Queue
	look   LookFunc
	slots  chan struct{} // one per look in progress
	active atomic.Int64  // looks in progress
}

// show handles a task. ctx is Serve's; lease is Asynq's, which ends when Redis
// is away for longer than the lease, and is no reason to end a look.
func (v *viewer) show(ctx, lease context.Context, task *asynq.Task) error {
	q := v.queue
	job, err := readPayload(task.Type(), task.Payload())
	if err != nil {
		q.counts.bad.Add(1)
		id, _ := asynq.GetTaskID(lease)
		q.log.Warn("removed a ticket that cannot be read", "ticket", id, "bytes", len(task.Payload()), "error", err)
		return fmt.Errorf("%w: %w", err, asynq.RevokeTask)
	}
	if !q.begin(job) {
		return errLater // a look at this job is in progress
	}
	defer q.end(job)
	// Asynq gives a slot away when the lease ends, while the look goes on.
	select {
	case v.slots <- struct{}{}:
	case <-ctx.Done():
		return errLater
	case <-lease.Done():
		return errLater
	}
	defer func() { <-v.slots }()
	if ctx.Err() != nil {
		return errLater
	}
	if v.call(ctx, job) == pipeline.Taken {
		q.counts.taken.Add(1)
		return nil
	}
	q.counts.later.Add(1)
	return errLater
}

// call looks at the job. A look that panics says Later.
func (v *viewer) call(ctx context.Context, job string) (answer pipeline.Look) {
	ctx, cancel := context.WithTimeout(ctx, LookLimit)
	defer cancel()
	v.active.Add(1)
	defer v.active.Add(-1)
	defer func() {
		if x := recover(); x != nil {
			v.queue.counts.panicked.Add(1)
			v.queue.log.Error("a look at a job panicked", "job_id", job, "panic", fmt.Sprint(x), "stack", string(debug.Stack()))
			answer = pipeline.Later
		}
	}()
	return v.look(ctx, job)
}

// begin notes that a look at the job begins, unless one is in progress.
func (q *Queue) begin(job string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.looking[job] {
		return false
	}
	q.looking[job] = true
	return true
}

func (q *Queue) end(job string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.looking, job)
}

// pace is how often Redis is asked for what.
type pace struct {
	// check is the mean time between two questions for a ticket when there is none.
	check time.Duration
	// forward is the time between two questions for tickets to show again.
	forward time.Duration
	// later and jitter are after which time a ticket is shown again: later, and up
	// to jitter more. Redis keeps whole seconds, cut off.
	later, jitter time.Duration
}

// defaultPace shows a new ticket to an idle worker after half a second to one and a
// half, and one put back after about two seconds (half to four). Asking for either
// twice as often doubles what an idle embedded broker costs: 0.4 % of a core as it
// is, most of it for Lua scripts.
func defaultPace() pace {
	return pace{check: time.Second, forward: 2 * time.Second, later: 500 * time.Millisecond, jitter: time.Second}
}

// delay is after which time a ticket is shown again.
func (p pace) delay(int, error, *asynq.Task) time.Duration {
	if p.jitter <= 0 {
		return p.later
	}
	return p.later + rand.N(p.jitter) //nolint:gosec // a jitter need not be secret
}
