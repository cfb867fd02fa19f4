package stage

import (
	"context"
	"errors"
	"fmt"

	"rushes/catalog"
	"rushes/catalog/blob"
)

// PurgeCatalog is what Purge needs of the catalog; sqlstore.Store says what its methods do.
type PurgeCatalog interface {
	// AssetByKey and DeleteAsset are those of sqlstore.Store.
	AssetByKey(ctx context.Context, key string) (catalog.Asset, error)
	DeleteAsset(ctx context.Context, id string) error
}

// Keep says why an asset must stay: "" when it may be purged, because a newer, completed asset whose bytes are in the
// store has taken its place.
func Keep(ctx context.Context, c PurgeCatalog, store blob.Store, a catalog.Asset) (reason string, err error) {
	if a.SupersededBy == "" {
		return "no other asset has replaced it", nil
	}
	// Not SupersededBy itself: that one may have been replaced and purged in its turn.
	newest, err := c.AssetByKey(ctx, a.Key)
	if errors.Is(err, catalog.ErrNotFound) {
		return "it is not in the catalog any more", nil
	}
	if err != nil {
		return "", fmt.Errorf("look for what has replaced asset %s: %w", a.ID, err)
	}
	if newest.Status != catalog.AssetCompleted || newest.Version <= a.Version {
		return "no completed asset is newer", nil
	}
	info, err := store.Stat(ctx, newest.Path)
	if errors.Is(err, blob.ErrNotFound) || err == nil && newest.Type != catalog.RoomVOD && info.Size != newest.Size {
		return fmt.Sprintf("the bytes of asset %s, which has replaced it, are not in the store", newest.ID), nil
	}
	if err != nil {
		return "", fmt.Errorf("look for the bytes of asset %s: %w", newest.ID, err)
	}
	return "", nil
}

// Purge deletes an asset that Keep lets go: its bytes and thumbnails, then its row. It may be repeated, after an
// interruption too. Its place is left to CleanStrays: until that has come by, nobody is given the place again, and so
// nothing new is deleted in the old one's stead.
func Purge(ctx context.Context, c PurgeCatalog, store blob.Store, a catalog.Asset) error {
	reason, err := Keep(ctx, c, store, a)
	if err == nil && reason != "" {
		err = errors.New(reason)
	}
	if err == nil && a.Path != "" {
		err = deletePlace(ctx, store, a.Path)
	}
	if err != nil {
		return fmt.Errorf("purge asset %s: %w", a.ID, err)
	}
	return c.DeleteAsset(ctx, a.ID)
}
