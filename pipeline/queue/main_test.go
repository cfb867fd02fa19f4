package queue

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"rushes/pipeline"
)

func TestMain(m *testing.M) {
	redis.SetLogger(redisLog{slog.New(slog.DiscardHandler)}) // helpers connect before any New
	goleak.VerifyTestMain(m)
}

// patience is how long tests wait for something that takes milliseconds.
const patience = 20 * time.Second

// password is that of every redis-server of the tests.
const password = "s3cret-of-the-tests"

// eachBroker runs the test against a real redis-server and against the embedded
// broker.
func eachBroker(t *testing.T, test func(t *testing.T, at URL)) {
	t.Helper()
	t.Run("redis-server", func(t *testing.T) {
		t.Parallel()
		test(t, startRedis(t).url)
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		broker, err := StartEmbedded(t.Context())
		require.NoError(t, err)
		t.Cleanup(broker.Close)
		test(t, broker.URL())
	})
}

// server is a redis-server of our own, on a free loopback port and with nothing on
// disk.
type server struct {
	url     URL
	program string
	port    string
	dir     string
	cmd     *exec.Cmd
}

// newRedis returns a redis-server that is not yet running.
func newRedis(t *testing.T) *server {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("there is no redis-server")
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	at := url.URL{Scheme: "redis", Host: "127.0.0.1:" + port, User: url.UserPassword("", password)}
	s := &server{url: URL(at.String()), program: program, port: port, dir: t.TempDir()}
	t.Cleanup(func() { s.kill(t) })
	return s
}

func startRedis(t *testing.T) *server {
	t.Helper()
	s := newRedis(t)
	s.start(t)
	return s
}

// start runs the server and waits until it answers.
func (s *server) start(t *testing.T) {
	t.Helper()
	require.Nil(t, s.cmd)
	s.cmd = exec.Command(s.program, "--port", s.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", //nolint:noctx // kill ends it
		"--requirepass", password, "--dir", s.dir)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, s.cmd.Start())
	client := rawClient(t, s.url)
	require.Eventually(t, func() bool { return client.Ping(context.Background()).Err() == nil }, patience, 10*time.Millisecond)
}

// kill ends the server with SIGKILL; what it held is gone.
func (s *server) kill(t *testing.T) {
	t.Helper()
	if s.cmd == nil {
		return
	}
	require.NoError(t, s.cmd.Process.Kill())
	_ = s.cmd.Wait() // says "killed"
	s.cmd = nil
}

func (s *server) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(sig))
}

// rawClient is a client past the Queue, to look at what lies in Redis.
func rawClient(t *testing.T, at URL) redis.UniversalClient {
	t.Helper()
	opt, err := at.options()
	require.NoError(t, err)
	client, err := connect(opt, false)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// newQueue returns a Queue that asks often, and what it logs.
func newQueue(t *testing.T, at URL) (*Queue, *lines) {
	t.Helper()
	logged := &lines{}
	q, err := New(Config{RedisURL: at, Logger: slog.New(logged)})
	require.NoError(t, err)
	q.pace = pace{check: 10 * time.Millisecond, forward: 20 * time.Millisecond}
	t.Cleanup(func() {
		require.NoError(t, q.Close())
		require.NotContains(t, logged.String(), password)
	})
	return q, logged
}

// serving is a Serve that runs.
type serving struct {
	end  context.CancelFunc
	done chan error
}

// serve begins to serve; the test's end stops it.
func serve(t *testing.T, q *Queue, options ServeOptions, look LookFunc) *serving {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &serving{end: cancel, done: make(chan error, 1)}
	go func() { s.done <- q.Serve(ctx, options, look) }()
	t.Cleanup(func() { cancel(); <-s.done })
	return s
}

// stop ends the Serve and returns its error.
func (s *serving) stop(t *testing.T) error {
	t.Helper()
	s.end()
	select {
	case err := <-s.done:
		s.done <- nil // for the cleanup
		return err
	case <-time.After(patience):
		require.FailNow(t, "Serve does not return")
		return nil
	}
}

// tickets returns n tickets for jobs of their own.
func tickets(queue pipeline.QueueName, n int) []pipeline.Ticket {
	all := make([]pipeline.Ticket, n)
	for i := range all {
		all[i] = pipeline.Ticket{ID: fmt.Sprintf("%s-t%04d", queue, i), JobID: fmt.Sprintf("%s-j%04d", queue, i), Queue: queue}
	}
	return all
}

// lines is a slog.Handler that keeps what is logged at info level and above.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *lines) WithGroup(string) slog.Handler            { return l }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Level.String() + " " + r.Message)
	r.Attrs(func(a slog.Attr) bool { b.WriteString(" " + a.String()); return true })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, b.String())
	return nil
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "\n")
}

// with returns the lines of at least info level that contain text.
func (l *lines) with(text string) []string {
	var found []string
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, text) && !strings.HasPrefix(line, "DEBUG") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// soak skips the test unless the variable asks for it.
func soak(t *testing.T, variable string) {
	t.Helper()
	if os.Getenv(variable) != "1" {
		t.Skipf("%s=1 runs it", variable)
	}
}
