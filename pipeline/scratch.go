package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// ErrScratchBusy says that another process, or another attempt in this one, works
// in the job's scratch folder. It goes away by itself.
var ErrScratchBusy = errors.New("the scratch folder is in use by another attempt")

const (
	lockName   = ".lock"
	markSuffix = ".done"
)

// Scratch is a job's folder for what its stages make on the way. It is locked
// while it is open, by a lock that dies with the process: what a killed process
// leaves behind is found and used by the next. Inside lie one folder per unit of
// work (a stage, or a part of one) and beside it the unit's mark "<unit>.done".
//
// Methods are safe for concurrent use as long as no two goroutines work on the
// same unit.
type Scratch struct {
	dir string

	mu     sync.Mutex
	lock   *os.File // nil once closed, and of a guest
	closed bool
}

// Mark is what a finished unit left: the content of its mark file.
type Mark struct {
	// Key is the content key that the unit was made under.
	Key string `json:"key"`
	// Value is the unit's value, as JSON.
	Value json.RawMessage `json:"value"`
	// Files are the unit's files: path in the unit's folder, with '/', to size in
	// bytes.
	Files map[string]int64 `json:"files,omitempty"`
}

// OpenScratch opens, or makes, the scratch folder of a job below parent and locks
// it. It does not wait: if somebody else holds the lock, the error is
// ErrScratchBusy. The caller ends with Remove after success, with Close otherwise.
func OpenScratch(parent, job string) (*Scratch, error) {
	if err := checkName(strings.ToLower(job)); err != nil {
		return nil, fmt.Errorf("scratch folder: %w", err)
	}
	dir, err := filepath.Abs(filepath.Join(parent, job))
	if err != nil {
		return nil, fmt.Errorf("scratch folder of job %s: %w", job, err)
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("scratch folder of job %s: %w", job, err)
	}
	return &Scratch{dir: dir, lock: lock}, nil
}

// JoinScratch gives the use of a scratch folder whose lock another process holds
// and keeps while the work goes on: a worker starts a child that works in the
// worker's folder. Close ends the use; Remove is the holder's alone.
func JoinScratch(dir string) (*Scratch, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("join a scratch folder: %w", err)
	}
	if !info.IsDir() {
		return nil, Permanent(fmt.Errorf("join a scratch folder: %s is no folder", dir))
	}
	return &Scratch{dir: dir}, nil
}

// checkName allows names that are one path element on every file system and
// cannot be taken for a hidden file or a mark.
func checkName(name string) error {
	ok := name != "" && len(name) <= 128 && name[0] != '.' && !strings.HasSuffix(name, markSuffix) &&
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
	if !ok {
		return fmt.Errorf("name %q: use up to 128 lower-case letters, digits, '-', '_' and '.'", name)
	}
	return nil
}

// Path returns the absolute path of something in the scratch folder: a unit's
// folder, or a file in it. It makes nothing.
func (s *Scratch) Path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

// Dir returns the absolute path of a unit's folder and makes it if needed. The
// unit's files belong there.
func (s *Scratch) Dir(unit string) (string, error) {
	if err := s.check(unit); err != nil {
		return "", err
	}
	dir := s.Path(unit)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("scratch folder of %s: %w", unit, err)
	}
	return dir, nil
}

// check says why a unit cannot be worked on.
func (s *Scratch) check(unit string) error {
	if err := checkName(unit); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("%s: scratch folder %s: %w", unit, s.dir, fs.ErrClosed)
	}
	return nil
}

// Done reports whether the unit was finished with this key and all its files are
// there in full; then its value is decoded into value (a pointer; nil to ignore
// it). A mark that cannot be read, or whose value does not fit, counts as not
// done: the work is done again.
func (s *Scratch) Done(unit, key string, value any) (bool, error) {
	m, done, err := s.Unit(unit)
	if err != nil || !done || m.Key != key {
		return false, err
	}
	if value != nil && json.Unmarshal(m.Value, value) != nil {
		return false, nil
	}
	return true, nil
}

// Unit returns the mark of a unit, and whether the unit is finished: its mark can
// be read and all its files are there in full.
func (s *Scratch) Unit(unit string) (m Mark, done bool, err error) {
	if err := s.check(unit); err != nil {
		return m, false, err
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return m, false, fmt.Errorf("reading the mark of %s: %w", unit, err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	f, err := openRegular(root, unit+markSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return m, false, nil
	}
	if err != nil {
		return m, false, fmt.Errorf("reading the mark of %s: %w", unit, err)
	}
	text, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return m, false, fmt.Errorf("reading the mark of %s: %w", unit, err)
	}
	if json.Unmarshal(text, &m) != nil {
		return Mark{}, false, nil
	}
	for name, size := range m.Files {
		info, err := root.Lstat(filepath.Join(unit, filepath.FromSlash(name)))
		if err != nil || !filepath.IsLocal(name) || !info.Mode().IsRegular() || info.Size() != size {
			return m, false, nil
		}
	}
	return m, true, nil
}

// errNotRegular says that something in a scratch folder is no file. Who works there
// may have been taken over by what it reads.
var errNotRegular = Permanent(errors.New("not a regular file of the scratch folder"))

// openRegular opens a file below root for reading: no link leads out, and no pipe
// makes it wait.
func openRegular(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", name, errNotRegular)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Open opens a unit's file for reading; name is its path in the unit's folder.
// What leads out of the scratch folder, or is no file, is refused. The caller
// closes it.
func (s *Scratch) Open(unit, name string) (f *os.File, err error) {
	err = s.inside(unit, name, func(root *os.Root, path string) error {
		f, err = openRegular(root, path)
		return err
	})
	return f, err
}

// Link makes a hard link to a unit's file beside the units, and returns its path:
// for who wants to take the file and leave it to the unit too. The caller removes
// it, and there is one at a time. Not every file system has links.
func (s *Scratch) Link(unit, name string) (path string, err error) {
	const link = ".link"
	err = s.inside(unit, name, func(root *os.Root, path string) error {
		if err := root.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) { // of an attempt that was killed
			return err
		}
		if err := root.Link(path, link); err != nil {
			return err
		}
		info, err := root.Lstat(link)
		if err == nil && !info.Mode().IsRegular() {
			err = errors.Join(fmt.Errorf("%s: %w", path, errNotRegular), root.Remove(link))
		}
		return err
	})
	return s.Path(link), err
}

// inside calls fn with the scratch folder and the path of a unit's file in it.
func (s *Scratch) inside(unit, name string, fn func(root *os.Root, path string) error) (err error) {
	if err := s.check(unit); err != nil {
		return err
	}
	if !filepath.IsLocal(name) {
		return Permanent(fmt.Errorf("file %q of %s: %w", name, unit, fs.ErrInvalid))
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return fmt.Errorf("file of %s: %w", unit, err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if err := fn(root, filepath.Join(unit, filepath.FromSlash(name))); err != nil {
		return fmt.Errorf("file of %s: %w", unit, err)
	}
	return nil
}

// Reset forgets a unit: its mark first, then its folder.
func (s *Scratch) Reset(unit string) error {
	if err := s.check(unit); err != nil {
		return err
	}
	if err := os.Remove(s.Path(unit + markSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forgetting %s: %w", unit, err)
	}
	if err := os.RemoveAll(s.Path(unit)); err != nil {
		return fmt.Errorf("forgetting %s: %w", unit, err)
	}
	return nil
}

// MarkDone stores that the unit is finished with this key, and its value. Every
// file in the unit's folder is brought to the disk before, and its size is kept,
// so that a mark that survives a power cut never stands for a torn file.
func (s *Scratch) MarkDone(unit, key string, value any) error {
	if err := s.check(unit); err != nil {
		return err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("marking %s: %w", unit, err)
	}
	files, err := syncTree(s.Path(unit))
	if err != nil {
		return fmt.Errorf("marking %s: %w", unit, err)
	}
	text, err = json.Marshal(Mark{Key: key, Value: text, Files: files})
	if err != nil {
		return fmt.Errorf("marking %s: %w", unit, err)
	}
	if err := writeFile(s.Path(unit+markSuffix), text); err != nil {
		return fmt.Errorf("marking %s: %w", unit, err)
	}
	return nil
}

// Close unlocks the folder and leaves it for the next attempt. It may be called
// again, and after Remove.
func (s *Scratch) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.lock == nil {
		return nil
	}
	err := s.lock.Close()
	s.lock = nil
	if err != nil {
		return fmt.Errorf("unlocking scratch folder %s: %w", s.dir, err)
	}
	return nil
}

// Remove deletes the folder with all that is in it, and unlocks it.
func (s *Scratch) Remove() error {
	s.mu.Lock()
	open := s.lock != nil
	s.mu.Unlock()
	if !open {
		return fmt.Errorf("removing scratch folder %s: %w", s.dir, fs.ErrClosed)
	}
	err := removeLocked(s.dir)
	if err != nil {
		err = fmt.Errorf("removing scratch folder %s: %w", s.dir, err)
	}
	return errors.Join(err, s.Close())
}
