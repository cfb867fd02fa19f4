package child

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const (
	defaultIdle  = time.Minute
	defaultGrace = 5 * time.Second
	procSelfExe  = "/proc/self/exe"
)

// Limits bound what a child may use. The zero value of each field is the value
// named there.
type Limits struct {
	// Memory is the most bytes of memory, resident or swapped out, without pages
	// that only mirror files. A child above it is killed (OutOfMemory) within
	// 250 ms. Address space for data is limited to half as much again, at least
	// 1 GiB more: what asks for more than that in one go is refused at once, in C
	// with ENOMEM. 0 is no limit.
	Memory int64
	// CPU is the most CPU time of all threads together, rounded up to whole
	// seconds. 0 is no limit.
	CPU time.Duration
	// FileSize is the most bytes of any one file that the child writes. 0 is no
	// limit.
	FileSize int64
	// Idle is the longest time without progress: without a report and without
	// reading or writing a quarter of a megabyte. 0 is one minute, negative is for
	// ever.
	Idle time.Duration
	// CPUs is the child's GOMAXPROCS. 0 is that of the machine or container.
	CPUs int
}

// Spec says what to start and what it may touch. The zero value is this program
// with no arguments, no input, no paths but those that every child may read (see
// the package comment) and the default limits.
type Spec struct {
	// Path is the program. Empty is this one, exactly the file that is running
	// even if another one has been installed in its place since.
	Path string
	// Args are the arguments after the program's name.
	Args []string
	// Env are more variables, as "NAME=value". Of this process's own environment,
	// which may hold secrets, the child gets HOME, LANG, LC_ALL, TZ,
	// XDG_CACHE_HOME and LD_LIBRARY_PATH only. TMPDIR is the first folder of
	// Writable.
	Env []string
	// Input is what Main's handler gets, as JSON.
	Input any
	// Readable are files and folders that the child may read. One that is missing
	// when the child starts is skipped and stays closed to it.
	Readable []string
	// Writable are files and folders that the child may read and change; inside of
	// folders it may make, rename and delete regular files, folders, links and
	// pipes. Each must exist.
	Writable []string
	// Limits bound what the child may use.
	Limits Limits
	// Grace is how long a child may take to end when ctx has ended, before it is
	// killed. 0 is five seconds.
	Grace time.Duration
	// Log gets each line of the child's standard error, up to a thousand. Nil is
	// nobody; the last 16 KiB are in Death.Detail anyway.
	Log *slog.Logger
}

// Outcome is what a child has made and used. CPU, Memory and Confinement are set
// with an error as well, as far as they are known.
type Outcome struct {
	// Result is what the handler returned, as JSON. Like reports, it comes from a
	// process that hostile bytes may have taken over: it must be read with the
	// same care.
	Result json.RawMessage
	// CPU is the CPU time that all threads of the child used.
	CPU time.Duration
	// Memory is the largest resident size of the child in bytes, at least as of
	// the last look, every 250 ms.
	Memory int64
	// Confinement names what was missing for a complete confinement, in words.
	// Empty is none.
	Confinement []string
}

// prepare checks the spec and fills in the defaults.
func (s Spec) prepare() (Spec, error) {
	l := s.Limits
	if l.Memory < 0 || l.CPU < 0 || l.FileSize < 0 || l.CPUs < 0 || s.Grace < 0 {
		return s, errors.New("child: a limit is negative")
	}
	if l.Idle == 0 {
		s.Limits.Idle = defaultIdle
	}
	if s.Grace == 0 {
		s.Grace = defaultGrace
	}
	var err error
	if s.Readable, err = absolute(s.Readable); err != nil {
		return s, err
	}
	if s.Writable, err = absolute(s.Writable); err != nil {
		return s, err
	}
	for _, path := range s.Writable {
		if _, err := os.Stat(path); err != nil {
			return s, fmt.Errorf("child: a path to write below: %w", err)
		}
	}
	return s, nil
}

// absolute makes the paths absolute. An empty one would become the current
// folder, which nobody means.
func absolute(paths []string) ([]string, error) {
	out := make([]string, 0, len(paths))
	for _, path := range paths {
		if path == "" {
			return nil, fmt.Errorf("child: a permitted path: %w", fs.ErrInvalid)
		}
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, fmt.Errorf("child: permitted path %s: %w", path, err)
		}
		out = append(out, abs)
	}
	return out, nil
}

// program returns the path to start and the name to start it under.
func (s Spec) program() (path, name string, err error) {
	if s.Path != "" {
		return s.Path, s.Path, nil
	}
	name, err = os.Executable()
	if err != nil {
		return "", "", fmt.Errorf("child: finding this program: %w", err)
	}
	if _, err := os.Stat(procSelfExe); err == nil {
		return procSelfExe, name, nil
	}
	return name, name, nil
}

// environment returns the child's environment. Of variables that come twice,
// os/exec takes the last.
func (s Spec) environment() []string {
	env := []string{"GOTRACEBACK=single"} // all the crash message has room for
	for _, name := range []string{"HOME", "LANG", "LC_ALL", "TZ", "XDG_CACHE_HOME", "LD_LIBRARY_PATH"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	for _, path := range s.Writable {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			env = append(env, "TMPDIR="+path)
			break
		}
	}
	if s.Limits.CPUs > 0 {
		env = append(env, "GOMAXPROCS="+strconv.Itoa(s.Limits.CPUs))
	}
	if s.Limits.Memory > 0 {
		// Go collects harder before the watcher has to kill. C needs room too.
		env = append(env, "GOMEMLIMIT="+strconv.FormatInt(s.Limits.Memory/4*3, 10))
	}
	return append(env, s.Env...)
}
