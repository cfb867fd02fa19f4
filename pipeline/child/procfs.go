package child

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// memory is what a process uses, in bytes.
type memory struct {
	peak int64 // largest resident size so far
	used int64 // anonymous, shared and swapped out: what cannot be read again from a file
}

// readMemory reads the use of memory from the process's folder below /proc. The
// largest resident size in getrusage is no good: it begins with the parent's, whose
// memory the child shares until it execs.
func readMemory(dir string) (memory, bool) {
	text, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return memory{}, false
	}
	value := func(key string) int64 {
		n, _ := field(text, key)
		return n << 10
	}
	m := memory{peak: value("VmHWM:"), used: value("RssAnon:") + value("RssShmem:") + value("VmSwap:")}
	return m, m.peak > 0 // a process that is ending has none
}

// readIO returns how many bytes the process has read and written, files and pipes
// and page cache alike.
func readIO(dir string) (int64, bool) {
	text, err := os.ReadFile(filepath.Join(dir, "io"))
	if err != nil {
		return 0, false
	}
	read, ok := field(text, "rchar:")
	written, ok2 := field(text, "wchar:")
	return read + written, ok && ok2
}

// field returns the number after key, which begins a line.
func field(text []byte, key string) (int64, bool) {
	for line := range bytes.Lines(text) {
		rest, ok := bytes.CutPrefix(line, []byte(key))
		if !ok {
			continue
		}
		if words := bytes.Fields(rest); len(words) > 0 {
			n, err := strconv.ParseInt(string(words[0]), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// oomCounter is a counter of processes that the kernel killed for memory.
type oomCounter struct{ path string }

// findOOMCounter returns the closest counter round the process: that of its cgroup,
// of version 2 or 1, or that of the whole machine. The root is "/", but in tests.
func findOOMCounter(root string, pid int) (oomCounter, bool) {
	cgroups := filepath.Join(root, "sys/fs/cgroup")
	paths := []string{}
	text, _ := os.ReadFile(filepath.Join(root, "proc", strconv.Itoa(pid), "cgroup")) //nolint:errcheck // without it there is the machine's
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(parts) < 3:
		case parts[1] == "":
			paths = append(paths, filepath.Join(cgroups, parts[2], "memory.events"))
		case parts[1] == "memory":
			paths = append(paths, filepath.Join(cgroups, "memory", parts[2], "memory.oom_control"))
		}
	}
	paths = append(paths, filepath.Join(root, "proc/vmstat"))
	for _, path := range paths {
		counter := oomCounter{path}
		if _, ok := counter.read(); ok {
			return counter, true
		}
	}
	return oomCounter{}, false
}

// read returns how many were killed so far.
func (c oomCounter) read() (int64, bool) {
	if c.path == "" {
		return 0, false
	}
	text, err := os.ReadFile(c.path)
	if err != nil {
		return 0, false
	}
	return field(text, "oom_kill ")
}

// procDir returns the process's folder below /proc.
func procDir(pid int) string { return fmt.Sprintf("/proc/%d", pid) }
