package transcode

import (
	"errors"
	"fmt"
	"io"
	"os"

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
