package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"rushes/catalog/blob"
)

// PutFile stores the file at path under key; see blob.FilePutter. It holds no
// part in memory: each is read once for its checksum and once more to be sent.
func (s *Store) PutFile(ctx context.Context, key, path string, o blob.PutOptions) error {
	t, err := s.target(ctx, key, o)
	if err == nil {
		err = s.putFile(ctx, t, path)
	}
	if err != nil {
		return fmt.Errorf("put %s from %s: %w", key, path, err)
	}
	return nil
}

func (s *Store) putFile(ctx context.Context, t target, path string) (err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("not a regular file but %s", info.Mode().Type())
	case t.Size >= 0 && t.Size != info.Size():
		return fmt.Errorf("%d bytes instead of %d: %w", info.Size(), t.Size, blob.ErrSizeMismatch)
	}
	t.Size = info.Size()
	partSize := s.config.partSize(t.Size)
	if t.Size <= partSize {
		return s.put(ctx, t, f)
	}
	found, err := s.findUpload(ctx, t, partSize)
	if err != nil {
		return err
	}
	if found != nil {
		err = found.sendFile(ctx, f, info, partSize)
		// Somebody may have finished or aborted it since it was found.
		if errorCode(err) != "NoSuchUpload" {
			return err
		}
	}
	u, err := s.newUpload(ctx, t)
	if err != nil {
		return err
	}
	return (&resumable{upload: u}).sendFile(ctx, f, info, partSize)
}

// resumable is an upload of which the store may have parts already.
type resumable struct {
	*upload
	has map[int32]types.Part
}

// findUpload returns the newest upload of the key, or nil, with parts of this
// size. Whether they are parts of the same file is for their checksums to say.
func (s *Store) findUpload(ctx context.Context, t target, partSize int64) (*resumable, error) {
	var best *types.MultipartUpload
	for u, err := range s.uploads(ctx, *t.name) {
		if err != nil {
			return nil, err
		}
		newer := best == nil || aws.ToTime(u.Initiated).After(aws.ToTime(best.Initiated))
		if aws.ToString(u.Key) == *t.name && newer && (u.ChecksumAlgorithm == "" || u.ChecksumAlgorithm == s.checksum()) {
			best = &u
		}
	}
	if best == nil {
		return nil, nil //nolint:nilnil // there is none, which is no error
	}
	t.mark = "" // it carries that of the call that began it
	r := &resumable{upload: &upload{store: s, target: t, id: *best.UploadId}, has: map[int32]types.Part{}}
	pages := s3.NewListPartsPaginator(s.client, &s3.ListPartsInput{Bucket: &s.config.Bucket, Key: t.name, UploadId: best.UploadId})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if errorCode(err) == "NoSuchUpload" {
			return nil, nil //nolint:nilnil // there is none any more
		}
		if err != nil {
			return nil, fmt.Errorf("list the parts of an upload: %w", s.translate(ctx, err))
		}
		for _, p := range page.Parts {
			r.has[aws.ToInt32(p.PartNumber)] = p
		}
	}
	return r, nil
}

// sendFile uploads the parts of the file that the store does not have and
// completes the upload.
func (r *resumable) sendFile(ctx context.Context, f *os.File, info fs.FileInfo, partSize int64) error {
	size := info.Size()
	parts := make([]part, (size+partSize-1)/partSize)
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(r.store.config.Concurrency)
	for i := range parts {
		if groupCtx.Err() != nil {
			break
		}
		offset := int64(i) * partSize
		group.Go(func() (err error) {
			body := io.NewSectionReader(f, offset, min(partSize, size-offset))
			parts[i], err = r.sendMissing(groupCtx, int32(i+1), body) //nolint:gosec // at most maxParts
			return err
		})
	}
	if err := errors.Join(group.Wait(), ctx.Err()); err != nil {
		return err
	}
	now, err := f.Stat()
	if err != nil {
		return err
	}
	if now.Size() != size || !now.ModTime().Equal(info.ModTime()) {
		return errors.New("the file was changed while it was read")
	}
	err = r.complete(ctx, parts, size)
	if errors.Is(err, blob.ErrExists) {
		return errors.Join(err, r.abort(ctx)) // it will never be finished
	}
	return err
}

// sendMissing uploads a part unless the store has these very bytes of it.
func (r *resumable) sendMissing(ctx context.Context, number int32, body *io.SectionReader) (part, error) {
	has, ok := r.has[number]
	if !ok || aws.ToInt64(has.Size) != body.Size() {
		return r.sendPart(ctx, number, body)
	}
	if err := ctx.Err(); err != nil {
		return part{}, err
	}
	d, err := digestOf(body)
	if err != nil {
		return part{}, fmt.Errorf("read part %d: %w", number, err)
	}
	if (kept{etag: bareETag(has.ETag), crc: has.ChecksumCRC32}).verify(d) == nil {
		return part{number: number, digest: d, etag: has.ETag}, nil
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return part{}, err
	}
	return r.sendPart(ctx, number, body)
}
