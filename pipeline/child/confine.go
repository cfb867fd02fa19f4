package child

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

const (
	oomScore    = 800  // of 1000: the kernel takes the child before anything of ours
	openFiles   = 4096 // a long composite reads one file per participant and take
	dataHeadMin = 1 << 30
)

// Rights below a path, in terms of Landlock. Nobody may execute, make devices or
// sockets, talk to sockets, or use ioctls of devices.
const (
	readFile  = ll.AccessFSReadFile
	readDir   = readFile | ll.AccessFSReadDir
	writeFile = readFile | ll.AccessFSWriteFile | ll.AccessFSTruncate
	writeDir  = writeFile | readDir | ll.AccessFSRemoveDir | ll.AccessFSRemoveFile | ll.AccessFSMakeDir |
		ll.AccessFSMakeReg | ll.AccessFSMakeSym | ll.AccessFSMakeFifo | ll.AccessFSRefer

	allFS  = ll.AccessFSResolveUnix<<1 - 1
	allNet = ll.AccessNetConnectSendUDP<<1 - 1
)

// alwaysReadable is what Go, the C library and the drawing of names read at some time
// after the start. Those that are missing are skipped.
func alwaysReadable() []string {
	return []string{
		"/dev/random", "/dev/urandom",
		"/etc/localtime", "/usr/share/zoneinfo",
		"/etc/fonts", "/usr/share/fonts", "/usr/local/share/fonts",
		"/proc/self", "/proc/meminfo", "/proc/cpuinfo", "/proc/sys/vm/overcommit_memory",
		"/sys/devices/system/cpu", "/sys/kernel/mm",
	}
}

// alwaysWritable is for programs that throw things away.
func alwaysWritable() []string { return []string{"/dev/null"} }

// confine takes away from the whole process what c does not leave it, and returns in
// words what this kernel cannot take away. An error is a confinement that should have
// worked.
func confine(c confinement) (missing []string, err error) {
	stepForward()
	if err := limit(c); err != nil {
		return nil, err
	}
	for _, piece := range Support() {
		if !piece.Available {
			missing = append(missing, piece.Name+": "+piece.Detail)
		}
	}
	if err := confineFiles(c); err != nil {
		return nil, err
	}
	filtered, err := confineCalls()
	if err != nil {
		return nil, err
	}
	return missing, checkThreads(filtered)
}

// stepForward lets the kernel take this process first when memory runs out, and
// names it in lists of processes. Both are courtesies.
func stepForward() {
	const score = "/proc/self/oom_score_adj"
	text, err := os.ReadFile(score)
	if err != nil {
		return
	}
	if now, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && now < oomScore {
		_ = os.WriteFile(score, []byte(strconv.Itoa(oomScore)), 0) //nolint:errcheck // see above
	}
	_ = os.WriteFile("/proc/self/comm", []byte("rushes-child"), 0) //nolint:errcheck // see above
}

// limit sets the resource limits. Where the limits of the worker itself are lower,
// they stay.
func limit(c confinement) error {
	type resourceLimit struct {
		what     string
		resource int
		most     int64
	}
	limits := []resourceLimit{
		{"core files", unix.RLIMIT_CORE, 0},
		{"open files", unix.RLIMIT_NOFILE, openFiles},
	}
	if c.Memory > 0 && !raceDetector {
		wall := c.Memory + max(c.Memory/2, dataHeadMin)
		limits = append(limits, resourceLimit{"memory", unix.RLIMIT_DATA, wall})
	}
	if c.FileSize > 0 {
		limits = append(limits, resourceLimit{"file size", unix.RLIMIT_FSIZE, c.FileSize})
	}
	if c.CPU > 0 {
		seconds := int64((c.CPU + time.Second - 1) / time.Second)
		// As soft and as hard limit, which is SIGKILL at once: Go ignores SIGXCPU.
		limits = append(limits, resourceLimit{"CPU time", unix.RLIMIT_CPU, seconds})
	}
	for _, l := range limits {
		var now syscall.Rlimit
		if err := syscall.Getrlimit(l.resource, &now); err != nil {
			return fmt.Errorf("reading the limit of %s: %w", l.what, err)
		}
		most := min(uint64(l.most), now.Max) //nolint:gosec // prepare refuses negative ones
		want := syscall.Rlimit{Cur: most, Max: most}
		if err := syscall.Setrlimit(l.resource, &want); err != nil {
			return fmt.Errorf("setting the limit of %s: %w", l.what, err)
		}
	}
	return nil
}

// landlockABI returns the version of Landlock in the kernel, 0 for none.
func landlockABI() int {
	abi, err := ll.LandlockGetABIVersion()
	if err != nil {
		return 0
	}
	return abi
}

// confineFiles applies Landlock to all threads: files, and the network as far as this
// kernel has rules for it. Signals are left to seccomp: without TSYNC, before version
// 8, each thread has a Landlock domain of its own, and could not signal the others.
func confineFiles(c confinement) error {
	abi := landlockABI()
	if abi == 0 {
		return nil
	}
	config, err := landlock.NewConfig(landlock.AccessFSSet(allFS), landlock.AccessNetSet(allNet),
		landlock.ScopedSet(ll.ScopeAbstractUnixSocket))
	if err != nil {
		return fmt.Errorf("configuring landlock: %w", err)
	}
	var rules []landlock.Rule
	for _, set := range []struct {
		paths     []string
		dir, file landlock.AccessFSSet
		need      need
	}{
		{alwaysReadable(), readDir, readFile, optional},
		{alwaysWritable(), writeDir, writeFile, optional},
		{c.Readable, readDir, readFile, ifThere},
		{c.Writable, writeDir, writeFile, required},
	} {
		for _, path := range set.paths {
			rights, err := set.need.rights(path, set.dir, set.file)
			if err != nil {
				return fmt.Errorf("permitting a path: %w", err)
			}
			if abi < 2 {
				rights &^= ll.AccessFSRefer // asking for it would give up all of Landlock
			}
			if rights != 0 {
				rules = append(rules, landlock.PathAccess(rights, path))
			}
		}
	}
	if err := config.BestEffort().Restrict(rules...); err != nil {
		return fmt.Errorf("applying landlock: %w", err)
	}
	return nil
}

// need is how much a path has to be there.
type need int

const (
	optional need = iota // or else it is skipped, whatever is wrong
	ifThere              // skipped when it is missing
	required
)

// rights returns the rights that fit what the path is; none when it is to be skipped.
func (n need) rights(path string, dir, file landlock.AccessFSSet) (landlock.AccessFSSet, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil && (n == optional || n == ifThere && errors.Is(err, fs.ErrNotExist)):
		return 0, nil
	case err != nil:
		return 0, err
	case info.IsDir():
		return dir, nil
	}
	return file, nil
}

// checkThreads makes sure that all threads are confined: seccomp tells of one that it
// could not reach by a number that looks like success.
func checkThreads(filtered bool) error {
	if !filtered {
		return nil
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no /proc at all
	}
	if err != nil {
		return fmt.Errorf("looking at the threads: %w", err)
	}
	for _, task := range tasks {
		text, err := os.ReadFile("/proc/self/task/" + task.Name() + "/status")
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // the thread has ended
		}
		if err != nil {
			return fmt.Errorf("looking at thread %s: %w", task.Name(), err)
		}
		if mode, ok := field(text, "Seccomp:"); ok && mode != 2 {
			return fmt.Errorf("thread %s has no filter of system calls", task.Name())
		}
	}
	return nil
}
