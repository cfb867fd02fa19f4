package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// lockFolder makes the folder and takes the lock in it. The lock file is deleted
// with the folder, so after locking it must still be the one that is there:
// otherwise two processes could hold locks on two files of the same name.
func lockFolder(dir string) (*os.File, error) {
	const tries = 100
	for range tries {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed between the two calls by the one who finished
		}
		if err != nil {
			return nil, err
		}
		current, err := lockFile(f)
		if current {
			return f, nil
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("locking %s: %w", dir, ErrScratchBusy)
}

// lockFile locks an open lock file and reports whether it is still in place.
func lockFile(f *os.File) (current bool, err error) {
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, ErrScratchBusy
	}
	if err != nil {
		return false, fmt.Errorf("locking %s: %w", f.Name(), err)
	}
	held, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(f.Name())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return os.SameFile(held, there), nil
}

// removeLocked empties the folder, the lock file last: until then nobody else can
// begin in it.
func removeLocked(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == lockName {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	if err := os.Remove(filepath.Join(dir, lockName)); err != nil {
		return err
	}
	// Somebody may have begun anew in that moment; then the folder is theirs.
	err = os.Remove(dir)
	if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// syncTree brings every file below dir to the disk and returns their sizes by path
// relative to dir. A unit without a folder has no files.
func syncTree(dir string) (map[string]int64, error) {
	files := make(map[string]int64)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == dir {
			return fs.SkipAll
		}
		if err != nil {
			return err
		}
		if !e.IsDir() && !e.Type().IsRegular() {
			return fmt.Errorf("%s is not a regular file", path)
		}
		info, err := syncPath(path)
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		files[name] = info.Size()
		return err
	})
	return files, err
}

// syncPath brings one file or folder to the disk and describes it.
func syncPath(path string) (info fs.FileInfo, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Sync(); err != nil {
		return nil, err
	}
	return f.Stat()
}

// writeFile replaces a file in one step: a temporary name, synced, renamed, and
// the folder synced.
func writeFile(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	name := f.Name()
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(name))
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(name, path); err != nil {
		return err
	}
	_, err = syncPath(filepath.Dir(path))
	return err
}
