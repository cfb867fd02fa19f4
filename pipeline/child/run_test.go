package child

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/pipeline"
)

func TestRun(t *testing.T) {
	t.Parallel()
	for _, input := range []string{`null`, `7`, `{"a":[1,"ü"]}`, `"` + strings.Repeat("x", 1<<20) + `"`} {
		var reports []string
		out, err := Run(t.Context(), job("echo", json.RawMessage(input)), func(report json.RawMessage) {
			reports = append(reports, string(report))
		})
		require.NoError(t, err)
		require.JSONEq(t, input, string(out.Result))
		require.Equal(t, []string{input, input, input}, reports)
		require.Positive(t, out.CPU)
		require.Greater(t, out.Memory, int64(1<<20))
		require.Less(t, out.Memory, int64(1<<30))
	}
}

func TestHandlerErrors(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		mode, input string
		kind        pipeline.Kind
		message     string // part of it
		code        string
	}{
		"bad input":         {"errors", "bad-input", pipeline.KindBadInput, "open: no such capture", "capture-vanished"},
		"permanent":         {"errors", "permanent", pipeline.KindPermanent, "never", ""},
		"transient":         {"errors", "transient", pipeline.KindTransient, "later", ""},
		"long":              {"errors", "long", pipeline.KindTransient, "éé", ""},
		"unasked interrupt": {"unasked interrupt", "", pipeline.KindTransient, "m", ""},
		"unknown kind":      {"unknown kind", "", pipeline.KindTransient, "m", ""},
		"bad report":        {"bad report", "", pipeline.KindPermanent, "writing a report", ""},
		"bad result":        {"bad result", "", pipeline.KindPermanent, "writing the result", ""},
		"large result":      {"large result", "", pipeline.KindPermanent, "too long", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Run(t.Context(), job(tc.mode, tc.input), nil)
			var failed *Error
			require.ErrorAs(t, err, &failed)
			require.Equal(t, tc.kind, pipeline.KindOf(err))
			require.Contains(t, failed.Message, tc.message)
			require.LessOrEqual(t, len(failed.Message), maxMessage)
			require.Equal(t, tc.code, failed.Code)
		})
	}
}

func TestDeaths(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	hang := Limits{Idle: 400 * time.Millisecond}
	for mode, tc := range map[string]struct {
		limits  Limits
		reason  Reason
		signal  syscall.Signal
		summary string // part of it
		detail  string // part of it
	}{
		"nil":                {Limits{}, Crashed, syscall.SIGSEGV, "panic: runtime error: invalid memory address", "main_test.go"},
		"wild":               {Limits{}, Crashed, syscall.SIGSEGV, "unexpected fault address", "main_test.go"},
		"panic":              {Limits{}, Crashed, 0, "panic: poison", "goroutine"},
		"exit":               {Limits{}, Crashed, 0, "exit status 9", ""},
		"SIGSEGV":            {Limits{}, Crashed, syscall.SIGSEGV, "SIGSEGV: segmentation violation", "PC="},
		"SIGABRT":            {Limits{}, Crashed, syscall.SIGABRT, "SIGABRT: abort", "PC="},
		"SIGKILL":            {Limits{}, Killed, syscall.SIGKILL, "SIGKILL", ""},
		"heap":               {Limits{Memory: 512 * mib}, OutOfMemory, -1, "", ""},
		"mmap":               {Limits{Memory: 512 * mib}, OutOfMemory, -1, "more than 512 MiB", ""},
		"busy":               {hang, Hang, syscall.SIGKILL, "no progress for 400ms", "main_test.go"},
		"stubborn":           {hang, Hang, syscall.SIGKILL, "no progress for 400ms", "main_test.go"},
		"garbage":            {Limits{}, Protocol, syscall.SIGKILL, "Segmentation fault (nearly)", ""},
		"two kinds":          {Limits{}, Protocol, syscall.SIGKILL, "is not one of", ""},
		"no kind":            {Limits{}, Protocol, syscall.SIGKILL, "is not one of", ""},
		"unconfined report":  {Limits{}, Protocol, syscall.SIGKILL, "before it has confined itself", ""},
		"unconfined result":  {Limits{}, Protocol, syscall.SIGKILL, "before it has confined itself", ""},
		"confined twice":     {Limits{}, Protocol, syscall.SIGKILL, "twice", ""},
		"after the result":   {Limits{}, Protocol, syscall.SIGKILL, "after the result", ""},
		"half a line":        {Limits{}, Protocol, syscall.SIGKILL, "unexpected end of JSON", ""},
		"giant line":         {Limits{}, Protocol, syscall.SIGKILL, "longer than 16 MiB", ""},
		"nothing":            {Limits{}, Protocol, 0, "without a result", ""},
		"only confined":      {Limits{}, Protocol, 0, "without a result", ""},
		"status 7":           {Limits{}, Crashed, 0, "exit status 7", ""},
		"result, status 7":   {Limits{}, Crashed, 0, "exit status 7", ""},
		"does not read":      {Limits{}, Crashed, 0, "exit status 5", ""},
		"a handler it lacks": {},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			spec := job(mode, strings.Repeat("x", 1<<17)) // more than a pipe holds
			spec.Limits = tc.limits
			out, err := Run(t.Context(), spec, nil)
			if tc.reason == "" {
				require.ErrorContains(t, err, "no handler")
				return
			}
			var death *Death
			require.ErrorAs(t, err, &death)
			require.Equal(t, tc.reason, death.Reason, "%v\n%s", err, death.Detail)
			if tc.signal >= 0 {
				require.Equal(t, tc.signal, death.Signal)
			}
			require.Contains(t, death.Summary, tc.summary)
			require.Contains(t, death.Detail, tc.detail)
			require.LessOrEqual(t, len(death.Detail), keepHead+keepTail)
			require.Equal(t, pipeline.KindTransient, pipeline.KindOf(err))
			require.Empty(t, out.Result)
		})
	}
}

func TestCPULimit(t *testing.T) {
	t.Parallel()
	spec := job("busy", nil)
	spec.Limits.CPU = 900 * time.Millisecond // counts as a second
	out, err := Run(t.Context(), spec, nil)
	var death *Death
	require.ErrorAs(t, err, &death)
	require.Equal(t, CPUTime, death.Reason, death.Detail)
	require.Greater(t, out.CPU, 700*time.Millisecond)
	require.Less(t, out.CPU, 2*time.Second)
}

func TestFileSizeLimit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	spec := job("file size", filepath.Join(dir, "large"))
	spec.Writable = []string{dir}
	spec.Limits.FileSize = 1 << 20
	_, err := Run(t.Context(), spec, nil)
	var death *Death
	require.ErrorAs(t, err, &death)
	require.Equal(t, FileSize, death.Reason, death.Detail)
	info, err := os.Stat(filepath.Join(dir, "large"))
	require.NoError(t, err)
	require.EqualValues(t, 1<<20, info.Size())
}

func TestMemoryWall(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("no limit of address space under the race detector")
	}
	spec := job("wall", nil)
	spec.Limits.Memory = 1 << 28
	_, err := Run(t.Context(), spec, nil)
	require.ErrorContains(t, err, "asking for 8 GiB: cannot allocate memory")
}

// Who reads without a word is not hanging.
func TestReadingIsProgress(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, make([]byte, 1<<20), 0o600))
	spec := job("reader", path)
	spec.Readable = []string{path}
	spec.Limits.Idle = time.Second
	out, err := Run(t.Context(), spec, nil)
	require.NoError(t, err)
	require.JSONEq(t, `"read"`, string(out.Result))
}

func TestStop(t *testing.T) {
	t.Parallel()
	cause := errors.New("the claim is lost")
	for name, tc := range map[string]struct {
		mode  string
		grace time.Duration
		want  string // part of the error; empty for none
	}{
		"stops when told":     {"wait", time.Minute, "waiting: context canceled"},
		"finishes in between": {"wait, then done", time.Minute, ""},
		"does not listen":     {"stubborn", 50 * time.Millisecond, "did not stop"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			spec := job(tc.mode, nil)
			spec.Grace = tc.grace
			out, err := Run(ctx, spec, func(json.RawMessage) { cancel(cause) })
			if tc.want == "" {
				require.NoError(t, err)
				require.JSONEq(t, `"done"`, string(out.Result))
				return
			}
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, pipeline.KindInterrupted, pipeline.KindOf(err))
			require.ErrorIs(t, err, cause)
			require.Positive(t, out.CPU)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Run(ctx, job("echo", nil), nil)
	require.ErrorIs(t, err, context.Canceled)
}

// The service manager signals the whole service; children wait for their worker.
func TestSignalsAreTheWorkers(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	out, err := Run(ctx, job("wait, then done", nil), func(report json.RawMessage) {
		pid, err := strconv.Atoi(string(report))
		require.NoError(t, err)
		for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
			require.NoError(t, syscall.Kill(pid, s))
		}
		group, err := syscall.Getpgid(pid)
		require.NoError(t, err)
		require.Equal(t, pid, group, "Ctrl-C in a terminal goes to a whole group")
		cancel()
	})
	require.NoError(t, err)
	require.JSONEq(t, `"done"`, string(out.Result))
}

func TestKilledWithItsWorker(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), modeVariable+"=worker")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var pid int
	_, err = fmt.Fscan(stdout, &pid)
	require.NoError(t, err)
	require.True(t, runs(pid))
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.Eventually(t, func() bool { return !runs(pid) }, 10*time.Second, 5*time.Millisecond)
}

// runs reports whether the process is there and not a zombie that waits for init.
func runs(pid int) bool {
	text, err := os.ReadFile(filepath.Join(procDir(pid), "stat"))
	if err != nil {
		return false
	}
	_, rest, _ := bytes.Cut(text, []byte(") "))
	return !bytes.HasPrefix(rest, []byte("Z")) && !bytes.HasPrefix(rest, []byte("X"))
}

// The kernel kills the child with the thread that started it, so that thread must not
// end: not with goroutines that end theirs.
func TestThreadsThatEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	out, err := Run(ctx, job("wait, then done", nil), func(json.RawMessage) {
		for range 20 {
			var work sync.WaitGroup
			for range 10 {
				work.Go(func() { runtime.LockOSThread() }) // without unlocking: ends the thread
			}
			work.Wait()
		}
		cancel()
	})
	require.NoError(t, err)
	require.JSONEq(t, `"done"`, string(out.Result))
}

// TestNothingIsLeft is not parallel: it counts the files and children of the process.
func TestNothingIsLeft(t *testing.T) { //nolint:paralleltest // see above
	_, err := Run(t.Context(), job("echo", nil), nil) // opens what stays open for good
	require.NoError(t, err)
	before := openFilesOf(t)
	for _, mode := range []string{"echo", "garbage", "panic", "SIGKILL", "nothing", "errors"} {
		var pid int
		_, _ = Run(t.Context(), job(mode, nil), func(report json.RawMessage) { pid, _ = strconv.Atoi(string(report)) })
		if pid > 0 {
			require.NoDirExists(t, procDir(pid), "%s: not even a zombie", mode)
		}
	}
	spec := job("echo", nil)
	spec.Path = filepath.Join(t.TempDir(), "missing")
	_, err = Run(t.Context(), spec, nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Equal(t, before, openFilesOf(t))
	_, err = syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
	require.ErrorIs(t, err, syscall.ECHILD)
}

func openFilesOf(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(entries)
}

func TestStandardErrorIsLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	spec := job("chatty", nil)
	spec.Log = slog.New(slog.NewTextHandler(&log, nil))
	out, err := Run(t.Context(), spec, nil)
	require.NoError(t, err, "a line on standard output is not part of the protocol")
	require.JSONEq(t, "null", string(out.Result))
	require.Contains(t, log.String(), `line="a forgotten line on standard output"`)
	require.Contains(t, log.String(), `line="a warning"`)
}

func TestEnvironment(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("TZ", "Europe/Vienna")
	spec := job("environment", nil)
	spec.Limits = Limits{CPUs: 1, Memory: 1 << 30}
	spec.Env = append(spec.Env, "LANG=de_AT.UTF-8")
	out, err := Run(t.Context(), spec, nil)
	require.NoError(t, err)
	var env []string
	require.NoError(t, json.Unmarshal(out.Result, &env))
	require.Subset(t, env, []string{"TZ=Europe/Vienna", "GOMAXPROCS=1", "LANG=de_AT.UTF-8", "GOMEMLIMIT=805306368"})
	require.NotContains(t, strings.Join(env, "\n"), "secret")
}

func TestBadSpecs(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]Spec{
		"input":          {Input: make(chan int)},
		"memory":         {Limits: Limits{Memory: -1}},
		"grace":          {Grace: -1},
		"empty path":     {Readable: []string{""}},
		"not there":      {Writable: []string{filepath.Join(t.TempDir(), "missing")}},
		"not executable": {Path: t.TempDir()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Run(t.Context(), spec, nil)
			require.Error(t, err)
		})
	}
}
