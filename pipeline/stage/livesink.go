package stage

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"rushes/hls"
	"rushes/transcode"
	"rushes/transcode/mp4"
)

// packageSink writes a package into a folder and remembers where the pictures of its first layer are, of which the
// stills are taken.
type packageSink struct {
	folder string
	layer  string        // folder of the first layer
	parts  []hls.Segment // of the layer
	init   hls.Segment   // the Map… fields hold for the next segment
}

// Create implements hls.Sink.
func (s *packageSink) Create(ctx context.Context, name string) (io.WriteCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !filepath.IsLocal(name) {
		return nil, fmt.Errorf("file %q of the package: %w", name, fs.ErrInvalid)
	}
	file := filepath.Join(s.folder, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of %s: %w", name, err)
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, fmt.Errorf("make a file of the package: %w", err)
	}
	folder, _ := path.Split(name)
	ext := path.Ext(name)
	media := ext == ".mp4" || ext == ".m4s"
	if s.layer == "" && media && folder != "audio/" {
		s.layer = folder
	}
	if !media || folder != s.layer {
		return f, nil
	}
	return &partWriter{File: f, sink: s, name: name}, nil
}

// partWriter notes what a media file of the first layer consists of.
type partWriter struct {
	*os.File
	sink *packageSink
	name string
	size int64
}

// Write implements io.Writer. A header comes with one call, a segment begins with one.
func (w *partWriter) Write(p []byte) (int, error) {
	n, err := w.File.Write(p)
	s, kind := w.sink, ""
	if len(p) >= 8 {
		kind = string(p[4:8])
	}
	switch last := len(s.parts) - 1; {
	case kind == "ftyp":
		s.init = hls.Segment{Map: w.name, MapOffset: w.size, MapLength: int64(n)}
	case kind == "moof" || kind == "styp":
		part := s.init
		part.Name, part.Offset, part.Length = w.name, w.size, int64(n)
		s.parts = append(s.parts, part)
	case last >= 0 && s.parts[last].Name == w.name:
		s.parts[last].Length += int64(n)
	}
	w.size += int64(n)
	return n, err
}

// stills implements hls.Stills.
func (s *packageSink) stills(ctx context.Context, at []time.Duration, width int) (out [][]byte, err error) {
	p := &packagePictures{parts: s.parts, read: func(name string, offset, length int64) ([]byte, error) {
		return readPart(filepath.Join(s.folder, filepath.FromSlash(name)), offset, length)
	}}
	list, err := p.stills(ctx, at, width, 0)
	if err != nil {
		return nil, err
	}
	for i := range list {
		var b bytes.Buffer
		if err := list[i].Encode(&b, transcode.JPEG); err != nil {
			return nil, fmt.Errorf("encode a still: %w", err)
		}
		out = append(out, b.Bytes())
	}
	return out, nil
}

// readPart reads a part of a file, all of it when length is 0.
func readPart(name string, offset, length int64) (data []byte, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read a segment: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read a segment: %w", err)
	}
	return readSection(f, info.Size(), offset, length)
}

// maxPart bounds a segment of which a still is taken, in bytes.
const maxPart = 512 << 20

func readSection(r io.ReaderAt, size, offset, length int64) ([]byte, error) {
	if length == 0 {
		length = size - offset
	}
	if offset < 0 || length <= 0 || length > maxPart || offset > size-length {
		return nil, fmt.Errorf("read a segment: %d bytes at %d of %d: %w", length, offset, size, io.ErrUnexpectedEOF)
	}
	data := make([]byte, length)
	if _, err := r.ReadAt(data, offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read a segment: %w", err)
	}
	return data, nil
}

// packagePictures takes stills out of the segments of one layer of a package.
type packagePictures struct {
	parts []hls.Segment
	read  func(name string, offset, length int64) ([]byte, error)
}

// segment gives a segment as a file of its own and its time.
func (p *packagePictures) segment(ctx context.Context, i int) ([]byte, time.Duration, error) {
	s := &p.parts[i]
	head, err := p.read(s.Map, s.MapOffset, s.MapLength)
	if err != nil {
		return nil, 0, err
	}
	body, err := p.read(s.Name, s.Offset, s.Length)
	if err != nil {
		return nil, 0, err
	}
	data := slices.Concat(head, body)
	f, err := mp4.OpenFragments(ctx, bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, 0, fmt.Errorf("segment %s: %w", s.Name, err)
	}
	pts, ok := f.Start(0)
	if !ok || f.Tracks[0].Timescale == 0 {
		return nil, 0, fmt.Errorf("segment %s has no pictures", s.Name)
	}
	scale := int64(f.Tracks[0].Timescale)
	return data, time.Duration(pts/scale)*time.Second + time.Duration(pts%scale)*time.Second/time.Duration(scale), nil
}

// find gives the index of the segment that has the picture of a time.
func (p *packagePictures) find(ctx context.Context, at time.Duration) (int, error) {
	var failed error
	later := sort.Search(len(p.parts), func(i int) bool {
		if failed != nil {
			return true
		}
		_, start, err := p.segment(ctx, i)
		failed = err
		return start > at
	})
	return max(later-1, 0), failed
}

// stills takes a still at each time.
func (p *packagePictures) stills(ctx context.Context, at []time.Duration, width, height int) (out []transcode.Still, err error) {
	if len(p.parts) == 0 {
		return nil, transcode.ErrNoPictures
	}
	for len(at) > 0 {
		i, err := p.find(ctx, at[0])
		if err != nil {
			return nil, err
		}
		data, _, err := p.segment(ctx, i)
		if err != nil {
			return nil, err
		}
		n := 1
		for n < len(at) {
			if next, err := p.find(ctx, at[n]); err != nil || next != i {
				break
			}
			n++
		}
		list, err := transcode.Stills(ctx, transcode.Source{Name: p.parts[i].Name, R: bytes.NewReader(data), Size: int64(len(data))}, at[:n], width, height)
		if err != nil {
			return nil, err
		}
		out, at = append(out, list...), at[n:]
	}
	return out, nil
}

// packageStills takes the stills of a package that is in a file or a folder: of those that it has, the pictures of the
// playlist of that name.
func packageStills(ctx context.Context, file, pictures string, want stillsWanted) (_ []transcode.Still, err error) {
	if !filepath.IsLocal(pictures) {
		return nil, fmt.Errorf("playlist %q of the package: %w", pictures, fs.ErrInvalid)
	}
	read := func(name string, offset, length int64) ([]byte, error) {
		return readPart(filepath.Join(filepath.Dir(file), filepath.FromSlash(name)), offset, length)
	}
	if strings.HasSuffix(file, ".zip") {
		archive, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("open the package: %w", err)
		}
		defer func() { err = errors.Join(err, archive.Close()) }()
		if read, err = zipParts(archive); err != nil {
			return nil, err
		}
	}
	text, err := read(pictures, 0, 0)
	if err != nil {
		return nil, err
	}
	list, err := hls.ReadPlaylist(pictures, text)
	if err != nil {
		return nil, fmt.Errorf("read the package: %w", err)
	}
	p := &packagePictures{read: read}
	for _, s := range list {
		if !s.Gap {
			p.parts = append(p.parts, s)
		}
	}
	return p.stills(ctx, want.Offsets, want.Width, want.Height)
}

// zipParts reads from the entries of a zip, none of which is compressed.
func zipParts(f *os.File) (func(name string, offset, length int64) ([]byte, error), error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open the package: %w", err)
	}
	z, err := zip.NewReader(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("open the package: %w", err)
	}
	return func(name string, offset, length int64) ([]byte, error) {
		i := slices.IndexFunc(z.File, func(e *zip.File) bool { return e.Name == name })
		if i < 0 || z.File[i].Method != zip.Store {
			return nil, fmt.Errorf("%s in the package: %w", name, fs.ErrNotExist)
		}
		at, err := z.File[i].DataOffset()
		if err != nil {
			return nil, fmt.Errorf("%s in the package: %w", name, err)
		}
		size := int64(z.File[i].UncompressedSize64)
		return readSection(io.NewSectionReader(f, at, size), size, offset, length)
	}, nil
}

// zipFolder puts all files of a folder into a zip, playlists last, and removes the folder.
func zipFolder(ctx context.Context, folder, file string) (err error) {
	var names []string
	err = filepath.WalkDir(folder, func(name string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			name, err = filepath.Rel(folder, name)
			names = append(names, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("list the files of the package: %w", err)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(publishRank(a, masterFile)-publishRank(b, masterFile), cmp.Compare(a, b))
	})
	out, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("make the zip: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	z := hls.NewZipSink(out)
	for _, name := range names {
		if err := zipFile(ctx, z, filepath.Join(folder, filepath.FromSlash(name)), name); err != nil {
			return fmt.Errorf("put %s into the zip: %w", name, err)
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("make the zip: %w", err)
	}
	return os.RemoveAll(folder)
}

func zipFile(ctx context.Context, z *hls.ZipSink, file, name string) (err error) {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	w, err := z.Create(ctx, name)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return errors.Join(err, w.Close())
}
