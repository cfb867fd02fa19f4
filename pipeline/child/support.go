package child

import (
	"fmt"
	"runtime"
	"unsafe"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// Piece is one thing of the kernel that the confinement and the watch build on.
type Piece struct {
	// Name is a fixed word for logs and metrics.
	Name string
	// Available says whether this machine has it, for this process.
	Available bool
	// Detail is what is there, or what is lost without it.
	Detail string
}

// Support tells which pieces this machine has. In a container, the answer is that of
// the container.
func Support() []Piece {
	abi := landlockABI()
	found := fmt.Sprintf("Landlock version %d", abi)
	pieces := []Piece{
		piece("landlock", abi >= 1, found, "files outside of the scratch folder are not closed to the child"),
		piece("landlock-rename", abi >= 2, found, "the child cannot rename from one folder to another"),
		piece("landlock-network", abi >= 4, found, "TCP is closed by seccomp alone"),
		piece("seccomp", filters(), "filter of system calls for "+runtime.GOARCH, "network, exec and signals to others are not closed to the child"),
	}
	_, io := readIO("/proc/self")
	pieces = append(pieces, piece("io-accounting", io, "/proc/PID/io", "a child that works without reporting is taken for hanging"))
	_, memory := readMemory("/proc/self")
	pieces = append(pieces, piece("memory-watch", memory, "/proc/PID/status", "the memory limit is a limit of address space only"))
	counter, oom := findOOMCounter("/", unix.Getpid())
	return append(pieces, piece("oom-events", oom, counter.path, "a kill by the kernel for lack of memory is reported as killed"))
}

func piece(name string, available bool, have, without string) Piece {
	if available {
		return Piece{Name: name, Available: true, Detail: have}
	}
	return Piece{Name: name, Detail: without}
}

// filters reports whether the kernel has filters of system calls and the library
// knows this architecture's.
func filters() bool {
	const getActionAvail = 2 // SECCOMP_GET_ACTION_AVAIL, since Linux 4.14
	if _, err := arch.GetInfo(""); err != nil || !seccomp.Supported() {
		return false
	}
	action := uint32(seccomp.ActionErrno)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, getActionAvail, 0, uintptr(unsafe.Pointer(&action))) //nolint:gosec // the call takes a pointer
	return errno == 0
}
