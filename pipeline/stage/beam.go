package stage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"rushes/catalog"
	"rushes/pipeline"
	"rushes/pipeline/capture"
	"rushes/transcode"
)

// beamProducts is the one room-composite of a browser's recording.
func beamProducts(_ context.Context, from *material) ([]*product, error) {
	c, set := from.capture, from.settings
	m := c.Manifest
	p := &product{
		item: item{
			Name: "room-composite",
			File: "composite.mp4",
			Asset: row{RoomID: m.RoomID, SessionID: m.SessionID, Type: catalog.RoomComposite,
				Key: catalog.AssetKey(c.Key(), catalog.RoomComposite), StartedAt: m.StartedAt.Time,
				Metadata: catalog.Metadata{Defects: captureDefects(c.Defects)}},
			Stills: newStillsWanted(m.Outputs.Thumbnails, set.StillFormat),
		},
		options: []any{set.Video, set.Audio, c.Session.Paused, m.StoppedAt, filesNow(c)},
	}
	p.render = func(ctx context.Context, _ *pipeline.Run, f *os.File, progress func(pipeline.Progress)) (rendered, error) {
		return renderBeam(ctx, c, set, f, progress)
	}
	return []*product{p}, nil
}

// filesNow tells what the capture's files are at this moment: a recorder may bring a file later.
func filesNow(c *capture.Capture) []string {
	now := make([]string, 0, len(c.Manifest.Files))
	for _, f := range c.Manifest.Files {
		text := "unusable"
		if info, err := c.Stat(f.Path); err == nil {
			text = fmt.Sprintf("%d bytes of %d", info.Size(), info.ModTime().UnixNano())
		}
		now = append(now, text)
	}
	return now
}

func renderBeam(ctx context.Context, c *capture.Capture, set Settings, out *os.File, progress func(pipeline.Progress)) (_ rendered, err error) {
	parts, closeAll, err := beamParts(c)
	defer func() { err = errors.Join(err, closeAll()) }()
	if err != nil {
		return rendered{}, err
	}
	rec := transcode.Recording{Parts: parts, Video: set.Video, Audio: set.Audio}
	if length, known := c.Session.Length(); known {
		rec.Length = length
	}
	for _, p := range c.Session.Paused {
		rec.Paused = append(rec.Paused, transcode.Interval{From: p.From, To: p.To})
	}
	rec.Progress = func(p transcode.Progress) {
		progress(pipeline.Progress{Done: p.Bytes, Total: p.TotalBytes, Media: p.Time})
	}
	res, err := transcode.Convert(ctx, rec, out)
	if err != nil {
		return rendered{}, withHint(err)
	}
	return rendered{Size: res.Size, Duration: res.Duration, Start: res.Start, Width: res.Width, Height: res.Height, Defects: mediaDefects(res.Defects)}, nil
}

// withHint tells what to do about a file that libav cannot read.
func withHint(err error) error {
	var input *transcode.InputError
	if errors.As(err, &input) && input.Err != nil {
		return fmt.Errorf("%w; give a recording as WebM, Matroska, MP4, FLV or MPEG-TS", err)
	}
	return err
}

// beamParts opens the files of a recording, less those that cannot be used, which the capture's defects name.
func beamParts(c *capture.Capture) (parts []transcode.Part, closeAll func() error, err error) {
	var files []*os.File
	closeAll = func() error {
		var errs []error
		for _, f := range files {
			errs = append(errs, f.Close())
		}
		return errors.Join(errs...)
	}
	var unusable error
	for i := range c.Manifest.Files {
		file := &c.Manifest.Files[i]
		src, f, err := openMedia(c, file.Path)
		if err != nil {
			if pipeline.KindOf(err) != pipeline.KindBadInput {
				return nil, closeAll, err
			}
			unusable = errors.Join(unusable, err)
			continue
		}
		files = append(files, f)
		parts = append(parts, transcode.Part{Source: src, Start: partStart(c, file, i), Follows: file.StartedAt.IsZero() && i > 0})
	}
	if len(parts) == 0 {
		return nil, closeAll, unusable
	}
	return parts, closeAll, nil
}

// openMedia opens a file of a capture that has something in it. One that is not there, is empty, is no file or
// may not be read is a *capture.InputError: the others may do without it.
func openMedia(c *capture.Capture, path string) (transcode.Source, *os.File, error) {
	bad := func(reason, hint string, err error) error {
		return &capture.InputError{File: c.Name, Field: path, Reason: reason, Hint: hint, Err: err}
	}
	f, err := c.OpenFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return transcode.Source{}, nil, bad("the file is not there", "put it beside the manifest or take it out of files", err)
	case errors.Is(err, fs.ErrPermission):
		return transcode.Source{}, nil, bad("the file may not be read", "give the user who runs rushes the right to read it", err)
	case err != nil:
		return transcode.Source{}, nil, err
	}
	src, err := transcode.FileSource(path, f)
	if err == nil && src.Size == 0 {
		err = bad("the file is empty", "the recorder wrote nothing into it", nil)
	}
	if err != nil {
		return src, nil, errors.Join(err, f.Close())
	}
	return src, f, nil
}

func partStart(c *capture.Capture, file *capture.File, i int) time.Duration {
	if file.StartedAt.IsZero() {
		return 0
	}
	return max(c.Session.Offset(file.StartedAt.Time), 0)
}
