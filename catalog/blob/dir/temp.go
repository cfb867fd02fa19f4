package dir

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// temp is a temporary file in the incoming folder. The open handle carries the
// lock that keeps other processes from sweeping it, until after the rename.
type temp struct {
	root *os.Root
	name string // below the root
	lock *os.File
}

func tempName() string { return path.Join(incoming, rand.Text()+".tmp") }

// newTemp makes an empty, locked temporary file.
func (s *Store) newTemp() (*temp, error) {
	for {
		name := tempName()
		f, err := s.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, objectMode)
		if err != nil {
			return nil, fmt.Errorf("make temporary file: %w", err)
		}
		swept, err := lockNew(f)
		if err == nil && !swept {
			return &temp{root: s.root, name: name, lock: f}, nil
		}
		err = errors.Join(err, f.Close())
		if err != nil {
			return nil, fmt.Errorf("lock temporary file: %w", err)
		}
	}
}

// lockNew locks a file that was just made. Between making and locking it a
// process that opens the store may have taken it for a dead one's.
func lockNew(f *os.File) (swept bool, err error) {
	locked, err := tryLock(f)
	if err != nil || !locked {
		return !locked, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return false, err
	}
	return st.Nlink == 0, nil
}

// discard removes the file if it was not renamed, and gives the lock back.
func (t *temp) discard() error {
	err := t.root.Remove(t.name)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, t.lock.Close())
}

// tryLock takes the lock on an open file unless somebody else holds it.
func tryLock(f *os.File) (bool, error) {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		}
		return false, err
	}
}

// sweep removes the temporary files that no living process has locked.
func (s *Store) sweep() error {
	entries, err := fs.ReadDir(s.root.FS(), incoming)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := s.sweepOne(path.Join(incoming, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) sweepOne(name string) error {
	info, err := s.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || !info.Mode().IsRegular() {
		return err // what is no regular file is not ours
	}
	f, err := s.root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	locked, err := tryLock(f)
	if err == nil && locked {
		err = s.root.Remove(name)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	return errors.Join(err, f.Close())
}
