package stage

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"rushes/catalog/blob"
	"rushes/pipeline"
)

// isPackage reports whether a place is that of a package of many files: the main one lies in a folder of its own.
func isPackage(place string) bool {
	return path.Base(place) == masterFile && path.Base(path.Dir(place)) == "vod"
}

// packageKeys lists what lies in a package's folder, its thumbnails too. A zip of the same stream, and its thumbnails, may
// lie there and are another asset's: no file of a package has such a name.
func packageKeys(ctx context.Context, store blob.Store, place string) (infos []blob.Info, err error) {
	folder := strings.TrimSuffix(place, masterFile)
	for info, err := range store.List(ctx, folder) {
		if err != nil {
			return nil, fmt.Errorf("look for the files of %s: %w", folder, err)
		}
		if !besidePackage(strings.TrimPrefix(info.Key, folder)) {
			infos = append(infos, info)
		}
	}
	return infos, nil
}

// besidePackage reports whether a name in a package's folder is that of a zip or of its thumbnails (catalog.Session.VODZipPath).
func besidePackage(name string) bool {
	return strings.HasPrefix(name, "Rec-") && !strings.Contains(name, "/")
}

// storedSize is the number of bytes that an asset has in the store, without thumbnails.
func storedSize(ctx context.Context, store blob.Store, place string) (int64, error) {
	info, err := store.Stat(ctx, place)
	if err != nil || !isPackage(place) {
		return info.Size, err
	}
	infos, err := packageKeys(ctx, store, place)
	total := int64(0)
	for _, info := range infos {
		if !thumbnailName.MatchString(strings.TrimPrefix(info.Key, strings.TrimSuffix(place, path.Ext(place)))) {
			total += info.Size
		}
	}
	return total, err
}

// deletePackage deletes all files of a package, the main one last: it is what a later call finds the others by.
func deletePackage(ctx context.Context, store blob.Store, place string) error {
	infos, err := packageKeys(ctx, store, place)
	if err != nil {
		return err
	}
	keys := []string{}
	for _, info := range infos {
		if info.Key != place {
			keys = append(keys, info.Key)
		}
	}
	for _, key := range append(keys, place) {
		if err := again(ctx, func() error { return store.Delete(ctx, key) }); err != nil {
			return fmt.Errorf("delete %s: %w", key, err)
		}
	}
	return nil
}

// putPackage stores the files of a package: playlists after all that they name, the main one last. The process that
// made it cannot have chosen names that lead elsewhere.
func (a *attempt) putPackage(ctx context.Context, scratch *pipeline.Scratch, w *work) error {
	unit := "render." + w.Name
	mark, done, err := scratch.Unit(unit)
	if err != nil {
		return err
	}
	total := int64(0)
	for name, size := range mark.Files {
		if !filepath.IsLocal(name) || besidePackage(name) {
			return fmt.Errorf("%w: file %q of %s", errForged, name, w.Name)
		}
		total += size
	}
	if _, ok := mark.Files[w.File]; !done || !ok || total != w.Size || len(mark.Files) != w.Files {
		return fmt.Errorf("publish %s: the package is not complete: %d files with %d bytes of %d with %d", w.Asset.Path, len(mark.Files), total, w.Files, w.Size)
	}
	folder := strings.TrimSuffix(w.Asset.Path, masterFile)
	names := slices.SortedFunc(maps.Keys(mark.Files), func(x, y string) int {
		return cmp.Or(publishRank(x, w.File)-publishRank(y, w.File), cmp.Compare(x, y))
	})
	for _, name := range names {
		if err := a.put(ctx, scratch, unit, name, folder+name, mark.Files[name]); err != nil {
			return err
		}
	}
	return nil
}
