package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"rushes/catalog"
	"rushes/catalog/sqlstore/internal/sqlc"
)

// ClaimJob makes the queued job running for the worker, raises its fence,
// counts an attempt and takes its ticket off the outbox. Of several claims at
// once one succeeds. It returns an error that wraps catalog.ErrNotClaimable
// when the job does not wait for a worker or its time has not come, and
// catalog.ErrNotFound when there is no such job.
func (s *Store) ClaimJob(ctx context.Context, id, worker string) (job catalog.Job, err error) {
	err = s.inRelaxedTx(ctx, func(t tx) error {
		row, err := t.ClaimJob(ctx, sqlc.ClaimJobParams{ID: id, Worker: worker, Now: t.now})
		if errors.Is(err, sql.ErrNoRows) {
			if _, err := t.JobByID(ctx, id); err != nil {
				return lookupError("job", id, err)
			}
			return catalog.ErrNotClaimable
		}
		if err != nil {
			return err
		}
		if _, err := t.DropTicketsOfJob(ctx, id); err != nil {
			return err
		}
		job, err = jobFromRow(row)
		return err
	})
	if err != nil {
		return catalog.Job{}, fmt.Errorf("claim job %s: %w", id, err)
	}
	return job, nil
}

// SeizeJob claims the job whatever its state is, for a worker that knows by
// other means that nobody else works at it. A claim that was there is lost and
// is written down as such.
func (s *Store) SeizeJob(ctx context.Context, id, worker string) (job catalog.Job, err error) {
	err = s.inTx(ctx, func(t tx) error {
		old, err := t.lockJob(ctx, id)
		if err != nil {
			return err
		}
		if old.State == string(catalog.JobRunning) {
			if err := t.noteAttempt(ctx, old, catalog.Attempt{Ending: catalog.EndLost}); err != nil {
				return err
			}
		}
		row, err := t.SeizeJob(ctx, sqlc.SeizeJobParams{ID: id, Worker: worker, Now: t.now})
		if err != nil {
			return err
		}
		if _, err := t.DropTicketsOfJob(ctx, id); err != nil {
			return err
		}
		job, err = jobFromRow(row)
		return err
	})
	if err != nil {
		return catalog.Job{}, fmt.Errorf("seize job %s: %w", id, err)
	}
	return job, nil
}

// Heartbeat says that the claim's holder lives, and tells whether it is asked
// to cancel the job. It returns an error that wraps catalog.ErrClaimLost when
// the claim does not hold any more.
func (s *Store) Heartbeat(ctx context.Context, claim catalog.Claim) (cancel bool, err error) {
	err = s.inRelaxedTx(ctx, func(t tx) error {
		asked, err := t.Heartbeat(ctx, sqlc.HeartbeatParams{ID: claim.JobID, Fence: claim.Fence, Now: t.now})
		if errors.Is(err, sql.ErrNoRows) {
			return t.claimLost(ctx, claim)
		}
		cancel = asked != 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("heartbeat of job %s: %w", claim.JobID, err)
	}
	return cancel, nil
}

// UpdateJob writes down which stage the claim's job is in and how far the whole
// job is, in thousandths. It is a sign of life too.
func (s *Store) UpdateJob(ctx context.Context, claim catalog.Claim, stage string, permille int) error {
	if permille < 0 || permille > catalog.ProgressDone {
		return fmt.Errorf("job %s: progress %d: %w", claim.JobID, permille, catalog.ErrInvalid)
	}
	err := s.inRelaxedTx(ctx, func(t tx) error {
		n, err := t.UpdateJob(ctx, sqlc.UpdateJobParams{
			Stage: stage, Progress: int64(permille), Now: t.now, ID: claim.JobID, Fence: claim.Fence,
		})
		if err == nil && n == 0 {
			return t.claimLost(ctx, claim)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("update job %s: %w", claim.JobID, err)
	}
	return nil
}

// holdClaim makes sure that the claim is good until the transaction ends.
func (t tx) holdClaim(ctx context.Context, claim catalog.Claim) error {
	n, err := t.HoldClaim(ctx, sqlc.HoldClaimParams{ID: claim.JobID, Fence: claim.Fence, Now: t.now})
	if err == nil && n == 0 {
		return t.claimLost(ctx, claim)
	}
	return err
}

// claimLost is the error of a write under a claim that does not hold.
func (t tx) claimLost(ctx context.Context, claim catalog.Claim) error {
	if _, err := t.JobByID(ctx, claim.JobID); err != nil {
		return lookupError("job", claim.JobID, err)
	}
	return fmt.Errorf("fence %d: %w", claim.Fence, catalog.ErrClaimLost)
}

// lockJob reads the job so that nobody else changes it before the transaction
// ends, nor the job that it is a part of: that one is locked first, because the
// end of a part may be its turn.
func (t tx) lockJob(ctx context.Context, id string) (sqlc.Job, error) {
	row, err := t.JobByID(ctx, id)
	if err != nil {
		return row, lookupError("job", id, err)
	}
	for _, locked := range []string{row.ParentID, id} {
		if locked == "" {
			continue
		}
		if _, err := t.LockJob(ctx, locked); err != nil {
			return row, err
		}
	}
	return t.JobByID(ctx, id)
}
