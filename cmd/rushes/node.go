package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"rushes/catalog"
	"rushes/pipeline"
	sandbox "rushes/pipeline/child"
	"rushes/pipeline/metrics"
	"rushes/pipeline/queue"
	"rushes/pipeline/stage"
	"rushes/transcode"
)

// nodeFlags are those of serve and worker.
type nodeFlags struct {
	dataFlag    `embed:""`
	encodeFlags `embed:""`
	chunkFlag   `embed:""`
	retainFlag  `embed:""`
	FanOut      time.Duration `help:"From which length on a composite is rendered in parts that all workers share; 0 is never." default:"10m" env:"RUSHES_FAN_OUT"`
	Grace       time.Duration `help:"How long running jobs may go on after SIGTERM before they are handed back." default:"20s" env:"RUSHES_GRACE"`
	Timeout     time.Duration `help:"The longest that one attempt at a job may take." default:"12h" env:"RUSHES_TIMEOUT"`
	Settle      time.Duration `help:"How long the files of a capture without stopped_at must have been unchanged." default:"30s" env:"RUSHES_SETTLE"`
	MaxWait     time.Duration `help:"How long after it was queued a capture that still changes is taken as it is." default:"1h" env:"RUSHES_MAX_WAIT"`
	CPUs        float64       `name:"cpus" help:"Processors that jobs may use together; 0 is all of the machine." default:"0" env:"RUSHES_CPUS"`
	Memory      byteSize      `help:"Memory that jobs may use together, such as 4GiB; 0 is what the machine has free at the start." default:"0" env:"RUSHES_MEMORY"`
	DiskReserve byteSize      `help:"Disk space that must stay free for a job to begin." default:"1GiB" env:"RUSHES_DISK_RESERVE"`
	Idle        time.Duration `help:"After how long without progress a job's process is killed." default:"60s" env:"RUSHES_IDLE"`
	RetryBase   time.Duration `help:"Wait before the first retry of a job; it doubles, up to 5 min." default:"2s" env:"RUSHES_RETRY_BASE"`
	Log         string        `help:"Form of the log on standard error: json or text." default:"json" enum:"json,text" env:"RUSHES_LOG"`
}

// Validate checks the flags that kong's tags cannot.
func (f *nodeFlags) Validate() error {
	errs := []error{f.encodeFlags.Validate(), f.chunkFlag.Validate()}
	for name, d := range map[string]time.Duration{"fan-out": f.FanOut, "grace": f.Grace, "settle": f.Settle, "max-wait": f.MaxWait} {
		if d < 0 {
			errs = append(errs, fmt.Errorf("--%s: %v is negative", name, d))
		}
	}
	for name, d := range map[string]time.Duration{"timeout": f.Timeout, "idle": f.Idle, "retry-base": f.RetryBase} {
		if d <= 0 {
			errs = append(errs, fmt.Errorf("--%s: %v is not positive", name, d))
		}
	}
	if f.CPUs < 0 || f.CPUs > 4096 {
		errs = append(errs, fmt.Errorf("--cpus: %v is no number of processors", f.CPUs))
	}
	return errors.Join(errs...)
}

func (f *nodeFlags) settings() stage.Settings {
	return stage.Settings{
		Video:       transcode.VideoSettings{CRF: f.CRF, Preset: f.Preset},
		Audio:       transcode.AudioSettings{BitRate: f.AudioBitrate},
		StillFormat: transcode.StillFormat(f.ThumbnailFormat),
		Chunk:       f.Chunk,
	}
}

func (f *nodeFlags) logger(w io.Writer) *slog.Logger {
	if f.Log == "text" {
		return slog.New(slog.NewTextHandler(w, nil))
	}
	return slog.New(slog.NewJSONHandler(w, nil))
}

// node is a process that works at jobs: a worker, with the dispatcher and the sweeper beside it, of which any number
// may run.
type node struct {
	flags      *nodeFlags
	log        *slog.Logger
	data       *data
	queue      *queue.Queue
	meter      *metrics.Metrics
	admission  *pipeline.Admission
	worker     *pipeline.Worker
	dispatcher *pipeline.Dispatcher
	sweeper    *pipeline.Sweeper
}

// newNode puts the parts together; nothing runs yet.
func newNode(f *nodeFlags, log *slog.Logger, d *data, q *queue.Queue) (*node, error) {
	n := &node{flags: f, log: log, data: d, queue: q, meter: metrics.New(d.catalog, version)}
	capacity, err := f.capacity()
	if err != nil {
		return nil, err
	}
	n.admission = pipeline.NewAdmission(capacity)
	backoff := pipeline.Backoff{Base: f.RetryBase}
	events := &nodeEvents{log: log, meter: n.meter, wake: func() { n.dispatcher.Wake() }}
	work := n.work(backoff)
	n.worker, err = pipeline.NewWorker(pipeline.WorkerConfig{
		Jobs: d.catalog, Run: stage.Work(work), Admission: n.admission, Events: events,
		// A full disk hands back the first job only, and the worker then waits: others may have room.
		Ready:   func(context.Context, catalog.Job) error { return work.Disk.Check(0) },
		Timeout: f.Timeout, Grace: positive(f.Grace), Backoff: backoff,
	})
	if err != nil {
		return nil, err
	}
	trouble := func(err error) { log.Warn("trouble that passes", "error", err.Error()) }
	n.dispatcher, err = pipeline.NewDispatcher(pipeline.DispatcherConfig{Outbox: d.catalog, Queue: q, OnError: trouble})
	if err != nil {
		return nil, err
	}
	n.sweeper, err = pipeline.NewSweeper(pipeline.SweeperConfig{
		Catalog: d.catalog, Queue: q, Holder: n.worker.Name(), Wake: n.dispatcher.Wake, OnError: trouble,
		OnTakeOver: events.takenOver,
		OnLost:     func(tickets int) { log.Warn("the queue has lost tickets; they are sent again", "tickets", tickets) },
		Chores:     n.chores(),
	})
	return n, err
}

// chores are what one process at a time does.
func (n *node) chores() []func(context.Context) error {
	d := n.data
	d.refused = func(key string, cause error) {
		n.log.Warn("the store refuses an object; it waits in the backup store", "key", key, "error", line(cause))
	}
	return slices.Concat([]func(context.Context) error{
		func(ctx context.Context) error { return stage.CleanStrays(ctx, d.catalog, d.blobs) },
		func(ctx context.Context) error { return stage.CleanShared(ctx, d.catalog, d.blobs) },
	}, d.storeChores(n.log), n.flags.retainFlag.chores(d, n.log))
}

// work is what the stages work with.
func (n *node) work(backoff pipeline.Backoff) stage.WorkerConfig {
	f := n.flags
	return stage.WorkerConfig{
		Config: stage.Config{Catalog: n.data.catalog, Blobs: n.data.blobs, Scratch: n.data.scratch, Software: version, Meter: n.meter, Settings: f.settings()},
		Steps: func(job catalog.Job) stage.Steps {
			limits := stage.LimitsOf(job.Cost, f.Timeout)
			limits.Idle = f.Idle
			return &stage.Children{Command: []string{stepCommand}, Env: testVariables(), Limits: limits, Meter: n.meter,
				Log: n.log.With("job", job.ID, "attempt", job.Attempts)}
		},
		Observer: func(job catalog.Job) pipeline.Observer {
			return &stageLog{log: n.log.With("job", job.ID, "attempt", job.Attempts), meter: n.meter}
		},
		Fetch:  n.fetcher().Fetch,
		FanOut: f.FanOut, Settle: f.Settle, Patience: f.MaxWait, Backoff: backoff,
		Disk: pipeline.DiskRule{Path: n.data.scratch, Reserve: reserve(f.DiskReserve)},
	}
}

// fetcher brings captures to this machine, when there is room.
func (n *node) fetcher() *stage.Fetcher {
	fetcher := n.flags.fetcher()
	fetcher.Disk = pipeline.DiskRule{Path: n.data.scratch, Reserve: reserve(n.flags.DiskReserve)}
	return fetcher
}

// capacity is what the flags give to jobs, or what the machine has.
func (f *nodeFlags) capacity() (pipeline.Capacity, error) {
	c, err := pipeline.MachineCapacity()
	if err != nil && (f.CPUs == 0 || f.Memory == 0) {
		return c, err
	}
	if f.CPUs > 0 {
		c.CPU = int(f.CPUs * 1000)
	}
	if f.Memory > 0 {
		c.Memory = int64(f.Memory)
	}
	return c, nil
}

// run works until ctx ends, then stops gracefully.
func (n *node) run(ctx context.Context, more ...func(context.Context) error) error {
	n.greet()
	group, gctx := errgroup.WithContext(ctx)
	// What the others still need ends last.
	behind, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	background, bctx := errgroup.WithContext(behind)
	background.Go(func() error { return n.dispatcher.Run(bctx) })
	background.Go(func() error { return n.sweeper.Run(bctx) })
	group.Go(func() error {
		return n.queue.Serve(gctx, queue.ServeOptions{Concurrency: looks, Grace: time.Second},
			func(ctx context.Context, job string) pipeline.Look { return n.worker.Look(ctx, job) })
	})
	group.Go(func() error { return n.tidy(gctx) })
	for _, f := range more {
		group.Go(func() error { return f(gctx) })
	}
	group.Go(func() error {
		<-gctx.Done()
		n.log.Info("stopping", "running", n.worker.Running(), "grace", n.flags.Grace.String())
		return n.worker.Stop(context.WithoutCancel(ctx))
	})
	err := group.Wait()
	if errors.Is(err, queue.ErrLooksLeft) {
		err = nil // those who looked will be shown the ticket again
	}
	end()
	if bErr := background.Wait(); !errors.Is(bErr, context.Canceled) {
		err = errors.Join(err, bErr)
	}
	n.log.Info("stopped")
	return err
}

// looks is how many tickets are looked at at a time: one that waits for room does not hide others that are smaller.
const looks = 2

// tidyEvery is how often scratch folders are looked through.
const tidyEvery = 10 * time.Minute

// tidy deletes scratch folders of this machine that nobody needs.
func (n *node) tidy(ctx context.Context) error {
	ticker := time.NewTicker(tidyEvery)
	defer ticker.Stop()
	for {
		if err := stage.CleanScratch(ctx, n.data.catalog, n.data.scratch); err != nil && ctx.Err() == nil {
			n.log.Warn("scratch folders could not be looked through", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// greet says what there is to work with.
func (n *node) greet() {
	c := n.admission.Capacity()
	n.log.Info("working", "worker", n.worker.Name(), "version", version, "cpu_milli", c.CPU, "memory_bytes", c.Memory)
	for _, p := range sandbox.Support() {
		if !p.Available {
			n.log.Warn("the kernel lacks a piece of the sandbox", "piece", p.Name, "without", p.Detail)
		}
	}
}

// positive gives a time that is none where nothing is asked for: zero would be the default.
func positive(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

func reserve(b byteSize) int64 {
	if b == 0 {
		return -1
	}
	return int64(b)
}
