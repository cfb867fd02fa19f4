package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// DispatcherConfig says how a dispatcher works. Outbox and Queue are required.
type DispatcherConfig struct {
	// Outbox is the catalog's.
	Outbox Outbox
	// Queue takes the tickets.
	Queue Queue
	// Batch is how many tickets go at once. It defaults to 200.
	Batch int
	// Poll is the time until the next look after one that has found something; it
	// grows to IdlePoll while nothing is found. They default to 500 ms and 1 s.
	Poll, IdlePoll time.Duration
	// CallTimeout bounds every call of the outbox and of the queue. It defaults to
	// 10 s.
	CallTimeout time.Duration
	// OnError is told of errors, which pass; it may be nil.
	OnError func(error)
}

// errorPause bounds the wait after errors. It is short, because a queue that is
// back should find its tickets soon.
const errorPause = 3 * time.Second

// Dispatcher carries tickets from the outbox to the queue. Several at once, in
// one process or in many, do no harm: a ticket has one name.
type Dispatcher struct {
	cfg  DispatcherConfig
	wake chan struct{}
}

// NewDispatcher returns a dispatcher that is ready for Run.
func NewDispatcher(cfg DispatcherConfig) (*Dispatcher, error) {
	if cfg.Outbox == nil || cfg.Queue == nil {
		return nil, errors.New("dispatcher: Outbox and Queue are required")
	}
	cfg.Batch = cmp.Or(cfg.Batch, 200)
	cfg.Poll = cmp.Or(cfg.Poll, 500*time.Millisecond)
	cfg.IdlePoll = cmp.Or(cfg.IdlePoll, time.Second)
	cfg.CallTimeout = cmp.Or(cfg.CallTimeout, 10*time.Second)
	if min(cfg.Poll, cfg.IdlePoll, cfg.CallTimeout) <= 0 || cfg.Batch < 0 {
		return nil, errors.New("dispatcher: a time or the batch is negative")
	}
	if cfg.OnError == nil {
		cfg.OnError = func(error) {}
	}
	return &Dispatcher{cfg: cfg, wake: make(chan struct{}, 1)}, nil
}

// Wake has the dispatcher look at the outbox now. It does not block, and may be
// called at any time: after a job was queued in this process, say.
func (d *Dispatcher) Wake() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Run carries tickets until ctx ends, and returns nil then.
func (d *Dispatcher) Run(ctx context.Context) error {
	trouble := Backoff{Base: d.cfg.Poll, Most: errorPause}
	var failures int
	poll := d.cfg.Poll
	for ctx.Err() == nil {
		n, err := d.drain(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			d.cfg.OnError(err)
			failures++
			poll = trouble.Delay(failures)
		case n > 0:
			failures, poll = 0, d.cfg.Poll
		default:
			failures, poll = 0, max(min(2*poll, d.cfg.IdlePoll), d.cfg.Poll)
		}
		d.await(ctx, poll, err != nil)
	}
	return nil
}

// await waits for the next look. After an error Wake does not cut it short: a
// stream of new jobs would have the dispatcher hammer on what is broken.
func (d *Dispatcher) await(ctx context.Context, poll time.Duration, deaf bool) {
	wake := d.wake
	if deaf {
		wake = nil
	}
	timer := time.NewTimer(poll)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}

// drain carries what is due and returns how many tickets that were.
func (d *Dispatcher) drain(ctx context.Context) (n int, err error) {
	for ctx.Err() == nil {
		carried, err := d.carry(ctx)
		n += carried
		if err != nil || carried < d.cfg.Batch {
			return n, err
		}
	}
	return n, nil
}

// carry carries one batch. A ticket that the queue has got and that could not be
// taken off the outbox goes again, under the same name.
func (d *Dispatcher) carry(ctx context.Context) (int, error) {
	var tickets []Ticket
	err := within(ctx, d.cfg.CallTimeout, func(ctx context.Context) (err error) {
		tickets, err = d.cfg.Outbox.DueTickets(ctx, d.cfg.Batch)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("reading the outbox: %w", err)
	}
	if len(tickets) == 0 {
		return 0, nil
	}
	err = within(ctx, d.cfg.CallTimeout, func(ctx context.Context) error { return d.cfg.Queue.Enqueue(ctx, tickets) })
	if err != nil {
		return 0, fmt.Errorf("putting %d tickets into the queue: %w", len(tickets), err)
	}
	err = within(ctx, d.cfg.CallTimeout, func(ctx context.Context) error { return d.cfg.Outbox.Dispatched(ctx, tickets) })
	if err != nil {
		return 0, fmt.Errorf("taking %d tickets off the outbox: %w", len(tickets), err)
	}
	return len(tickets), nil
}

// within calls fn with a context that lasts for d.
func within(ctx context.Context, d time.Duration, fn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return fn(ctx)
}
