package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"syscall"
)

// Kind is what an error means for the job: whose fault it is and whether another
// attempt can help.
type Kind int

// The kinds of errors.
const (
	// KindOK is the kind of no error.
	KindOK Kind = iota
	// KindBadInput is the capture's or the caller's fault; it fails again every time.
	KindBadInput
	// KindPermanent is ours or the installation's fault; it fails again every time.
	KindPermanent
	// KindTransient may go away by itself: the default for an error that says nothing.
	KindTransient
	// KindInterrupted is a job that was told to stop. It has not failed, and uses up
	// no attempt.
	KindInterrupted
)

// Outcome is what the queue does with a job after an attempt.
type Outcome int

// The outcomes of an attempt.
const (
	// Finish takes the job off the queue as done.
	Finish Outcome = iota
	// Fail takes the job off the queue as failed.
	Fail
	// Retry runs the job again later and uses up an attempt.
	Retry
	// Requeue runs the job again and uses up no attempt.
	Requeue
)

// Exit codes of the command line.
const (
	// ExitOK says that everything that was asked for was made.
	ExitOK = 0
	// ExitOther is every failure that has no code of its own.
	ExitOther = 1
	// ExitUsage is a command line that cannot be understood.
	ExitUsage = 2
	// ExitBadInput says that nothing could be made of the input.
	ExitBadInput = 3
	// ExitPartial says that some assets failed and others were made.
	ExitPartial = 4
)

// meaning is one row of the table that says what a kind means at the edges.
type meaning struct {
	name    string
	exit    int
	status  int
	outcome Outcome
}

// meaning is the one table from kinds to exit code, HTTP status and outcome.
func (k Kind) meaning() meaning {
	switch k {
	case KindOK:
		return meaning{"ok", ExitOK, http.StatusOK, Finish}
	case KindBadInput:
		return meaning{"bad-input", ExitBadInput, http.StatusBadRequest, Fail}
	case KindPermanent:
		return meaning{"permanent", ExitOther, http.StatusInternalServerError, Fail}
	case KindInterrupted:
		return meaning{"interrupted", ExitOther, http.StatusServiceUnavailable, Requeue}
	default:
		return meaning{"transient", ExitOther, http.StatusServiceUnavailable, Retry}
	}
}

// String returns the kind as it is written to Asset.error.kind and to logs.
func (k Kind) String() string { return k.meaning().name }

// ExitCode returns the exit status of a command that ended with such an error and
// made nothing; ExitCode the function also knows of assets.
func (k Kind) ExitCode() int { return k.meaning().exit }

// HTTPStatus returns the status of a response to a request that ended so.
func (k Kind) HTTPStatus() int { return k.meaning().status }

// Outcome returns what the queue does with the job.
func (k Kind) Outcome() Outcome { return k.meaning().outcome }

// ExitCode returns the exit status of a command that made some assets, failed to
// make others, and ended with err (nil: none). An interruption is never a partial
// success: the rest was not tried.
func ExitCode(made, failed int, err error) int {
	kind := KindOf(err)
	switch {
	case kind == KindInterrupted:
		return kind.ExitCode()
	case made > 0 && (failed > 0 || kind == KindBadInput):
		return ExitPartial
	case failed > 0 && kind == KindOK:
		return ExitOther
	}
	return kind.ExitCode()
}

// KindOf returns what an error means. It asks every error of the chain, joined
// ones too, in this order:
//
//   - context.Canceled anywhere is KindInterrupted: what else went wrong then is most
//     often its consequence;
//   - context.DeadlineExceeded is KindTransient for the same reason. It does use up
//     an attempt: a job that is always too slow would be retried for ever;
//   - a method BadInput() bool that returns true;
//   - a method Permanent() bool that returns true, or an errno that no retry heals
//     (no permission, read-only file system, file size limit);
//   - everything else is KindTransient: a full disk, a lost connection.
//
// Packages that must not import this one give their errors those methods.
func KindOf(err error) Kind {
	switch {
	case err == nil:
		return KindOK
	case errors.Is(err, context.Canceled):
		return KindInterrupted
	case errors.Is(err, context.DeadlineExceeded):
		return KindTransient
	case anyOf(err, func(e interface{ BadInput() bool }) bool { return e.BadInput() }):
		return KindBadInput
	case anyOf(err, func(e interface{ Permanent() bool }) bool { return e.Permanent() }), hopeless(err):
		return KindPermanent
	}
	return KindTransient
}

// hopeless reports whether the system refused something that it will refuse again.
func hopeless(err error) bool {
	for _, target := range []error{fs.ErrPermission, syscall.EROFS, syscall.EFBIG, syscall.ENOSYS} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// anyOf reports whether any error of the tree has the methods of T and says yes.
// errors.As alone would stop at the first one that has them and says no.
func anyOf[T any](err error, yes func(T) bool) bool {
	for err != nil {
		if e, ok := err.(T); ok && yes(e) {
			return true
		}
		var found T
		if as, ok := err.(interface{ As(any) bool }); ok && as.As(&found) && yes(found) {
			return true
		}
		switch wrapped := err.(type) {
		case interface{ Unwrap() error }:
			err = wrapped.Unwrap()
		case interface{ Unwrap() []error }:
			for _, e := range wrapped.Unwrap() {
				if anyOf(e, yes) {
					return true
				}
			}
			return false
		default:
			return false
		}
	}
	return false
}

// permanent marks an error that no retry heals.
type permanent struct{ error }

func (permanent) Permanent() bool { return true }
func (p permanent) Unwrap() error { return p.error }

// Permanent marks err as KindPermanent: message and chain stay. Permanent of nil
// is nil;
// an error that is bad input stays bad input.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

// StageError says in which stage of a job an error came up.
type StageError struct {
	// Stage is the stage's name.
	Stage string
	// Err is the stage's error.
	Err error
}

// Error returns the stage's name and its error.
func (e *StageError) Error() string { return fmt.Sprintf("%s: %v", e.Stage, e.Err) }

// Unwrap returns the stage's error.
func (e *StageError) Unwrap() error { return e.Err }
