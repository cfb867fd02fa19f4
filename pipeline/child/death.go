package child

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"rushes/pipeline"
)

// Reason is why a child died. Reasons are written to the catalog and to metrics:
// the words stay.
type Reason string

// The reasons of a death.
const (
	// Crashed is a fault in the program: a signal such as SIGSEGV, a Go panic or
	// fatal error, or an end without having said anything.
	Crashed Reason = "crashed"
	// Killed is a signal from somebody else.
	Killed Reason = "killed"
	// OutOfMemory is a child that was above Limits.Memory, that could not allocate,
	// or that the kernel killed because memory had run out.
	OutOfMemory Reason = "out-of-memory"
	// Hang is a child without progress for Limits.Idle.
	Hang Reason = "hang"
	// CPUTime is a child that used up Limits.CPU.
	CPUTime Reason = "cpu-time"
	// FileSize is a child that tried to write past Limits.FileSize, and failed then.
	FileSize Reason = "file-size"
	// Protocol is a child that wrote something else than it may.
	Protocol Reason = "protocol"
)

// Death is the error of a child that ended without saying how its work went. Its
// pipeline.Kind is transient: another attempt may do better, and which attempt is
// the last one is for the job to say.
type Death struct { //nolint:errname // a death is what it is called everywhere
	// Reason is why.
	Reason Reason
	// Signal is what ended the child or what Go's crash message names; 0 is none.
	Signal syscall.Signal
	// Exit is the exit status; -1 when a signal ended the child.
	Exit int
	// Summary is one line: the limit, the panic, what was wrong with the protocol.
	Summary string
	// Detail is the beginning of the crash message and the last lines of standard
	// error, 16 KiB together. It is text from a process that hostile bytes may have
	// taken over.
	Detail string
}

// Error returns the reason and the summary.
func (d *Death) Error() string {
	text := "child process died: " + string(d.Reason)
	if d.Summary != "" {
		text += ": " + d.Summary
	}
	return text
}

// Error is the error that the handler returned in the child, as far as it can be
// carried over: its kind, its text and its code.
type Error struct {
	// Kind is what it means for the job. KindInterrupted comes only from a child
	// that was told to stop; from any other it is taken for KindTransient, because
	// interrupted attempts are free.
	Kind pipeline.Kind
	// Message is the text, of 4 KiB at most.
	Message string
	// Code is what a method Code() string of the error said; empty without one.
	Code string
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// BadInput reports whether the kind is bad input; see pipeline.KindOf.
func (e *Error) BadInput() bool { return e.Kind == pipeline.KindBadInput }

// Permanent reports whether the kind is permanent; see pipeline.KindOf.
func (e *Error) Permanent() bool { return e.Kind == pipeline.KindPermanent }

// Unwrap returns context.Canceled for an interrupted handler, else nil.
func (e *Error) Unwrap() error {
	if e.Kind == pipeline.KindInterrupted {
		return context.Canceled
	}
	return nil
}

// newError turns the child's word into an error.
func newError(f failure, stopped bool) *Error {
	e := &Error{Kind: pipeline.KindTransient, Message: cut(f.Message, maxMessage), Code: cut(f.Code, 100)}
	for _, kind := range []pipeline.Kind{pipeline.KindBadInput, pipeline.KindPermanent, pipeline.KindInterrupted} {
		if f.Kind == kind.String() && (stopped || kind != pipeline.KindInterrupted) {
			e.Kind = kind
		}
	}
	return e
}

// cpuSlack is the part of the CPU time by which two ways of the kernel to count it,
// by the clock tick and by the switch of threads, may be apart.
const cpuSlack = 5

// maxSummary is the most bytes of a summary that the child has written.
const maxSummary = 200

// cut returns at most n bytes of valid text.
func cut(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "�")
}

// goSignal finds the signal in Go's crash message: at the beginning of
// "SIGSEGV: segmentation violation" and inside of "[signal SIGSEGV: …".
var goSignal = regexp.MustCompile(`(?m)^(?:\[signal )?(SIG[A-Z]+)\b`)

// noMemory finds the ways in which Go, C++ and C say that there is none left.
var noMemory = regexp.MustCompile(`(?m)^(?:fatal error: .*(?:out of memory|cannot allocate memory)|runtime: out of memory|.*std::bad_alloc)`)

// ending is all that is known about the end of a child that nobody here killed.
type ending struct {
	state    *os.ProcessState
	cpuLimit time.Duration
	oomKills bool   // the kernel's OOM killer was at work meanwhile
	crash    string // the beginning of the crash message; empty for none
}

// reason says what the child died of.
func (e ending) reason() (Reason, syscall.Signal) {
	var signal syscall.Signal
	killed := false
	if status, ok := e.state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		signal, killed = status.Signal(), true
	}
	if found := goSignal.FindStringSubmatch(e.crash); signal == 0 && found != nil && !e.state.Success() {
		signal = unix.SignalNum(found[1])
	}
	used := e.state.UserTime() + e.state.SystemTime()
	switch {
	case signal == unix.SIGXCPU, signal == unix.SIGKILL && e.cpuLimit > 0 && used >= e.cpuLimit-e.cpuLimit/cpuSlack:
		return CPUTime, signal
	case signal == unix.SIGXFSZ:
		return FileSize, signal
	case signal == unix.SIGKILL && e.oomKills, noMemory.MatchString(e.crash):
		return OutOfMemory, signal
	case killed && (signal == unix.SIGKILL || signal == unix.SIGTERM || signal == unix.SIGINT || signal == unix.SIGHUP || signal == unix.SIGQUIT):
		return Killed, signal
	case signal == 0 && e.state.Success():
		return Protocol, 0
	}
	return Crashed, signal
}

// death describes the end.
func (e ending) death(detail string) *Death {
	d := &Death{Exit: e.state.ExitCode(), Detail: detail}
	d.Reason, d.Signal = e.reason()
	line, _, _ := strings.Cut(e.crash, "\n")
	switch {
	case d.Reason == Protocol:
		d.Summary = "it ended without a result"
	case line != "":
		d.Summary = cut(line, maxSummary)
	case d.Signal != 0:
		d.Summary = unix.SignalName(d.Signal)
	default:
		d.Summary = fmt.Sprintf("exit status %d", d.Exit)
	}
	return d
}
