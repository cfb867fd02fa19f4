package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"rushes/pipeline"
)

// lostBatch is how many tickets Lost asks for at a time: a transaction that keeps
// Redis busy for a few milliseconds.
const lostBatch = 200

// leaseSlack is how long a lease must be over before the look counts as lost. The
// lease of a living worker ends 25 s ahead or later by its own clock, so clocks may
// differ by more than half a minute.
const leaseSlack = 15 * time.Second

// The keys of Asynq v0.26 (internal/base/base.go).
func taskKey(queue pipeline.QueueName, id string) string { return setKey(queue, "t:"+id) }
func setKey(queue pipeline.QueueName, set string) string {
	return "asynq:{" + string(queue) + "}:" + set
}

// Lost returns those of the tickets that the queue holds in no state that leads to
// a look: Redis does not know them (any more), their worker has left them, or they
// are archived or completed, which nothing but another tool does to them. Those it
// removes, so that they block nothing. A ticket that was looked at and taken is
// lost as well: only the catalog knows that its job needs nobody.
func (q *Queue) Lost(ctx context.Context, tickets []pipeline.Ticket) ([]pipeline.Ticket, error) {
	byQueue := map[pipeline.QueueName][]int{}
	for i, ticket := range tickets {
		name, err := queueOf(ticket)
		if err != nil {
			return nil, fmt.Errorf("look for ticket %q of job %q: %w", ticket.ID, ticket.JobID, err)
		}
		byQueue[name] = append(byQueue[name], i)
	}
	held := make([]bool, len(tickets))
	for name, all := range byQueue {
		for len(all) > 0 {
			batch := all[:min(len(all), lostBatch)]
			all = all[len(batch):]
			if err := q.find(ctx, name, tickets, batch, held); err != nil {
				return nil, fmt.Errorf("look for %d tickets in queue %s of %s: %w", len(batch), name, q.url, err)
			}
		}
	}
	var lost []pipeline.Ticket
	for i, ticket := range tickets {
		if !held[i] {
			lost = append(lost, ticket)
		}
	}
	return lost, nil
}

// sizes is how many tickets the states of a queue hold.
type sizes struct{ pending, scheduled, retry int64 }

// find sets held for those of the tickets, given by their indexes, that will be
// looked at, and removes the remains of those that will not.
func (q *Queue) find(ctx context.Context, name pipeline.QueueName, tickets []pipeline.Ticket, batch []int, held []bool) error {
	states := make([]*redis.StringCmd, len(batch))
	leases := make([]*redis.FloatCmd, len(batch))
	var pending, scheduled, retry *redis.IntCmd
	// In one transaction, so that no ticket moves on while it is looked for.
	_, err := q.client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pending = pipe.LLen(ctx, setKey(name, "pending"))
		scheduled = pipe.ZCard(ctx, setKey(name, "scheduled"))
		retry = pipe.ZCard(ctx, setKey(name, "retry"))
		for i, at := range batch {
			states[i] = pipe.HGet(ctx, taskKey(name, tickets[at].ID), "state")
			leases[i] = pipe.ZScore(ctx, setKey(name, "lease"), tickets[at].ID)
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	have := sizes{pending: pending.Val(), scheduled: scheduled.Val(), retry: retry.Val()}
	now := time.Now()
	var remains []string
	for i, at := range batch {
		state, err := states[i].Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		lease := time.Unix(int64(leases[i].Val()), 0) // long ago without a lease
		var remove bool
		if held[at], remove = verdict(state, have, now.Sub(lease) < leaseSlack); remove {
			remains = append(remains, tickets[at].ID)
		}
	}
	return q.remove(ctx, name, remains)
}

// verdict says whether a ticket in that state will lead to a look, and if not,
// whether something is left of it that has to go. A state whose set is empty is
// what remains when Redis throws away keys for want of memory.
func verdict(state string, have sizes, leased bool) (held, remove bool) {
	switch state {
	case "":
		return false, false
	case "active":
		// Asynq puts it back when it notices; till then it is not ours to remove.
		return leased, false
	case "pending":
		return have.pending > 0, have.pending == 0
	case "scheduled":
		return have.scheduled > 0, have.scheduled == 0
	case "retry":
		return have.retry > 0, have.retry == 0
	default: // archived, completed, aggregating
		return false, true
	}
}

// remove takes what is left of the tickets out of Redis.
func (q *Queue) remove(ctx context.Context, name pipeline.QueueName, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := q.client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, id := range ids {
			pipe.ZRem(ctx, setKey(name, "archived"), id)
			pipe.ZRem(ctx, setKey(name, "completed"), id)
			pipe.Del(ctx, taskKey(name, id))
		}
		return nil
	})
	return err
}
