package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"

	"rushes/catalog/blob"
)

// incoming is the folder of temporary files. No key begins with a dot.
const incoming = ".incoming"

const (
	folderMode = 0o755
	objectMode = 0o644
)

// Store is a blob store in a folder. It is safe for concurrent use, by several
// processes too; Close it when done.
type Store struct {
	path string // absolute
	root *os.Root
}

var (
	_ blob.Store   = (*Store)(nil)
	_ blob.Adopter = (*Store)(nil)
	_ blob.Opener  = (*Store)(nil)
)

// Open opens the store in the folder root, makes the folder when there is
// none, and removes the temporary files that dead processes left behind.
func Open(root string) (*Store, error) {
	s, err := open(root)
	if err != nil {
		return nil, fmt.Errorf("open blob folder %s: %w", root, err)
	}
	return s, nil
}

func open(root string) (*Store, error) {
	if root == "" {
		return nil, errors.New("no folder given")
	}
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(abs, folderMode); err != nil {
		return nil, err
	}
	r, err := os.OpenRoot(abs)
	if err != nil {
		return nil, err
	}
	s := &Store{path: abs, root: r}
	if err := errors.Join(r.MkdirAll(incoming, folderMode), syncFolder(r, "."), syncAbove(abs)); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	if err := s.sweep(); err != nil {
		return nil, errors.Join(fmt.Errorf("remove left-over temporary files: %w", err), r.Close())
	}
	return s, nil
}

// Close gives the folder's handle back. It may be called again; readers that
// Get returned stay usable.
func (s *Store) Close() error {
	if err := s.root.Close(); err != nil {
		return fmt.Errorf("close blob folder %s: %w", s.path, err)
	}
	return nil
}

// Path returns the absolute path of the file that the object under key has or
// would have. It is for showing and reading: a file that is changed there is
// no longer what the catalog says.
func (s *Store) Path(key string) (string, error) {
	if err := blob.CheckKey(key); err != nil {
		return "", err
	}
	return filepath.Join(s.path, filepath.FromSlash(key)), nil
}

// Get opens the object, or a range of it, for reading.
func (s *Store) Get(ctx context.Context, key string, r blob.Range) (io.ReadCloser, error) {
	f, info, err := s.openObject(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	offset, length, err := r.Resolve(info.Size())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("get %s: %w", key, err), f.Close())
	}
	return &reader{ctx: ctx, key: key, file: f, rest: io.NewSectionReader(f, offset, length)}, nil
}

// OpenObject opens the object; see blob.Opener. The reader is an *os.File, which
// net/http can send without copying it through the process.
func (s *Store) OpenObject(ctx context.Context, key string) (io.ReadSeekCloser, blob.Info, error) {
	f, info, err := s.openObject(ctx, key)
	if err != nil {
		return nil, blob.Info{}, fmt.Errorf("open %s: %w", key, err)
	}
	return f, blob.Info{Key: key, Size: info.Size(), ModTime: info.ModTime()}, nil
}

// reader gives a range of an open object while its context lasts.
type reader struct {
	ctx  context.Context //nolint:containedctx // the contract bounds the reading by Get's context
	key  string
	file *os.File
	rest *io.SectionReader
}

// Read reads on, or fails with the context's error.
func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, fmt.Errorf("read %s: %w", r.key, err)
	}
	return r.rest.Read(p)
}

// Close closes the object's file.
func (r *reader) Close() error { return r.file.Close() }

// Stat describes the object.
func (s *Store) Stat(ctx context.Context, key string) (blob.Info, error) {
	f, info, err := s.openObject(ctx, key)
	if err != nil {
		return blob.Info{}, fmt.Errorf("stat %s: %w", key, err)
	}
	if err := f.Close(); err != nil {
		return blob.Info{}, fmt.Errorf("stat %s: %w", key, err)
	}
	return blob.Info{Key: key, Size: info.Size(), ModTime: info.ModTime()}, nil
}

// openObject opens the file of key, which must be a regular one. It does not
// wait for the writer of a named pipe that somebody put there.
func (s *Store) openObject(ctx context.Context, key string) (*os.File, fs.FileInfo, error) {
	if err := errors.Join(blob.CheckKey(key), ctx.Err()); err != nil {
		return nil, nil, err
	}
	f, err := s.root.OpenFile(key, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, missing(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = blob.ErrNotFound
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// Delete removes the object and the folders that it leaves empty.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := errors.Join(blob.CheckKey(key), ctx.Err()); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	if err := s.unlink(key, 0); err != nil {
		// EISDIR (EPERM elsewhere than on Linux): a folder is not an object.
		if errors.Is(missing(err), blob.ErrNotFound) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EPERM) && s.isFolder(key) {
			return nil
		}
		return fmt.Errorf("delete %s: %w", key, err)
	}
	if err := s.prune(path.Dir(key)); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}

// prune syncs a folder that something was removed from and removes it, and the
// folders above it, when they are empty. A concurrent Put makes them again.
func (s *Store) prune(folder string) error {
	for {
		if err := syncFolder(s.root, folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if folder == "." {
			return nil
		}
		err := s.unlink(folder, unix.AT_REMOVEDIR)
		switch {
		case err == nil, errors.Is(err, fs.ErrNotExist):
		case errors.Is(err, unix.ENOTEMPTY), errors.Is(err, unix.EEXIST), errors.Is(err, unix.ENOTDIR):
			return nil
		default:
			return err
		}
		folder = path.Dir(folder)
	}
}

// unlink removes a file (flags 0) or an empty folder (AT_REMOVEDIR), and never
// the one for the other, as os.Root.Remove would: another process may have put
// an object where a folder was a moment ago.
func (s *Store) unlink(name string, flags int) error {
	parent, err := s.root.Open(path.Dir(name))
	if err != nil {
		return err
	}
	err = unix.Unlinkat(int(parent.Fd()), path.Base(name), flags)
	return errors.Join(err, parent.Close())
}

func (s *Store) isFolder(name string) bool {
	info, err := s.root.Lstat(name)
	return err == nil && info.IsDir()
}

// missing turns the ways in which a file can be absent into blob.ErrNotFound.
func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ENXIO) {
		return blob.ErrNotFound
	}
	return err
}

// syncFolder makes the entries of a folder durable.
func syncFolder(root *os.Root, folder string) error {
	d, err := root.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// syncAbove makes the entry of the root itself durable, as far as its folder
// may be read.
func syncAbove(root string) error {
	d, err := os.Open(filepath.Dir(root))
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
