package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"rushes/catalog"
	"rushes/catalog/sqlstore"
	"rushes/catalog/storetest"
	"rushes/fixtures"
	"rushes/pipeline"
	"rushes/pipeline/queue"
)

// benchOnly skips benchmarks that take minutes unless they are asked for.
func benchOnly(b *testing.B) {
	b.Helper()
	if os.Getenv("RUSHES_BENCH") == "" {
		b.Skip("takes minutes; RUSHES_BENCH=1 runs it")
	}
}

// BenchmarkTwoWorkers renders one long composite with one worker on one core, and with two on a core each: the target
// is 1.8 times the speed.
func BenchmarkTwoWorkers(b *testing.B) {
	benchOnly(b)
	var cores unix.CPUSet
	require.NoError(b, unix.SchedGetaffinity(0, &cores))
	if cores.Count() < 2 {
		b.Skip("needs two cores")
	}
	if _, err := exec.LookPath("taskset"); err != nil {
		b.Skip("there is no taskset")
	}
	folder := filepath.Join(b.TempDir(), "call")
	spec := fixtures.SFUSpec{}
	for i := range 4 {
		id := fmt.Sprintf("peer-%d", i)
		script := fixtures.Script{Duration: 4 * time.Minute, Identity: i, Width: 640, Height: 360, Rate: fixtures.Rate{Num: 30, Den: 1}}
		spec.Tracks = append(spec.Tracks,
			fixtures.SFUTrack{ID: id + "-cam", Peer: id, Codec: "VP8", Format: fixtures.IVF, Script: script, KeyEvery: 4 * time.Second},
			fixtures.SFUTrack{ID: id + "-mic", Peer: id, Codec: "OPUS", Format: fixtures.Ogg, Script: script})
	}
	_, err := fixtures.SFU(b.Context(), folder, spec)
	require.NoError(b, err)
	for b.Loop() {
		one := timeOf(b, folder, 1)
		two := timeOf(b, folder, 2)
		b.ReportMetric(one.Seconds(), "s/one")
		b.ReportMetric(two.Seconds(), "s/two")
		b.ReportMetric(float64(one)/float64(two), "speedup")
	}
}

// timeOf is how long n workers, each on a core of its own, take for the composite, from queued to completed.
func timeOf(b *testing.B, folder string, n int) time.Duration {
	b.Helper()
	redis, data := newRedis(b), b.TempDir()
	for i := range n {
		cmd := child(b.Context(), b, "worker", "--redis", redis.url(), "--data", data, "--fan-out", "60s", "--chunk", "10s", "--cpus", "1", "--log", "text")
		pinned := exec.CommandContext(b.Context(), "taskset", append([]string{"-c", strconv.Itoa(i)}, cmd.Args...)...)
		pinned.Env = cmd.Env
		require.NoError(b, pinned.Start())
		defer func() {
			require.NoError(b, pinned.Process.Signal(syscall.SIGTERM))
			require.NoError(b, pinned.Wait())
		}()
	}
	out, err := child(b.Context(), b, "enqueue", folder, "--assets", "room-composite-legacy", "--data", data).Output()
	require.NoError(b, err, "%s", out)
	id := strings.Fields(string(out))[0]
	d, err := openData(b.Context(), data)
	require.NoError(b, err)
	defer func() { require.NoError(b, d.Close()) }()
	var job catalog.Job
	require.Eventually(b, func() bool {
		job, err = d.catalog.JobByID(b.Context(), id)
		return err != nil || job.State.Final()
	}, 20*time.Minute, 100*time.Millisecond)
	require.NoError(b, err)
	require.Equal(b, catalog.JobCompleted, job.State, "%+v", job.Error)
	return job.FinishedAt.Sub(job.CreatedAt)
}

// BenchmarkBookkeeping queues 10,000 jobs of one second that do nothing, and takes them through outbox, queue, claim,
// heartbeats and end: the target is 5 ms of processor time each, Redis' own left out.
func BenchmarkBookkeeping(b *testing.B) {
	benchOnly(b)
	for name, open := range benchCatalogs(b) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				bookkeep(b, open(b), 10_000)
			}
		})
	}
}

// benchCatalogs are the catalogs to measure with.
func benchCatalogs(*testing.B) map[string]func(b *testing.B) *sqlstore.Store {
	return map[string]func(b *testing.B) *sqlstore.Store{
		"sqlite": func(b *testing.B) *sqlstore.Store {
			s, err := sqlstore.Open(b.Context(), sqlstore.Config{Path: filepath.Join(b.TempDir(), "catalog.db")})
			require.NoError(b, err)
			return s
		},
		"postgresql": func(b *testing.B) *sqlstore.Store {
			server, err := storetest.StartPostgres(b.Context())
			if errors.Is(err, storetest.ErrNoPostgres) {
				b.Skip(err)
			}
			require.NoError(b, err)
			b.Cleanup(func() { require.NoError(b, server.Stop()) })
			s, err := sqlstore.Open(b.Context(), sqlstore.Config{URL: catalog.Secret(server.URL(""))})
			require.NoError(b, err)
			return s
		},
	}
}

func bookkeep(b *testing.B, store *sqlstore.Store, jobs int) {
	b.Helper()
	defer func() { require.NoError(b, store.Close()) }()
	q, err := queue.New(queue.Config{RedisURL: queue.URL(newRedis(b).url())})
	require.NoError(b, err)
	defer func() { require.NoError(b, q.Close()) }()
	begin, from := cpuOf(b), time.Now()
	list := make([]catalog.Job, jobs)
	for i := range list {
		list[i] = catalog.Job{CaptureURI: "none", CaptureKey: fmt.Sprint("job ", i), Cost: catalog.Cost{CPU: 1, Memory: 1}}
	}
	_, _, err = store.AddJobs(b.Context(), list, true)
	require.NoError(b, err)
	done := &countdown{left: jobs, zero: make(chan struct{})}
	worker, err := pipeline.NewWorker(pipeline.WorkerConfig{Jobs: store, Admission: pipeline.NewAdmission(pipeline.Capacity{CPU: 500, Memory: 1 << 40}), Events: done,
		Least: catalog.Cost{CPU: 1, Memory: 1},
		Run: func(ctx context.Context, _ catalog.Job, _ catalog.Claim) catalog.Attempt {
			select {
			case <-ctx.Done():
				return catalog.Attempt{Ending: catalog.EndHandBack}
			case <-time.After(time.Second):
				return catalog.Attempt{Ending: catalog.EndCompleted}
			}
		}})
	require.NoError(b, err)
	dispatcher, err := pipeline.NewDispatcher(pipeline.DispatcherConfig{Outbox: store, Queue: q})
	require.NoError(b, err)
	sweeper, err := pipeline.NewSweeper(pipeline.SweeperConfig{Catalog: store, Queue: q, Wake: dispatcher.Wake})
	require.NoError(b, err)
	ctx, stop := context.WithCancel(b.Context())
	var parts sync.WaitGroup
	for _, part := range []func(context.Context) error{dispatcher.Run, sweeper.Run, func(ctx context.Context) error {
		return q.Serve(ctx, queue.ServeOptions{Concurrency: looks}, worker.Look)
	}} {
		parts.Go(func() { _ = part(ctx) }) // ends with ctx's error
	}
	<-done.zero
	cpu, wall := cpuOf(b)-begin, time.Since(from)
	stop()
	parts.Wait()
	require.NoError(b, worker.Stop(b.Context()))
	b.ReportMetric(float64(cpu.Microseconds())/1000/float64(jobs), "cpu-ms/job")
	b.ReportMetric(float64(jobs)/wall.Seconds(), "jobs/s")
}

// countdown waits for attempts to end.
type countdown struct {
	pipeline.NoEvents
	mu   sync.Mutex
	left int
	zero chan struct{}
}

// AttemptEnded counts one that has ended.
func (c *countdown) AttemptEnded(catalog.Job, catalog.Attempt, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left == 0 {
		close(c.zero)
	}
}

// cpuOf is what this process has used.
func cpuOf(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	require.NoError(b, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkIdle measures what serve takes while there is nothing to do: the target is 1 % of a core.
func BenchmarkIdle(b *testing.B) {
	benchOnly(b)
	for b.Loop() {
		cmd := child(b.Context(), b, "serve", "--data", b.TempDir(), "--listen", "127.0.0.1:0")
		require.NoError(b, cmd.Start())
		usage := func() time.Duration {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
			require.NoError(b, err)
			fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+2:]))
			user, err1 := strconv.Atoi(fields[11])
			system, err2 := strconv.Atoi(fields[12])
			require.NoError(b, err1)
			require.NoError(b, err2)
			return time.Duration(user+system) * 10 * time.Millisecond
		}
		settle, length := time.After(5*time.Second), 30*time.Second
		<-settle
		before := usage()
		<-time.After(length)
		took := usage() - before
		require.NoError(b, cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(b, cmd.Wait())
		b.ReportMetric(100*took.Seconds()/length.Seconds(), "%-of-a-core")
	}
}
