package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const whatToGive = "give a folder with capture.json, a manifest (.json) or a media file"

// Open opens the capture at path: a folder with capture.json, a manifest of any
// name that ends in .json, or a plain media file. The caller closes it.
//
// A media file becomes a beam capture with that one file: room and session are
// called like the file without its extension, and started_at is its modification
// time (what the container itself says about its creation is not looked at).
// Whether it is media at all is found out by who probes it.
//
// The path itself may be a symbolic link, as the user named it; inside the
// capture no link may lead outside. What cannot be used is one or several
// *InputErrors; other errors come from the file system.
func Open(ctx context.Context, path string) (*Capture, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("opening capture %s: %w", path, err)
	}
	resolved, info, err := resolve(path)
	if err != nil {
		return nil, err
	}
	folder, base := filepath.Dir(resolved), filepath.Base(resolved)
	isManifest := strings.EqualFold(filepath.Ext(path), ".json")
	if info.IsDir() {
		folder, base, isManifest = resolved, ManifestName, true
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, unusable(path, err)
	}
	c := &Capture{Name: path, root: root}
	if isManifest {
		err = c.openManifest(ctx, base, info.IsDir())
	} else {
		err = c.openMedia(base, info)
	}
	if err != nil {
		if closeErr := root.Close(); closeErr != nil {
			err = errors.Join(err, closeErr)
		}
		return nil, err
	}
	return c, nil
}

// resolve follows the links of the path that the user gave.
func resolve(path string) (string, fs.FileInfo, error) {
	if path == "" {
		return "", nil, &InputError{Reason: "no capture is named", Hint: whatToGive}
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", nil, unusable(path, err)
	}
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", nil, unusable(path, err)
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return "", nil, &InputError{File: path, Reason: "neither a file nor a folder", Hint: whatToGive}
	}
	return resolved, info, nil
}

// unusable tells a path that cannot be used from a file system in trouble.
func unusable(path string, err error) error {
	reason := ""
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		reason = "does not exist"
	case errors.Is(err, fs.ErrPermission):
		reason = "may not be read"
	case errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.EINVAL):
		reason = "is not a usable path"
	default:
		return fmt.Errorf("opening capture %s: %w", path, err)
	}
	return &InputError{File: path, Reason: reason, Hint: whatToGive, Err: err}
}

func (c *Capture) openManifest(ctx context.Context, base string, inFolder bool) error {
	name := c.Name
	if inFolder {
		name = filepath.Join(c.Name, base)
	}
	data, err := c.readManifest(name, base)
	if err != nil {
		if inFolder && errors.Is(err, fs.ErrNotExist) {
			return &InputError{File: c.Name, Reason: "folder has no " + ManifestName, Hint: whatToGive, Err: err}
		}
		return err
	}
	c.Manifest, c.Defects, err = Parse(name, data)
	if err != nil {
		return err
	}
	m := c.Manifest
	clipped := false
	if c.Session, clipped = NewTimeline(m.StartedAt.Time, m.StoppedAt.Time, m.Paused); clipped {
		c.Defects = append(c.Defects, Defect{Kind: DefectPauseOutside,
			Detail: "paused: a pause reaches beyond the session and is clipped to it"})
	}
	c.key = manifestKey(m)
	return c.lookForFiles(ctx, name)
}

func (c *Capture) readManifest(name, base string) (data []byte, err error) {
	f, err := c.root.OpenFile(base, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		if escapes(err) {
			return nil, &InputError{File: name, Reason: "a link leads outside the capture", Hint: linkHint, Err: err}
		}
		return nil, unusable(name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading manifest %s: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, &InputError{File: name, Reason: "not a regular file", Hint: whatToGive}
	}
	data, err = io.ReadAll(io.LimitReader(f, maxManifestBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading manifest %s: %w", name, err)
	}
	return data, nil
}

// lookForFiles finds out which of the named files are there. It refuses links
// that lead outside; a missing or empty file is a defect.
func (c *Capture) lookForFiles(ctx context.Context, name string) error {
	p := &problems{file: name}
	seen := make(map[string]bool)
	for r := range c.Manifest.refs() {
		if seen[r.path] {
			continue
		}
		seen[r.path] = true
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("opening capture %s: %w", c.Name, err)
		}
		info, err := c.root.Stat(r.path)
		if escapes(err) {
			p.add(r.field, linkHint, "a link leads outside the capture: %s", quote(r.path))
			continue
		}
		if d, bad := fileDefect(r, info, err); bad && len(c.Defects) < maxDefects {
			c.Defects = append(c.Defects, d)
		}
	}
	return p.err()
}

func fileDefect(r ref, info fs.FileInfo, err error) (Defect, bool) {
	d := Defect{File: r.path, Track: r.track}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		if r.may {
			return d, false
		}
		d.Kind, d.Detail = DefectMissingFile, fmt.Sprintf("%s: %s does not exist", r.field, quote(r.path))
	case err != nil:
		d.Kind, d.Detail = DefectUnreadableFile, fmt.Sprintf("%s: %s: %v", r.field, quote(r.path), cause(err))
	case !info.Mode().IsRegular():
		d.Kind, d.Detail = DefectUnreadableFile, fmt.Sprintf("%s: %s is not a regular file", r.field, quote(r.path))
	case info.Size() == 0:
		d.Kind, d.Detail = DefectEmptyFile, fmt.Sprintf("%s: %s is empty", r.field, quote(r.path))
	default:
		return d, false
	}
	return d, true
}

// cause strips the operation and name that os puts around an errno.
func cause(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// openMedia makes a beam capture of one media file.
func (c *Capture) openMedia(base string, info fs.FileInfo) (err error) {
	if info.Size() == 0 {
		return &InputError{File: c.Name, Reason: "the file is empty", Hint: whatToGive}
	}
	f, err := c.root.Open(base)
	if err != nil {
		return unusable(c.Name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if c.key, err = mediaKey(f, info.Size()); err != nil {
		return fmt.Errorf("reading %s: %w", c.Name, err)
	}
	given := filepath.Base(c.Name)
	id := strings.TrimSuffix(given, filepath.Ext(given))
	if id == "" {
		id = given
	}
	c.media = base
	started := At(info.ModTime())
	c.Manifest = &Manifest{
		Version: Version, Source: SourceBeam, RoomID: id, SessionID: id, StartedAt: started,
		Files:   []File{{Path: base, Format: formatOfExt(base), StartedAt: started}},
		Outputs: DefaultOutputs(SourceBeam),
	}
	c.Session, _ = NewTimeline(started.Time, c.Manifest.StoppedAt.Time, nil)
	return nil
}
