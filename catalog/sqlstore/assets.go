package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"rushes/catalog"
	"rushes/catalog/sqlstore/internal/sqlitedb"
)

// RegisterAssets writes the assets of a job down in one transaction, all or
// none, and returns them as the catalog now holds them, in the same order.
// Where an asset of the same Key and Version is there already,
// catalog.Asset.Settle decides: a completed one is returned as it is, any
// other one is replaced and keeps its id. So it may be repeated, also after an
// error that left open whether it was done. The bytes must be in place before.
func (s *Store) RegisterAssets(ctx context.Context, jobID string, assets []catalog.Asset) ([]catalog.Asset, error) {
	next, err := s.prepare(jobID, assets)
	if err != nil {
		return nil, fmt.Errorf("register assets of job %s: %w", jobID, err)
	}
	var settled []catalog.Asset
	err = s.inTx(ctx, func(q *sqlitedb.Queries) error {
		if _, err := q.JobByID(ctx, jobID); err != nil {
			return lookupError("job", jobID, err)
		}
		settled = make([]catalog.Asset, 0, len(next))
		for _, a := range next {
			a, err := register(ctx, q, a)
			if err != nil {
				return err
			}
			settled = append(settled, a)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("register assets of job %s: %w", jobID, err)
	}
	return settled, nil
}

// prepare checks the assets and fills in what the store gives, on a copy.
func (s *Store) prepare(jobID string, assets []catalog.Asset) ([]catalog.Asset, error) {
	type identity struct {
		key     string
		version int
	}
	seen := make(map[identity]bool, len(assets))
	next := slices.Clone(assets)
	for i := range next {
		a := &next[i]
		if err := a.Validate(); err != nil {
			return nil, err
		}
		a.JobID = jobID
		a.Version = cmp.Or(a.Version, 1)
		a.ID = cmp.Or(a.ID, s.ids.NewID())
		if a.CreatedAt.IsZero() {
			a.CreatedAt = s.now()
		}
		id := identity{a.Key, a.Version}
		if seen[id] {
			return nil, fmt.Errorf("asset %q is given twice: %w", a.Key, catalog.ErrInvalid)
		}
		seen[id] = true
	}
	return next, nil
}

// register settles one asset with what the catalog holds and returns the
// outcome as it will be read back.
func register(ctx context.Context, q *sqlitedb.Queries, next catalog.Asset) (catalog.Asset, error) {
	row, err := q.AssetByKeyAndVersion(ctx, next.Key, int64(next.Version))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return insertAsset(ctx, q, next)
	case err != nil:
		return catalog.Asset{}, fmt.Errorf("look for asset %q: %w", next.Key, err)
	}
	old, err := assetFromRow(row)
	if err != nil {
		return catalog.Asset{}, err
	}
	result, changed := old.Settle(next)
	if !changed {
		return old, nil
	}
	return replaceAsset(ctx, q, result)
}

func insertAsset(ctx context.Context, q *sqlitedb.Queries, a catalog.Asset) (catalog.Asset, error) {
	row, err := assetRow(a)
	if err != nil {
		return catalog.Asset{}, err
	}
	if err := q.InsertAsset(ctx, sqlitedb.InsertAssetParams(row)); err != nil {
		return catalog.Asset{}, fmt.Errorf("insert asset %q: %w", a.Key, err)
	}
	return assetFromRow(row)
}

func replaceAsset(ctx context.Context, q *sqlitedb.Queries, a catalog.Asset) (catalog.Asset, error) {
	row, err := assetRow(a)
	if err != nil {
		return catalog.Asset{}, err
	}
	n, err := q.ReplaceAsset(ctx, sqlitedb.ReplaceAssetParams{
		JobID: row.JobID, RoomID: row.RoomID, SessionID: row.SessionID,
		Type: row.Type, Path: row.Path, Size: row.Size,
		Duration: row.Duration, Status: row.Status, StartedAt: row.StartedAt,
		Thumbnails: row.Thumbnails, Metadata: row.Metadata,
		ErrorKind: row.ErrorKind, ErrorMessage: row.ErrorMessage,
		Supersedes: row.Supersedes, Software: row.Software,
		ID: row.ID,
	})
	if err := changedOne("asset", a.ID, n, err); err != nil {
		return catalog.Asset{}, err
	}
	return assetFromRow(row)
}

// AssetByID returns the asset, or an error that wraps catalog.ErrNotFound.
func (s *Store) AssetByID(ctx context.Context, id string) (catalog.Asset, error) {
	row, err := s.queries.AssetByID(ctx, id)
	if err != nil {
		return catalog.Asset{}, lookupError("asset", id, err)
	}
	return assetFromRow(row)
}

// AssetByKey returns the newest version of the asset with the given Key, or an
// error that wraps catalog.ErrNotFound.
func (s *Store) AssetByKey(ctx context.Context, key string) (catalog.Asset, error) {
	row, err := s.queries.LatestAssetByKey(ctx, key)
	if err != nil {
		return catalog.Asset{}, lookupError("asset", key, err)
	}
	return assetFromRow(row)
}
