package stage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rushes/catalog"
	"rushes/catalog/blob"
)

// ErrInMaking says that an asset is still being made, and cannot be deleted yet.
var ErrInMaking = errors.New("the asset is still being made")

// DeleteCatalog is what Delete needs of the catalog; sqlstore.Store says what its methods do.
type DeleteCatalog interface {
	// Each of them may be repeated.
	AssetByID(ctx context.Context, id string) (catalog.Asset, error)
	DeleteAsset(ctx context.Context, id string) error
}

// Delete deletes an asset that somebody has asked to be deleted, whatever its age: its bytes, its
// thumbnails and its row, of a package all its files. It may be repeated, and goes on after an error: found is false
// where there was no such asset any more. Its place is left to CleanStrays. One that is being made is an ErrInMaking.
func Delete(ctx context.Context, c DeleteCatalog, store blob.Store, id string) (a catalog.Asset, found bool, err error) {
	a, err = c.AssetByID(ctx, id)
	if errors.Is(err, catalog.ErrNotFound) {
		return a, false, nil
	}
	if err != nil {
		return a, false, err
	}
	if a.Status == catalog.AssetProcessing {
		return a, true, fmt.Errorf("delete asset %s: %w", id, ErrInMaking)
	}
	// The bytes first: as long as the row is there nobody is given its place, and so nothing new is deleted in its stead.
	if a.Path != "" {
		if err := deletePlace(ctx, store, a.Path); err != nil {
			return a, true, fmt.Errorf("delete asset %s: %w", id, err)
		}
	}
	return a, true, c.DeleteAsset(ctx, id)
}

// Retention says how long assets are kept, for each type that is not kept for ever.
type Retention map[catalog.AssetType]time.Duration

// RetentionCatalog is what Expire needs of the catalog.
type RetentionCatalog interface {
	DeleteCatalog
	// ListAssets may be repeated.
	ListAssets(ctx context.Context, f catalog.Filter) ([]catalog.Asset, error)
}

// Expire deletes all assets, completed, failed and replaced ones, that were registered longer ago than their type is
// kept. each is told of every one before it goes, and keeps it by an error, which ends Expire too;
// with dryRun nothing is deleted. It may run at any time and beside itself.
func Expire(ctx context.Context, c RetentionCatalog, store blob.Store, keep Retention, now time.Time, dryRun bool, each func(catalog.Asset) error) error {
	for _, kind := range catalog.AssetTypes() {
		age, ok := keep[kind]
		if !ok {
			continue
		}
		f := catalog.Filter{Type: kind, Before: now.Add(-age), Superseded: true}
		for {
			page, err := c.ListAssets(ctx, f)
			if err != nil {
				return fmt.Errorf("look for %s assets that have expired: %w", kind, err)
			}
			for _, a := range page {
				f.After = a.ID
				if a.Status == catalog.AssetProcessing {
					continue
				}
				if err := each(a); err != nil {
					return err
				}
				if dryRun {
					continue
				}
				if _, _, err := Delete(ctx, c, store, a.ID); err != nil {
					return err
				}
			}
			if len(page) < catalog.MaxPage {
				break
			}
		}
	}
	return nil
}
