package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"rushes/pipeline"
)

// Depth is how full a queue is.
type Depth struct {
	// Queue is the queue.
	Queue pipeline.QueueName
	// Waiting is how many tickets wait to be shown, without those put back.
	Waiting int64
	// PutBack is how many tickets were answered Later and wait to be shown again.
	PutBack int64
	// Looking is how many tickets are being looked at, by any worker.
	Looking int64
	// Oldest is for how long the first of the waiting tickets has waited since it
	// was put in, or put back; 0 when none waits.
	Oldest time.Duration
}

// Depth returns how full the queues are, in the order of pipeline.QueueNames.
func (q *Queue) Depth(ctx context.Context) ([]Depth, error) {
	names := pipeline.QueueNames()
	depths := make([]Depth, 0, len(names))
	for _, name := range names {
		depth, err := q.depth(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("measure queue %s of %s: %w", name, q.url, err)
		}
		depths = append(depths, depth)
	}
	return depths, nil
}

func (q *Queue) depth(ctx context.Context, name pipeline.QueueName) (Depth, error) {
	var pending, scheduled, retry, active *redis.IntCmd
	var first *redis.StringCmd
	_, err := q.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pending = pipe.LLen(ctx, setKey(name, "pending"))
		scheduled = pipe.ZCard(ctx, setKey(name, "scheduled"))
		retry = pipe.ZCard(ctx, setKey(name, "retry"))
		active = pipe.LLen(ctx, setKey(name, "active"))
		first = pipe.LIndex(ctx, setKey(name, "pending"), -1)
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return Depth{}, err
	}
	depth := Depth{Queue: name, Waiting: pending.Val(), PutBack: scheduled.Val() + retry.Val(), Looking: active.Val()}
	if first.Val() == "" {
		return depth, nil
	}
	since, err := q.client.HGet(ctx, taskKey(name, first.Val()), "pending_since").Result()
	if errors.Is(err, redis.Nil) { // taken meanwhile, or handed back at a shutdown
		return depth, nil
	}
	if err != nil {
		return Depth{}, err
	}
	if ns, err := strconv.ParseInt(since, 10, 64); err == nil {
		depth.Oldest = max(0, time.Since(time.Unix(0, ns)))
	}
	return depth, nil
}
