package pipeline

import (
	"errors"
	"io/fs"
	"runtime"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMemoryForJobs(t *testing.T) {
	t.Parallel()
	const gib = 1 << 30
	meminfo := "MemTotal:       24684084 kB\nMemFree: 1 kB\nMemAvailable:    8388608 kB\n"
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"no cgroup", map[string]string{}, 8*gib - 8*gib/10},
		{"version 2, no limit", map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n"}, 8*gib - 8*gib/10},
		{"version 2", map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "4294967296\n"}, 4*gib - 4*gib/10},
		{"above it", map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "4294967296\n", "sys/fs/cgroup/a/memory.max": "3221225472"}, 3*gib - 3*gib/10},
		{"in a container", map[string]string{"proc/self/cgroup": "0::/../../docker/1234\n", "sys/fs/cgroup/memory.max": "1073741824\n"}, gib - 256<<20},
		{"version 1", map[string]string{"proc/self/cgroup": "9:name=systemd:/\n4:memory:/x:y\n", "sys/fs/cgroup/memory/x:y/memory.limit_in_bytes": "2147483648\n"}, 2*gib - 256<<20},
		{"version 1 without a limit", map[string]string{"proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 8*gib - 8*gib/10},
		{"less than the reserve", map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1000"}, 0},
		{"nonsense", map[string]string{"proc/self/cgroup": "what\n0::/\n", "sys/fs/cgroup/memory.max": "-1"}, 8*gib - 8*gib/10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root := fstest.MapFS{"proc/meminfo": {Data: []byte(meminfo)}}
			for name, text := range tt.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			got, err := memoryOf(root)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
	for _, text := range []string{"", "MemAvailable: -1 kB\n", "MemAvailable: much\n", "MemAvailable: 99999999999999999 kB\n"} {
		_, err := memoryOf(fstest.MapFS{"proc/meminfo": {Data: []byte(text)}})
		require.ErrorContains(t, err, "MemAvailable", text)
	}
	_, err := memoryOf(fstest.MapFS{})
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestThisMachine(t *testing.T) {
	t.Parallel()
	c, err := MachineCapacity()
	require.NoError(t, err)
	require.Equal(t, 1000*runtime.GOMAXPROCS(0), c.CPU)
	require.Positive(t, c.Memory)
	free, err := FreeDisk(t.TempDir())
	require.NoError(t, err)
	require.Positive(t, free)
	_, err = FreeDisk(t.TempDir() + "/missing")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, DiskRule{Path: t.TempDir(), Reserve: -1}.Check(1))
}

func TestDiskRule(t *testing.T) {
	t.Parallel()
	const gib = 1 << 30
	for _, tt := range []struct {
		name    string
		rule    DiskRule
		capture int64
		free    int64
		after   time.Duration // 0: enough
	}{
		{"enough", DiskRule{}, gib, 4 * gib, 0},
		{"one byte short", DiskRule{}, gib, 4*gib - 1, 30 * time.Second},
		{"without a reserve", DiskRule{Reserve: -1}, gib, 3 * gib, 0},
		{"own rule", DiskRule{Factor: 10, Reserve: 1, After: time.Minute}, 10, 100, time.Minute},
		{"an unknown size", DiskRule{}, -5, gib, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.rule.Path = "scratch"
			tt.rule.Free = func(path string) (int64, error) {
				require.Equal(t, "scratch", path)
				return tt.free, nil
			}
			err := tt.rule.Check(tt.capture)
			if tt.after == 0 {
				require.NoError(t, err)
				return
			}
			var notReady *NotReadyError
			require.ErrorAs(t, err, &notReady)
			require.Equal(t, tt.after, notReady.After)
			require.ErrorIs(t, err, syscall.ENOSPC)
			require.Contains(t, err.Error(), "scratch has")
		})
	}
	broken := errors.New("no disk")
	require.ErrorIs(t, DiskRule{Free: func(string) (int64, error) { return 0, broken }}.Check(1), broken)
}
