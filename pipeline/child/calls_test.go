package child

import (
	"encoding/binary"
	"runtime"
	"slices"
	"testing"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const (
	ownPID  = 42
	refused = uint32(seccomp.ActionErrno) | uint32(unix.EPERM)
	unknown = uint32(seccomp.ActionErrno) | uint32(unix.ENOSYS)
	allowed = uint32(seccomp.ActionAllow)
)

// filterSet is the filters in a machine of their own.
type filterSet []*bpf.VM

func newFilterSet(t *testing.T, info *arch.Info) filterSet {
	t.Helper()
	var set filterSet
	for _, policy := range policies(info, ownPID) {
		program, err := policy.Assemble()
		require.NoError(t, err)
		vm, err := bpf.NewVM(program)
		require.NoError(t, err)
		set = append(set, vm)
	}
	return set
}

// ask returns what becomes of a call: as in the kernel, the lowest action wins.
func (set filterSet) ask(t *testing.T, archID, number uint32, args ...uint64) uint32 {
	t.Helper()
	words := []uint32{number, archID, 0, 0} // struct seccomp_data
	for i := range 6 {
		var arg uint64
		if i < len(args) {
			arg = args[i]
		}
		words = append(words, uint32(arg), uint32(arg>>32)) // the lower half first: a little-endian machine
	}
	var data []byte
	for _, word := range words {
		data = binary.BigEndian.AppendUint32(data, word) // this machine, unlike the kernel's, has network order
	}
	answer := allowed
	for _, vm := range set {
		action, err := vm.Run(data)
		require.NoError(t, err)
		answer = min(answer, uint32(action))
	}
	return answer
}

func TestFilter(t *testing.T) {
	t.Parallel()
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("byte order and calls are those of other machines")
	}
	info, err := arch.GetInfo("")
	require.NoError(t, err)
	set := newFilterSet(t, info)
	id := uint32(info.ID)
	number := func(name string) uint32 {
		n, ok := info.SyscallNames[name]
		require.True(t, ok, name)
		return uint32(n)
	}

	for name := range info.SyscallNames {
		want := allowed
		switch {
		case slices.Contains(deniedCalls(), name), slices.Contains([]string{"clone", "kill", "tgkill"}, name):
			want = refused // without arguments
		case name == "clone3":
			want = unknown
		}
		require.Equal(t, want, set.ask(t, id, number(name)), name)
	}
	for _, name := range []string{"execve", "execveat", "socket", "ptrace", "bpf", "io_uring_setup", "unshare", "mount", "process_vm_writev"} {
		require.Equal(t, refused, set.ask(t, id, number(name)), name)
	}
	require.Equal(t, refused, set.ask(t, id, 9999), "a call of the future")

	// Arguments never count as numbers of calls, in whichever half they are.
	for n := range uint64(1024) {
		for _, value := range []uint64{n, n << 32} {
			if value != ownPID {
				require.Equal(t, refused, set.ask(t, id, number("kill"), value, uint64(unix.SIGKILL)))
				require.Equal(t, refused, set.ask(t, id, number("tgkill"), value, ownPID, uint64(unix.SIGURG)))
			}
			require.Equal(t, refused, set.ask(t, id, number("clone"), value))
			require.Equal(t, allowed, set.ask(t, id, number("clone"), value|unix.CLONE_THREAD))
			if value != 0 {
				require.Equal(t, refused, set.ask(t, id, number("prlimit64"), 0, unix.RLIMIT_DATA, value))
			}
		}
		require.Equal(t, refused, set.ask(t, id^1, uint32(n), ownPID), "call %d of another architecture", n)
	}
	require.Equal(t, allowed, set.ask(t, id, number("kill"), ownPID, uint64(unix.SIGABRT)))
	require.Equal(t, allowed, set.ask(t, id, number("tgkill"), ownPID, 43, uint64(unix.SIGURG)))
	require.Equal(t, allowed, set.ask(t, id, number("prlimit64"), 0, unix.RLIMIT_STACK, 0, 1))
	if runtime.GOARCH == "amd64" {
		const x32 = 0x40000000
		require.Equal(t, unknown, set.ask(t, id, x32|number("write")))
	}
}

// Other architectures are not this machine's, but the names must be right there too.
func TestNamesOfCalls(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"amd64", "arm64"} {
		info, err := arch.GetInfo(name)
		require.NoError(t, err)
		first := policies(info, ownPID)[0]
		for _, group := range first.Syscalls[:4] {
			for _, call := range group.Names {
				require.Contains(t, info.SyscallNames, call)
			}
		}
		for _, call := range []string{"execve", "execveat", "socket", "ptrace", "bpf", "io_uring_setup", "unshare", "mount", "fchmodat2"} {
			require.Contains(t, first.Syscalls[1].Names, call)
		}
	}
	for _, call := range deniedCalls() {
		require.NotContains(t, hotCalls(), call)
	}
}
