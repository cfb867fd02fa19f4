package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"
	"time"

	"rushes/catalog"
	"rushes/catalog/blob"
	"rushes/pipeline"
	"rushes/transcode"
)

// noPictures is the note of an asset of which no thumbnail can be taken because it is sound.
var noPictures = transcode.ErrNoPictures.Error()

// publish puts the files into the store, at places that no other attempt writes to. What is in place already keeps its
// name from the scratch folder until the catalog knows of it, so that it can be done again.
func (a *attempt) publish(ctx context.Context, run *pipeline.Run) error {
	a.note(ctx, "publish", stillsDone)
	for _, w := range a.todo() {
		if err := a.reserve(ctx, w); err != nil {
			return err
		}
		if isPackage(w.Asset.Path) {
			if err := a.putPackage(ctx, run.Scratch, w); err != nil {
				return err
			}
		} else if err := a.put(ctx, run.Scratch, "render."+w.Name, w.File, w.Asset.Path, w.Size); err != nil {
			return err
		}
		for n, t := range w.thumbs.Made {
			if err := a.put(ctx, run.Scratch, "thumbnails."+w.Name, t.File, w.thumbKey(n), blob.UnknownSize); err != nil {
				return err
			}
		}
	}
	return nil
}

// mostPlaces bounds the search for a place: so many recordings of one room in one second are not believed.
const mostPlaces = 1000

// reserve gives an item a place in the store that nobody else has or will have: the paths of api.md hold a room and a
// millisecond, which two recordings, and two attempts, may share.
func (a *attempt) reserve(ctx context.Context, w *work) error {
	if w.Asset.Path != "" {
		return nil
	}
	for n := range mostPlaces {
		place := w.path(n)
		err := a.cfg.Catalog.ReservePlace(ctx, a.claim(), w.Asset.Key, place)
		if errors.Is(err, catalog.ErrPlaceTaken) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reserve the place of asset %s: %w", w.Name, err)
		}
		w.Asset.Path = place
		return nil
	}
	return fmt.Errorf("reserve the place of asset %s: the %d places from %s on are taken", w.Name, mostPlaces, w.path(0))
}

// put stores one file of a unit under a key. A store on the same file system links it instead of copying it.
func (a *attempt) put(ctx context.Context, scratch *pipeline.Scratch, unit, file, key string, size int64) error {
	err := again(ctx, func() error { return putFile(ctx, a.cfg.Blobs, scratch, unit, file, key, size) })
	if err != nil {
		return fmt.Errorf("publish %s: %w", key, err)
	}
	return nil
}

func putFile(ctx context.Context, store blob.Store, scratch *pipeline.Scratch, unit, file, key string, size int64) (err error) {
	f, err := scratch.Open(unit, file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if size != blob.UnknownSize && info.Size() != size {
		return fmt.Errorf("the file has %d bytes instead of %d", info.Size(), size)
	}
	if a, ok := store.(blob.Adopter); ok {
		if link, err := scratch.Link(unit, file); err == nil {
			return a.Adopt(ctx, key, link)
		}
	}
	options := blob.PutOptions{Size: info.Size(), ContentType: contentType(file)}
	if p, ok := store.(blob.FilePutter); ok { // an upload that was cut off goes on where it was
		if link, err := scratch.Link(unit, file); err == nil {
			return errors.Join(p.PutFile(ctx, key, link, options), os.Remove(link))
		}
	}
	if err := store.Put(ctx, key, f, options); err != nil {
		return err
	}
	stored, err := store.Stat(ctx, key)
	if err != nil {
		return fmt.Errorf("look at what is stored: %w", err)
	}
	if stored.Size != info.Size() {
		return fmt.Errorf("%d of %d bytes are stored", stored.Size, info.Size())
	}
	return nil
}

func contentType(name string) string {
	for ext, t := range map[string]string{".mp4": "video/mp4", ".webm": "video/webm", ".png": "image/png", ".jpeg": "image/jpeg", ".jpg": "image/jpeg",
		".m3u8": "application/vnd.apple.mpegurl", ".m4s": "video/iso.segment", ".vtt": "text/vtt", ".zip": "application/zip"} {
		if strings.HasSuffix(name, ext) {
			return t
		}
	}
	return "application/octet-stream"
}

// discard deletes what the attempt has published, because its claim is lost: nobody else writes to its places.
func (a *attempt) discard(ctx context.Context) error {
	var errs []error
	for _, w := range a.todo() {
		if w.Asset.Path != "" {
			errs = append(errs, deletePlace(ctx, a.cfg.Blobs, w.Asset.Path))
		}
	}
	return errors.Join(errs...)
}

const (
	strayPage  = 100              // strays that are cleaned away at a time
	strayLease = "strays"         // name of the lease under which they are
	strayTTL   = 10 * time.Second // of the lease; a page takes less
)

// CleanStrays deletes what attempts have left in the store that did not come to register it. One process at a time
// does: a place that was forgotten may be given away again, and then nobody may delete what lies there any more. Others
// wait for it.
func CleanStrays(ctx context.Context, c Catalog, store blob.Store) (err error) {
	strays, err := c.Strays(ctx, strayPage)
	if err != nil || len(strays) == 0 {
		return err
	}
	holder, err := pipeline.WorkerName()
	if err != nil {
		return err
	}
	for {
		held, err := c.Lease(ctx, strayLease, holder, strayTTL)
		if err != nil {
			return err
		}
		if held {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookAgain):
		}
	}
	defer func() { err = errors.Join(err, c.Release(context.WithoutCancel(ctx), strayLease, holder)) }()
	for {
		held, err := c.Lease(ctx, strayLease, holder, strayTTL)
		if err != nil || !held {
			return err
		}
		strays, err := c.Strays(ctx, strayPage)
		if err != nil || len(strays) == 0 {
			return err
		}
		if err := deleteStrays(ctx, c, store, strays); err != nil {
			return err
		}
	}
}

func deleteStrays(ctx context.Context, c Catalog, store blob.Store, strays []catalog.Place) error {
	var paths []string
	for _, s := range strays {
		if err := deletePlace(ctx, store, s.Path); err != nil {
			return err
		}
		paths = append(paths, s.Path)
	}
	return c.ForgetPlaces(ctx, paths)
}

// thumbnailName is what a thumbnail's key has after its asset's.
var thumbnailName = regexp.MustCompile(`^-thumb-[0-9]+-[0-9]+\.(png|jpg)$`)

// deletePlace deletes an asset's bytes, of a package all its files, and its thumbnails.
func deletePlace(ctx context.Context, store blob.Store, place string) error {
	if isPackage(place) {
		return deletePackage(ctx, store, place)
	}
	keys := []string{place}
	base := strings.TrimSuffix(place, path.Ext(place))
	for info, err := range store.List(ctx, base+"-thumb-") {
		if err != nil {
			return fmt.Errorf("look for the thumbnails of %s: %w", place, err)
		}
		if thumbnailName.MatchString(strings.TrimPrefix(info.Key, base)) {
			keys = append(keys, info.Key)
		}
	}
	for _, key := range keys {
		if err := again(ctx, func() error { return store.Delete(ctx, key) }); err != nil {
			return fmt.Errorf("delete %s: %w", key, err)
		}
	}
	return nil
}
