package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"rushes/catalog/blob"
)

var errStalled = errors.New("the store stopped sending")

// Get opens the object, or a range of it, for reading. A read that breaks off
// goes on at the same byte; where the object was replaced meanwhile it ends in
// an error.
func (s *Store) Get(ctx context.Context, key string, r blob.Range) (io.ReadCloser, error) {
	body, err := s.get(ctx, key, r)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	return body, nil
}

func (s *Store) get(ctx context.Context, key string, r blob.Range) (io.ReadCloser, error) {
	name, err := s.object(key)
	if err := errors.Join(err, ctx.Err()); err != nil {
		return nil, err
	}
	if _, _, err := (blob.Range{Offset: max(-r.Offset, 0), Length: r.Length}).Resolve(0); err != nil {
		return nil, err // negative
	}
	body := &reader{store: s, ctx: ctx, key: key, name: name, next: r.Offset, end: -1}
	if r.Length > 0 && r.Length < 1<<62 {
		body.end = r.Offset + r.Length
	}
	err = body.open()
	if errors.Is(err, blob.ErrInvalidRange) && r.Offset == 0 {
		// No byte of an empty object can be asked for.
		info, statErr := s.Stat(ctx, key)
		if statErr != nil {
			return nil, statErr
		}
		if info.Size == 0 {
			return io.NopCloser(strings.NewReader("")), nil
		}
	}
	if err != nil {
		return nil, err
	}
	return body, nil
}

// reader reads a range of one version of an object, over as many answers as it
// takes. It is for one goroutine.
type reader struct {
	store *Store
	ctx   context.Context //nolint:containedctx // the contract bounds the reading by Get's context
	key   string
	name  *string
	next  int64 // the byte that comes next
	end   int64 // the byte after the last one; -1 before the first answer: that of the object
	etag  string

	body     io.ReadCloser // nil when the last answer broke off
	cancel   context.CancelCauseFunc
	watch    *time.Timer
	failures int // since the last byte that came
	whole    bool
}

// open asks for what is still to come and settles end and etag at the first
// answer.
func (r *reader) open() error {
	ctx, cancel := context.WithCancelCause(r.ctx)
	input := &s3.GetObjectInput{Bucket: &r.store.config.Bucket, Key: r.name}
	r.whole = r.next == 0 && r.end < 0
	if !r.whole {
		value := "bytes=" + strconv.FormatInt(r.next, 10) + "-"
		if r.end >= 0 {
			value += strconv.FormatInt(r.end-1, 10)
		}
		input.Range = &value
	} else if r.store.config.ChecksumMode == WhenSupported {
		input.ChecksumMode = types.ChecksumModeEnabled
	}
	if r.etag != "" {
		input.IfMatch = &r.etag
	}
	output, err := r.store.client.GetObject(ctx, input)
	if err != nil {
		cancel(nil)
		if r.etag != "" && isStatus(err, http.StatusPreconditionFailed) {
			return fmt.Errorf("the object was replaced: %w", err)
		}
		return r.store.translate(r.ctx, err)
	}
	r.store.bucketSeen.Store(true)
	if err := r.accept(output); err != nil {
		cancel(nil)
		return errors.Join(err, output.Body.Close())
	}
	r.body, r.cancel = output.Body, cancel
	r.watch = time.AfterFunc(r.store.config.ResponseTimeout, func() { cancel(errStalled) })
	r.watch.Stop()
	return nil
}

// accept holds an answer against what was asked for.
func (r *reader) accept(output *s3.GetObjectOutput) error {
	if output.ContentLength == nil {
		return errors.New("the store does not say the size")
	}
	length := *output.ContentLength
	if !r.whole {
		first, last, size, ok := parseContentRange(aws.ToString(output.ContentRange))
		if !ok || first != r.next || last-first+1 != length || (r.end >= 0 && last != min(r.end, size)-1) || (r.end < 0 && last != size-1) {
			return fmt.Errorf("the store gives the range %q of %d bytes for one from byte %d", aws.ToString(output.ContentRange), length, r.next)
		}
	}
	if etag := aws.ToString(output.ETag); r.etag == "" {
		r.etag, r.end = etag, r.next+length
	} else if etag != r.etag {
		return errors.New("the object was replaced")
	}
	return nil
}

// parseContentRange reads "bytes first-last/size".
func parseContentRange(value string) (first, last, size int64, ok bool) {
	span, total, _ := strings.Cut(strings.TrimPrefix(value, "bytes "), "/")
	from, to, _ := strings.Cut(span, "-")
	var errs [3]error
	first, errs[0] = strconv.ParseInt(from, 10, 64)
	last, errs[1] = strconv.ParseInt(to, 10, 64)
	size, errs[2] = strconv.ParseInt(total, 10, 64)
	return first, last, size, errors.Join(errs[:]...) == nil && first <= last && last < size
}

// Read reads on, if need be from another answer.
func (r *reader) Read(p []byte) (int, error) {
	for {
		if err := r.ctx.Err(); err != nil {
			return 0, fmt.Errorf("read %s: %w", r.key, err)
		}
		if r.body == nil {
			if r.next == r.end {
				return 0, io.EOF
			}
			if err := r.open(); err != nil {
				return 0, fmt.Errorf("read %s from byte %d: %w", r.key, r.next, err)
			}
		}
		n, err := r.readBody(p)
		r.next += int64(n)
		if err == nil || errors.Is(err, io.EOF) {
			if n > 0 {
				r.failures = 0
			}
			return n, err
		}
		r.drop()
		if n > 0 {
			r.failures = 0
		}
		// With all bytes there the error is that of their checksum.
		if r.failures++; r.failures >= r.store.config.MaxAttempts || r.next == r.end || r.etag == "" || r.ctx.Err() != nil {
			return n, fmt.Errorf("read %s from byte %d: %w", r.key, r.next, r.store.translate(r.ctx, err))
		}
		if n > 0 {
			return n, nil
		}
	}
}

// readBody reads from the answer, for no longer than the store may be silent.
func (r *reader) readBody(p []byte) (int, error) {
	r.watch.Reset(r.store.config.ResponseTimeout)
	n, err := r.body.Read(p)
	if !r.watch.Stop() && err != nil && r.ctx.Err() == nil {
		err = fmt.Errorf("%w (%w)", errStalled, err)
	}
	if errors.Is(err, io.EOF) && r.next+int64(n) != r.end {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// drop gives the answer up; what it says on closing does not matter any more.
func (r *reader) drop() {
	r.cancel(nil)
	_ = r.body.Close()
	r.body = nil
}

// Close gives the connection back.
func (r *reader) Close() error {
	if r.body != nil {
		r.drop()
	}
	r.next, r.end = 0, 0
	return nil
}
