package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"rushes/catalog/blob"
)

// markName is the metadata entry that tells the Put that made an object.
const markName = "rushes-put"

// abortTimeout bounds the abort of an upload whose context may be over.
const abortTimeout = 30 * time.Second

// target is where a body goes, and how.
type target struct {
	key  string
	name *string
	blob.PutOptions
	mark string
}

func (s *Store) target(ctx context.Context, key string, o blob.PutOptions) (target, error) {
	name, err := s.object(key)
	if err := errors.Join(err, ctx.Err()); err != nil {
		return target{}, err
	}
	t := target{key: key, name: name, PutOptions: o, mark: rand.Text()}
	if !o.IfAbsent {
		return t, nil
	}
	// Looking first saves the sending, and serves stores that know no condition.
	switch _, err := s.head(ctx, key); {
	case err == nil:
		return target{}, blob.ErrExists
	case !errors.Is(err, blob.ErrNotFound):
		return target{}, err
	}
	return t, nil
}

// Put stores what body gives under key; see blob.Store. Of a body larger than
// the part size it holds Config.Concurrency parts in memory.
func (s *Store) Put(ctx context.Context, key string, body io.Reader, o blob.PutOptions) error {
	t, err := s.target(ctx, key, o)
	if err == nil {
		err = s.put(ctx, t, body)
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	return nil
}

func (s *Store) put(ctx context.Context, t target, body io.Reader) error {
	partSize := s.config.partSize(t.Size)
	from := &partReader{ctx: ctx, body: body, announced: t.Size}
	first, err := from.next(nil, partSize)
	if err != nil {
		return err
	}
	if from.ended {
		return s.putWhole(ctx, t, first)
	}
	return s.putParts(ctx, t, from, first, partSize)
}

// putWhole stores a body of one part by one request.
func (s *Store) putWhole(ctx context.Context, t target, body []byte) error {
	d, err := digestOf(bytes.NewReader(body))
	if err != nil {
		return err
	}
	input := &s3.PutObjectInput{
		Bucket: &s.config.Bucket, Key: t.name, Body: bytes.NewReader(body), ContentLength: &d.size,
		ContentType: contentType(t), Metadata: map[string]string{markName: t.mark},
		ServerSideEncryption: types.ServerSideEncryption(s.config.SSE), SSEKMSKeyId: optional(s.config.SSEKeyID),
		StorageClass: types.StorageClass(s.config.StorageClass),
	}
	if t.IfAbsent {
		input.IfNoneMatch = aws.String("*")
	}
	if s.config.ChecksumMode == WhenSupported {
		input.ChecksumAlgorithm, input.ChecksumCRC32 = types.ChecksumAlgorithmCrc32, d.crcBase64()
	} else {
		input.ContentMD5 = d.md5Base64()
	}
	done := stored{size: d.size, expected: d.etag(), begun: time.Now()}
	output, err := s.client.PutObject(ctx, input)
	if err == nil {
		done.etag = bareETag(output.ETag)
		done.at, _ = middleware.GetServerTime(output.ResultMetadata)
		if err := (kept{etag: done.etag, crc: output.ChecksumCRC32, sse: string(output.ServerSideEncryption)}).verify(d); err != nil {
			return err
		}
	}
	return s.settle(ctx, t, done, err)
}

func contentType(t target) *string {
	if t.ContentType != "" {
		return &t.ContentType
	}
	return aws.String(blob.MediaType(t.key))
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// partReader reads a body part by part and holds it against its announced size.
type partReader struct {
	ctx       context.Context //nolint:containedctx // lives no longer than the call that it was passed to
	body      io.Reader
	announced int64 // or blob.UnknownSize
	size      int64 // read so far
	ahead     []byte
	ended     bool
}

// firstBuffer is where the buffer of a body of unknown size begins to grow.
const firstBuffer = 64 << 10 // bytes

// next reads the next part of up to size bytes into buffer, or into a larger
// one, and sets ended after the last part.
func (r *partReader) next(buffer []byte, size int64) ([]byte, error) {
	if need := r.expect(size); int64(cap(buffer)) < need {
		buffer = make([]byte, 0, need)
	}
	buffer = append(buffer[:0], r.ahead...)
	r.ahead = r.ahead[:0]
	for int64(len(buffer)) < size && !r.ended {
		if len(buffer) == cap(buffer) {
			grown := make([]byte, len(buffer), min(int64(2*cap(buffer)), size))
			copy(grown, buffer)
			buffer = grown
		}
		n, err := r.read(buffer[len(buffer):min(int64(cap(buffer)), size)])
		buffer = buffer[:len(buffer)+n]
		if err != nil {
			return nil, err
		}
	}
	// One byte ahead tells whether this part is the last.
	for probe := (&[1]byte{})[:]; !r.ended && len(r.ahead) == 0; {
		n, err := r.read(probe)
		if err != nil {
			return nil, err
		}
		r.ahead = append(r.ahead, probe[:n]...)
	}
	return buffer, nil
}

// expect returns a good size for the buffer of a part.
func (r *partReader) expect(size int64) int64 {
	if r.announced < 0 && r.size <= firstBuffer {
		return min(size, firstBuffer)
	}
	if r.announced < 0 {
		return size
	}
	return max(1, min(size, r.announced-r.size+int64(len(r.ahead))))
}

// read asks the context, reads once, and counts.
func (r *partReader) read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.body.Read(p)
	r.size += int64(n)
	if r.announced >= 0 && r.size > r.announced {
		return n, fmt.Errorf("more than %d bytes: %w", r.announced, blob.ErrSizeMismatch)
	}
	if errors.Is(err, io.EOF) {
		r.ended = true
		if r.announced >= 0 && r.size < r.announced {
			return n, fmt.Errorf("%d bytes instead of %d: %w", r.size, r.announced, blob.ErrSizeMismatch)
		}
		return n, nil
	}
	return n, err
}
