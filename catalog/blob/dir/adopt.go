package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"rushes/catalog/blob"
)

// Adopt moves the file at path into the store; see blob.Adopter. On the file
// system of the store it costs a hard link and a rename.
func (s *Store) Adopt(ctx context.Context, key, path string) error {
	err := errors.Join(blob.CheckKey(key), ctx.Err())
	if err == nil {
		err = s.adopt(ctx, key, path)
	}
	if err != nil {
		return fmt.Errorf("adopt %s as %s: %w", path, key, err)
	}
	return nil
}

func (s *Store) adopt(ctx context.Context, key, path string) (err error) {
	f, info, err := openFinished(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	linked, err := s.link(ctx, key, path, f, info)
	if err == nil && !linked {
		err = s.put(ctx, key, f, blob.PutOptions{Size: info.Size()})
	}
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// openFinished opens a regular file, without following a link at its end.
func openFinished(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("not a regular file but %s", info.Mode().Type())
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// link gives the file its place by a hard link. It reports false where the
// file system cannot, as between two of them.
func (s *Store) link(ctx context.Context, key, path string, f *os.File, info fs.FileInfo) (linked bool, err error) {
	// The lock belongs to the file, so it holds for its temporary name as well.
	// Who else has it locked keeps it from being swept just as well.
	if _, err := tryLock(f); err != nil {
		return false, err
	}
	if err := f.Chmod(objectMode); err != nil {
		return false, nil //nolint:nilerr // somebody else's file: a copy is our own
	}
	if err := f.Sync(); err != nil {
		return false, err
	}
	name, err := s.linkTemp(path)
	if err != nil || name == "" {
		return false, err
	}
	t := &temp{root: s.root, name: name, lock: f}
	defer func() { err = errors.Join(err, t.unname()) }()
	got, err := s.root.Lstat(name)
	if err != nil {
		return false, err
	}
	if !os.SameFile(got, info) {
		return false, errors.New("another file took its place")
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	return true, s.place(name, key)
}

// linkTemp links the file at path into the incoming folder and returns its name
// there, or "" where that is not possible.
func (s *Store) linkTemp(path string) (string, error) {
	folder, err := s.root.Open(incoming)
	if err != nil {
		return "", err
	}
	name := tempName()
	err = unix.Linkat(unix.AT_FDCWD, path, int(folder.Fd()), name[len(incoming)+1:], 0)
	for _, e := range []error{unix.EXDEV, unix.EPERM, unix.EMLINK, unix.EOPNOTSUPP, unix.ENOSYS} {
		if errors.Is(err, e) {
			return "", folder.Close()
		}
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("link into the store: %w", err), folder.Close())
	}
	return name, folder.Close()
}

// unname removes the temporary name if it is still there: after an error, and
// after a rename onto another link of the same file, which does nothing.
func (t *temp) unname() error {
	err := t.root.Remove(t.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
