package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"rushes/catalog/blob"
)

const (
	copyBuffer = 256 << 10 // bytes
	// placeTries bounds how often Put makes the folders of a key again that a
	// concurrent Delete found empty and removed.
	placeTries = 100
)

// Put stores what body gives under key; see blob.Store. A full disk, like any
// error, leaves nothing behind.
func (s *Store) Put(ctx context.Context, key string, body io.Reader, o blob.PutOptions) error {
	err := errors.Join(blob.CheckKey(key), ctx.Err())
	if err == nil {
		err = s.put(ctx, key, body, o)
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	return nil
}

func (s *Store) put(ctx context.Context, key string, body io.Reader, o blob.PutOptions) (err error) {
	if o.IfAbsent {
		// Looking first saves the writing; placeNew decides.
		if _, err := s.root.Lstat(key); err == nil {
			return s.taken(key)
		}
	}
	t, err := s.newTemp()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.discard()) }()
	if err := t.fill(ctx, body, o.Size); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if o.IfAbsent {
		return s.placeNew(t.name, key)
	}
	return s.place(t.name, key)
}

// fill writes the body into the temporary file and makes it durable.
func (t *temp) fill(ctx context.Context, body io.Reader, size int64) error {
	f, err := t.root.OpenFile(t.name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	err = copyBody(ctx, f, body, size)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func copyBody(ctx context.Context, f io.Writer, body io.Reader, size int64) error {
	from := io.Reader(&ctxReader{ctx: ctx, body: body})
	if size >= 0 {
		// One byte more than announced is enough to know.
		from = io.LimitReader(from, size+1)
	}
	// The wrapper keeps io.Copy from handing the body to the file as a whole,
	// where the context would not be asked again.
	n, err := io.CopyBuffer(struct{ io.Writer }{f}, from, make([]byte, copyBuffer))
	switch {
	case err != nil:
		return err
	case size >= 0 && n > size:
		return fmt.Errorf("more than %d bytes: %w", size, blob.ErrSizeMismatch)
	case size >= 0 && n < size:
		return fmt.Errorf("%d bytes instead of %d: %w", n, size, blob.ErrSizeMismatch)
	}
	return nil
}

// ctxReader asks the context before every read.
type ctxReader struct {
	ctx  context.Context //nolint:containedctx // lives no longer than the call that it was passed to
	body io.Reader
}

// Read reads from the body while the context lasts.
func (r *ctxReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.body.Read(p)
}

// place renames a finished temporary file to its key and makes that durable.
func (s *Store) place(name, key string) error {
	return s.placeBy(s.root.Rename, name, key)
}

// placeNew gives a finished temporary file a key that must be free: a link
// never replaces anything. The temporary name goes when the file is discarded.
func (s *Store) placeNew(name, key string) error {
	err := s.placeBy(s.root.Link, name, key)
	if errors.Is(err, fs.ErrExist) && s.mayBeFolder(path.Dir(key)) {
		return s.taken(key)
	}
	return err
}

// taken is the error of a key that must be free and is not.
func (s *Store) taken(key string) error {
	if s.isFolder(key) {
		return blob.ErrConflict
	}
	return blob.ErrExists
}

// placeBy names a finished temporary file by move, which takes its name and the
// key, in the folder of the key, and makes that durable.
func (s *Store) placeBy(move func(name, key string) error, name, key string) error {
	folder := path.Dir(key)
	for try := 1; ; try++ {
		err := s.root.MkdirAll(folder, folderMode)
		made := err == nil
		if made {
			err = move(name, key)
		}
		if err == nil {
			// The folder may be gone already, with the object, by a concurrent
			// Delete: then there is nothing to make durable any more.
			if err = s.syncUp(folder); errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		if try < placeTries && (errors.Is(err, fs.ErrNotExist) || !made && errors.Is(err, unix.EEXIST) && s.mayBeFolder(folder)) {
			continue
		}
		return conflict(err)
	}
}

// mayBeFolder reports whether nothing but a folder is at name. The making of a
// folder fails with EEXIST also where another had made it and a third has
// removed it since.
func (s *Store) mayBeFolder(name string) bool {
	info, err := s.root.Stat(name)
	return errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir()
}

// syncUp syncs the folder and all above it: one of them may have been made by
// another Put that has not come to syncing it yet.
func (s *Store) syncUp(folder string) error {
	for {
		if err := syncFolder(s.root, folder); err != nil {
			return fmt.Errorf("sync folder %s: %w", folder, err)
		}
		if folder == "." {
			return nil
		}
		folder = path.Dir(folder)
	}
}

// conflict turns the errors of a file where a folder should be, or the other
// way round, into blob.ErrConflict.
func conflict(err error) error {
	for _, e := range []error{unix.EISDIR, unix.ENOTDIR, unix.ENOTEMPTY, unix.EEXIST} {
		if errors.Is(err, e) {
			return fmt.Errorf("%w (%w)", blob.ErrConflict, err)
		}
	}
	return err
}
