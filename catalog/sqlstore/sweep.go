package sqlstore

import (
	"context"
	"fmt"
	"time"

	"rushes/catalog"
	"rushes/catalog/sqlstore/internal/sqlc"
)

// LostKind is the AssetError.Kind of a job whose workers died.
const LostKind = "lost"

// CancelJob cancels the job for good. A queued or waiting one is canceled at
// once, with all its parts that are not over; a running one, and running parts,
// are asked to stop, and are canceled when their workers end or are given up.
// A job that is over is a catalog.ErrInvalid.
func (s *Store) CancelJob(ctx context.Context, id string) (catalog.Job, error) {
	return s.change(ctx, "cancel", id, func(t tx, old sqlc.Job) (sqlc.Job, error) {
		switch state := catalog.JobState(old.State); {
		case state.Final():
			return old, fmt.Errorf("it is %s: %w", state, catalog.ErrInvalid)
		case state == catalog.JobRunning:
			return t.RequestCancel(ctx, t.now, id)
		}
		next := old
		next.State = string(catalog.JobCanceled)
		return t.move(ctx, old, next)
	})
}

// RetryJob queues a failed or canceled job again, as if it had never been
// tried; its log stays, and its failed parts count as canceled, so that they are
// tried again with it. Any other job is a catalog.ErrInvalid, and so is a part:
// its parent queues it again.
func (s *Store) RetryJob(ctx context.Context, id string) (catalog.Job, error) {
	return s.change(ctx, "retry", id, func(t tx, old sqlc.Job) (sqlc.Job, error) {
		switch {
		case old.ParentID != "":
			return old, fmt.Errorf("it is a part of %s, which is to be tried again: %w", old.ParentID, catalog.ErrInvalid)
		case old.State != string(catalog.JobFailed) && old.State != string(catalog.JobCanceled):
			return old, fmt.Errorf("it is %s: %w", old.State, catalog.ErrInvalid)
		}
		if _, err := t.ForgiveParts(ctx, t.now, id); err != nil {
			return old, err
		}
		return t.move(ctx, old, t.again(old))
	})
}

// change runs fn over the locked job in a transaction.
func (s *Store) change(
	ctx context.Context, what, id string, fn func(tx, sqlc.Job) (sqlc.Job, error),
) (job catalog.Job, err error) {
	err = s.inTx(ctx, func(t tx) error {
		row, err := t.lockJob(ctx, id)
		if err != nil {
			return err
		}
		if row, err = fn(t, row); err != nil {
			return err
		}
		job, err = jobFromRow(row)
		return err
	})
	if err != nil {
		return catalog.Job{}, fmt.Errorf("%s job %s: %w", what, id, err)
	}
	return job, nil
}

// TakeOver looks for up to limit running jobs whose last heartbeat was before
// the given time: their workers have died. Each gets a raised fence, a record of
// the lost attempt and the attempt back, and is queued again; one that was to be
// canceled is canceled, and one that is taken over more than mostTakeovers
// times has failed, with LostKind. It also gives their turn to waiting jobs
// whose parts are all over. It returns what it has changed; each job is changed
// in a transaction of its own, so that after an error some are.
func (s *Store) TakeOver(ctx context.Context, before time.Time, mostTakeovers, limit int) ([]catalog.Job, error) {
	var changed []catalog.Job
	silent, err := s.queries.SilentJobs(ctx, micros(before), int64(limit))
	if err != nil {
		return nil, fmt.Errorf("look for silent jobs: %w", err)
	}
	for _, id := range silent {
		taken := false
		job, err := s.change(ctx, "take over", id, func(t tx, old sqlc.Job) (sqlc.Job, error) {
			if old.State != string(catalog.JobRunning) || old.HeartbeatAt >= micros(before) {
				return old, nil
			}
			taken = true
			return t.takeOver(ctx, old, mostTakeovers)
		})
		if err != nil {
			return changed, err
		}
		if taken {
			changed = append(changed, job)
		}
	}
	joinable, err := s.queries.JoinableJobs(ctx, int64(limit))
	if err != nil {
		return changed, fmt.Errorf("look for jobs whose parts are over: %w", err)
	}
	for _, id := range joinable {
		joined := false
		job, err := s.change(ctx, "join", id, func(t tx, old sqlc.Job) (_ sqlc.Job, err error) {
			if joined, err = t.join(ctx, id); err != nil {
				return old, err
			}
			return t.JobByID(ctx, id)
		})
		if err != nil {
			return changed, err
		}
		if joined {
			changed = append(changed, job)
		}
	}
	return changed, nil
}

func (t tx) takeOver(ctx context.Context, old sqlc.Job, mostTakeovers int) (sqlc.Job, error) {
	failure := &catalog.AssetError{Kind: LostKind, Message: fmt.Sprintf("the worker %s gave no sign of life", old.Worker)}
	if err := t.noteAttempt(ctx, old, catalog.Attempt{Ending: catalog.EndLost, Failure: failure}); err != nil {
		return old, err
	}
	next := old
	next.Fence, next.Takeovers, next.Attempts = old.Fence+1, old.Takeovers+1, max(0, old.Attempts-1)
	next.RunAt = t.now
	switch {
	case old.CancelRequested != 0:
		next.State = string(catalog.JobCanceled)
	case next.Takeovers > int64(mostTakeovers):
		next.State = string(catalog.JobFailed)
		failure.Message = fmt.Sprintf("%d workers died at it, the last one was %s", next.Takeovers, old.Worker)
		next.ErrorKind, next.ErrorMessage = splitError(failure)
	default:
		next.State = string(catalog.JobQueued)
		next.ErrorKind, next.ErrorMessage = splitError(failure)
	}
	return t.move(ctx, old, next)
}
