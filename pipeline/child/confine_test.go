package child

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// earlyThreads are threads from before the confinement.
type earlyThreads struct{ calls []chan func() }

func newEarlyThreads(n int) *earlyThreads {
	e := &earlyThreads{}
	for range n {
		call := make(chan func())
		e.calls = append(e.calls, call)
		go func() {
			runtime.LockOSThread()
			for f := range call {
				f()
			}
		}()
	}
	return e
}

// each runs f on each of the threads and returns what it returned.
func (e *earlyThreads) each(f func() error) []string {
	var out []string
	for _, call := range e.calls {
		done := make(chan error)
		call <- func() { done <- f() }
		out = append(out, word(<-done))
	}
	return out
}

// places are paths for probe.
type places struct {
	In, Out, Other, File string // folders but File
	Listening, Socket    string // addresses of the test's own servers
	Parent               int
}

// word is an error in a word: the errno's name.
func word(err error) string {
	var errno syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return err.Error()
}

// probe tries things from inside and tells how they went.
func probe(input json.RawMessage, early *earlyThreads) (any, error) {
	var p places
	if err := json.Unmarshal(input, &p); err != nil {
		return nil, err
	}
	read := func(parts ...string) error { _, err := os.ReadFile(filepath.Join(parts...)); return err }
	write := func(parts ...string) error { return os.WriteFile(filepath.Join(parts...), []byte("x"), 0o600) }
	dial := func(network, address string) error {
		conn, err := net.DialTimeout(network, address, time.Second)
		if err == nil {
			return conn.Close()
		}
		return err
	}
	_, pairErr := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	_, listErr := os.ReadDir(p.Other)
	_, listInErr := os.ReadDir(p.In)
	_, _, forkErr := syscall.RawSyscall(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0)
	_, _, clone3Err := syscall.RawSyscall(unix.SYS_CLONE3, 0, 0, 0)
	_, uringErr := listenAnything()
	_, zoneErr := time.LoadLocation("Europe/Vienna")
	limitErr := syscall.Setrlimit(unix.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 100, Max: 100})
	null := func() error { return os.WriteFile(os.DevNull, []byte("x"), 0) }
	results := map[string]string{
		"read inside":           word(read(p.In, "file")),
		"list inside":           word(listInErr),
		"read a permitted file": word(read(p.File)),
		"read outside":          word(read(p.Other, "file")),
		"read through a link":   word(read(p.In, "link")),
		"list outside":          word(listErr),
		"read a password":       word(read("/etc/shadow")),
		"read what is missing":  word(read(p.Other, "missing")),
		"read the parent":       word(read(procDir(p.Parent), "environ")),
		"write to input":        word(write(p.In, "new")),
		"overwrite input":       word(write(p.In, "file")),
		"write a read-only":     word(write(p.File)),
		"write outside":         word(write(p.Other, "new")),
		"delete outside":        word(os.Remove(filepath.Join(p.Other, "file"))),
		"truncate outside":      word(os.Truncate(filepath.Join(p.Other, "file"), 0)),
		"chmod outside":         word(os.Chmod(filepath.Join(p.Other, "file"), 0)),
		"write inside":          word(write(p.Out, "new")),
		"make a folder":         word(os.MkdirAll(filepath.Join(p.Out, "a/b"), 0o700)),
		"rename across folders": word(os.Rename(filepath.Join(p.Out, "new"), filepath.Join(p.Out, "a/b/renamed"))),
		"link":                  word(os.Link(filepath.Join(p.Out, "a/b/renamed"), filepath.Join(p.Out, "linked"))),
		"delete inside":         word(os.RemoveAll(filepath.Join(p.Out, "a"))),
		"move out":              word(os.Rename(filepath.Join(p.Out, "linked"), filepath.Join(p.Other, "moved"))),
		"TCP":                   word(dial("tcp", p.Listening)),
		"UDP":                   word(dial("udp", p.Listening)),
		"unix socket":           word(dial("unix", p.Socket)),
		"socket pair":           word(pairErr),
		"io_uring":              word(uringErr),
		"exec":                  word(exec.Command("/bin/true").Run()),
		"exec of ourselves":     word(syscall.Exec(procSelfExe, []string{"x"}, nil)),
		"fork":                  word(errnoError(forkErr)),
		"clone3":                word(errnoError(clone3Err)),
		"signal the parent":     word(syscall.Kill(p.Parent, 0)),
		"signal a thread of it": word(unix.Tgkill(p.Parent, p.Parent, 0)),
		"signal ourselves":      word(syscall.Kill(os.Getpid(), 0)),
		"ptrace":                word(syscall.PtraceAttach(p.Parent)),
		"unshare":               word(unix.Unshare(unix.CLONE_NEWUSER)),
		"raise a limit":         word(limitErr),
		"/dev/null":             word(null()),
		"/dev/urandom":          word(readSome("/dev/urandom")),
		"/proc/self/status":     word(read("/proc/self/status")),
		"time zone":             word(zoneErr),
		"new threads":           newThreads(),
		"old threads, files":    strings.Join(early.each(func() error { return read(p.Other, "file") }), " "),
		"old threads, sockets":  strings.Join(early.each(func() error { return dial("unix", p.Socket) }), " "),
		"no new privileges":     threadField("NoNewPrivs:"),
		"oom score":             oneLine("/proc/self/oom_score_adj"),
	}
	return results, nil
}

func TestConfinement(t *testing.T) {
	t.Parallel()
	if landlockABI() < 4 || !filters() {
		t.Skip("the kernel lacks pieces") // TestSupport tells which
	}
	p := openPlaces(t)
	spec := job("probe", p)
	spec.Readable = []string{p.In, p.File, filepath.Join(p.Other, "missing")}
	spec.Writable = []string{p.Out}
	out, err := Run(t.Context(), spec, nil)
	require.NoError(t, err)
	require.Empty(t, out.Confinement)

	got := map[string]string{}
	require.NoError(t, json.Unmarshal(out.Result, &got))
	want := map[string]string{"read what is missing": "ENOENT", "clone3": "ENOSYS", "no new privileges": "1", "oom score": "800"}
	for _, name := range []string{"read inside", "list inside", "read a permitted file", "write inside", "make a folder", "rename across folders", "link",
		"delete inside", "signal ourselves", "/dev/null", "/dev/urandom", "/proc/self/status", "time zone", "new threads"} {
		want[name] = "ok"
	}
	for _, name := range []string{"read outside", "read through a link", "list outside", "read a password", "read the parent", "write to input",
		"overwrite input", "write a read-only", "write outside", "delete outside", "move out"} {
		want[name] = "EACCES"
	}
	for _, name := range []string{"truncate outside", "chmod outside", "TCP", "UDP", "unix socket", "socket pair", "io_uring", "exec",
		"exec of ourselves", "fork", "signal the parent", "signal a thread of it", "ptrace", "unshare", "raise a limit"} {
		want[name] = "EPERM"
	}
	want["old threads, files"] = "EACCES EACCES EACCES EACCES"
	want["old threads, sockets"] = "EPERM EPERM EPERM EPERM"
	require.Equal(t, want, got)

	text, err := os.ReadFile(filepath.Join(p.Other, "file"))
	require.NoError(t, err)
	require.Equal(t, "outside", string(text))
	require.NoFileExists(t, filepath.Join(p.Other, "moved"))
}

// openPlaces makes the folders and servers that the probe goes for.
func openPlaces(t *testing.T) places {
	t.Helper()
	p := places{In: t.TempDir(), Out: t.TempDir(), Other: t.TempDir(), Parent: os.Getpid()}
	p.File = filepath.Join(p.Other, "permitted")
	require.NoError(t, os.WriteFile(p.File, nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(p.In, "file"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(p.Other, "file"), []byte("outside"), 0o600))
	require.NoError(t, os.Symlink(filepath.Join(p.Other, "file"), filepath.Join(p.In, "link")))
	var config net.ListenConfig
	tcp, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tcp.Close()) })
	p.Listening = tcp.Addr().String()
	p.Socket = filepath.Join(p.Out, "s") // a permitted folder does not help
	unixSocket, err := config.Listen(t.Context(), "unix", p.Socket)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unixSocket.Close()) })
	return p
}

func errnoError(e syscall.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

// listenAnything tries to make a ring for input and output past the other calls.
func listenAnything() (uintptr, error) {
	fd, _, errno := syscall.Syscall(unix.SYS_IO_URING_SETUP, 1, 0, 0)
	return fd, errnoError(errno)
}

func readSome(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = f.Read(make([]byte, 16))
	return errors.Join(err, f.Close())
}

// newThreads starts threads after the confinement, and stops them again.
func newThreads() string {
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() { runtime.LockOSThread() })
	}
	work.Wait()
	return "ok"
}

func threadField(key string) string {
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

func oneLine(path string) string {
	text, _ := os.ReadFile(path)
	return strings.TrimSpace(string(text))
}

func TestSupport(t *testing.T) {
	t.Parallel()
	for _, piece := range Support() {
		t.Logf("%-18s %-5v %s", piece.Name, piece.Available, piece.Detail)
		require.NotEmpty(t, piece.Name)
		require.NotEmpty(t, piece.Detail)
	}
}
