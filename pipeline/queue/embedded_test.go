package queue

import (
	"context"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/pipeline"
)

func TestBrokerIsClosedToOthers(t *testing.T) {
	t.Parallel()
	first, err := StartEmbedded(t.Context())
	require.NoError(t, err)
	defer first.Close()
	second, err := StartEmbedded(t.Context())
	require.NoError(t, err)
	defer second.Close()
	require.NotEqual(t, string(first.URL()), string(second.URL()))
	require.NotContains(t, first.URL().String(), "@")

	address := first.redis.Addr()
	host, _, err := net.SplitHostPort(address)
	require.NoError(t, err)
	require.True(t, net.ParseIP(host).IsLoopback())
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	reply := make([]byte, 200)
	for _, command := range []string{"KEYS *", "LPUSH asynq:{default}:pending x", "EVAL return(1) 0", "SUBSCRIBE asynq:cancel", "AUTH guess", "FLUSHALL"} {
		_, err = conn.Write([]byte(command + "\r\n"))
		if err == nil {
			var n int
			if n, err = conn.Read(reply); err == nil {
				require.True(t, strings.HasPrefix(string(reply[:n]), "-"), "%s: %s", command, reply[:n])
				continue
			}
		}
		conn, err = new(net.Dialer).DialContext(t.Context(), "tcp", address) // it hangs up on inline commands
		require.NoError(t, err)
	}
	require.Empty(t, first.redis.Keys())
}

func TestBrokerCloses(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := StartEmbedded(ended)
	require.ErrorIs(t, err, context.Canceled)

	ctx, cancel := context.WithCancel(t.Context())
	broker, err := StartEmbedded(ctx)
	require.NoError(t, err)
	q, _ := newQueue(t, broker.URL())
	cancel()
	require.NoError(t, q.Ping(t.Context()), "the context bounds the start only")
	broker.Close()
	broker.Close()
	require.Error(t, q.Ping(t.Context()))
}

// cpuTime returns the processor time that this process has used.
func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// TestIdleCost (RUSHES_BENCH=1, run it alone) measures what an idle Serve on the
// embedded broker costs.
func TestIdleCost(t *testing.T) { //nolint:paralleltest // it measures the whole process
	soak(t, "RUSHES_BENCH")
	broker, err := StartEmbedded(t.Context())
	require.NoError(t, err)
	defer broker.Close()
	q, _ := newQueue(t, broker.URL())
	q.pace = defaultPace()
	serve(t, q, ServeOptions{Concurrency: 4}, func(context.Context, string) pipeline.Look { return pipeline.Taken })
	require.NoError(t, q.Enqueue(t.Context(), tickets("default", 10)))
	require.Eventually(t, func() bool { return q.Counts().Taken == 10 }, patience, time.Millisecond)
	const span = 20 * time.Second
	before := cpuTime(t)
	<-time.After(span)
	used := cpuTime(t) - before
	t.Logf("idle: %v of processor time in %v, %.2f %% of a core", used, span, 100*used.Seconds()/span.Seconds())
	require.Less(t, used, span/200)
}

// TestTicketCost (RUSHES_BENCH=1, run it alone) measures the processor time of this
// process per ticket.
func TestTicketCost(t *testing.T) { //nolint:paralleltest // it measures the whole process
	soak(t, "RUSHES_BENCH")
	const n = 10000
	measure := func(t *testing.T, at URL) {
		t.Helper()
		q, _ := newQueue(t, at)
		all := tickets("default", n)
		before, start := cpuTime(t), time.Now()
		require.NoError(t, q.Enqueue(t.Context(), all))
		enqueue := cpuTime(t) - before
		t.Logf("enqueue: %v of processor time, %v of real time per ticket", enqueue/n, time.Since(start)/n)
		require.Less(t, enqueue/n, time.Millisecond)
		before, start = cpuTime(t), time.Now()
		lost, err := q.Lost(t.Context(), all)
		require.NoError(t, err)
		require.Empty(t, lost)
		t.Logf("lost: %v, %v", (cpuTime(t)-before)/n, time.Since(start)/n)
		before, start = cpuTime(t), time.Now()
		serve(t, q, ServeOptions{Concurrency: 4}, func(context.Context, string) pipeline.Look { return pipeline.Taken })
		require.Eventually(t, func() bool { return q.Counts().Taken == n }, time.Minute, 5*time.Millisecond)
		t.Logf("look: %v, %v", (cpuTime(t)-before)/n, time.Since(start)/n)
	}
	t.Run("redis-server", func(t *testing.T) { measure(t, startRedis(t).url) }) //nolint:paralleltest // as above
	t.Run("embedded", func(t *testing.T) {                                      //nolint:paralleltest // as above
		broker, err := StartEmbedded(t.Context())
		require.NoError(t, err)
		defer broker.Close()
		measure(t, broker.URL())
	})
}
