package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"rushes/catalog"
)

// sweeperLease names the lease that a sweeper holds while it sweeps.
const sweeperLease = "sweeper"

// SweeperConfig says how a sweeper works. Catalog and Queue are required.
type SweeperConfig struct {
	// Catalog is what is swept.
	Catalog Sweepable
	// Queue is asked for what it has lost.
	Queue Queue
	// Holder names the sweeper in its lease, and is unique. It defaults to
	// WorkerName.
	Holder string
	// Every is the time between two rounds. It defaults to 5 s.
	Every time.Duration
	// TTL is how long the lease lasts without a round. It defaults to 15 s.
	TTL time.Duration
	// DeadAfter is the age of a heartbeat at which a job is taken over. It must be
	// longer than the workers' ClaimTTL. It defaults to 20 s.
	DeadAfter time.Duration
	// MostTakeovers is how many workers may die with a job before it fails. It
	// defaults to 10.
	MostTakeovers int
	// LostAfter is the age of a ticket at which the queue is asked whether it still
	// has it. It defaults to 10 s.
	LostAfter time.Duration
	// Page is how many jobs or tickets are handled in one call. It defaults to 500.
	// A round asks for one page of tickets, and goes on to BusyPages (default 40)
	// only as long as it finds lost ones, so that many queued jobs cost little.
	Page, BusyPages int
	// CallTimeout bounds every call of the catalog and of the queue. It defaults to
	// 10 s.
	CallTimeout time.Duration
	// Chores are other things that one process at a time is to do: removing stray
	// objects, say. They run one after the other every ChoresEvery (default 1 min),
	// beside the rounds, while the sweeper holds the lease.
	Chores      []func(ctx context.Context) error
	ChoresEvery time.Duration
	// OnTakeOver is told which jobs were changed by a take-over; it may be nil.
	OnTakeOver func([]catalog.Job)
	// OnLost is told how many tickets were lost and replaced; it may be nil.
	OnLost func(n int)
	// Wake is called when there are new tickets in the outbox: [Dispatcher.Wake].
	// It may be nil.
	Wake func()
	// OnError is told of errors, which pass; it may be nil. It is called from two
	// goroutines when there are chores.
	OnError func(error)
}

func (c SweeperConfig) withDefaults() (SweeperConfig, error) {
	if c.Catalog == nil || c.Queue == nil {
		return c, errors.New("sweeper: Catalog and Queue are required")
	}
	if c.Holder == "" {
		name, err := WorkerName()
		if err != nil {
			return c, err
		}
		c.Holder = name
	}
	c.Every = cmp.Or(c.Every, 5*time.Second)
	c.TTL = cmp.Or(c.TTL, 15*time.Second)
	c.DeadAfter = cmp.Or(c.DeadAfter, 20*time.Second)
	c.MostTakeovers = cmp.Or(c.MostTakeovers, 10)
	c.LostAfter = cmp.Or(c.LostAfter, 10*time.Second)
	c.Page = cmp.Or(c.Page, 500)
	c.BusyPages = cmp.Or(c.BusyPages, 40)
	c.CallTimeout = cmp.Or(c.CallTimeout, 10*time.Second)
	c.ChoresEvery = cmp.Or(c.ChoresEvery, time.Minute)
	if min(c.Every, c.TTL, c.DeadAfter, c.LostAfter, c.CallTimeout, c.ChoresEvery) <= 0 || min(c.Page, c.BusyPages) <= 0 {
		return c, errors.New("sweeper: a time or a number is negative")
	}
	if c.TTL <= c.Every {
		return c, fmt.Errorf("sweeper: TTL %v is not longer than Every %v", c.TTL, c.Every)
	}
	if c.OnTakeOver == nil {
		c.OnTakeOver = func([]catalog.Job) {}
	}
	if c.OnLost == nil {
		c.OnLost = func(int) {}
	}
	if c.Wake == nil {
		c.Wake = func() {}
	}
	if c.OnError == nil {
		c.OnError = func(error) {}
	}
	return c, nil
}

// Sweeper puts right what nobody else will: it takes over the jobs of workers
// that have died, and replaces the tickets that the queue has lost. Any number may
// run; the one with the lease sweeps.
type Sweeper struct {
	cfg  SweeperConfig
	held atomic.Bool
	// cursor is the last job whose ticket was looked at; only Run uses it.
	cursor string
}

// NewSweeper returns a sweeper that is ready for Run.
func NewSweeper(cfg SweeperConfig) (*Sweeper, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Sweeper{cfg: cfg}, nil
}

// Held reports whether this sweeper had the lease in its last round.
func (s *Sweeper) Held() bool { return s.held.Load() }

// Run sweeps until ctx ends, gives up the lease and returns nil. It is called
// once at a time.
func (s *Sweeper) Run(ctx context.Context) error {
	var chores sync.WaitGroup
	if len(s.cfg.Chores) > 0 {
		chores.Go(func() { s.runChores(ctx) })
	}
	for {
		if err := s.round(ctx); err != nil && ctx.Err() == nil {
			s.cfg.OnError(err)
		}
		if !sleep(ctx, s.cfg.Every) {
			break
		}
	}
	chores.Wait() // before another one may take the lease and begin with them
	return s.release(ctx)
}

func (s *Sweeper) release(ctx context.Context) error {
	if !s.held.Swap(false) {
		return nil
	}
	const patience = 2 * time.Second
	err := within(context.WithoutCancel(ctx), patience, func(ctx context.Context) error {
		return s.cfg.Catalog.Release(ctx, sweeperLease, s.cfg.Holder)
	})
	if err != nil {
		s.cfg.OnError(fmt.Errorf("giving up the sweeper's lease: %w", err)) // it runs out by itself
	}
	return nil
}

// round sweeps once, if this sweeper has the lease. What the queue does not answer
// keeps nobody from taking over dead workers' jobs.
func (s *Sweeper) round(ctx context.Context) error {
	if held, err := s.lease(ctx); err != nil || !held {
		return err
	}
	return errors.Join(s.takeOver(ctx), s.sweepTickets(ctx))
}

func (s *Sweeper) lease(ctx context.Context) (held bool, err error) {
	err = within(ctx, s.cfg.CallTimeout, func(ctx context.Context) (err error) {
		held, err = s.cfg.Catalog.Lease(ctx, sweeperLease, s.cfg.Holder, s.cfg.TTL)
		return err
	})
	s.held.Store(err == nil && held)
	if err != nil {
		return false, fmt.Errorf("taking the sweeper's lease: %w", err)
	}
	return held, nil
}

// takeOver takes over all jobs with an old heartbeat.
func (s *Sweeper) takeOver(ctx context.Context) error {
	before := time.Now().Add(-s.cfg.DeadAfter)
	for {
		var jobs []catalog.Job
		err := within(ctx, s.cfg.CallTimeout, func(ctx context.Context) (err error) {
			jobs, err = s.cfg.Catalog.TakeOver(ctx, before, s.cfg.MostTakeovers, s.cfg.Page)
			return err
		})
		if err != nil {
			return fmt.Errorf("taking over the jobs of dead workers: %w", err)
		}
		if len(jobs) > 0 {
			s.cfg.OnTakeOver(jobs)
			s.cfg.Wake()
		}
		if len(jobs) < s.cfg.Page {
			return nil
		}
	}
}

// sweepTickets goes on through the waiting jobs where the last round has stopped.
func (s *Sweeper) sweepTickets(ctx context.Context) error {
	before := time.Now().Add(-s.cfg.LostAfter)
	for range s.cfg.BusyPages {
		tickets, err := page(ctx, s.cfg.Catalog, s.cfg.CallTimeout, before, s.cursor, s.cfg.Page)
		if err != nil {
			return err
		}
		replaced, err := s.replaceLost(ctx, tickets)
		if err != nil {
			return err
		}
		if len(tickets) < s.cfg.Page {
			s.cursor = ""
			return nil
		}
		s.cursor = tickets[len(tickets)-1].JobID
		if replaced == 0 {
			return nil
		}
		// Many are lost, and replacing them may take longer than the lease.
		if held, err := s.lease(ctx); err != nil || !held {
			return err
		}
	}
	return nil
}

// replaceLost gives new tickets to the jobs whose tickets the queue has not.
func (s *Sweeper) replaceLost(ctx context.Context, tickets []Ticket) (int, error) {
	if len(tickets) == 0 {
		return 0, nil
	}
	var lost []Ticket
	err := within(ctx, s.cfg.CallTimeout, func(ctx context.Context) (err error) {
		lost, err = s.cfg.Queue.Lost(ctx, tickets)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("asking the queue for %d tickets: %w", len(tickets), err)
	}
	if len(lost) == 0 {
		return 0, nil
	}
	if err := redispatch(ctx, s.cfg.Catalog, s.cfg.CallTimeout, lost); err != nil {
		return 0, err
	}
	s.cfg.OnLost(len(lost))
	s.cfg.Wake()
	return len(lost), nil
}

// runChores does the chores until ctx ends.
func (s *Sweeper) runChores(ctx context.Context) {
	for sleep(ctx, s.cfg.ChoresEvery) {
		for _, chore := range s.cfg.Chores {
			if !s.held.Load() || ctx.Err() != nil {
				break
			}
			if err := chore(ctx); err != nil && ctx.Err() == nil {
				s.cfg.OnError(err)
			}
		}
	}
}

// Rebuild gives a new ticket to every job that is queued, whatever the queue says:
// for a queue that begins empty at every start. It returns how many jobs it went
// through.
func Rebuild(ctx context.Context, jobs Sweepable) (int, error) {
	const limit, patience = 500, time.Minute
	var n int
	for after := ""; ; {
		tickets, err := page(ctx, jobs, patience, time.Now(), after, limit)
		if err != nil {
			return n, err
		}
		if len(tickets) > 0 {
			if err := redispatch(ctx, jobs, patience, tickets); err != nil {
				return n, err
			}
			after = tickets[len(tickets)-1].JobID
		}
		n += len(tickets)
		if len(tickets) < limit {
			return n, nil
		}
	}
}

func page(ctx context.Context, jobs Sweepable, patience time.Duration,
	before time.Time, after string, limit int) (tickets []Ticket, err error) {
	err = within(ctx, patience, func(ctx context.Context) (err error) {
		tickets, err = jobs.Waiting(ctx, before, after, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing jobs that wait, after %q: %w", after, err)
	}
	return tickets, nil
}

func redispatch(ctx context.Context, jobs Sweepable, patience time.Duration, tickets []Ticket) error {
	ids := make([]string, 0, len(tickets))
	for _, t := range tickets {
		ids = append(ids, t.JobID)
	}
	err := within(ctx, patience, func(ctx context.Context) error { return jobs.Redispatch(ctx, ids) })
	if err != nil {
		return fmt.Errorf("giving new tickets to %d jobs: %w", len(ids), err)
	}
	return nil
}
