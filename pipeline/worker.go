package pipeline

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"rushes/catalog"
)

// Handler makes one attempt at a job and says how it ended, most often with
// [AttemptOf]. All that it writes carries the claim. It returns soon after ctx
// ends; context.Cause then says why. It may panic: that costs the job.
type Handler func(ctx context.Context, job catalog.Job, claim catalog.Claim) catalog.Attempt

// Events is told what happens to the attempts of a worker, from several
// goroutines at once; it must not block. Embed [NoEvents] to hear of some only.
type Events interface {
	// AttemptStarted is called when the worker has claimed the job.
	AttemptStarted(job catalog.Job)
	// AttemptEnded is called when the end is written down. job is as it is now,
	// took is the time since the claim.
	AttemptEnded(job catalog.Job, end catalog.Attempt, took time.Duration)
	// AttemptLost is called when the attempt has ended and nothing could be written
	// down: the claim is lost or the catalog is away. job is as it was claimed.
	AttemptLost(job catalog.Job, reason error, took time.Duration)
	// Trouble is called for errors that pass: the worker tries again.
	Trouble(err error)
}

// NoEvents hears of nothing.
type NoEvents struct{}

var _ Events = NoEvents{}

// AttemptStarted does nothing.
func (NoEvents) AttemptStarted(catalog.Job) {}

// AttemptEnded does nothing.
func (NoEvents) AttemptEnded(catalog.Job, catalog.Attempt, time.Duration) {}

// AttemptLost does nothing.
func (NoEvents) AttemptLost(catalog.Job, error, time.Duration) {}

// Trouble does nothing.
func (NoEvents) Trouble(error) {}

// WorkerConfig says how a worker works. Jobs, Run and Admission are required.
type WorkerConfig struct {
	// Name is unique among all workers, and another one after a restart. It
	// defaults to WorkerName.
	Name string
	// Jobs is the catalog.
	Jobs Jobs
	// Run makes the attempts.
	Run Handler
	// Admission is to the machine. Several workers of a process share one.
	Admission *Admission
	// Ready says whether the machine can take the job now, with an error such as
	// [DiskRule.Check] returns when it cannot: the job is handed back, and the
	// worker takes no other for a while. It is asked after the claim. Errors that
	// are bad input or permanent fail the job. It may be nil.
	Ready func(ctx context.Context, job catalog.Job) error
	// Events is told what happens. It may be nil.
	Events Events
	// Least is what a job costs at least. It defaults to a tenth of a core and
	// 64 MiB.
	Least catalog.Cost
	// Wait is how long a ticket waits for room before it is put back. It defaults
	// to 30 s.
	Wait time.Duration
	// Pause is how long the worker takes no job after Ready has refused one. It
	// defaults to 5 s.
	Pause time.Duration
	// Heartbeat is the time between two heartbeats of a claim. It defaults to 3 s.
	Heartbeat time.Duration
	// ClaimTTL is how long an attempt goes on without a heartbeat that came
	// through. It must be shorter than the sweeper's patience. It defaults to 15 s.
	ClaimTTL time.Duration
	// Timeout is how long an attempt may take. It defaults to 12 h.
	Timeout time.Duration
	// Grace is how long Stop lets attempts go on before it ends them. It defaults
	// to 20 s; a negative one is none.
	Grace time.Duration
	// EndPatience is how long the worker tries to write down how an attempt ended.
	// It defaults to 2 min.
	EndPatience time.Duration
	// CallTimeout bounds every call of the catalog. It defaults to 10 s.
	CallTimeout time.Duration
	// Backoff is that of retries for attempts that took too long.
	Backoff Backoff
}

func (c WorkerConfig) withDefaults() (WorkerConfig, error) {
	if c.Name == "" {
		name, err := WorkerName()
		if err != nil {
			return c, err
		}
		c.Name = name
	}
	if c.Jobs == nil || c.Run == nil || c.Admission == nil {
		return c, errors.New("worker: Jobs, Run and Admission are required")
	}
	if c.Events == nil {
		c.Events = NoEvents{}
	}
	c.Least.CPU = cmp.Or(c.Least.CPU, 100)
	c.Least.Memory = cmp.Or(c.Least.Memory, 64<<20)
	c.Wait = cmp.Or(c.Wait, 30*time.Second)
	c.Pause = cmp.Or(c.Pause, 5*time.Second)
	c.Heartbeat = cmp.Or(c.Heartbeat, 3*time.Second)
	c.ClaimTTL = cmp.Or(c.ClaimTTL, 15*time.Second)
	c.Timeout = cmp.Or(c.Timeout, 12*time.Hour)
	c.Grace = cmp.Or(c.Grace, 20*time.Second)
	c.EndPatience = cmp.Or(c.EndPatience, 2*time.Minute)
	c.CallTimeout = cmp.Or(c.CallTimeout, 10*time.Second)
	if min(c.Wait, c.Pause, c.Heartbeat, c.ClaimTTL, c.Timeout, c.EndPatience, c.CallTimeout) <= 0 {
		return c, errors.New("worker: a time is negative")
	}
	if c.ClaimTTL <= c.Heartbeat {
		return c, fmt.Errorf("worker: ClaimTTL %v is not longer than Heartbeat %v", c.ClaimTTL, c.Heartbeat)
	}
	return c, nil
}

// WorkerName returns a name that no other worker has, nor this process after a
// restart: host, process id and eight random hex digits.
func WorkerName() (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("name of the worker: %w", err)
	}
	var random [4]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", fmt.Errorf("name of the worker: %w", err)
	}
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), hex.EncodeToString(random[:])), nil
}

// Worker runs jobs. Look shows it a ticket; whatever it claims then runs in
// goroutines of its own, which neither the queue's contexts nor its timeouts
// reach, until the attempt ends, the claim is lost or Stop is called. It is safe
// for concurrent use.
type Worker struct {
	cfg WorkerConfig
	// looks are the contexts of those that wait to begin, attempts those of the
	// handlers, writes those of the catalog calls of attempts that have begun. Stop
	// ends them in this order.
	looks, attempts, writes scope
	stopping                chan struct{} // closed by the first Stop
	hurry                   chan struct{} // closed by the second

	mu      sync.Mutex
	stops   int
	tasks   int           // goroutines
	idle    chan struct{} // closed when stopping and without tasks
	running map[string]int
	places  map[string]*place
	kept    *place
	pauseTo time.Time
}

// NewWorker returns a worker that is ready for Look. The caller ends it with
// Stop.
func NewWorker(cfg WorkerConfig) (*Worker, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Worker{
		cfg:      cfg,
		stopping: make(chan struct{}), hurry: make(chan struct{}), idle: make(chan struct{}),
		running: make(map[string]int), places: make(map[string]*place),
	}, nil
}

// Name returns the worker's name, which the catalog keeps with its claims.
func (w *Worker) Name() string { return w.cfg.Name }

// Running returns how many attempts run.
func (w *Worker) Running() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, count := range w.running {
		n += count
	}
	return n
}

// Stop ends the worker. It claims nothing any more; attempts that run may go on
// for the grace period, then their contexts end with [ErrShutdown] and their jobs
// are handed back, which uses up no attempt. When ctx ends or Stop is called
// again, the grace period is over. A little later Stop gives up on the catalog as
// well: what it does not know of the sweeper will put right.
//
// Stop returns nil when nothing of the worker runs any more, and an error when a
// handler does not heed its context.
func (w *Worker) Stop(ctx context.Context) error {
	w.mu.Lock()
	w.stops++
	switch w.stops {
	case 1:
		close(w.stopping)
		w.checkIdle()
	case 2:
		close(w.hurry)
	}
	w.mu.Unlock()
	w.looks.end(ErrShutdown)

	if w.wait(ctx, max(w.cfg.Grace, 0), w.hurry) {
		return nil
	}
	w.attempts.end(ErrShutdown)
	if w.wait(ctx, w.cfg.EndPatience, w.hurry) {
		return nil
	}
	// At once, but a catalog that answers is told that the jobs are free.
	const lastWords = time.Second
	unhurried := context.WithoutCancel(ctx)
	if w.wait(unhurried, lastWords, nil) {
		return nil
	}
	w.writes.end(ErrShutdown)
	if w.wait(unhurried, lastWords, nil) {
		return nil
	}
	return fmt.Errorf("worker %s: %d attempts do not end", w.cfg.Name, w.Running())
}

// wait waits until nothing runs and reports it; cut ends the wait.
func (w *Worker) wait(ctx context.Context, most time.Duration, cut <-chan struct{}) bool {
	select {
	case <-cut:
		return false
	default:
	}
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-w.idle:
		return true
	case <-ctx.Done():
	case <-cut:
	case <-timer.C:
	}
	return false
}

// start runs fn in a goroutine that Stop waits for, unless the worker stops. The
// caller holds w.mu.
func (w *Worker) start(fn func()) bool {
	if w.stops > 0 {
		return false
	}
	w.tasks++
	go func() {
		defer func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.tasks--
			w.checkIdle()
		}()
		fn()
	}()
	return true
}

// checkIdle tells Stop when the last goroutine has ended. The caller holds w.mu.
func (w *Worker) checkIdle() {
	if w.stops == 0 || w.tasks > 0 {
		return
	}
	select {
	case <-w.idle:
	default:
		close(w.idle)
	}
}

// handled notes that a handler has returned.
func (w *Worker) handled(jobID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running[jobID]--; w.running[jobID] <= 0 {
		delete(w.running, jobID)
	}
}

// pause keeps the worker from taking jobs for a while.
func (w *Worker) pause() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pauseTo = time.Now().Add(w.cfg.Pause)
}
