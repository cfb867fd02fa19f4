// Package av owns every libav handle of Rushes. It is the only package that imports go-astiav and the
// only one with C in it; no type of either shows in its exported signatures.
//
// Ownership is one rule: what New, Open or Alloc gives out, the caller closes, once or more often.
// Close frees the C memory; finalizers free nothing. Live counts the handles that are open, and tests
// hold it at zero at their end. A Packet or Frame is a handle that is filled again and again: filling
// it lets go of what it held before. Slices that Data and Plane return are views of C memory; they are
// good until the handle is filled again or closed.
//
// A handle serves one goroutine at a time. Different handles are independent, so that decoding and
// encoding overlap by giving each its own goroutine and moving Frames between them.
//
// libav gets its bytes from a Source only: no protocol is asked to open anything, playlists are not
// among the formats allowed, and thus no name found inside media is ever followed.
package av

/*
#cgo pkg-config: libavcodec libavformat libavutil libswscale libswresample
#include "native.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"unsafe"
)

// NoPTS stands in for a timestamp that the container does not give (AV_NOPTS_VALUE).
const NoPTS = math.MinInt64

// ErrAgain says that a decoder or encoder needs more input before it gives more output.
var ErrAgain = errors.New("more input is needed")

// Kind is what a stream carries.
type Kind uint8

// The kinds of stream that Rushes looks at; everything else (subtitles, data) is KindOther.
const (
	KindOther Kind = iota
	KindVideo
	KindAudio
)

// String gives "video", "audio" or "other".
func (k Kind) String() string { return [...]string{"other", "video", "audio"}[k] }

// Rational is a fraction, such as a time base in seconds per tick or a sample aspect ratio.
type Rational struct{ Num, Den int }

// Error is a failure of libav: what was being done to which thing, libav's name for the failure and,
// when there was one, the last line that it logged about the handle.
type Error struct {
	Op     string // "open", "read", "decode", "encode", …
	Name   string // the file, or the codec
	Stream int    // index of the stream, or -1
	Code   int    // AVERROR
	Text   string // av_strerror
	Detail string // libav's own log line, may be empty

	machine bool // a read or write failed
}

// Error gives one line without a trailing full stop.
func (e *Error) Error() string {
	s := e.Op + " " + e.Name
	if e.Stream >= 0 {
		s += fmt.Sprintf(": stream %d", e.Stream)
	}
	s += ": " + e.Text
	if e.Detail != "" && e.Detail != e.Text {
		s += " (" + e.Detail + ")"
	}
	return s
}

// Invalid tells, of an error of an Input or a Decoder, that the bytes are to blame, not the machine. Demuxers give
// any code for bad bytes, even EIO, and ENOMEM for a size that no file has, so that it goes by whether a read failed.
func (e *Error) Invalid() bool { return !e.machine && C.int(e.Code) != C.AVERROR_EXIT }

func newError(op, name string, stream int, code C.int, obj unsafe.Pointer) error {
	switch {
	case code == C.AVERROR_EOF:
		return io.EOF
	case code == -C.EAGAIN:
		return ErrAgain
	}
	var text, detail [240]C.char
	C.av_strerror(code, &text[0], C.size_t(len(text)))
	C.rushes_log_last(obj, &detail[0], C.int(len(detail)))
	return &Error{Op: op, Name: name, Stream: stream, Code: int(code), Text: C.GoString(&text[0]), Detail: trimLine(C.GoString(&detail[0]))}
}

func trimLine(s string) string {
	for s != "" && (s[len(s)-1] == '\n' || s[len(s)-1] == '.' || s[len(s)-1] == ' ') {
		s = s[:len(s)-1]
	}
	return s
}

var (
	live       atomic.Int64
	logInstall sync.Once
)

// Live is the number of handles that are open in this process.
func Live() int64 { return live.Load() }

func opened() {
	logInstall.Do(func() { C.rushes_log_install() })
	live.Add(1)
}

func closed() { live.Add(-1) }

// cptr is the libav pointer inside a go-astiav type. go-astiav keeps it as the first field of each of
// its structs but does not export it, and offers no way to read many fields in one call.
func cptr[T any](v *T) unsafe.Pointer {
	if v == nil {
		return nil
	}
	return *(*unsafe.Pointer)(unsafe.Pointer(v))
}
