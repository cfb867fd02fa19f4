package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"rushes/catalog"
	"rushes/catalog/blob"
	"rushes/pipeline"
)

// scratchPrefix is where in the store the units of jobs lie that several workers work at: nothing else is shared
// between them. It is no room's: ids of rooms come after their first element, or are none of these.
const scratchPrefix = "scratch/"

// shared is the units of one job in the store:
//
//	scratch/<job>/<unit>/<content key>.json         the unit's mark, written last
//	scratch/<job>/<unit>/<content key>/<fence>-<n>  its files, each attempt's under names of their own
//
// Units under the same content key may take each other's place, so marks of different attempts do no harm.
type shared struct {
	store blob.Store
	job   string
	claim catalog.Claim // whose files are written
}

// sharedMark is a unit's mark in the store.
type sharedMark struct {
	Mark  pipeline.Mark
	Files map[string]string // path in the unit's folder to key in the store
}

func (s shared) folder() string { return scratchPrefix + s.job + "/" }

func (s shared) markKey(unit, key string) string { return s.folder() + unit + "/" + key + ".json" }

// push puts a finished unit of the scratch folder into the store. What is there under the same content key is kept.
func (s shared) push(ctx context.Context, scratch *pipeline.Scratch, unit string) error {
	mark, done, err := scratch.Unit(unit)
	if err != nil {
		return err
	}
	if !done {
		return fmt.Errorf("share unit %s: it is not finished", unit)
	}
	if _, err := s.find(ctx, unit, mark.Key); !errors.Is(err, blob.ErrNotFound) {
		return err
	}
	out := sharedMark{Mark: mark, Files: map[string]string{}}
	n := 0
	for name, size := range mark.Files {
		key := fmt.Sprintf("%s%s/%s/%s-%d-%d", s.folder(), unit, mark.Key, s.claim.JobID, s.claim.Fence, n)
		n++
		if err := again(ctx, func() error { return putFile(ctx, s.store, scratch, unit, name, key, size) }); err != nil {
			return fmt.Errorf("share unit %s: %w", unit, err)
		}
		out.Files[name] = key
	}
	text, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("share unit %s: %w", unit, err)
	}
	err = again(ctx, func() error {
		return s.store.Put(ctx, s.markKey(unit, mark.Key), bytes.NewReader(text), blob.PutOptions{Size: int64(len(text)), ContentType: "application/json"})
	})
	if err != nil {
		return fmt.Errorf("share unit %s: %w", unit, err)
	}
	return nil
}

// mostMark bounds what is read of a mark, in bytes: a mark holds the levels of all tracks.
const mostMark = 256 << 20

// find reads a unit's mark, or gives blob.ErrNotFound.
func (s shared) find(ctx context.Context, unit, key string) (m sharedMark, err error) {
	var text bytes.Buffer
	err = again(ctx, func() error {
		text.Reset()
		r, err := s.store.Get(ctx, s.markKey(unit, key), blob.Range{})
		if err != nil {
			return err
		}
		_, err = io.Copy(&text, io.LimitReader(r, mostMark))
		return errors.Join(err, r.Close())
	})
	if err != nil {
		return m, fmt.Errorf("look for unit %s: %w", unit, err)
	}
	if err := json.Unmarshal(text.Bytes(), &m); err != nil {
		return m, fmt.Errorf("mark of unit %s: %w", unit, err)
	}
	return m, nil
}

// pull takes a unit from the store into the scratch folder, unless it is there. It reports whether the unit is in the
// folder now.
func (s shared) pull(ctx context.Context, scratch *pipeline.Scratch, unit, key string) (bool, error) {
	if done, err := scratch.Done(unit, key, nil); err != nil || done {
		return done, err
	}
	m, err := s.find(ctx, unit, key)
	if errors.Is(err, blob.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := scratch.Reset(unit); err != nil {
		return false, err
	}
	folder, err := scratch.Dir(unit)
	if err != nil {
		return false, err
	}
	for name, object := range m.Files {
		if !filepath.IsLocal(name) || !strings.HasPrefix(object, s.folder()) {
			return false, pipeline.Permanent(fmt.Errorf("mark of unit %s: file %q is not of this job", unit, name))
		}
		err := again(ctx, func() error {
			return fetch(ctx, s.store, object, filepath.Join(folder, filepath.FromSlash(name)), m.Mark.Files[name])
		})
		if errors.Is(err, blob.ErrNotFound) {
			return false, scratch.Reset(unit) // cleaned away: it is made again
		}
		if err != nil {
			return false, fmt.Errorf("take unit %s: %w", unit, err)
		}
	}
	if err := scratch.MarkDone(unit, key, m.Mark.Value); err != nil {
		return false, err
	}
	return true, nil
}

// fetch copies an object into a file.
func fetch(ctx context.Context, store blob.Store, key, file string, size int64) (err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	r, err := store.Get(ctx, key, blob.Range{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	n, err := io.Copy(f, r)
	if err == nil && n != size {
		err = fmt.Errorf("%s: %d of %d bytes came", key, n, size)
	}
	return err
}

// clear deletes all that the job has shared.
func (s shared) clear(ctx context.Context) error {
	for info, err := range s.store.List(ctx, s.folder()) {
		if err != nil {
			return fmt.Errorf("look for what job %s has shared: %w", s.job, err)
		}
		if err := again(ctx, func() error { return s.store.Delete(ctx, info.Key) }); err != nil {
			return fmt.Errorf("delete %s: %w", info.Key, err)
		}
	}
	return nil
}

// CleanShared deletes what jobs have shared that are over, or unknown. It may run at any time and beside itself.
func CleanShared(ctx context.Context, c Catalog, store blob.Store) error {
	over := map[string]bool{}
	for info, err := range store.List(ctx, scratchPrefix) {
		if err != nil {
			return fmt.Errorf("look for what jobs have shared: %w", err)
		}
		job, _, _ := strings.Cut(strings.TrimPrefix(info.Key, scratchPrefix), "/")
		gone, known := over[job]
		if !known {
			j, err := c.JobByID(ctx, job)
			if err != nil && !errors.Is(err, catalog.ErrNotFound) {
				return err
			}
			gone = err != nil || j.State.Final()
			over[job] = gone
		}
		if gone {
			if err := again(ctx, func() error { return store.Delete(ctx, info.Key) }); err != nil {
				return fmt.Errorf("delete %s: %w", path.Base(info.Key), err)
			}
		}
	}
	return nil
}
