package hls

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"strings"
)

// CheckSource is where Check reads a package. It serves one goroutine.
type CheckSource interface {
	Files
	// Resolve names the file that a URI in the file base means (RFC 3986, 5). The error says why it is not followed.
	Resolve(base, uri string) (string, error)
}

// errElsewhere is a URI that leads out of a package.
var errElsewhere = errors.New("it leads out of the package")

// resolveName resolves a URI among files with names.
func resolveName(base, uri string) (string, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return "", fmt.Errorf("resolving %q: %w", uri, err)
	}
	if u.IsAbs() || u.Host != "" || u.Opaque != "" || strings.HasPrefix(u.Path, "/") || u.Path == "" || strings.ContainsAny(u.Path, "\\\x00") {
		return "", errElsewhere
	}
	name := path.Join(path.Dir(base), u.Path)
	if !fs.ValidPath(name) {
		return "", errElsewhere
	}
	return name, nil
}

// CheckFolder reads a package in a folder. Links that lead out of it are not followed.
type CheckFolder struct{ root *os.Root }

// NewCheckFolder opens a folder. The caller closes it.
func NewCheckFolder(dir string) (*CheckFolder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("hls: opening folder: %w", err)
	}
	return &CheckFolder{root}, nil
}

// Close closes the folder.
func (d *CheckFolder) Close() error { return d.root.Close() }

// Resolve implements CheckSource.
func (d *CheckFolder) Resolve(base, uri string) (string, error) { return resolveName(base, uri) }

// Open implements Files.
func (d *CheckFolder) Open(_ context.Context, name string) (File, error) {
	info, err := d.root.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("hls: looking at %q: %w", name, err)
	}
	if !info.Mode().IsRegular() { // a pipe would block
		return nil, fmt.Errorf("hls: %q is no file", name)
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("hls: opening %q: %w", name, err)
	}
	return &plainFile{File: f, size: info.Size()}, nil
}

// plainFile is an opened file of known size.
type plainFile struct {
	*os.File
	size   int64
	remove bool // a temporary file
}

func (f *plainFile) Size() int64 { return f.size }

func (f *plainFile) Close() error {
	err := f.File.Close()
	if f.remove {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

// spool copies a stream of at most limit bytes into a temporary file, which is gone when it is closed.
func spool(r io.Reader, limit int64) (f *plainFile, err error) {
	t, err := os.CreateTemp("", "rushes-check-*")
	if err != nil {
		return nil, fmt.Errorf("hls: making a temporary file: %w", err)
	}
	f = &plainFile{File: t, remove: true}
	if f.size, err = io.Copy(t, io.LimitReader(r, limit+1)); err == nil && f.size > limit {
		err = fmt.Errorf("more than %d bytes: %w", limit, ErrCheckLimit)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("hls: copying to a temporary file: %w", err), f.Close())
	}
	return f, nil
}

// maxSpooled is the largest file that is copied before it is looked at.
const maxSpooled = 4 << 30

// CheckZip reads a package in a zip.
type CheckZip struct {
	r     io.ReaderAt
	files map[string]*zip.File
	// Master is the name of the topmost playlist: "master.m3u8", or else the one in the outermost folder.
	Master string
}

// NewCheckZip reads a zip's directory. It reads from r as long as it is used.
func NewCheckZip(r io.ReaderAt, size int64) (*CheckZip, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, &InputError{What: "zip", Reason: "it cannot be read", Err: err}
	}
	out := &CheckZip{r: r, files: make(map[string]*zip.File, len(z.File))}
	for _, f := range z.File {
		if !fs.ValidPath(f.Name) || strings.HasSuffix(f.Name, "/") {
			continue
		}
		out.files[f.Name] = f
		if strings.HasSuffix(strings.ToLower(f.Name), ".m3u8") && (out.Master == "" || topmost(f.Name, out.Master)) {
			out.Master = f.Name
		}
	}
	if out.Master == "" {
		return nil, &InputError{What: "zip", Reason: "there is no playlist in it"}
	}
	return out, nil
}

// topmost reports whether playlist a is likelier to name b than the other way round.
func topmost(a, b string) bool {
	da, db := strings.Count(a, "/"), strings.Count(b, "/")
	if da != db {
		return da < db
	}
	ma, mb := strings.Contains(path.Base(a), "master"), strings.Contains(path.Base(b), "master")
	if ma != mb {
		return ma
	}
	return a < b
}

// Resolve implements CheckSource.
func (z *CheckZip) Resolve(base, uri string) (string, error) { return resolveName(base, uri) }

// Open implements Files. What is compressed is copied to a temporary file first.
func (z *CheckZip) Open(_ context.Context, name string) (File, error) {
	f := z.files[name]
	if f == nil {
		return nil, fmt.Errorf("hls: opening %q in zip: %w", name, fs.ErrNotExist)
	}
	if f.Method == zip.Store {
		offset, err := f.DataOffset()
		if err != nil {
			return nil, fmt.Errorf("hls: opening %q in zip: %w", name, err)
		}
		if f.UncompressedSize64 != f.CompressedSize64 || f.UncompressedSize64 > 1<<62 {
			return nil, fmt.Errorf("hls: opening %q in zip: %w", name, zip.ErrFormat)
		}
		return zipPart{io.NewSectionReader(z.r, offset, int64(f.UncompressedSize64))}, nil
	}
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("hls: opening %q in zip: %w", name, err)
	}
	out, err := spool(r, maxSpooled)
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	return out, nil
}

type zipPart struct{ *io.SectionReader }

func (zipPart) Close() error { return nil }
