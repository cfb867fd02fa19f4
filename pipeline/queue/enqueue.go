package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hibiken/asynq"

	"rushes/pipeline"
)

// maxRetry is never reached, because nothing counts as a failure; at 0 Asynq would
// archive a ticket that is put back.
const maxRetry = 1 << 20

// queuesKey is the set in which Asynq keeps the names of all queues.
const queuesKey = "asynq:queues"

// Enqueue puts the tickets into their queues, in the order given. Tickets that are
// there already are no error. A ticket without a queue goes to the default one. On
// an error, some of the tickets may be in; giving them all again is harmless.
//
// It takes one round trip per ticket and ends early, with an error, when ctx does.
func (q *Queue) Enqueue(ctx context.Context, tickets []pipeline.Ticket) error {
	if len(tickets) == 0 {
		return nil
	}
	if err := q.announce(ctx); err != nil {
		return err
	}
	for _, ticket := range tickets {
		if err := q.enqueue(ctx, ticket); err != nil {
			return fmt.Errorf("enqueue ticket %q of job %q: %w", ticket.ID, ticket.JobID, err)
		}
	}
	return nil
}

// announce writes down the names of the queues, for the tools that show them:
// Asynq's client does so only once, and the names are gone with all else when Redis
// loses its data.
func (q *Queue) announce(ctx context.Context) error {
	var names []any
	for _, name := range pipeline.QueueNames() {
		names = append(names, string(name))
	}
	if err := q.client.SAdd(ctx, queuesKey, names...).Err(); err != nil {
		return fmt.Errorf("name the queues in %s: %w", q.url, err)
	}
	return nil
}

func (q *Queue) enqueue(ctx context.Context, ticket pipeline.Ticket) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	name, err := queueOf(ticket)
	if err != nil {
		return err
	}
	data, err := writePayload(ticket.JobID)
	if err != nil {
		return err
	}
	_, err = q.asynq.EnqueueContext(ctx, asynq.NewTask(taskType, data),
		asynq.TaskID(ticket.ID),
		asynq.Queue(string(name)),
		asynq.Timeout(LookLimit+time.Minute),
		asynq.MaxRetry(maxRetry),
		asynq.Retention(0),
	)
	if errors.Is(err, asynq.ErrTaskIDConflict) || errors.Is(err, asynq.ErrDuplicateTask) {
		return nil
	}
	return err
}

// queueOf returns the queue that the ticket goes to.
func queueOf(ticket pipeline.Ticket) (pipeline.QueueName, error) {
	name := ticket.Queue
	if name == "" {
		name = "default"
	}
	if !slices.Contains(pipeline.QueueNames(), name) {
		return "", fmt.Errorf("there is no queue %q", name)
	}
	return name, nil
}
