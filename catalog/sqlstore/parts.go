package sqlstore

import (
	"context"
	"fmt"

	"rushes/catalog"
	"rushes/catalog/sqlstore/internal/sqlc"
)

// fanOut adds the parts of the job that are missing, queues those again that
// have failed or were canceled, and returns the state that this leaves the job
// in.
func (t tx) fanOut(ctx context.Context, parent sqlc.Job, parts []catalog.Job) (state string, err error) {
	if parent.ParentID != "" {
		return "", fmt.Errorf("a part with parts of its own: %w", catalog.ErrInvalid)
	}
	for _, part := range parts {
		part.Kind, part.ParentID, part.BackfillID, part.AppID = catalog.PartJob, parent.ID, parent.BackfillID, parent.AppID
		if err := t.putPart(ctx, part); err != nil {
			return "", fmt.Errorf("part %q: %w", part.CaptureKey, err)
		}
	}
	open, err := t.CountOpenParts(ctx, parent.ID)
	if err != nil {
		return "", err
	}
	if open == 0 {
		return string(catalog.JobQueued), nil
	}
	return string(catalog.JobWaiting), nil
}

func (t tx) putPart(ctx context.Context, part catalog.Job) error {
	row, err := t.newJobRow(part)
	if err != nil {
		return err
	}
	n, err := t.InsertJob(ctx, row)
	if err != nil {
		return err
	}
	if n > 0 {
		return t.PutTicket(ctx, sqlc.PutTicketParams{
			ID: t.store.ids.NewID(), JobID: row.ID, Queue: row.Queue, Priority: row.Priority, RunAt: row.RunAt,
		})
	}
	old, err := t.JobByCapture(ctx, sqlc.JobByCaptureParams{
		CaptureKey: row.CaptureKey, Generation: row.Generation, ParentID: row.ParentID,
	})
	if err != nil {
		return err
	}
	if old.State != string(catalog.JobFailed) && old.State != string(catalog.JobCanceled) {
		return nil
	}
	next := t.again(old)
	next.Options, next.RunAt = row.Options, row.RunAt
	_, err = t.move(ctx, old, next)
	return err
}

// again is the job as a new one: queued, without attempts and error.
func (t tx) again(j sqlc.Job) sqlc.Job {
	j.State, j.Attempts, j.Takeovers, j.CancelRequested = string(catalog.JobQueued), 0, 0, 0
	j.ErrorKind, j.ErrorMessage, j.Progress, j.RunAt = "", "", 0, t.now
	return j
}

// join gives the locked parent its turn when it waits and its parts are all
// over, and reports whether it did.
func (t tx) join(ctx context.Context, parentID string) (bool, error) {
	open, err := t.CountOpenParts(ctx, parentID)
	if err != nil || open > 0 {
		return false, err
	}
	parent, err := t.JobByID(ctx, parentID)
	if err != nil {
		return false, lookupError("job", parentID, err)
	}
	if parent.State != string(catalog.JobWaiting) {
		return false, nil
	}
	next := parent
	next.State, next.RunAt = string(catalog.JobQueued), t.now
	_, err = t.move(ctx, parent, next)
	return err == nil, err
}

// cancelParts cancels the parts of a job that are not over; those that run are
// asked to stop.
func (t tx) cancelParts(ctx context.Context, parentID string) error {
	open, err := t.CountOpenParts(ctx, parentID)
	if err != nil || open == 0 {
		return err
	}
	if _, err := t.CancelQueuedParts(ctx, t.now, parentID); err != nil {
		return err
	}
	if _, err := t.CancelRunningParts(ctx, t.now, parentID); err != nil {
		return err
	}
	_, err = t.DropTicketsOfParts(ctx, parentID)
	return err
}
