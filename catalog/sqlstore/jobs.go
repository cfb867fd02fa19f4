package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"rushes/catalog"
	"rushes/catalog/sqlstore/internal/sqlc"
)

// addBatch is the number of jobs that one transaction of AddJobs adds: more
// would keep other writers waiting.
const addBatch = 500

// AddJob queues the job, with a ticket in the outbox when dispatch is set, and
// returns it as it is now. There is one job for each CaptureKey, Generation and
// ParentID: when it is there already, it is returned as it is and created is
// false. Only its CaptureURI follows the new address, unless a worker reads
// from the old one; and dispatch gives a queued job that never had a ticket
// its first.
func (s *Store) AddJob(ctx context.Context, j catalog.Job, dispatch bool) (job catalog.Job, created bool, err error) {
	err = s.inTx(ctx, func(t tx) error {
		job, created, err = t.addJob(ctx, j, dispatch)
		return err
	})
	if err != nil {
		return catalog.Job{}, false, fmt.Errorf("add job of capture %q: %w", j.CaptureURI, err)
	}
	return job, created, nil
}

// AddJobs is AddJob for many jobs. It returns them in the given order, and how
// many are new. Each few hundred are added together; after an error some may be
// in the catalog, and it may be repeated.
func (s *Store) AddJobs(ctx context.Context, jobs []catalog.Job, dispatch bool) (added []catalog.Job, created int, err error) {
	for len(jobs) > 0 {
		batch := jobs[:min(addBatch, len(jobs))]
		jobs = jobs[len(batch):]
		var news int
		var done []catalog.Job
		err := s.inTx(ctx, func(t tx) error {
			news, done = 0, make([]catalog.Job, 0, len(batch))
			for _, j := range batch {
				job, isNew, err := t.addJob(ctx, j, dispatch)
				if err != nil {
					return fmt.Errorf("add job of capture %q: %w", j.CaptureURI, err)
				}
				if isNew {
					news++
				}
				done = append(done, job)
			}
			return nil
		})
		if err != nil {
			return added, created, err
		}
		added, created = append(added, done...), created+news
	}
	return added, created, nil
}

// AddGeneration queues the capture of the job to be made again: a job whose
// Generation is one more than the highest of its CaptureKey. Within a backfill
// it may be repeated: when the newest job of the capture has the same
// BackfillID, that one is returned.
func (s *Store) AddGeneration(ctx context.Context, j catalog.Job, dispatch bool) (job catalog.Job, err error) {
	err = s.inTx(ctx, func(t tx) error {
		last, err := t.LastGeneration(ctx, j.CaptureKey)
		if err != nil {
			return err
		}
		j.Generation = int(last) + 1
		if last >= 0 && j.BackfillID != "" {
			row, err := t.JobByCapture(ctx, sqlc.JobByCaptureParams{CaptureKey: j.CaptureKey, Generation: last})
			if err != nil {
				return err
			}
			if row.BackfillID == j.BackfillID {
				job, err = jobFromRow(row)
				return err
			}
		}
		var created bool
		job, created, err = t.addJob(ctx, j, dispatch)
		if err == nil && !created {
			return errOvertaken
		}
		return err
	})
	if err != nil {
		return catalog.Job{}, fmt.Errorf("add generation of capture %q: %w", j.CaptureURI, err)
	}
	return job, nil
}

func (t tx) addJob(ctx context.Context, j catalog.Job, dispatch bool) (catalog.Job, bool, error) {
	row, err := t.newJobRow(j)
	if err != nil {
		return catalog.Job{}, false, err
	}
	n, err := t.InsertJob(ctx, row)
	if err != nil {
		return catalog.Job{}, false, err
	}
	now, err := t.JobByCapture(ctx, sqlc.JobByCaptureParams{
		CaptureKey: row.CaptureKey, Generation: row.Generation, ParentID: row.ParentID,
	})
	if err != nil {
		return catalog.Job{}, false, err
	}
	if n == 0 && now.CaptureURI != row.CaptureURI {
		moved, err := t.MoveCapture(ctx, sqlc.MoveCaptureParams{ID: now.ID, CaptureURI: row.CaptureURI, Now: t.now})
		if err != nil {
			return catalog.Job{}, false, err
		}
		if moved > 0 {
			now.CaptureURI, now.UpdatedAt = row.CaptureURI, t.now
		}
	}
	if dispatch && now.TicketAt == 0 {
		if _, err := t.AddTicket(ctx, t.store.ids.NewID(), now.ID); err != nil {
			return catalog.Job{}, false, err
		}
	}
	job, err := jobFromRow(now)
	return job, n > 0, err
}

// JobByID returns the job, or an error that wraps catalog.ErrNotFound.
func (s *Store) JobByID(ctx context.Context, id string) (catalog.Job, error) {
	row, err := s.queries.JobByID(ctx, id)
	if err != nil {
		return catalog.Job{}, lookupError("job", id, err)
	}
	return jobFromRow(row)
}

// Attempts returns the log of the job's attempts, the first one first. It is
// empty for a job without attempts, also for one that is not there.
func (s *Store) Attempts(ctx context.Context, jobID string) ([]catalog.AttemptRecord, error) {
	rows, err := s.queries.Attempts(ctx, jobID)
	if err != nil {
		return nil, fmt.Errorf("attempts at job %s: %w", jobID, err)
	}
	records := make([]catalog.AttemptRecord, 0, len(rows))
	for _, r := range rows {
		records = append(records, attemptFromRow(r))
	}
	return records, nil
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

// lookupError turns the outcome of a search for one row into an error.
func lookupError(what, id string, err error) error {
	if errors.Is(err, sql.ErrNoRows) || unstorable(err) { // what cannot be stored is not there
		err = catalog.ErrNotFound
	}
	return fmt.Errorf("%s %s: %w", what, id, err)
}
