package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"rushes/catalog"
	"rushes/catalog/sqlstore/internal/sqlitedb"
)

// BeginJob registers the job as running and returns it as it is now. The same
// capture begun again is the same job: the row with its CaptureKey keeps its
// id and its time of creation, counts one attempt more, takes over what j says
// of the capture, and forgets stage, progress and error.
func (s *Store) BeginJob(ctx context.Context, j catalog.Job) (catalog.Job, error) {
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
	now := micros(s.now())
	row, err := s.queries.BeginJob(ctx, sqlitedb.BeginJobParams{
		ID: j.ID, CaptureURI: j.CaptureURI, CaptureKey: j.CaptureKey, RecordingID: j.RecordingID,
		RoomID: j.RoomID, SessionID: j.SessionID, TemplateID: j.TemplateID, Source: j.Source,
		State: string(catalog.JobRunning), CreatedAt: now, UpdatedAt: now,
		StartedAt: micros(j.StartedAt), StoppedAt: micros(j.StoppedAt), Defects: defects,
	})
	if err != nil {
		return catalog.Job{}, fmt.Errorf("begin job of capture %q: %w", j.CaptureURI, err)
	}
	return jobFromRow(row)
}

// UpdateJob writes down which stage the job is in and how far the whole job
// is, in thousandths. An unknown id is a catalog.ErrNotFound.
func (s *Store) UpdateJob(ctx context.Context, id, stage string, permille int) error {
	if permille < 0 || permille > catalog.ProgressDone {
		return fmt.Errorf("job %s: progress %d: %w", id, permille, catalog.ErrInvalid)
	}
	n, err := s.queries.UpdateJob(ctx, sqlitedb.UpdateJobParams{
		Stage: stage, Progress: int64(permille), UpdatedAt: micros(s.now()), ID: id,
	})
	return changedOne("job", id, n, err)
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
	n, err := s.queries.FinishJob(ctx, sqlitedb.FinishJobParams{
		State: string(state), ErrorKind: kind, ErrorMessage: message,
		Defects: text, UpdatedAt: micros(s.now()), ID: id,
	})
	return changedOne("job", id, n, err)
}

// JobByID returns the job, or an error that wraps catalog.ErrNotFound.
func (s *Store) JobByID(ctx context.Context, id string) (catalog.Job, error) {
	row, err := s.queries.JobByID(ctx, id)
	if err != nil {
		return catalog.Job{}, lookupError("job", id, err)
	}
	return jobFromRow(row)
}

// changedOne turns the outcome of a statement that changes one row into an
// error.
func changedOne(what, id string, rows int64, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("write %s %s: %w", what, id, err)
	case rows == 0:
		return fmt.Errorf("%s %s: %w", what, id, catalog.ErrNotFound)
	}
	return nil
}

func lookupError(what, id string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		err = catalog.ErrNotFound
	}
	return fmt.Errorf("%s %s: %w", what, id, err)
}
