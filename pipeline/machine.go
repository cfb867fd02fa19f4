package pipeline

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What MachineCapacity leaves to everything that is not a job.
const (
	reservedShare = 10        // one part in so many of the memory
	reservedLeast = 256 << 20 // bytes
)

// MachineCapacity returns what this process may give to jobs: the processors that
// Go uses, which follows GOMAXPROCS, the CPU affinity and the limit of the
// cgroup, and the memory that is available now or that the cgroup allows, the
// less of them, minus a reserve of a tenth and at least 256 MiB.
func MachineCapacity() (Capacity, error) {
	memory, err := memoryOf(os.DirFS("/"))
	if err != nil {
		return Capacity{}, fmt.Errorf("memory for jobs: %w", err)
	}
	return Capacity{CPU: 1000 * runtime.GOMAXPROCS(0), Memory: memory}, nil
}

// memoryOf reads the memory for jobs from the /proc and /sys below root.
func memoryOf(root fs.FS) (int64, error) {
	text, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0, err
	}
	memory, err := availableMemory(text)
	if err != nil {
		return 0, err
	}
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	for _, file := range limitFiles(string(groups)) {
		limit, ok := readLimit(root, file)
		if ok {
			memory = min(memory, limit)
		}
	}
	memory -= max(memory/reservedShare, reservedLeast)
	return max(memory, 0), nil
}

// availableMemory finds MemAvailable in /proc/meminfo (proc(5)), in bytes.
func availableMemory(meminfo []byte) (int64, error) {
	lines := bufio.NewScanner(bytes.NewReader(meminfo))
	for lines.Scan() {
		name, rest, _ := strings.Cut(lines.Text(), ":")
		if name != "MemAvailable" {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 54)
		if err != nil || kib < 0 {
			return 0, fmt.Errorf("/proc/meminfo: MemAvailable is %q", rest)
		}
		return kib << 10, nil
	}
	return 0, errors.New("/proc/meminfo has no MemAvailable")
}

// limitFiles names the files that may limit the memory of a process in the
// groups of /proc/self/cgroup (cgroups(7)): its own group's and those above it,
// of version 2 and of version 1.
func limitFiles(groups string) []string {
	var files []string
	for line := range strings.Lines(groups) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		var dir, file string
		switch {
		case fields[0] == "0" && fields[1] == "":
			dir, file = "sys/fs/cgroup", "memory.max"
		case fields[1] == "memory":
			dir, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for group := path.Clean("/" + fields[2]); ; group = path.Dir(group) {
			files = append(files, path.Join(dir, group, file))
			if group == "/" {
				break
			}
		}
	}
	return files
}

// readLimit reads a limit in bytes. In a container a group's path is often that
// outside of it and leads nowhere; "max" is no number either.
func readLimit(root fs.FS, file string) (int64, bool) {
	text, err := fs.ReadFile(root, file)
	if err != nil {
		return 0, false
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return limit, err == nil && limit >= 0
}

// FreeDisk returns how many bytes an ordinary user may still write to the file
// system that holds path.
func FreeDisk(path string) (int64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(path, &stat); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", path, err)
	}
	return int64(stat.Bavail) * int64(stat.Bsize), nil //nolint:gosec,unconvert // the types differ by system, and disks are smaller
}

// What a DiskRule asks for when nobody says otherwise.
const (
	DefaultDiskFactor  = 3                // times the capture's bytes
	DefaultDiskReserve = 1 << 30          // bytes
	DefaultDiskAfter   = 30 * time.Second // until the job may be tried again
)

// DiskRule says how much of a disk must be free before a job begins.
type DiskRule struct {
	// Path lies on the disk: the folder of the scratch folders.
	Path string
	// Factor is how many times the bytes of its capture a job may write. It
	// defaults to DefaultDiskFactor.
	Factor int64
	// Reserve is in bytes, and is to stay free beside. It defaults to
	// DefaultDiskReserve; a negative one is none.
	Reserve int64
	// After is how long a job that found too little waits before it is tried
	// again. It defaults to DefaultDiskAfter.
	After time.Duration
	// Free returns the free bytes of the disk that holds a path. It defaults to
	// FreeDisk.
	Free func(path string) (int64, error)
}

// Check returns a [NotReadyError] when there is too little space for the job of a
// capture of so many bytes, and nil when there is enough.
func (r DiskRule) Check(captureBytes int64) error {
	free := r.Free
	if free == nil {
		free = FreeDisk
	}
	have, err := free(r.Path)
	if err != nil {
		return err
	}
	need := max(captureBytes, 0)*cmp.Or(r.Factor, DefaultDiskFactor) + max(cmp.Or(r.Reserve, DefaultDiskReserve), 0)
	if have >= need {
		return nil
	}
	return &NotReadyError{
		After: cmp.Or(r.After, DefaultDiskAfter),
		Err:   fmt.Errorf("%s has %d bytes free, the job needs %d: %w", r.Path, have, need, syscall.ENOSPC),
	}
}
