package sqlstore

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"rushes/catalog"
	"rushes/catalog/sqlstore/internal/sqlc"
)

// CreateBackfill writes the backfill down with one pending item for each of the
// assets, in one transaction, and returns it as it is now. Assets given twice
// are one item.
func (s *Store) CreateBackfill(ctx context.Context, b catalog.Backfill, assetIDs []string) (catalog.Backfill, error) {
	b.State = cmp.Or(b.State, catalog.BackfillRunning)
	if b.ID == "" {
		b.ID = s.ids.NewID()
	}
	if b.CreatedAt.IsZero() {
		b.CreatedAt = s.now()
	}
	b.CreatedAt = fromMicros(micros(b.CreatedAt))
	if err := checkBackfill(b); err != nil {
		return catalog.Backfill{}, fmt.Errorf("create backfill: %w", err)
	}
	err := s.inTx(ctx, func(t tx) error {
		err := t.InsertBackfill(ctx, sqlc.InsertBackfillParams{
			ID: b.ID, CreatedAt: micros(b.CreatedAt), Selection: string(b.Selection), Options: string(b.Options),
			Rate: b.Rate, MaxInFlight: int64(b.MaxInFlight), State: string(b.State),
		})
		if err != nil {
			return err
		}
		for _, id := range assetIDs {
			if err := t.InsertBackfillItem(ctx, b.ID, id); err != nil {
				return fmt.Errorf("asset %s: %w", id, err)
			}
		}
		return nil
	})
	if err != nil {
		return catalog.Backfill{}, fmt.Errorf("create backfill of %d assets: %w", len(assetIDs), err)
	}
	return b, nil
}

func checkBackfill(b catalog.Backfill) error {
	bad := func(field string, value any) error {
		return fmt.Errorf("%s %v: %w", field, value, catalog.ErrInvalid)
	}
	switch {
	case !catalog.ValidID(b.ID):
		return bad("id", b.ID)
	case !(b.Rate >= 0): // also not a number
		return bad("rate", b.Rate)
	case b.MaxInFlight < 0:
		return bad("max_in_flight", b.MaxInFlight)
	case len(b.Selection) > 0 && !json.Valid(b.Selection):
		return bad("selection", "not JSON")
	case len(b.Options) > 0 && !json.Valid(b.Options):
		return bad("options", "not JSON")
	}
	return checkBackfillState(b.State)
}

func checkBackfillState(state catalog.BackfillState) error {
	switch state {
	case catalog.BackfillRunning, catalog.BackfillStopped, catalog.BackfillDone:
		return nil
	}
	return fmt.Errorf("state %q: %w", state, catalog.ErrInvalid)
}

// Backfill returns the backfill, or an error that wraps catalog.ErrNotFound.
func (s *Store) Backfill(ctx context.Context, id string) (catalog.Backfill, error) {
	row, err := s.queries.BackfillByID(ctx, id)
	if err != nil {
		return catalog.Backfill{}, lookupError("backfill", id, err)
	}
	return backfillFromRow(row), nil
}

// Backfills returns all backfills, the newest first.
func (s *Store) Backfills(ctx context.Context) ([]catalog.Backfill, error) {
	rows, err := s.queries.Backfills(ctx)
	if err != nil {
		return nil, fmt.Errorf("list backfills: %w", err)
	}
	backfills := make([]catalog.Backfill, 0, len(rows))
	for _, r := range rows {
		backfills = append(backfills, backfillFromRow(r))
	}
	return backfills, nil
}

// SetBackfillState stops, resumes or ends the backfill.
func (s *Store) SetBackfillState(ctx context.Context, id string, state catalog.BackfillState) error {
	if err := checkBackfillState(state); err != nil {
		return fmt.Errorf("backfill %s: %w", id, err)
	}
	return s.inTx(ctx, func(t tx) error {
		n, err := t.SetBackfillState(ctx, string(state), id)
		return changedOne("backfill", id, n, err)
	})
}

// NextItems returns up to limit pending items of the backfill, in the order of
// their assets' ids.
func (s *Store) NextItems(ctx context.Context, backfillID string, limit int) ([]catalog.BackfillItem, error) {
	return s.Items(ctx, backfillID, catalog.ItemPending, "", limit)
}

// Items returns up to limit items of the backfill that are in the state, in the
// order of their assets' ids, which begin after afterAsset.
func (s *Store) Items(
	ctx context.Context, backfillID string, state catalog.BackfillItemState, afterAsset string, limit int,
) ([]catalog.BackfillItem, error) {
	rows, err := s.queries.BackfillItems(ctx, sqlc.BackfillItemsParams{
		BackfillID: backfillID, State: string(state), After: afterAsset, MaxRows: int64(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("%s items of backfill %s: %w", state, backfillID, err)
	}
	items := make([]catalog.BackfillItem, 0, len(rows))
	for _, r := range rows {
		items = append(items, catalog.BackfillItem{
			BackfillID: r.BackfillID, AssetID: r.AssetID, JobID: r.JobID,
			State: catalog.BackfillItemState(r.State), Reason: r.Reason,
		})
	}
	return items, nil
}

// UpdateItem writes down how far the item is. An item that is not there is a
// catalog.ErrNotFound.
func (s *Store) UpdateItem(ctx context.Context, item catalog.BackfillItem) error {
	if !slices.Contains(catalog.BackfillItemStates(), item.State) {
		return fmt.Errorf("item of backfill %s: state %q: %w", item.BackfillID, item.State, catalog.ErrInvalid)
	}
	return s.inTx(ctx, func(t tx) error {
		n, err := t.UpdateBackfillItem(ctx, sqlc.UpdateBackfillItemParams{
			JobID: item.JobID, State: string(item.State), Reason: plainText(item.Reason),
			BackfillID: item.BackfillID, AssetID: item.AssetID,
		})
		return changedOne("item of backfill "+item.BackfillID+", asset", item.AssetID, n, err)
	})
}

// CountItems returns how many items of the backfill there are in each state
// and for each reason, in the order of the two.
func (s *Store) CountItems(ctx context.Context, backfillID string) ([]catalog.BackfillCount, error) {
	rows, err := s.queries.CountBackfillItems(ctx, backfillID)
	if err != nil {
		return nil, fmt.Errorf("count items of backfill %s: %w", backfillID, err)
	}
	counts := make([]catalog.BackfillCount, 0, len(rows))
	for _, r := range rows {
		counts = append(counts, catalog.BackfillCount{State: catalog.BackfillItemState(r.State), Reason: r.Reason, Count: r.Items})
	}
	return counts, nil
}

func backfillFromRow(r sqlc.Backfill) catalog.Backfill {
	return catalog.Backfill{
		ID: r.ID, CreatedAt: fromMicros(r.CreatedAt),
		Selection: rawJSON(r.Selection), Options: rawJSON(r.Options),
		Rate: r.Rate, MaxInFlight: int(r.MaxInFlight), State: catalog.BackfillState(r.State),
	}
}
