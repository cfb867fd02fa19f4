package blob

import (
	"context"
	"fmt"
	"io"
	"time"
)

// FilePutter is a Store that stores a finished local file better than by
// reading it once from start to end: in several parts at a time, and going on
// where an interrupted call for the same key left off.
type FilePutter interface {
	// PutFile stores the regular file at path, an operating system path, under
	// key, with the guarantees of Put; the file stays. Nobody may write to it
	// meanwhile. options.Size is the size that the file must have, or
	// UnknownSize. What a call that ended in an error or with its process had
	// uploaded is kept for the next one, until it is found to differ from the
	// file or is removed as stale; it is no object and in no list.
	PutFile(ctx context.Context, key, path string, options PutOptions) error
}

// Opener is a Store whose objects can be read at any place without asking the
// store again.
type Opener interface {
	// OpenObject opens the object for reading and seeking, with its description
	// as of the same moment: a later change of the object touches neither. The
	// caller closes it. The context bounds the opening only.
	OpenObject(ctx context.Context, key string) (io.ReadSeekCloser, Info, error)
}

// MaxPresign is the longest time that a presigned address may be valid for; S3
// signs for no longer one.
const MaxPresign = 7 * 24 * time.Hour

// CheckExpires reports why no address can be valid for this time.
func CheckExpires(expires time.Duration) error {
	if expires < time.Second || expires > MaxPresign {
		return fmt.Errorf("an address cannot be valid for %s, only for %s to %s", expires, time.Second, MaxPresign)
	}
	return nil
}

// Presigner makes addresses by which whoever has one may read one object, and
// nothing else, over HTTP until it expires. It is safe for concurrent use.
type Presigner interface {
	// PresignGet returns the address of the object under key, valid from now on
	// for the given time, in whole seconds, 1 s to MaxPresign. It does not look
	// whether there is such an object.
	PresignGet(ctx context.Context, key string, expires time.Duration, options PresignOptions) (string, error)
}

// PresignOptions says how the object is to be served to the holder of an
// address. The holder cannot change it.
type PresignOptions struct {
	// FileName is the name that a browser saves the object under; "" leaves that
	// to the last element of the address.
	FileName string
	// ContentType is the media type to serve the object with; "" means the one
	// that it was stored with or that its key suggests.
	ContentType string
	// Inline asks a browser to show the object rather than to save it.
	Inline bool
}
