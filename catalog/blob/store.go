package blob

import (
	"context"
	"fmt"
	"io"
	"iter"
	"time"
)

// Store keeps objects: whole byte strings under keys (see CheckKey). An object
// is there whole or not at all, whatever dies when; it changes only by being
// replaced or deleted as a whole. All methods are safe for concurrent use, by
// several processes too, and return the sentinel errors of this package
// wrapped with what was being done to which key.
//
// Any error that is not one of the sentinels may pass, so the call may be
// repeated; all calls may be repeated without harm, except that the body of a
// Put has to be read from its start again.
type Store interface {
	// Put stores what body gives, up to its end, under key, in place of what was
	// there before. It reads body in the calling goroutine and does not close it.
	// When it returns nil the object is whole and survives a loss of power. When
	// it returns an error the object of before, or none, is there, except where
	// the error came after the object was in place: then the new one may be
	// there, whole, and repeating the call settles it. A cancelled context stops
	// it between two reads of body. Of concurrent calls for one key one wins as
	// a whole.
	Put(ctx context.Context, key string, body io.Reader, options PutOptions) error

	// Get opens the object, or the given range of it, for reading. What was
	// opened is read to its end even when the object is replaced or deleted
	// meanwhile, or reading ends in an error; old and new never mix. The caller
	// closes the reader; the context bounds the reading too.
	Get(ctx context.Context, key string, r Range) (io.ReadCloser, error)

	// Stat describes the object.
	Stat(ctx context.Context, key string) (Info, error)

	// List gives the objects whose keys begin with prefix (as a string: "a/b"
	// finds "a/bc" too), in byte order of their keys, until the caller stops or
	// an error was given, which is always the last pair. What is stored or
	// deleted while the list runs may or may not be in it. Objects that are being
	// put never are.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]

	// Delete removes the object. That there is none is no error.
	Delete(ctx context.Context, key string) error
}

// Adopter is a Store that can take over a finished file of the local machine
// without copying its bytes.
type Adopter interface {
	// Adopt moves the regular file at path, an operating system path, into the
	// store under key, in place of what was there before, with the guarantees of
	// Put. Nobody may write to the file any more. The file at path is gone
	// afterwards; after an error it is still there, or the object is in place.
	// The bytes are copied only where the file lies on another file system.
	Adopt(ctx context.Context, key, path string) error
}

// UnknownSize is a PutOptions.Size that asks for no check.
const UnknownSize = -1

// PutOptions says what is known about a body.
type PutOptions struct {
	// Size is the number of bytes that body must give, or UnknownSize. When it
	// gives another number Put ends with ErrSizeMismatch and stores nothing. The
	// zero value announces an empty body.
	Size int64
	// ContentType is the media type to serve the object with; backends that
	// cannot keep it leave that to the extension of the key (see MediaType).
	ContentType string
	// IfAbsent stores the object only where there is none under the key: else
	// Put ends with ErrExists and changes nothing. Of several such puts for one
	// key, at the same time and of several processes, one succeeds.
	IfAbsent bool
}

// Info describes an object.
type Info struct {
	// Key names the object.
	Key string
	// Size is in bytes.
	Size int64
	// ModTime is when the object was stored, as far as the backend knows.
	ModTime time.Time
}

// Range chooses bytes of an object. The zero value chooses all.
type Range struct {
	// Offset is the first byte, counted from 0.
	Offset int64
	// Length is the number of bytes; 0 means all up to the end. More than there
	// are is no error.
	Length int64
}

// Resolve returns the first byte and the number of bytes that r chooses of an
// object of the given size, or an error that wraps ErrInvalidRange.
func (r Range) Resolve(size int64) (offset, length int64, err error) {
	if r.Offset < 0 || r.Length < 0 || (r.Offset > 0 && r.Offset >= size) {
		return 0, 0, fmt.Errorf("%d bytes from byte %d of %d: %w", r.Length, r.Offset, size, ErrInvalidRange)
	}
	length = size - r.Offset
	if r.Length > 0 {
		length = min(length, r.Length)
	}
	return r.Offset, length, nil
}
