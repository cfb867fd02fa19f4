package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"rushes/catalog"
	"rushes/catalog/sqlstore/internal/sqlc"
)

// EndAttempt ends the claim: it moves the job to its next state and writes the
// attempt down, in one transaction, and returns the job as it is now.
//
//   - EndCompleted, EndFailed and EndCanceled are final. Parts of the job that
//     are not over are canceled; the last part of a job to end gives a waiting
//     parent its turn.
//   - EndRetry queues the job again, not before RunAt; without attempts left it
//     has failed.
//   - EndHandBack queues the job again and gives the attempt back.
//   - EndWaiting adds the parts that are not there yet, queues failed and
//     canceled ones again, gives the attempt back and lets the job wait; when
//     all its parts are over already, it is queued at once.
//
// A job that is to be canceled is canceled by the last three. An error that
// wraps catalog.ErrClaimLost says that the claim does not hold any more. The
// same claim ended again, after an error that left open whether it was done,
// changes nothing.
func (s *Store) EndAttempt(ctx context.Context, claim catalog.Claim, end catalog.Attempt) (job catalog.Job, err error) {
	if err := checkAttempt(end); err != nil {
		return catalog.Job{}, fmt.Errorf("end job %s: %w", claim.JobID, err)
	}
	err = s.inTx(ctx, func(t tx) error {
		row, err := t.endAttempt(ctx, claim, end)
		if err != nil {
			return err
		}
		job, err = jobFromRow(row)
		return err
	})
	if err != nil {
		return catalog.Job{}, fmt.Errorf("end job %s: %w", claim.JobID, err)
	}
	return job, nil
}

func checkAttempt(end catalog.Attempt) error {
	bad := func(what string) error { return fmt.Errorf("ending %q %s: %w", end.Ending, what, catalog.ErrInvalid) }
	switch end.Ending {
	case catalog.EndFailed, catalog.EndRetry:
		if end.Failure == nil {
			return bad("without a failure")
		}
	case catalog.EndCompleted, catalog.EndWaiting, catalog.EndCanceled:
		if end.Failure != nil {
			return bad("with a failure")
		}
	case catalog.EndHandBack:
	default:
		return bad("is none of a worker's")
	}
	if len(end.Parts) > 0 && end.Ending != catalog.EndWaiting {
		return bad("with parts")
	}
	if len(end.Result) > 0 && (end.Ending != catalog.EndCompleted || !json.Valid(end.Result)) {
		return bad("with a result, or one that is not JSON")
	}
	return nil
}

func (t tx) endAttempt(ctx context.Context, claim catalog.Claim, end catalog.Attempt) (sqlc.Job, error) {
	old, err := t.lockJob(ctx, claim.JobID)
	if err != nil {
		return old, err
	}
	if old.Fence != claim.Fence || old.State != string(catalog.JobRunning) {
		done, err := t.AttemptByFence(ctx, claim.JobID, claim.Fence)
		if err == nil && done.Ending != string(catalog.EndLost) {
			return old, nil
		}
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return old, err
		}
		return old, fmt.Errorf("fence %d: %w", claim.Fence, catalog.ErrClaimLost)
	}
	end.Ending = effective(old, end.Ending)
	next := old
	if end.Defects != nil {
		if next.Defects, err = defectsText(end.Defects); err != nil {
			return old, fmt.Errorf("defects: %w", err)
		}
	}
	next.ErrorKind, next.ErrorMessage = splitError(end.Failure)
	next.RunAt = max(t.now, micros(end.RunAt))
	switch end.Ending {
	case catalog.EndCompleted:
		next.State, next.Progress = string(catalog.JobCompleted), catalog.ProgressDone
		if len(end.Result) > 0 {
			next.Result = string(end.Result)
		}
	case catalog.EndFailed:
		next.State = string(catalog.JobFailed)
	case catalog.EndCanceled:
		next.State = string(catalog.JobCanceled)
	case catalog.EndRetry:
		next.State = string(catalog.JobQueued)
	case catalog.EndHandBack:
		next.State, next.Attempts = string(catalog.JobQueued), old.Attempts-1
	case catalog.EndWaiting:
		next.Attempts = old.Attempts - 1
		if next.State, err = t.fanOut(ctx, old, end.Parts); err != nil {
			return old, err
		}
	}
	if err := t.noteAttempt(ctx, old, end); err != nil {
		return old, err
	}
	return t.move(ctx, old, next)
}

// effective is the ending that the reported one comes to.
func effective(j sqlc.Job, reported catalog.Ending) catalog.Ending {
	switch reported {
	case catalog.EndRetry, catalog.EndHandBack, catalog.EndWaiting:
		if j.CancelRequested != 0 {
			return catalog.EndCanceled
		}
	}
	if reported == catalog.EndRetry && j.Attempts >= j.MaxAttempts {
		return catalog.EndFailed
	}
	return reported
}

// noteAttempt writes down how the job's present claim ended.
func (t tx) noteAttempt(ctx context.Context, j sqlc.Job, end catalog.Attempt) error {
	kind, message := splitError(end.Failure)
	err := t.InsertAttempt(ctx, sqlc.InsertAttemptParams{
		JobID: j.ID, Fence: j.Fence, Worker: j.Worker, Stage: j.Stage, Ending: string(end.Ending),
		ErrorKind: kind, ErrorMessage: message, StartedAt: j.ClaimedAt, EndedAt: t.now,
		CPU: int64(end.Usage.CPU), Memory: end.Usage.Memory,
	})
	if err != nil {
		return fmt.Errorf("write attempt down: %w", err)
	}
	return nil
}

// move brings the locked job from what it was to what it is to be, with all
// that follows: a ticket for a queued one, the end of the parts of one that is
// over with the event of its end, and the parent's turn.
func (t tx) move(ctx context.Context, old, next sqlc.Job) (sqlc.Job, error) {
	final := catalog.JobState(next.State).Final()
	next.FinishedAt = 0
	if final {
		next.FinishedAt, next.CancelRequested, next.RunAt = t.now, 0, old.RunAt
	}
	if next.State == string(catalog.JobCanceled) {
		next.ErrorKind, next.ErrorMessage = "", ""
	}
	row, err := t.MoveJob(ctx, sqlc.MoveJobParams{
		State: next.State, Fence: next.Fence, Attempts: next.Attempts, Takeovers: next.Takeovers,
		Progress: next.Progress, CancelRequested: next.CancelRequested, Defects: next.Defects,
		Result: next.Result, Options: next.Options,
		ErrorKind: next.ErrorKind, ErrorMessage: next.ErrorMessage,
		RunAt: next.RunAt, FinishedAt: next.FinishedAt, UpdatedAt: t.now,
		ID: old.ID, OldFence: old.Fence, OldState: old.State,
	})
	if err != nil {
		return row, fmt.Errorf("move job from %s to %s: %w", old.State, next.State, err)
	}
	switch {
	case row.State == string(catalog.JobQueued):
		err = t.PutTicket(ctx, sqlc.PutTicketParams{
			ID: t.store.ids.NewID(), JobID: row.ID, Queue: row.Queue, Priority: row.Priority, RunAt: row.RunAt,
		})
	case final:
		if old.State == string(catalog.JobQueued) {
			_, err = t.DropTicketsOfJob(ctx, row.ID)
		}
		if err == nil && row.ParentID == "" {
			err = t.cancelParts(ctx, row.ID)
		}
		if err == nil && row.ParentID != "" {
			_, err = t.join(ctx, row.ParentID)
		}
		if err == nil && row.ParentID == "" && t.store.events {
			err = t.noteEvent(ctx, row)
		}
	}
	return row, err
}
