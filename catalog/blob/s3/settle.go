package s3

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"rushes/catalog/blob"
)

// clockGrain is how much two times of one store may differ by rounding.
const clockGrain = 2 * time.Second

// stored is what should be in place after an upload.
type stored struct {
	size     int64
	etag     string    // as the store answered; "" where no answer came
	expected string    // what the ETag of the bytes is, where it is an MD5 sum
	begun    time.Time // by our clock
	at       time.Time // of the answer, by the store's clock
}

// settle finds out by a request of its own what is in place after the last
// request of an upload has succeeded, or has failed with failure: the answer
// may have been lost on its way.
func (s *Store) settle(ctx context.Context, t target, want stored, failure error) error {
	took := time.Since(want.begun)
	if failure != nil {
		failure = s.translate(ctx, failure)
		if ctx.Err() != nil {
			return failure
		}
	}
	head, err := s.head(ctx, t.key)
	if failure != nil {
		if err == nil && s.ours(t, want, head) {
			return s.same(want, head)
		}
		return failure
	}
	switch {
	case err != nil:
		return fmt.Errorf("look for the stored object: %w", untilSeen(err))
	case s.ours(t, want, head):
		return s.same(want, head)
	case !want.at.IsZero() && aws.ToTime(head.LastModified).Before(want.at.Add(-took-clockGrain)):
		return errors.New("the store said that it took the object and has an older one")
	}
	// Somebody has stored another object since: ours was whole before it.
	return nil
}

// untilSeen: that the object is not found right after its upload is the store's
// fault, and another matter than a key that has no object.
func untilSeen(err error) error {
	if errors.Is(err, blob.ErrNotFound) {
		return errors.New("the store said that it took the object and has none")
	}
	return err
}

// ours reports whether the object in place is the one that was uploaded. An
// ETag alone does not tell two equal objects apart, of which a conditional put
// must count only one for its own.
func (s *Store) ours(t target, want stored, head *s3.HeadObjectOutput) bool {
	if t.mark != "" && head.Metadata[markName] == t.mark {
		return true
	}
	etag := bareETag(head.ETag)
	if want.etag != "" {
		return etag == want.etag
	}
	return !t.IfAbsent && etag == want.expected
}

// same holds our object, as the store describes it, against what it should be.
func (s *Store) same(want stored, head *s3.HeadObjectOutput) error {
	etag := bareETag(head.ETag)
	switch {
	case aws.ToInt64(head.ContentLength) != want.size:
		return fmt.Errorf("the store has %d bytes instead of %d", aws.ToInt64(head.ContentLength), want.size)
	case want.etag != "" && etag != want.etag:
		return fmt.Errorf("the store has an object with the ETag %s instead of %s", etag, want.etag)
	case want.etag == "" && etag != want.expected && !strings.HasPrefix(string(head.ServerSideEncryption), "aws:kms"):
		return fmt.Errorf("the store has an object with the ETag %s instead of %s", etag, want.expected)
	case s.config.SSE != "" && string(head.ServerSideEncryption) != s.config.SSE:
		return fmt.Errorf("the store encrypted the object by %q instead of %q", head.ServerSideEncryption, s.config.SSE)
	}
	return nil
}
