package queue

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// firstPause and longestPause bound the pause after a command that failed.
	// Asynq asks for the next ticket at once, whatever the last answer was.
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
	// refusalEvery is how often a refused command is logged at most.
	refusalEvery = time.Minute
)

// errEnding is what commands get when Serve cannot wait for Redis any longer.
var errEnding = errors.New("the worker is ending")

// outage watches the commands of one Serve. While Redis is away, it lets nothing
// but a PING through, so that no ticket is taken off a queue by a command whose
// answer is never read; it makes everybody pause after a failure; and it logs one
// line when Redis goes away and one when it is back. It is a go-redis hook.
type outage struct {
	log    *slog.Logger
	url    URL
	counts *counters
	ending chan struct{} // closed when Serve is to end: no more pauses
	over   chan struct{} // closed when Serve waits no longer: no more commands

	mu      sync.Mutex
	down    bool
	since   time.Time // when it went away
	back    time.Time // when it came back last
	tries   int
	refusal time.Time // when a refused command was logged last
}

// DialHook refuses to dial when Serve waits no longer.
func (o *outage) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if o.isOver() {
			return nil, errEnding
		}
		return next(ctx, network, addr)
	}
}

// ProcessHook sends one command.
func (o *outage) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if isGreeting(cmd) {
			return next(ctx, cmd)
		}
		if err := o.probe(ctx, next); err != nil {
			return err
		}
		began := time.Now()
		err := next(ctx, cmd)
		o.note(ctx, began, err)
		return err
	}
}

// ProcessPipelineHook sends a batch of commands.
func (o *outage) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	single := func(ctx context.Context, cmd redis.Cmder) error { return next(ctx, []redis.Cmder{cmd}) }
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if len(cmds) == 0 || isGreeting(cmds[0]) {
			return next(ctx, cmds)
		}
		if err := o.probe(ctx, single); err != nil {
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
			return err
		}
		began := time.Now()
		err := next(ctx, cmds)
		o.note(ctx, began, err)
		return err
	}
}

// isGreeting tells whether go-redis itself sends the command, over a connection that
// it has just opened for another one. That other one shows how it went; a PING in
// front of the password would be refused.
func isGreeting(cmd redis.Cmder) bool {
	switch cmd.Name() {
	case "hello", "auth", "select", "client", "readonly":
		return true
	default:
		return false
	}
}

func (o *outage) isOver() bool {
	select {
	case <-o.over:
		return true
	default:
		return false
	}
}

// probe returns nil when commands may be sent: Redis is there, or is back.
func (o *outage) probe(ctx context.Context, send redis.ProcessHook) error {
	if o.isOver() {
		return errEnding
	}
	o.mu.Lock()
	down := o.down
	o.mu.Unlock()
	if !down {
		return nil
	}
	began := time.Now()
	err := send(ctx, redis.NewStatusCmd(ctx, "ping"))
	o.note(ctx, began, err)
	return err
}

// note takes down how a command ended that began then, and pauses after one that
// failed. What began before Redis went, or came back, says nothing new.
func (o *outage) note(ctx context.Context, began time.Time, err error) {
	var pause time.Duration
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, errEnding):
		return // says nothing of Redis
	case isAnswer(err):
		o.up(began)
		return
	case isRefusal(err):
		o.refused(err)
		pause = time.Second
	default:
		pause = o.away(began, err)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-o.ending:
	}
}

func (o *outage) up(began time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.down || began.Before(o.since) {
		return
	}
	o.down, o.back = false, time.Now()
	o.log.Info("Redis is back", "redis", o.url, "away", time.Since(o.since).Round(time.Millisecond), "tries", o.tries)
}

// away counts a failure and returns how long to pause.
func (o *outage) away(began time.Time, err error) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.down && began.Before(o.back) {
		return firstPause
	}
	if !o.down {
		o.down, o.since, o.tries = true, time.Now(), 0
		o.counts.outages.Add(1)
		o.log.Warn("Redis is away: no new work until it is back, running jobs go on", "redis", o.url, "error", err)
	}
	o.tries++
	pause := min(longestPause, firstPause<<min(o.tries, 10))
	return pause/2 + rand.N(pause/2) //nolint:gosec // a jitter need not be secret
}

// refused logs, now and then, that Redis refuses a command.
func (o *outage) refused(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Since(o.refusal) < refusalEvery {
		return
	}
	o.refusal = time.Now()
	o.log.Warn("Redis refuses a command", "redis", o.url, "error", err)
}

// isAnswer tells whether the command has been carried out as far as it goes: with
// NOSCRIPT the script is sent next, with NOT FOUND the ticket has gone another way.
func isAnswer(err error) bool {
	return err == nil || errors.Is(err, redis.Nil) || redis.HasErrorPrefix(err, "NOSCRIPT") || isReply(err) && strings.Contains(err.Error(), "NOT FOUND")
}

// isRefusal tells whether a Redis that is otherwise there does not carry out this
// one command.
func isRefusal(err error) bool {
	if !isReply(err) {
		return false
	}
	for _, prefix := range []string{"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "NOAUTH", "WRONGPASS", "NOPERM", "MISCONF", "OOM", "BUSY", "NOREPLICAS", "TRYAGAIN", "ERR max number of clients"} {
		if redis.HasErrorPrefix(err, prefix) {
			return false
		}
	}
	return true
}

// isReply tells whether err was said by Redis.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}
