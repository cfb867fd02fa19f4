package s3

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"rushes/catalog/blob"
)

// AbortStale removes the unfinished uploads below the store's prefix that were
// begun longer ago than olderThan, by the store's clock, and returns how many
// they were. It must be longer than any upload may take: the one that it removes
// fails. Uploads of keys that are none of a blob store stay alone.
func (s *Store) AbortStale(ctx context.Context, olderThan time.Duration) (int, error) {
	n, err := s.abortStale(ctx, olderThan)
	if err != nil {
		return n, fmt.Errorf("abort stale uploads: %w", err)
	}
	return n, nil
}

func (s *Store) abortStale(ctx context.Context, olderThan time.Duration) (n int, err error) {
	now, err := s.now(ctx)
	if err != nil {
		return 0, err
	}
	var errs []error
	for u, err := range s.uploads(ctx, s.prefix()) {
		if err != nil {
			return n, errors.Join(append(errs, err)...)
		}
		key, ours := strings.CutPrefix(aws.ToString(u.Key), s.prefix())
		if !ours || blob.CheckKey(key) != nil || u.Initiated == nil || u.Initiated.After(now.Add(-olderThan)) {
			continue
		}
		if err := s.abort(ctx, u.Key, u.UploadId); err != nil {
			errs = append(errs, err)
			continue
		}
		n++
	}
	return n, errors.Join(errs...)
}

// now is the store's own time, or ours where it does not tell.
func (s *Store) now(ctx context.Context) (time.Time, error) {
	output, err := s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &s.config.Bucket})
	if isStatus(err, http.StatusNotFound) {
		return time.Time{}, fmt.Errorf("there is no bucket %s: %w", s.config.Bucket, err)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("look for bucket %s: %w", s.config.Bucket, s.translate(ctx, err))
	}
	if at, ok := middleware.GetServerTime(output.ResultMetadata); ok {
		return at, nil
	}
	return time.Now(), nil
}

// uploads gives the unfinished uploads of the keys that begin with prefix, as
// the bucket calls them; an error is the last pair.
func (s *Store) uploads(ctx context.Context, prefix string) iter.Seq2[types.MultipartUpload, error] {
	return func(yield func(types.MultipartUpload, error) bool) {
		pages := s3.NewListMultipartUploadsPaginator(s.client, &s3.ListMultipartUploadsInput{Bucket: &s.config.Bucket, Prefix: &prefix})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(types.MultipartUpload{}, fmt.Errorf("list uploads: %w", s.translate(ctx, err)))
				return
			}
			for _, u := range page.Uploads {
				if u.UploadId != nil && !yield(u, nil) {
					return
				}
			}
		}
	}
}
