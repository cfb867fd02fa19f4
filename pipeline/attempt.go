package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"rushes/catalog"
)

// Why a worker ends the context of an attempt: context.Cause says which. All
// others are catalog.ErrClaimLost.
var (
	// ErrCanceled says that somebody asked for the job to be canceled.
	ErrCanceled = errors.New("the job is to be canceled")

	// ErrShutdown says that the worker stops. The job is handed back.
	ErrShutdown = errors.New("the worker stops")

	// ErrTimedOut says that the attempt took too long. It is used up.
	ErrTimedOut = fmt.Errorf("the attempt took too long: %w", context.DeadlineExceeded)

	// ErrCatalogAway says that the worker could not renew its heartbeat for so
	// long that another worker may have the job by now.
	ErrCatalogAway = errors.New("the catalog could not be reached and the claim may be lost")
)

// maxMessage bounds what an attempt says of its failure, in bytes.
const maxMessage = 4000

// NotReadyError says that a job cannot run now, through no fault of its own: the
// disk is full, the capture is still being written. It uses up no attempt.
type NotReadyError struct {
	// After is how long to wait before the job is tried again.
	After time.Duration
	// Err is what is missing.
	Err error
}

// Error returns what is missing.
func (e *NotReadyError) Error() string { return fmt.Sprintf("not ready: %v", e.Err) }

// Unwrap returns what is missing.
func (e *NotReadyError) Unwrap() error { return e.Err }

// AttemptOf returns how an attempt at the job ends that came out with err: the
// one place where the kind of an error decides over a job. The caller adds
// defects, result and usage. The wait before a retry grows with job.Attempts,
// which counts this attempt as well.
func AttemptOf(err error, job catalog.Job, backoff Backoff, now time.Time) catalog.Attempt {
	if err == nil {
		return catalog.Attempt{Ending: catalog.EndCompleted}
	}
	var notReady *NotReadyError
	kind := KindOf(err)
	switch {
	case errors.Is(err, ErrCanceled):
		return catalog.Attempt{Ending: catalog.EndCanceled}
	case kind.Outcome() == Requeue:
		return catalog.Attempt{Ending: catalog.EndHandBack}
	case errors.As(err, &notReady):
		return catalog.Attempt{
			Ending: catalog.EndHandBack, Failure: failure(KindTransient, err.Error()), RunAt: now.Add(notReady.After),
		}
	case kind.Outcome() == Fail:
		return catalog.Attempt{Ending: catalog.EndFailed, Failure: failure(kind, err.Error())}
	}
	return catalog.Attempt{
		Ending: catalog.EndRetry, Failure: failure(kind, err.Error()), RunAt: now.Add(backoff.Delay(job.Attempts)),
	}
}

// failure is one line of text, whatever a library or a child has put into it: no
// control characters, of which PostgreSQL refuses one, and no half ones.
func failure(kind Kind, message string) *catalog.AssetError {
	message = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(message, "\uFFFD"))
	message = strings.Join(strings.Fields(message), " ")
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + " …"
	}
	return &catalog.AssetError{Kind: kind.String(), Message: cmp.Or(message, "no reason given")}
}

// settle corrects what an attempt says of itself by why its context ended: a
// library or a child that was cut off blames something else. What is finished in
// spite of it stays finished.
func settle(end catalog.Attempt, cause error, retryAt func() time.Time) catalog.Attempt {
	if cause == nil || end.Ending == catalog.EndCompleted {
		return end
	}
	switch {
	case errors.Is(cause, ErrCanceled):
		end.Ending, end.Failure, end.RunAt, end.Parts, end.Result = catalog.EndCanceled, nil, time.Time{}, nil, nil
	case end.Ending == catalog.EndWaiting:
	case errors.Is(cause, ErrShutdown), errors.Is(cause, ErrCatalogAway):
		end.Ending, end.Failure, end.RunAt = catalog.EndHandBack, nil, time.Time{}
	case errors.Is(cause, ErrTimedOut) && end.Ending != catalog.EndFailed:
		message := cause.Error()
		if end.Failure != nil && !strings.Contains(end.Failure.Message, message) {
			message += ": " + end.Failure.Message
		}
		if end.Ending != catalog.EndRetry {
			end.Ending, end.RunAt = catalog.EndRetry, retryAt()
		}
		end.Failure = failure(KindTransient, message)
	}
	return end
}
