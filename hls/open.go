package hls

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"rushes/transcode/mp4"
)

// opener opens segments; it remembers init segments, of which there are few.
type opener struct {
	files Files
	demux Demuxer
	maps  map[mapKey][]byte
	specs []*mp4.Track
}

type mapKey struct {
	name           string
	offset, length int64
}

const maxMaps = 64

// fileError is what is wrong with a file of a dump; the rest can be used.
type fileError struct {
	kind DefectKind
	err  error
}

func (e *fileError) Error() string { return e.err.Error() }
func (e *fileError) Unwrap() error { return e.err }

// opened is a segment that is being read.
type opened struct {
	Reader
	file File
	// cheap is set when walking through the units reads no media.
	cheap bool
	// noMap is set when another init segment stands in for the segment's own.
	noMap bool
}

func (o *opened) Close() error { return errors.Join(o.Reader.Close(), o.file.Close()) }

// open opens a segment. spare is an init segment to use when the segment's own is missing; nil for none.
func (o *opener) open(ctx context.Context, seg *Segment, spare *Segment) (*opened, error) {
	f, err := o.files.Open(ctx, seg.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &fileError{DefectMissingFile, fmt.Errorf("opening segment: %w", err)}
	case err != nil:
		return nil, fmt.Errorf("hls: opening segment %q: %w", seg.Name, err)
	}
	out, err := o.read(ctx, seg, spare, f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return out, nil
}

func (o *opener) read(ctx context.Context, seg, spare *Segment, f File) (*opened, error) {
	size := f.Size() - seg.Offset
	if seg.Length > 0 {
		size = min(size, seg.Length)
	}
	if size <= 0 || seg.Offset < 0 {
		return nil, &fileError{DefectEmptyFile, errors.New("the segment is empty")}
	}
	src := &segmentBytes{file: f, offset: seg.Offset, size: size}
	out := &opened{file: f, cheap: true}
	kind, err := firstBox(src)
	if err != nil {
		return nil, err
	}
	if kind == "" {
		return o.foreign(ctx, seg, src, out)
	}
	if seg.Map != "" {
		if src.head, err = o.initSegment(ctx, seg); err != nil {
			var bad *fileError
			if !errors.As(err, &bad) || spare == nil {
				return nil, err
			}
			if src.head, err = o.initSegment(ctx, spare); err != nil {
				return nil, err
			}
			out.noMap = true
		}
	} else if kind != "ftyp" && kind != "moov" && spare != nil {
		if src.head, err = o.initSegment(ctx, spare); err != nil {
			return nil, err
		}
		out.noMap = true
	}
	fragments, err := openFragments(ctx, src)
	if err == nil {
		out.Reader = fragments
		return out, nil
	}
	if !errors.Is(err, mp4.ErrOtherFragments) {
		return nil, err
	}
	movie, movieErr := openMovie(src)
	if movieErr == nil {
		out.Reader = movie
		return out, nil
	}
	return nil, &fileError{DefectUnreadableFile, err}
}

// foreign reads what is not MP4.
func (o *opener) foreign(ctx context.Context, seg *Segment, src *segmentBytes, out *opened) (*opened, error) {
	if o.demux == nil {
		return nil, &fileError{DefectUnreadableFile, errors.New("the segment is not MP4")}
	}
	r, err := o.demux.Demux(ctx, seg.Name, src)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &fileError{DefectUnreadableFile, fmt.Errorf("demuxing: %w", err)}
	}
	out.Reader, out.cheap = r, false
	return out, nil
}

// firstBox is the type of the box that a segment begins with, empty when it is no MP4.
func firstBox(src *segmentBytes) (string, error) {
	var h [8]byte
	if src.Size() < int64(len(h)) {
		return "", &fileError{DefectUnreadableFile, fmt.Errorf("the segment has %d bytes", src.Size())}
	}
	if _, err := src.ReadAt(h[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("hls: reading a segment's first bytes: %w", err)
	}
	switch kind := string(h[4:]); kind {
	case "ftyp", "styp", "moov", "moof", "sidx", "emsg", "prft", "free", "skip", "mdat":
		return kind, nil
	}
	return "", nil
}

// initSegment reads the init segment that a segment names.
func (o *opener) initSegment(ctx context.Context, seg *Segment) ([]byte, error) {
	key := mapKey{seg.Map, seg.MapOffset, seg.MapLength}
	if p, ok := o.maps[key]; ok {
		return p, nil
	}
	f, err := o.files.Open(ctx, seg.Map)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &fileError{DefectMissingMap, fmt.Errorf("opening init segment: %w", err)}
	}
	if err != nil {
		return nil, fmt.Errorf("hls: opening init segment %q: %w", seg.Map, err)
	}
	size := f.Size() - seg.MapOffset
	if seg.MapLength > 0 {
		size = min(size, seg.MapLength)
	}
	if size <= 0 || size > maxMapBytes || seg.MapOffset < 0 {
		err := fmt.Errorf("init segment %q has %d bytes", seg.Map, size)
		return nil, errors.Join(&fileError{DefectMissingMap, err}, f.Close())
	}
	p := make([]byte, size)
	_, err = (&segmentBytes{file: f, offset: seg.MapOffset, size: size}).ReadAt(p, 0)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("hls: reading init segment %q: %w", seg.Map, err)
	}
	if len(o.maps) == maxMaps {
		clear(o.maps)
	}
	o.maps[key] = p
	return p, nil
}
