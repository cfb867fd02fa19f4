package sqlstore

import (
	"context"
	"fmt"

	"rushes/catalog"
	"rushes/catalog/sqlstore/internal/sqlc"
)

// ReservePlace makes the storage key the claim's, for the bytes of the asset of
// that key: nobody else may write there from now on. The same claim may repeat
// it. It returns an error that wraps catalog.ErrPlaceTaken when another claim
// (also an earlier one on the same job) or an asset has the place.
func (s *Store) ReservePlace(ctx context.Context, claim catalog.Claim, assetKey, path string) error {
	err := s.inTx(ctx, func(t tx) error {
		if err := t.holdClaim(ctx, claim); err != nil {
			return err
		}
		place, err := t.takePlace(ctx, claim, assetKey, path)
		if err == nil && place.AssetID != "" {
			return fmt.Errorf("asset %s lies there: %w", place.AssetID, catalog.ErrPlaceTaken)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("reserve %q for job %s: %w", path, claim.JobID, err)
	}
	return nil
}

// takePlace makes the place the claim's unless it is somebody's, and returns it.
func (t tx) takePlace(ctx context.Context, claim catalog.Claim, assetKey, path string) (sqlc.Place, error) {
	if path == "" {
		return sqlc.Place{}, fmt.Errorf("no path: %w", catalog.ErrInvalid)
	}
	_, err := t.PutPlace(ctx, sqlc.PutPlaceParams{
		Path: path, JobID: claim.JobID, Fence: claim.Fence, AssetKey: assetKey,
	})
	if err != nil {
		return sqlc.Place{}, err
	}
	place, err := t.PlaceByPath(ctx, path)
	if err != nil {
		return place, err
	}
	if place.JobID != claim.JobID || place.Fence != claim.Fence {
		return place, fmt.Errorf("it belongs to job %s, fence %d: %w", place.JobID, place.Fence, catalog.ErrPlaceTaken)
	}
	return place, nil
}

// Strays returns up to limit places where no asset lies and none will: their
// job is over or has been claimed again. What lies there may be deleted, and
// the place then be forgotten with ForgetPlaces. The place of a deleted asset is
// one too.
func (s *Store) Strays(ctx context.Context, limit int) ([]catalog.Place, error) {
	rows, err := s.queries.StrayPlaces(ctx, int64(limit))
	if err != nil {
		return nil, fmt.Errorf("look for stray places: %w", err)
	}
	places := make([]catalog.Place, 0, len(rows))
	for _, r := range rows {
		places = append(places, catalog.Place{
			Path: r.Path, Claim: catalog.Claim{JobID: r.JobID, Fence: r.Fence}, AssetKey: r.AssetKey,
		})
	}
	return places, nil
}

// ForgetPlaces takes the places off the catalog where no asset lies. It may be
// repeated.
func (s *Store) ForgetPlaces(ctx context.Context, paths []string) error {
	err := s.inTx(ctx, func(t tx) error {
		for _, path := range paths {
			if _, err := t.ForgetPlace(ctx, path); err != nil {
				return fmt.Errorf("%q: %w", path, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget %d places: %w", len(paths), err)
	}
	return nil
}
