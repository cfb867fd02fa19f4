package child

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// hotCalls are tried first: kernels before 5.11 walk through the whole filter at
// each call.
func hotCalls() []string {
	return []string{
		"futex", "read", "pread64", "write", "pwrite64", "lseek", "nanosleep", "clock_nanosleep", "madvise",
		"mmap", "munmap", "mprotect", "epoll_pwait", "epoll_wait", "sched_yield", "openat", "close", "fstat",
		"newfstatat", "rt_sigreturn", "rt_sigprocmask", "getpid", "gettid",
	}
}

// deniedCalls fail with EPERM: what reaches other processes, the network, the kernel
// itself or other people's files past Landlock. Not every architecture has all.
func deniedCalls() []string {
	return []string{
		// Other programs and processes.
		"execve", "execveat", "fork", "vfork", "uselib",
		"ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "kcmp",
		"pidfd_open", "pidfd_getfd", "pidfd_send_signal", "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo",
		"setrlimit", "setpgid", "setsid", "migrate_pages", "move_pages",
		// The network, by any family.
		"socket", "socketpair", "socketcall", "connect", "bind", "listen", "accept", "accept4",
		"sendto", "sendmsg", "sendmmsg", "recvfrom", "recvmsg", "recvmmsg", "shutdown",
		"setsockopt", "getsockopt", "getsockname", "getpeername",
		"io_uring_setup", "io_uring_enter", "io_uring_register",
		// Memory and queues that are shared by name.
		"shmget", "shmat", "shmctl", "semget", "semop", "semtimedop", "semctl", "msgget", "msgsnd", "msgrcv",
		"msgctl", "ipc", "mq_open", "mq_unlink",
		// Files that Landlock does not know how to protect.
		"chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat",
		"setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr", "lremovexattr", "fremovexattr", "removexattrat",
		"utime", "utimes", "futimesat", "utimensat", "truncate",
		"name_to_handle_at", "open_by_handle_at", "fanotify_init", "fanotify_mark", "mknod", "mknodat",
		"quotactl", "quotactl_fd", "file_setattr",
		// Namespaces and file systems.
		"unshare", "setns", "chroot", "pivot_root", "mount", "umount2", "umount", "mount_setattr", "move_mount",
		"open_tree", "open_tree_attr", "fsopen", "fsconfig", "fsmount", "fspick", "swapon", "swapoff",
		// Who we are.
		"setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid", "setgroups", "capset",
		// The kernel and the machine.
		"bpf", "perf_event_open", "userfaultfd", "keyctl", "add_key", "request_key",
		"init_module", "finit_module", "delete_module", "create_module", "query_module", "get_kernel_syms",
		"kexec_load", "kexec_file_load", "reboot", "acct", "syslog", "iopl", "ioperm", "modify_ldt", "vm86", "vm86old",
		"settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "stime", "sethostname", "setdomainname",
		"nfsservctl", "lookup_dcookie", "vhangup", "_sysctl", "sysfs", "personality",
	}
}

// policies returns the filters. The kernel asks each and obeys the strictest.
//
// In the first, hot calls pass, denied ones fail with EPERM, all others that the
// library has a name for pass, and those it has none for, of newer kernels or of
// another architecture's ABI, fail with EPERM too. (A plain list of denied calls would
// let that other ABI through.)
//
// A condition on an argument must be the last of its filter: the library does not
// fetch the call's number again after a condition that does not hold, and would go on
// to compare the argument with the numbers of calls. Hence a filter for each. Its
// BitsNotSet holds always, for it is looked for in either half of the word.
func policies(info *arch.Info, pid int) []seccomp.Policy {
	const refuse = seccomp.ActionErrno // with EPERM
	known := func(names []string) []string {
		return slices.DeleteFunc(names, func(name string) bool { _, ok := info.SyscallNames[name]; return !ok })
	}
	hot, denied, absent := known(hotCalls()), known(deniedCalls()), known([]string{"clone3"})
	rest := make([]string, 0, len(info.SyscallNames))
	for name := range info.SyscallNames {
		if name != "clone" && !slices.Contains(absent, name) && !slices.Contains(hot, name) && !slices.Contains(denied, name) {
			rest = append(rest, name)
		}
	}
	slices.Sort(rest)
	when := func(action seccomp.Action, name string, argument uint32, op seccomp.Operation, value uint64) seccomp.SyscallGroup {
		return seccomp.SyscallGroup{Action: action, NamesWithCondtions: []seccomp.NameWithConditions{
			{Name: name, Conditions: seccomp.ArgumentConditions{{Argument: argument, Operation: op, Value: value}}}}}
	}
	unless := func(name string, argument uint32, value int) seccomp.Policy {
		return seccomp.Policy{DefaultAction: seccomp.ActionAllow, Syscalls: []seccomp.SyscallGroup{
			when(refuse, name, argument, seccomp.NotEqual, uint64(value))}} //nolint:gosec // a pid is positive
	}
	return []seccomp.Policy{
		{DefaultAction: refuse, Syscalls: []seccomp.SyscallGroup{
			{Action: seccomp.ActionAllow, Names: hot},
			{Action: refuse, Names: denied},
			// The flags of clone3 are behind a pointer; without it, the C library uses clone.
			{Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS), Names: absent},
			{Action: seccomp.ActionAllow, Names: rest},
			// A new thread yes, a new process no.
			when(seccomp.ActionAllow, "clone", 0, seccomp.BitsSet, unix.CLONE_THREAD),
		}},
		// Signals for ourselves only; Go interrupts its threads with tgkill.
		unless("kill", 0, pid),
		unless("tgkill", 0, pid),
		// Reading limits yes, changing them no: root could raise them.
		unless("prlimit64", 2, 0),
	}
}

// confineCalls filters the system calls of all threads, and reports whether it did: a
// kernel without filters is no error.
func confineCalls() (bool, error) {
	if !seccomp.Supported() {
		return false, nil
	}
	info, err := arch.GetInfo("")
	if err != nil {
		return false, nil //nolint:nilerr // Support tells
	}
	// no_new_privs is set for the thread that then loads the filter for all.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, policy := range policies(info, os.Getpid()) {
		err := seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: true, Flag: seccomp.FilterFlagTSync, Policy: policy})
		switch {
		case errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.EINVAL) && !filters():
			return false, nil
		case err != nil:
			return false, fmt.Errorf("filtering system calls: %w", err)
		}
	}
	return true, nil
}
