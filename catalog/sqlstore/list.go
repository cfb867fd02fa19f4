package sqlstore

import (
	"context"
	"fmt"

	"rushes/catalog"
	"rushes/catalog/sqlstore/internal/sqlitedb"
)

// afterAllIDs sorts after every id, which are hex digits.
const afterAllIDs = "g"

// ListAssets returns a page of the assets that the filter chooses, newest
// first. The id of the last one is the next page's Filter.After; a page
// shorter than its limit is the last one. Pages stay right while assets are
// added: what is added is newer than what was listed.
func (s *Store) ListAssets(ctx context.Context, f catalog.Filter) ([]catalog.Asset, error) {
	if f.Limit < 0 || f.Limit > catalog.MaxPage {
		return nil, fmt.Errorf("list assets: limit %d: %w", f.Limit, catalog.ErrInvalid)
	}
	if f.After != "" && !catalog.ValidID(f.After) {
		return nil, fmt.Errorf("list assets: after %q: %w", f.After, catalog.ErrInvalid)
	}
	if f.Limit == 0 {
		f.Limit = catalog.MaxPage
	}
	if f.After == "" {
		f.After = afterAllIDs
	}
	rows, err := s.listRows(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("list assets: %w", err)
	}
	return assetsFromRows(rows)
}

// listRows picks the query whose index fits the most selective filter.
func (s *Store) listRows(ctx context.Context, f catalog.Filter) ([]sqlitedb.Asset, error) {
	before, limit, kind, status := f.After, int64(f.Limit), string(f.Type), string(f.Status)
	switch {
	case f.JobID != "":
		return s.queries.ListAssetsByJob(ctx, sqlitedb.ListAssetsByJobParams{
			JobID: f.JobID, SessionID: f.SessionID, RoomID: f.RoomID,
			Type: kind, Status: status, Before: before, MaxRows: limit,
		})
	case f.SessionID != "":
		return s.queries.ListAssetsBySession(ctx, sqlitedb.ListAssetsBySessionParams{
			SessionID: f.SessionID, RoomID: f.RoomID, Type: kind, Status: status, Before: before, MaxRows: limit,
		})
	case f.RoomID != "":
		return s.queries.ListAssetsByRoom(ctx, sqlitedb.ListAssetsByRoomParams{
			RoomID: f.RoomID, Type: kind, Status: status, Before: before, MaxRows: limit,
		})
	case kind != "" && status != "":
		return s.queries.ListAssetsByTypeAndStatus(ctx, sqlitedb.ListAssetsByTypeAndStatusParams{
			Type: kind, Status: status, Before: before, MaxRows: limit,
		})
	case kind != "":
		return s.queries.ListAssetsByType(ctx, sqlitedb.ListAssetsByTypeParams{Type: kind, Before: before, MaxRows: limit})
	case status != "":
		return s.queries.ListAssetsByStatus(ctx, sqlitedb.ListAssetsByStatusParams{Status: status, Before: before, MaxRows: limit})
	}
	return s.queries.ListAssets(ctx, before, limit)
}
