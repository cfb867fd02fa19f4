package transcode

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"rushes/transcode/internal/av"
)

// Source is a media file to read. The caller keeps it open until the call that it is given to returns.
type Source struct {
	Name string      // how messages and defects name it
	R    io.ReaderAt // an *os.File is the fastest
	Size int64       // bytes
}

// FileSource describes an open file. name is for messages.
func FileSource(name string, f *os.File) (Source, error) {
	info, err := f.Stat()
	if err != nil {
		return Source{}, fmt.Errorf("size of %s: %w", name, err)
	}
	return Source{Name: name, R: f, Size: info.Size()}, nil
}

func (s Source) av() av.Source { return av.Source{Name: s.Name, R: s.R, Size: s.Size} }

// forward is for reading without seeking. Only in MP4 is the difference an index that takes memory.
func (s Source) forward() av.Source {
	var head [8]byte
	n, _ := s.R.ReadAt(head[:], 0) // what cannot be read is told by whoever opens it
	return av.Source{Name: s.Name, R: s.R, Size: s.Size, Forward: n == len(head) && string(head[4:]) == "ftyp"}
}

// InputError says that a recording is to blame: which file, and why nothing can be made of it.
type InputError struct {
	File   string
	Reason string
	Err    error // what libav said, may be nil
}

// Error gives one line.
func (e *InputError) Error() string {
	s := e.File + ": " + e.Reason
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives what libav said.
func (e *InputError) Unwrap() error { return e.Err }

// BadInput tells the pipeline that trying again cannot help.
func (e *InputError) BadInput() bool { return true }

// invalid tells whether an error of libav is about the bytes of the file.
func invalid(err error) bool {
	var e *av.Error
	return errors.Is(err, io.EOF) || errors.As(err, &e) && e.Invalid()
}

// Defect is something that was wrong with a recording and was worked around.
type Defect struct {
	Kind   string // one of the Defect… constants
	File   string
	Detail string
}

// The kinds of Defect.
const (
	DefectUnreadable   = "unreadable"    // a file that could not be opened at all
	DefectDamaged      = "damaged"       // reading ended early, or a torn end was dropped
	DefectTimeJump     = "time-jump"     // timestamps that ran backwards or too far ahead
	DefectGap          = "gap"           // time without sound or pictures
	DefectUndecodable  = "undecodable"   // frames that could not be decoded
	DefectNoKeyframe   = "no-keyframe"   // frames before the first key frame
	DefectSizeChange   = "size-change"   // the picture changed its size
	DefectExtraStream  = "extra-stream"  // a stream that is not in the output
	DefectPauseRunning = "pause-running" // frames that a pause left between two key frames
)

// Handles is the number of libav handles that are open; it is zero whenever no call of this package runs.
func Handles() int64 { return av.Live() }

// Build tells what libav is linked in.
type Build struct {
	Version, License   string
	Decoders, Encoders map[string]bool // what Rushes uses, and whether it is there
}

// BuildInfo looks for every decoder and encoder that Rushes uses.
func BuildInfo() Build {
	b := Build{Version: av.Version(), License: av.License(), Decoders: map[string]bool{}, Encoders: map[string]bool{}}
	for _, codec := range []string{"h264", "hevc", "vp8", "vp9", "av1", "aac", "opus", "vorbis", "mp3", "flac", "pcm_s16le", "pcm_mulaw", "pcm_alaw"} {
		b.Decoders[codec] = av.HasDecoder(codec)
	}
	for _, encoder := range []string{"libx264", "aac", "libopus"} {
		b.Encoders[encoder] = av.HasEncoder(encoder)
	}
	return b
}

// Sorted gives the names of a Build's table in order.
func Sorted(table map[string]bool) []string { return slices.Sorted(maps.Keys(table)) }
