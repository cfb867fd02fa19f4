package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"rushes/catalog/blob"
)

// upload is a multipart upload under way.
type upload struct {
	store *Store
	target
	id    string
	begun time.Time
}

// part is a part that the store has.
type part struct {
	number int32 // from 1
	digest digest
	etag   *string // as the store gave it
}

func (s *Store) newUpload(ctx context.Context, t target) (*upload, error) {
	input := &s3.CreateMultipartUploadInput{
		Bucket: &s.config.Bucket, Key: t.name, ContentType: contentType(t),
		ServerSideEncryption: types.ServerSideEncryption(s.config.SSE), SSEKMSKeyId: optional(s.config.SSEKeyID),
		StorageClass: types.StorageClass(s.config.StorageClass), ChecksumAlgorithm: s.checksum(),
		Metadata: map[string]string{markName: t.mark},
	}
	output, err := s.client.CreateMultipartUpload(ctx, input)
	if err != nil {
		return nil, fmt.Errorf("begin an upload: %w", s.translate(ctx, err))
	}
	if aws.ToString(output.UploadId) == "" {
		return nil, errors.New("begin an upload: the store gives it no name")
	}
	return &upload{store: s, target: t, id: *output.UploadId}, nil
}

// checksum is the algorithm that uploads are made for.
func (s *Store) checksum() types.ChecksumAlgorithm {
	if s.config.ChecksumMode == WhenSupported {
		return types.ChecksumAlgorithmCrc32
	}
	return ""
}

// putParts stores a body of more than one part, of which the first is read
// already. The body is read by the calling goroutine, parts go up beside it.
func (s *Store) putParts(ctx context.Context, t target, from *partReader, first []byte, partSize int64) (err error) {
	u, err := s.newUpload(ctx, t)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, u.abort(ctx))
		}
	}()
	parts, err := u.send(ctx, from, first, partSize)
	if err != nil {
		return err
	}
	return u.complete(ctx, parts, from.size)
}

// send reads the body to its end and uploads its parts.
func (u *upload) send(ctx context.Context, from *partReader, first []byte, partSize int64) ([]part, error) {
	sending, stop := context.WithCancel(ctx)
	defer stop()
	group, groupCtx := errgroup.WithContext(sending)
	free := make(chan []byte, u.store.config.Concurrency)
	for range u.store.config.Concurrency {
		free <- nil
	}
	<-free // the first part has its buffer
	var parts []part
	results := make(chan part, u.store.config.Concurrency)
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		for p := range results {
			parts = append(parts, p)
		}
	}()
	start := func(number int32, body []byte) {
		group.Go(func() error {
			p, err := u.sendPart(groupCtx, number, bytes.NewReader(body))
			if err == nil {
				results <- p
			}
			free <- body
			return err
		})
	}
	start(1, first)
	readErr := readParts(groupCtx, from, free, partSize, start)
	sendFailed := groupCtx.Err() != nil // and so stopped the reading
	if readErr != nil {
		stop()
	}
	sendErr := group.Wait()
	close(results)
	<-collected
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case readErr != nil && !sendFailed:
		return nil, readErr
	}
	return parts, sendErr
}

// readParts reads part after part into free buffers and hands them to start.
func readParts(ctx context.Context, from *partReader, free <-chan []byte, partSize int64, start func(int32, []byte)) error {
	for number := int32(2); !from.ended; number++ {
		if number > maxParts {
			return fmt.Errorf("a body of more than %d parts of %d bytes, give its size", maxParts, partSize)
		}
		var buffer []byte
		select {
		case buffer = <-free:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		body, err := from.next(buffer, partSize)
		if err != nil {
			return err
		}
		start(number, body)
	}
	return nil
}

// sendPart uploads a part and holds what the store took against it.
func (u *upload) sendPart(ctx context.Context, number int32, body io.ReadSeeker) (part, error) {
	d, err := digestOf(body)
	if err == nil {
		_, err = body.Seek(0, io.SeekStart)
	}
	if err != nil {
		return part{}, fmt.Errorf("read part %d: %w", number, err)
	}
	input := &s3.UploadPartInput{
		Bucket: &u.store.config.Bucket, Key: u.name, UploadId: &u.id, PartNumber: &number,
		Body: body, ContentLength: &d.size,
	}
	if u.store.config.ChecksumMode == WhenSupported {
		input.ChecksumAlgorithm, input.ChecksumCRC32 = types.ChecksumAlgorithmCrc32, d.crcBase64()
	} else {
		input.ContentMD5 = d.md5Base64()
	}
	output, err := u.store.client.UploadPart(ctx, input)
	if err != nil {
		return part{}, fmt.Errorf("upload part %d: %w", number, u.store.translate(ctx, err))
	}
	took := kept{etag: bareETag(output.ETag), crc: output.ChecksumCRC32, sse: string(output.ServerSideEncryption)}
	if err := took.verify(d); err != nil {
		return part{}, fmt.Errorf("upload part %d: %w", number, err)
	}
	return part{number: number, digest: d, etag: output.ETag}, nil
}

// complete makes the parts an object.
func (u *upload) complete(ctx context.Context, parts []part, size int64) error {
	slices.SortFunc(parts, func(a, b part) int { return int(a.number - b.number) })
	list := make([]types.CompletedPart, len(parts))
	digests := make([]digest, len(parts))
	sum := int64(0)
	for i, p := range parts {
		if p.number != int32(i+1) { //nolint:gosec // at most maxParts
			return fmt.Errorf("part %d is missing", i+1)
		}
		list[i] = types.CompletedPart{ETag: p.etag, PartNumber: &p.number}
		if u.store.config.ChecksumMode == WhenSupported {
			list[i].ChecksumCRC32 = p.digest.crcBase64()
		}
		digests[i] = p.digest
		sum += p.digest.size
	}
	if sum != size {
		return fmt.Errorf("parts of %d bytes instead of %d: %w", sum, size, blob.ErrSizeMismatch)
	}
	input := &s3.CompleteMultipartUploadInput{
		Bucket: &u.store.config.Bucket, Key: u.name, UploadId: &u.id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: list},
	}
	if u.IfAbsent {
		input.IfNoneMatch = aws.String("*")
	}
	done := stored{size: size, expected: partsETag(digests), begun: time.Now()}
	output, err := u.store.client.CompleteMultipartUpload(ctx, input)
	if err == nil {
		done.etag = bareETag(output.ETag)
		done.at, _ = middleware.GetServerTime(output.ResultMetadata)
		if done.etag == "" {
			return errors.New("the store gives no ETag of the object")
		}
	}
	return u.store.settle(ctx, u.target, done, err)
}

// abort gives the upload up, also when ctx is over. That there is none any
// more is no error.
func (u *upload) abort(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	return u.store.abort(ctx, u.name, &u.id)
}

func (s *Store) abort(ctx context.Context, name, id *string) error {
	_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &s.config.Bucket, Key: name, UploadId: id})
	if err != nil && errorCode(err) != "NoSuchUpload" {
		return fmt.Errorf("abort the upload of %s: %w", *name, s.translate(ctx, err))
	}
	return nil
}
