package capture

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Capture is an opened capture. It is read-only and safe for concurrent use; the
// caller closes it.
type Capture struct {
	// Name is what the user called the capture; for messages only.
	Name string
	// Manifest is the checked manifest, or the one that stands for a media file.
	Manifest *Manifest
	// Session is the session clock with the pauses merged and clipped.
	Session Timeline
	// Defects are what Open found wrong without refusing the capture.
	Defects []Defect

	root *os.Root
	key  string
	// media is the name of a plain media file, which the user chose himself and
	// which therefore need not pass CheckPath; empty with a manifest.
	media string
}

// Key returns a stable digest (64 hex digits) of what the capture is, by which a
// second run finds the job of the first.
//
// With a manifest it covers source, room_id, session_id, job_id, started_at and
// the list of files with their tracks; neither the outputs nor stopped_at, names,
// sizes, the content of the files, nor the place where the capture lies. A
// recorder that adds files later makes another capture of it.
//
// For a plain media file it covers the size and the first and last MiB of the
// content, so that a copy or a renamed file is the same capture.
func (c *Capture) Key() string { return c.key }

// OpenFile opens a file of the capture for reading by its path relative to the
// manifest, in the form that CheckPath allows. It never leaves the capture's
// folder, not by a symbolic link either. The caller closes the file. A path that
// leaves is an *InputError; a missing file is fs.ErrNotExist.
func (c *Capture) OpenFile(name string) (*os.File, error) {
	if err := c.checkName(name); err != nil {
		return nil, err
	}
	// Without O_NONBLOCK a named pipe in the folder would hang the job here.
	f, err := c.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, c.fileError(name, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &InputError{File: c.Name, Field: quote(name), Reason: "not a regular file"}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Stat describes a file of the capture; see OpenFile for names and errors.
func (c *Capture) Stat(name string) (fs.FileInfo, error) {
	if err := c.checkName(name); err != nil {
		return nil, err
	}
	info, err := c.root.Stat(name)
	if err != nil {
		return nil, c.fileError(name, err)
	}
	return info, nil
}

// Close releases the capture's folder; files that were opened stay open. It may
// be called again.
func (c *Capture) Close() error {
	if err := c.root.Close(); err != nil {
		return fmt.Errorf("closing capture %s: %w", c.Name, err)
	}
	return nil
}

func (c *Capture) checkName(name string) error {
	if name == c.media && name != "" {
		return nil
	}
	if why := CheckPath(name); why != "" {
		return &InputError{File: c.Name, Field: quote(name), Reason: why, Hint: pathHint}
	}
	return nil
}

func (c *Capture) fileError(name string, err error) error {
	if escapes(err) {
		return &InputError{File: c.Name, Field: quote(name), Reason: "a link leads outside the capture", Hint: linkHint, Err: err}
	}
	return fmt.Errorf("capture %s: %w", c.Name, err)
}

const linkHint = "put the file itself into the capture's folder"

// escapes reports whether an os.Root refused to follow a path. Its error has no
// name; but every other failure comes from the kernel and carries an errno. Links
// that go round in circles (ELOOP) lead nowhere inside either.
func escapes(err error) bool {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno == syscall.ELOOP
	}
	return err != nil && !errors.Is(err, fs.ErrClosed) && !errors.Is(err, fs.ErrNotExist)
}
