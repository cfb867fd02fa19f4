package hls

import (
	"context"
	"io"
	"time"
)

// Dump is what a live stream left: its layers, highest first, and when it was
// paused. Open does not change it.
type Dump struct {
	Layers []Layer
	// Paused lists the wall-clock intervals to cut out, at the segment borders
	// nearest to them.
	Paused []Interval
	// StartedAt is the wall time of the first sample when no segment knows its
	// own; zero means unknown.
	StartedAt time.Time
}

// Layer is one rendition of the stream. A layer may hold pictures, sound or both.
type Layer struct {
	// Name names the layer's folder in a package; it is made safe and unique.
	Name     string
	Segments []Segment
}

// Segment is one file of a layer, or a part of one. Only Name is required. The
// order of the segments in a layer counts only when neither their wall times nor
// the numbers in their names order them.
type Segment struct {
	// Name is what Files.Open is asked for.
	Name string
	// Map names the file with the init segment (EXT-X-MAP); empty when there is none.
	Map string
	// Offset and Length select a part of the file (EXT-X-BYTERANGE), in bytes;
	// Length 0 means up to the end.
	Offset, Length int64
	// MapOffset and MapLength select a part of the map's file.
	MapOffset, MapLength int64
	// WallTime is that of the first sample (EXT-X-PROGRAM-DATE-TIME); zero unknown.
	WallTime time.Time
	// Duration is what the playlist claims (EXTINF); zero unknown.
	Duration time.Duration
	// Discontinuity says that timestamps start afresh here (EXT-X-DISCONTINUITY).
	Discontinuity bool
	// Gap says that the segment never existed (EXT-X-GAP).
	Gap bool
}

// Interval is a span of wall-clock time.
type Interval struct{ From, To time.Time }

// Files opens the files of a dump by the names in it. Several may be open at
// once. An error that wraps fs.ErrNotExist marks a missing file.
type Files interface {
	// Open opens the file of that name; the caller closes it.
	Open(ctx context.Context, name string) (File, error)
}

// File is an opened file. It is read by one goroutine at a time and closed once.
type File interface {
	io.ReaderAt
	io.Closer
	// Size is the length in bytes.
	Size() int64
}

// DefectKind is the class of a Defect.
type DefectKind string

// What can be wrong with a dump. Everything that can be made without it is made.
const (
	// DefectMissingFile is a segment or init segment that is not there.
	DefectMissingFile DefectKind = "missing-file"
	// DefectEmptyFile is a segment of zero bytes.
	DefectEmptyFile DefectKind = "empty-file"
	// DefectUnreadableFile is a segment that holds nothing that can be read.
	DefectUnreadableFile DefectKind = "unreadable-file"
	// DefectMissingMap is an init segment that is not there; another one of the
	// layer is used when there is only one.
	DefectMissingMap DefectKind = "missing-map"
	// DefectTornFile is a segment whose end is missing, cut at its last whole frame.
	DefectTornFile DefectKind = "torn-file"
	// DefectDouble is a segment that is there twice.
	DefectDouble DefectKind = "double-segment"
	// DefectOverlap is a segment whose time another one has already, with other
	// content; the larger one is kept.
	DefectOverlap DefectKind = "overlapping-segment"
	// DefectLayerHole is time that only one layer lacks.
	DefectLayerHole DefectKind = "layer-hole"
	// DefectHole is time that all layers lack.
	DefectHole DefectKind = "hole"
	// DefectRestart is an encoder that began again.
	DefectRestart DefectKind = "encoder-restart"
	// DefectClockJump is a clock that jumped while the stream went on.
	DefectClockJump DefectKind = "clock-jump"
	// DefectConfigChange is a change of the picture's or the sound's parameters.
	DefectConfigChange DefectKind = "config-change"
	// DefectLayerMissing is a layer of which nothing can be used.
	DefectLayerMissing DefectKind = "layer-missing"
	// DefectLayerLate is a layer that begins too late for a package.
	DefectLayerLate DefectKind = "layer-late"
	// DefectSoundHole is sound that is missing and became silence.
	DefectSoundHole DefectKind = "sound-hole"
	// DefectTimestamps is a sample whose timestamps cannot be true; it is moved or left out.
	DefectTimestamps DefectKind = "bad-timestamps"
	// DefectNoWallTime is a pause that could not be cut because nothing tells the wall time.
	DefectNoWallTime DefectKind = "no-wall-time"
)

// Defect is one thing that was wrong with the input.
type Defect struct {
	Kind DefectKind
	// Detail is a sentence for a person.
	Detail string
	// File is the segment's name, if the defect is about one file.
	File string
	// Layer is the name of the layer, if the defect is about one.
	Layer string
}

// String returns the defect as one line.
func (d Defect) String() string {
	s := string(d.Kind)
	for _, part := range []string{d.Layer, d.File, d.Detail} {
		if part != "" {
			s += " " + part
		}
	}
	return s
}

// InputError is bad input from which nothing can be made.
type InputError struct {
	// What was being looked at.
	What string
	// Reason says what is wrong with it.
	Reason string
	// Err is the cause, if there is one.
	Err error
}

// Error implements error.
func (e *InputError) Error() string {
	s := "hls: " + e.What + ": " + e.Reason
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *InputError) Unwrap() error { return e.Err }

// BadInput tells the pipeline that trying again is of no use.
func (e *InputError) BadInput() bool { return true }
