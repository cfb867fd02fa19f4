package webhook

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"rushes/catalog"
)

const (
	// mostEvents is how many events are announced without looking for more.
	mostEvents = 100
	// leaseSlack is how much longer a claim holds than an attempt may take.
	leaseSlack = 20 * time.Second
	// writeTime bounds a write to the catalog that is made on the way out.
	writeTime = 5 * time.Second
	// pruneEvery is how often old deliveries are deleted, mostPruned at a time.
	pruneEvery = time.Hour
	mostPruned = 1000
	// mostError is how much of an error is kept with a delivery, in bytes.
	mostError = 500
)

// Store is the part of the catalog that deliveries need.
type Store interface {
	// JobByID and ListAssets read what is told.
	JobByID(ctx context.Context, id string) (catalog.Job, error)
	ListAssets(ctx context.Context, f catalog.Filter) ([]catalog.Asset, error)
	// Events returns events that nobody has announced, the oldest first, of each
	// capture the first one only.
	Events(ctx context.Context, limit int) ([]catalog.Event, error)
	// Announce puts the event's deliveries in its place, once.
	Announce(ctx context.Context, event catalog.Event, deliveries []catalog.Delivery) error
	// ClaimDeliveries takes due deliveries of an endpoint, of each lane the first
	// one, for the time of the lease.
	ClaimDeliveries(ctx context.Context, endpoint string, lease time.Duration, limit int) ([]catalog.Delivery, error)
	// EndDelivery writes the outcome of a claimed delivery down, or returns
	// catalog.ErrClaimLost.
	EndDelivery(ctx context.Context, claimed catalog.Delivery, end catalog.DeliveryEnd) error
	// PruneDeliveries deletes old delivered deliveries.
	PruneDeliveries(ctx context.Context, before time.Time, limit int) (int, error)
}

// Attempt is what became of one attempt at a delivery.
type Attempt struct {
	// Delivery is as it was claimed.
	Delivery catalog.Delivery
	// Outcome is what the delivery came to: DeliveryPending is sent again.
	Outcome catalog.DeliveryState
	// Status is the HTTP status of the answer, or 0.
	Status int
	// Took is how long the attempt took.
	Took time.Duration
	// Err is why it failed, or nil. It shows no secrets.
	Err error
}

// Counts is what a Deliverer has done since it was made. The numbers only grow.
type Counts struct {
	// Endpoint is the name of the endpoint.
	Endpoint string
	// Delivered are deliveries that were taken, Retried failed attempts with
	// another one to come, Failed deliveries that were given up, and Interrupted
	// attempts that were broken off by the end of Run.
	Delivered, Retried, Failed, Interrupted int64
}

type counters struct{ delivered, retried, failed, interrupted atomic.Int64 }

// Deliverer tells endpoints of events. It is safe for concurrent use; any number
// of them, in any number of processes, may work with one catalog.
type Deliverer struct {
	config    Config
	store     Store
	links     Links
	endpoints []*receiver
	wake      chan struct{} // has room for one
}

// New returns a Deliverer. Nothing is sent before Run.
func New(config Config, store Store, links Links) (*Deliverer, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("webhooks: %w", err)
	}
	d := &Deliverer{config: config.withDefaults(), store: store, links: links, wake: make(chan struct{}, 1)}
	for _, e := range d.config.Endpoints {
		r, err := newReceiver(e, d.config.Resolver)
		if err != nil {
			return nil, fmt.Errorf("webhooks: %w", err)
		}
		d.endpoints = append(d.endpoints, r)
	}
	return d, nil
}

// Wake has Run look for events and deliveries at once, after a job of this
// process ended or a delivery was replayed.
func (d *Deliverer) Wake() {
	knock(d.wake)
	for _, r := range d.endpoints {
		knock(r.wake)
	}
}

func knock(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Counts returns what was done so far, of each endpoint.
func (d *Deliverer) Counts() []Counts {
	all := make([]Counts, len(d.endpoints))
	for i, r := range d.endpoints {
		c := &r.counts
		all[i] = Counts{r.Name, c.delivered.Load(), c.retried.Load(), c.failed.Load(), c.interrupted.Load()}
	}
	return all
}

// Run announces events and delivers until ctx ends; then it lets what is under
// way go on for Config.Grace, hands the rest back and returns nil. Trouble with
// the catalog does not end it.
func (d *Deliverer) Run(ctx context.Context) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var group sync.WaitGroup
	group.Go(func() { d.announceAll(ctx) })
	for _, r := range d.endpoints {
		group.Go(func() { d.serve(ctx, work, r) })
	}
	<-ctx.Done()
	grace := time.AfterFunc(d.config.Grace, stop)
	defer grace.Stop()
	group.Wait()
	for _, r := range d.endpoints {
		r.client.CloseIdleConnections()
	}
	return nil
}

// trouble reports an error of the catalog, unless it only says that Run is to
// end.
func (d *Deliverer) trouble(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		d.config.OnError(fmt.Errorf("webhooks: %w", err))
	}
}

// announceAll turns events into deliveries until ctx ends.
func (d *Deliverer) announceAll(ctx context.Context) {
	tick := time.NewTicker(d.config.Poll)
	defer tick.Stop()
	prune := time.NewTicker(pruneEvery)
	defer prune.Stop()
	for {
		again := d.announceSome(ctx)
		if again && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-d.wake:
		case <-prune.C:
			_, err := d.store.PruneDeliveries(ctx, d.config.Now().Add(-d.config.Keep), mostPruned)
			d.trouble(ctx, err)
		}
	}
}

// announceSome announces what there is, and reports whether it is worth looking
// again at once: the next event of a capture comes after the first one.
func (d *Deliverer) announceSome(ctx context.Context) (again bool) {
	events, err := d.store.Events(ctx, mostEvents)
	d.trouble(ctx, err)
	for _, event := range events {
		if ctx.Err() != nil {
			return false
		}
		if err := d.announce(ctx, event); err != nil {
			d.trouble(ctx, err)
			continue
		}
		again = true
	}
	if again {
		for _, r := range d.endpoints {
			knock(r.wake)
		}
	}
	return again
}

// serve delivers to one endpoint until ctx ends and what is under way is done.
func (d *Deliverer) serve(ctx, work context.Context, r *receiver) {
	tick := time.NewTicker(d.config.Poll)
	defer tick.Stop()
	done := make(chan time.Duration, d.config.Concurrency)
	running := 0
	for {
		for _, delivery := range d.claim(ctx, r, d.config.Concurrency-running) {
			running++
			go func() { done <- d.attempt(work, r, delivery) }()
		}
		if running == 0 && ctx.Err() != nil {
			return
		}
		ended := ctx.Done()
		if ctx.Err() != nil {
			ended = nil // only done is left to wait for
		}
		select {
		case <-ended:
		case wait := <-done:
			running--
			if wait > 0 {
				// Not sooner than the catalog's own clock says, which has microseconds.
				time.AfterFunc(wait+time.Millisecond, func() { knock(r.wake) })
			}
		case <-r.wake:
		case <-tick.C:
		}
	}
}

func (d *Deliverer) claim(ctx context.Context, r *receiver, limit int) []catalog.Delivery {
	if limit <= 0 || ctx.Err() != nil {
		return nil
	}
	claimed, err := d.store.ClaimDeliveries(ctx, r.Name, d.config.Timeout+leaseSlack, limit)
	d.trouble(ctx, err)
	return claimed
}

// attempt sends the delivery once, writes down what came of it, and returns how
// long to wait for the next attempt; 0 when there is none to come.
func (d *Deliverer) attempt(work context.Context, r *receiver, delivery catalog.Delivery) time.Duration {
	began := time.Now()
	status, err := d.try(work, r, delivery)
	end := d.outcome(work, delivery, status, err)
	switch {
	case end.Interrupted:
		r.counts.interrupted.Add(1)
	case end.State == catalog.DeliveryDelivered:
		r.counts.delivered.Add(1)
	case end.State == catalog.DeliveryFailed:
		r.counts.failed.Add(1)
	default:
		r.counts.retried.Add(1)
	}
	took := time.Since(began)
	// Also when Run is to end: what was delivered is not to be sent again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(work), writeTime)
	defer cancel()
	if err := d.store.EndDelivery(ctx, delivery, end); err != nil && !errors.Is(err, catalog.ErrClaimLost) {
		d.config.OnError(fmt.Errorf("webhooks: %w", err)) // sent again when the lease is over
	}
	d.config.OnAttempt(Attempt{Delivery: delivery, Outcome: end.State, Status: status, Took: took, Err: err})
	return end.After
}

// try makes the body and posts it, within the time of an attempt.
func (d *Deliverer) try(ctx context.Context, r *receiver, delivery catalog.Delivery) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
	defer cancel()
	body, err := d.body(ctx, delivery)
	if err != nil {
		return 0, err
	}
	return d.post(ctx, r, delivery, body)
}

// outcome decides what becomes of a delivery after an attempt.
func (d *Deliverer) outcome(work context.Context, delivery catalog.Delivery, status int, err error) catalog.DeliveryEnd {
	end := catalog.DeliveryEnd{State: catalog.DeliveryDelivered, Status: status}
	if err == nil {
		return end
	}
	end.Error = err.Error()
	if len(end.Error) > mostError { // a receiver's garbage may be quoted in it
		end.Error = end.Error[:mostError] + " …"
	}
	switch {
	case work.Err() != nil && status == 0:
		end.State, end.Interrupted = catalog.DeliveryPending, true
	case delivery.Attempts < len(d.config.Backoff):
		end.State, end.After = catalog.DeliveryPending, d.config.Backoff[delivery.Attempts]
	default:
		end.State = catalog.DeliveryFailed
	}
	return end
}
