package queue

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"rushes/pipeline"
)

const (
	// defaultGrace is how long looks in progress are waited for when nobody says
	// otherwise.
	defaultGrace = 8 * time.Second
	// stopSlack is how long, after the grace period, Redis has to hear what became
	// of the tickets.
	stopSlack = 2 * time.Second
	// stopLimit is how long Asynq has to end after that: a command in progress may
	// take three network timeouts.
	stopLimit = 4 * netTimeout
	// idleJanitor is how often completed tasks are looked for. There are none.
	idleJanitor = time.Hour
)

// ErrLooksLeft means that looks were still in progress when Serve had to return.
var ErrLooksLeft = errors.New("looks are still in progress")

// ServeOptions says how much Serve does at a time. The zero value serves all
// queues.
type ServeOptions struct {
	// Concurrency is how many looks may be in progress at a time; 0 means one per
	// processor.
	Concurrency int
	// Weights is how often each queue comes first: with 6, 3 and 1 a full queue
	// gets six, three and one of ten looks. A queue that is not named is not
	// served. Nil means 6 for chunks, 3 for default and 1 for backfill.
	Weights map[pipeline.QueueName]int
	// Grace is how long looks in progress are waited for when ctx ends; 0 means
	// eight seconds.
	Grace time.Duration
}

// DefaultWeights returns what nil ServeOptions.Weights stand for.
func DefaultWeights() map[pipeline.QueueName]int {
	return map[pipeline.QueueName]int{"chunks": 6, "default": 3, "backfill": 1}
}

// queues returns the weights as Asynq wants them.
func (o ServeOptions) queues() (map[string]int, error) {
	weights := o.Weights
	if weights == nil {
		weights = DefaultWeights()
	}
	queues := make(map[string]int, len(weights))
	for name, weight := range weights {
		if !slices.Contains(pipeline.QueueNames(), name) {
			return nil, fmt.Errorf("serve the queues: there is no queue %q", name)
		}
		if weight < 0 || weight > 1000 {
			return nil, fmt.Errorf("serve the queues: the weight of %s is %d, not 0 to 1000", name, weight)
		}
		if weight > 0 {
			queues[string(name)] = weight
		}
	}
	if len(queues) == 0 {
		return nil, errors.New("serve the queues: none has a weight")
	}
	return queues, nil
}

// Serve shows tickets to look until ctx ends, then begins no new look, waits at
// most the grace period for those in progress, and returns nil. Tickets whose looks
// were not over are shown again, to others; the error wraps [ErrLooksLeft] then,
// and the goroutines of those looks live on until look returns.
//
// Redis may be away when Serve begins and at any time after: Serve tries again
// until it is back, and logs one line when it goes away and one when it returns.
func (q *Queue) Serve(ctx context.Context, options ServeOptions, look LookFunc) error {
	queues, err := options.queues()
	if err != nil {
		return err
	}
	if options.Concurrency <= 0 {
		options.Concurrency = runtime.GOMAXPROCS(0)
	}
	if options.Grace <= 0 {
		options.Grace = defaultGrace
	}
	// A connection of its own: nothing is sent twice here, because a ticket taken
	// off twice would be shown only once.
	client, err := connect(q.opt, true)
	if err != nil {
		return err
	}
	watch := &outage{log: q.log, url: q.url, counts: &q.counts, ending: make(chan struct{}), over: make(chan struct{})}
	client.AddHook(watch)
	view := &viewer{queue: q, look: look, slots: make(chan struct{}, options.Concurrency)}
	server := asynq.NewServerFromRedisClient(client, q.serverConfig(options, queues))
	err = server.Start(asynq.HandlerFunc(func(lease context.Context, task *asynq.Task) error {
		return view.show(ctx, lease, task)
	}))
	if err != nil {
		return errors.Join(fmt.Errorf("serve the queues of %s: %w", q.url, err), client.Close())
	}
	<-ctx.Done()
	return q.stop(server, client, watch, view, options.Grace)
}

func (q *Queue) serverConfig(options ServeOptions, queues map[string]int) asynq.Config {
	log := asynqLog{q.log}
	return asynq.Config{
		Concurrency:              options.Concurrency,
		Queues:                   queues,
		TaskCheckInterval:        q.pace.check,
		DelayedTaskCheckInterval: q.pace.forward,
		RetryDelayFunc:           q.pace.delay,
		IsFailure:                func(error) bool { return false },
		ShutdownTimeout:          options.Grace,
		JanitorInterval:          idleJanitor,
		Logger:                   log,
		LogLevel:                 log.level(),
	}
}

// stop ends the server. Asynq waits without limit for a Redis that hangs, so the
// outage watch cuts it off after the grace period.
func (q *Queue) stop(server *asynq.Server, client redis.UniversalClient, watch *outage, view *viewer, grace time.Duration) error {
	close(watch.ending)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		server.Shutdown()
	}()
	if !waitFor(stopped, grace+stopSlack) {
		close(watch.over)
		if !waitFor(stopped, stopLimit) {
			// Closing the client now would crash Asynq's subscriber.
			return fmt.Errorf("end serving %s: Redis hangs, and Asynq with it", q.url)
		}
	}
	if err := client.Close(); err != nil {
		return fmt.Errorf("end serving %s: %w", q.url, err)
	}
	if left := view.active.Load(); left > 0 {
		return fmt.Errorf("end serving %s after a grace period of %v: %d %w", q.url, grace, left, ErrLooksLeft)
	}
	return nil
}

// waitFor reports whether done was closed within the time.
func waitFor(done <-chan struct{}, atMost time.Duration) bool {
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}
