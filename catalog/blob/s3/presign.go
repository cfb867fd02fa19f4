package s3

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"rushes/catalog/blob"
)

// PresignGet returns an address of the object at the public endpoint; see
// blob.Presigner. It asks nobody but, when they have run out, the source of the
// credentials. An address that was signed with the credentials of a role ends
// with them, however long it was asked to last. The store refuses HEAD by it.
func (s *Store) PresignGet(ctx context.Context, key string, expires time.Duration, o blob.PresignOptions) (string, error) {
	address, err := s.presignGet(ctx, key, expires, o)
	if err != nil {
		return "", fmt.Errorf("presign %s: %w", key, err)
	}
	return address, nil
}

func (s *Store) presignGet(ctx context.Context, key string, expires time.Duration, o blob.PresignOptions) (string, error) {
	name, err := s.object(key)
	if err := errors.Join(err, ctx.Err(), o.CheckPresign(), blob.CheckExpires(expires)); err != nil {
		return "", err
	}
	request, err := s.presign.PresignGetObject(ctx, &s3.GetObjectInput{
		Bucket: &s.config.Bucket, Key: name,
		ResponseContentDisposition: optional(o.ContentDisposition()),
		ResponseContentType:        optional(o.ContentType),
	}, s3.WithPresignExpires(expires))
	if err != nil {
		return "", err
	}
	return request.URL, nil
}
