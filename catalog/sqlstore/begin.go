package sqlstore

import (
	"context"
	"fmt"

	"rushes/catalog"
	"rushes/catalog/sqlstore/internal/sqlc"
)

// BeginJob registers the job as running and returns it as it is now. The same
// capture begun again is the same job: the row with its CaptureKey keeps its
// id and its time of creation, counts one attempt more, takes over what j says
// of the capture, and forgets stage, progress and error.
func (s *Store) BeginJob(ctx context.Context, j catalog.Job) (job catalog.Job, err error) {
	if err := j.Validate(); err != nil {
		return catalog.Job{}, err
	}
	defects, err := defectsText(j.Defects)
	if err != nil {
		return catalog.Job{}, fmt.Errorf("begin job of capture %q: defects: %w", j.CaptureURI, err)
	}
	if j.ID == "" {
		j.ID = s.ids.NewID()
	}
	err = s.inTx(ctx, func(t tx) error {
		row, err := t.BeginJob(ctx, sqlc.BeginJobParams{
			ID: j.ID, CaptureURI: j.CaptureURI, CaptureKey: j.CaptureKey, RecordingID: j.RecordingID,
			RoomID: j.RoomID, SessionID: j.SessionID, TemplateID: j.TemplateID, Source: j.Source,
			State: string(catalog.JobRunning), Now: t.now,
			StartedAt: micros(j.StartedAt), StoppedAt: micros(j.StoppedAt), Defects: defects,
		})
		if err != nil {
			return err
		}
		if _, err := t.DropTicketsOfJob(ctx, row.ID); err != nil {
			return err
		}
		job, err = jobFromRow(row)
		return err
	})
	if err != nil {
		return catalog.Job{}, fmt.Errorf("begin job of capture %q: %w", j.CaptureURI, err)
	}
	return job, nil
}

// FinishJob ends the job as completed (failure is nil) or failed (failure says
// why) and keeps the defects that were found. It may be repeated. An unknown
// id is a catalog.ErrNotFound.
func (s *Store) FinishJob(
	ctx context.Context, id string, state catalog.JobState, failure *catalog.AssetError, defects []catalog.Defect,
) error {
	switch {
	case state == catalog.JobCompleted && failure == nil:
	case state == catalog.JobFailed && failure != nil:
	default:
		return fmt.Errorf("job %s: finish as %q, with an error: %t: %w", id, state, failure != nil, catalog.ErrInvalid)
	}
	text, err := defectsText(defects)
	if err != nil {
		return fmt.Errorf("job %s: defects: %w", id, err)
	}
	kind, message := splitError(failure)
	return s.inTx(ctx, func(t tx) error {
		n, err := t.FinishJob(ctx, sqlc.FinishJobParams{
			State: string(state), ErrorKind: kind, ErrorMessage: message, Defects: text, Now: t.now, ID: id,
		})
		return changedOne("job", id, n, err)
	})
}
