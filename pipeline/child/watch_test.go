package child

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProgress(t *testing.T) {
	t.Parallel()
	var p progress
	begin := time.Now()
	p.mark()
	at := func(s int) time.Time { return begin.Add(time.Duration(s) * time.Second) }
	require.Greater(t, p.look(0, at(30)), 29*time.Second)
	require.Greater(t, p.look(ioProgress-1, at(40)), 39*time.Second, "the runtime's own bytes")
	require.Zero(t, p.look(ioProgress, at(50)))
	require.Equal(t, 20*time.Second, p.look(2*ioProgress-1, at(70)))
	p.hold()
	require.Zero(t, p.look(2*ioProgress-1, at(1000)), "our own time")
	p.release()
}

func TestOOMCounters(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"version 2":         {map[string]string{"proc/7/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.events": "low 0\noom 3\noom_kill 2\n", "proc/vmstat": "oom_kill 9\n"}, 2},
		"version 1":         {map[string]string{"proc/7/cgroup": "5:cpu:/x\n4:memory:/m\n0::/\n", "sys/fs/cgroup/memory/m/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n", "proc/vmstat": "oom_kill 9\n"}, 4},
		"the whole machine": {map[string]string{"proc/7/cgroup": "0::/\n", "proc/vmstat": "nr_free_pages 1\noom_kill 9\n"}, 9},
		"none":              {map[string]string{"proc/7/cgroup": "nonsense"}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			for path, text := range tc.files {
				path = filepath.Join(root, path)
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
				require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			}
			counter, ok := findOOMCounter(root, 7)
			require.Equal(t, tc.want >= 0, ok)
			if ok {
				n, ok := counter.read()
				require.True(t, ok)
				require.Equal(t, tc.want, n)
			}
		})
	}
}

// The kernel kills the child, and not its worker, when their cgroup has no memory
// left, and it is told what it was.
func TestKilledByTheKernel(t *testing.T) {
	t.Parallel()
	procs := newCgroup(t, 400<<20)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), modeVariable+"=worker without mem")
	cmd.Stdin = strings.NewReader(procs)
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Equal(t, "child process died: out-of-memory: SIGKILL", string(out))
}

// newCgroup makes a cgroup with a limit of memory and returns its list of processes.
func newCgroup(t *testing.T, limit int) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/cgroup")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		dir, file := filepath.Join("/sys/fs/cgroup", parts[2]), "memory.max"
		if parts[1] == "memory" {
			dir, file = filepath.Join("/sys/fs/cgroup/memory", parts[2]), "memory.limit_in_bytes"
		} else if parts[1] != "" {
			continue
		}
		dir = filepath.Join(dir, fmt.Sprintf("rushes-test-%d", os.Getpid()))
		if os.Mkdir(dir, 0o700) != nil {
			continue
		}
		t.Cleanup(func() {
			require.Eventually(t, func() bool { return os.Remove(dir) == nil }, 10*time.Second, 5*time.Millisecond)
		})
		if _, err := os.Stat(filepath.Join(dir, file)); err == nil && os.WriteFile(filepath.Join(dir, file), fmt.Append(nil, limit), 0) == nil {
			return filepath.Join(dir, "cgroup.procs")
		}
	}
	t.Skip("no cgroup with a memory limit can be made here")
	return ""
}

func TestStandardErrorKeepsBothEnds(t *testing.T) {
	t.Parallel()
	var s stderrLog
	text := "before\npanic: poison " + strings.Repeat("p", 5000) + "\n" + strings.Repeat("goroutine and so on\n", 10_000) + "the end\n"
	s.consume(strings.NewReader(text))
	got := s.detail()
	require.True(t, strings.HasPrefix(got, "panic: poison ppp"), "%.50s", got)
	require.True(t, strings.HasSuffix(got, "the end\n"))
	require.LessOrEqual(t, len(got), keepHead+keepTail)
	require.Greater(t, len(got), keepTail)
}

func FuzzParseMessage(f *testing.F) {
	for _, seed := range []string{confinedLine, `{"report":null}`, `{"result":1,"memory":2}`, `{"error":{"kind":"x"}}`, `{}`, `[`, `{"report":1,"result":2}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := parseMessage(line)
		if err != nil {
			return
		}
		require.NotEqual(t, m.final(), m.Confined != nil || m.Report != nil)
		if m.Error != nil {
			require.LessOrEqual(t, len(newError(*m.Error, false).Message), maxMessage)
		}
		require.False(t, bytes.Equal(bytes.TrimSpace(line), []byte("{}")))
	})
}
