package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"rushes/catalog"
	"rushes/catalog/sqlstore/internal/sqlc"
)

// RegisterAssets writes the assets of the claim's job down in one transaction,
// all or none, and returns them as the catalog now holds them, in the same
// order. The bytes must be in place before. An asset without a Version that the
// job has registered already, and one with a Version that is there already, is
// the same asset: catalog.Asset.Settle decides, a completed one is returned as
// it is, any other one is replaced and keeps its id. So it may be repeated, also
// after an error that left open whether it was done. Any other asset without a
// Version is a new one: its Version is the highest of its Key and one more.
// When it is completed, it supersedes the newest completed one of its Key, in
// the same step.
//
// It returns an error that wraps catalog.ErrClaimLost when the claim does not
// hold any more, and catalog.ErrPlaceTaken when an asset's path belongs to
// another claim.
func (s *Store) RegisterAssets(ctx context.Context, claim catalog.Claim, assets []catalog.Asset) ([]catalog.Asset, error) {
	next, err := s.prepare(claim.JobID, assets)
	if err != nil {
		return nil, fmt.Errorf("register assets of job %s: %w", claim.JobID, err)
	}
	var settled []catalog.Asset
	err = s.inTx(ctx, func(t tx) error {
		if err := t.holdClaim(ctx, claim); err != nil {
			return err
		}
		settled = make([]catalog.Asset, 0, len(next))
		for _, a := range next {
			a, err := t.register(ctx, claim, a)
			if err != nil {
				return err
			}
			settled = append(settled, a)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("register assets of job %s: %w", claim.JobID, err)
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
		a.JobID, a.SupersededBy = jobID, ""
		if a.ID == "" {
			a.ID = s.ids.NewID()
		}
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
func (t tx) register(ctx context.Context, claim catalog.Claim, next catalog.Asset) (catalog.Asset, error) {
	old, found, err := t.sameAsset(ctx, next)
	if err != nil {
		return catalog.Asset{}, fmt.Errorf("look for asset %q: %w", next.Key, err)
	}
	if found {
		result, changed := old.Settle(next)
		if !changed {
			return old, nil
		}
		next, next.Version = result, old.Version
	}
	if next.Version == 0 {
		last, err := t.LastVersion(ctx, next.Key)
		if err != nil {
			return catalog.Asset{}, fmt.Errorf("look for versions of %q: %w", next.Key, err)
		}
		next.Version = int(last) + 1
	}
	if next, err = t.supersede(ctx, next); err != nil {
		return catalog.Asset{}, fmt.Errorf("supersede the asset before %q: %w", next.Key, err)
	}
	if next.Path != "" && (!found || old.Path != next.Path) {
		if err := t.fillPlace(ctx, claim, next); err != nil {
			return catalog.Asset{}, err
		}
	}
	if found {
		return t.replaceAsset(ctx, next)
	}
	return t.insertAsset(ctx, next)
}

// sameAsset looks for the asset that next is another word on.
func (t tx) sameAsset(ctx context.Context, next catalog.Asset) (catalog.Asset, bool, error) {
	var row sqlc.Asset
	var err error
	if next.Version == 0 {
		row, err = t.AssetByKeyAndJob(ctx, next.Key, next.JobID)
	} else {
		row, err = t.AssetByKeyAndVersion(ctx, next.Key, int64(next.Version))
	}
	if errors.Is(err, sql.ErrNoRows) {
		return catalog.Asset{}, false, nil
	}
	if err != nil {
		return catalog.Asset{}, false, err
	}
	old, err := assetFromRow(row)
	return old, err == nil, err
}

// supersede puts a completed asset in the place of the newest completed one of
// its Key, or of the one that it names itself.
func (t tx) supersede(ctx context.Context, next catalog.Asset) (catalog.Asset, error) {
	if next.Status != catalog.AssetCompleted {
		return next, nil
	}
	if next.Supersedes == "" {
		row, err := t.LatestCompletedAsset(ctx, next.Key)
		if errors.Is(err, sql.ErrNoRows) || err == nil && row.Version >= int64(next.Version) {
			return next, nil
		}
		if err != nil {
			return next, err
		}
		next.Supersedes = row.ID
	}
	_, err := t.SupersedeAsset(ctx, next.ID, next.Supersedes)
	return next, err
}

// fillPlace writes down that the asset lies where its path says.
func (t tx) fillPlace(ctx context.Context, claim catalog.Claim, a catalog.Asset) error {
	place, err := t.takePlace(ctx, claim, a.Key, a.Path)
	if err == nil && place.AssetID != "" && place.AssetID != a.ID {
		err = fmt.Errorf("asset %s lies there: %w", place.AssetID, catalog.ErrPlaceTaken)
	}
	if err == nil {
		_, err = t.FillPlace(ctx, a.ID, a.Path)
	}
	if err != nil {
		return fmt.Errorf("place %q of asset %q: %w", a.Path, a.Key, err)
	}
	return nil
}

func (t tx) insertAsset(ctx context.Context, a catalog.Asset) (catalog.Asset, error) {
	row, err := assetRow(a)
	if err != nil {
		return catalog.Asset{}, err
	}
	job, err := t.JobByID(ctx, a.JobID)
	if err != nil {
		return catalog.Asset{}, lookupError("job", a.JobID, err)
	}
	row.AppID = job.AppID
	if err := t.InsertAsset(ctx, sqlc.InsertAssetParams(row)); err != nil {
		return catalog.Asset{}, fmt.Errorf("insert asset %q: %w", a.Key, err)
	}
	return assetFromRow(row)
}

func (t tx) replaceAsset(ctx context.Context, a catalog.Asset) (catalog.Asset, error) {
	row, err := assetRow(a)
	if err != nil {
		return catalog.Asset{}, err
	}
	n, err := t.ReplaceAsset(ctx, sqlc.ReplaceAssetParams{
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

// AssetByKey returns the newest completed version of the asset with the given
// Key, or the newest one when none is completed, or an error that wraps
// catalog.ErrNotFound.
func (s *Store) AssetByKey(ctx context.Context, key string) (catalog.Asset, error) {
	row, err := s.queries.LatestAssetByKey(ctx, key)
	if err != nil {
		return catalog.Asset{}, lookupError("asset", key, err)
	}
	return assetFromRow(row)
}

// DeleteAsset takes the asset off the catalog; one that is not there is no
// error, so that it may be repeated. Its bytes stay: their place is a stray
// from now on (see Strays). An asset that it superseded stays superseded.
func (s *Store) DeleteAsset(ctx context.Context, id string) error {
	err := s.inTx(ctx, func(t tx) error {
		if _, err := t.EmptyPlaces(ctx, id); err != nil {
			return err
		}
		_, err := t.DeleteAsset(ctx, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete asset %s: %w", id, err)
	}
	return nil
}
