package pipeline

import (
	"context"
	"time"

	"rushes/catalog"
)

// Ticket reminds a worker to look at a job; see catalog.Ticket.
type Ticket = catalog.Ticket

// QueueName is the name of a queue; see catalog.QueueName.
type QueueName = catalog.QueueName

// QueueNames returns all queues, the most urgent one first.
func QueueNames() []QueueName { return catalog.QueueNames() }

// Jobs is what the work needs of the catalog: sqlstore.Store. Errors that wrap
// catalog.ErrClaimLost, ErrNotClaimable or ErrNotFound are answers, all others
// may pass.
type Jobs interface {
	// JobByID returns the job.
	JobByID(ctx context.Context, id string) (catalog.Job, error)
	// ClaimJob makes the queued job running for the worker, raises its fence and
	// counts an attempt; ErrNotClaimable when it does not wait or its time has
	// not come.
	ClaimJob(ctx context.Context, id, worker string) (catalog.Job, error)
	// Heartbeat says that the claim's holder lives, and tells whether it is asked
	// to cancel the job.
	Heartbeat(ctx context.Context, claim catalog.Claim) (cancel bool, err error)
	// EndAttempt ends the claim: the job's next state, its outbox row and the
	// attempt's record in one transaction, and with the last part of a job, the
	// job's own turn. A retry of a job without attempts left is stored as failed.
	// It returns the job as it is now.
	EndAttempt(ctx context.Context, claim catalog.Claim, end catalog.Attempt) (catalog.Job, error)
}

// Outbox is what the dispatcher needs of the catalog.
type Outbox interface {
	// DueTickets returns up to limit outbox rows whose time has come, the highest
	// priority and then the oldest first.
	DueTickets(ctx context.Context, limit int) ([]catalog.Ticket, error)
	// Dispatched takes the tickets off the outbox, because the queue has them.
	Dispatched(ctx context.Context, tickets []catalog.Ticket) error
}

// Sweepable is what the sweeper needs of the catalog.
type Sweepable interface {
	// Lease takes or renews the lease of that name for holder until ttl from now,
	// and reports whether holder has it.
	Lease(ctx context.Context, name, holder string, ttl time.Duration) (bool, error)
	// Release gives the lease up, if holder has it.
	Release(ctx context.Context, name, holder string) error
	// Waiting returns, in order of their job ids and beginning after afterJob, the
	// tickets that went to the queue before the given time and whose jobs are
	// still queued without another ticket in the outbox.
	Waiting(ctx context.Context, before time.Time, afterJob string, limit int) ([]catalog.Ticket, error)
	// Redispatch puts a new ticket into the outbox for each of the jobs that is
	// still queued and has none there.
	Redispatch(ctx context.Context, jobIDs []string) error
	// TakeOver queues again the running jobs whose last heartbeat was before the
	// given time, with a raised fence, a takeover counted and no attempt used up;
	// those that were to be canceled become canceled, those with more than
	// mostTakeovers fail. It also gives their turn to waiting jobs whose parts
	// are all over. It returns what it has changed.
	TakeOver(ctx context.Context, before time.Time, mostTakeovers, limit int) ([]catalog.Job, error)
}

// Queue hands tickets out to workers: pipeline/queue. It may lose them and may
// give them out twice.
type Queue interface {
	// Enqueue puts the tickets into their queues. Those that are there already
	// are no error.
	Enqueue(ctx context.Context, tickets []Ticket) error
	// Lost returns those of the tickets that the queue does not hold (any more).
	Lost(ctx context.Context, tickets []Ticket) ([]Ticket, error)
}

// Look is what a worker answers when it is shown a ticket.
type Look int

// The answers to a ticket.
const (
	// Taken takes the ticket off the queue: the job is claimed and done with, or
	// needs nobody.
	Taken Look = iota
	// Later puts the ticket back, for this or another worker, soon.
	Later
)
