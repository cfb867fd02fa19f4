package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"rushes/catalog"
	"rushes/catalog/blob"
	"rushes/pipeline"
	"rushes/pipeline/capture"
)

// edgeBytes is how much of each end of a media object is fetched to know it by: what capture.Capture.Key looks at.
const edgeBytes = 1 << 20

// NewJob is the function NewJob for captures in S3 too. Of those no more than the manifest, or the two ends of a media
// object, is fetched, into a folder of its own below that of temporary files.
func (f *Fetcher) NewJob(ctx context.Context, uri string, o Options) (_ catalog.Job, err error) {
	if _, _, remote := SplitS3(uri); !remote {
		return NewJob(ctx, uri, o)
	}
	src, err := f.find(ctx, uri)
	if err != nil {
		return catalog.Job{}, err
	}
	defer func() { err = errors.Join(err, src.store.Close()) }()
	folder, err := os.MkdirTemp("", "rushes-capture-")
	if err != nil {
		return catalog.Job{}, fmt.Errorf("look at capture %s: %w", uri, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	file := filepath.Join(folder, src.name)
	if src.manifest != nil {
		if _, _, err := capture.Parse(uri, src.manifest); err != nil {
			return catalog.Job{}, err // says the address, not the folder
		}
		err = os.WriteFile(file, src.manifest, 0o600)
	} else {
		err = src.outline(ctx, file)
	}
	if err != nil {
		return catalog.Job{}, fmt.Errorf("look at capture %s: %w", uri, err)
	}
	c, err := capture.Open(ctx, file)
	if err != nil {
		return catalog.Job{}, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	c.Name = uri
	return newJob(c, uri, o)
}

// outline writes a file as long as the media object, with its first and last bytes and nothing between.
func (s *remoteCapture) outline(ctx context.Context, file string) (err error) {
	info, err := s.stat(ctx, s.name)
	if err != nil {
		return err
	}
	if info == nil {
		return fmt.Errorf("%s: %w", s.name, blob.ErrNotFound)
	}
	if info.Size == 0 {
		return &capture.InputError{File: s.uri, Reason: "the file is empty"}
	}
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if err := out.Truncate(info.Size); err != nil {
		return err
	}
	for _, from := range []int64{0, max(info.Size-edgeBytes, 0)} {
		data, err := s.read(ctx, s.name, blob.Range{Offset: from, Length: edgeBytes})
		if err != nil {
			return err
		}
		if _, err := out.WriteAt(data, from); err != nil {
			return err
		}
	}
	return os.Chtimes(file, info.ModTime, info.ModTime)
}

// locate gives the attempt the path of its capture on this machine, which is brought here where it lies elsewhere.
func (a *attempt) locate(ctx context.Context, cfg *WorkerConfig, scratch *pipeline.Scratch) (err error) {
	a.capture = LocalPath(a.job.CaptureURI)
	if _, _, remote := SplitS3(a.job.CaptureURI); !remote {
		return nil
	}
	if cfg.Fetch == nil {
		return pipeline.Permanent(fmt.Errorf("capture %s lies in S3, and this worker cannot fetch it", a.job.CaptureURI))
	}
	a.note(ctx, "fetch", 0)
	a.capture, err = cfg.Fetch(ctx, a.job.CaptureURI, scratch)
	return err
}
