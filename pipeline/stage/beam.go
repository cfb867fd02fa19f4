package stage

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"rushes/catalog"
	"rushes/pipeline"
	"rushes/pipeline/capture"
	"rushes/transcode"
)

// beamProducts is the one room-composite of a browser's recording.
func beamProducts(c *capture.Capture, cfg *Config) ([]*product, error) {
	m := c.Manifest
	session := catalog.Session{RoomID: m.RoomID, SessionID: m.SessionID, StartedAt: m.StartedAt.Time}
	p := &product{
		name: "room-composite",
		file: "composite.mp4",
		asset: catalog.Asset{RoomID: m.RoomID, SessionID: m.SessionID, Type: catalog.RoomComposite,
			Key: catalog.AssetKey(c.Key(), catalog.RoomComposite), StartedAt: m.StartedAt.Time,
			Metadata: catalog.Metadata{Defects: captureDefects(c.Defects)}},
		path: func(n int) string {
			s := session
			s.StartedAt = s.StartedAt.Add(time.Duration(n) * time.Millisecond)
			return s.RoomCompositePath()
		},
		options: []any{cfg.Video, cfg.Audio, c.Session.Paused, m.StoppedAt},
		stills:  newStillsWanted(m.Outputs.Thumbnails, cfg.StillFormat),
	}
	p.render = func(ctx context.Context, f *os.File, progress func(pipeline.Progress)) (rendered, error) {
		return renderBeam(ctx, c, cfg, f, progress)
	}
	return []*product{p}, nil
}

func renderBeam(ctx context.Context, c *capture.Capture, cfg *Config, out *os.File, progress func(pipeline.Progress)) (_ rendered, err error) {
	parts, closeAll, err := beamParts(c)
	defer func() { err = errors.Join(err, closeAll()) }()
	if err != nil {
		return rendered{}, err
	}
	rec := transcode.Recording{Parts: parts, Video: cfg.Video, Audio: cfg.Audio}
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
		return rendered{}, err
	}
	return rendered{Size: res.Size, Duration: res.Duration, Start: res.Start, Width: res.Width, Height: res.Height, Defects: mediaDefects(res.Defects)}, nil
}

// beamParts opens the files of a recording, less those that are not there, which the capture's defects name.
func beamParts(c *capture.Capture) (parts []transcode.Part, closeAll func() error, err error) {
	var files []*os.File
	closeAll = func() error {
		var errs []error
		for _, f := range files {
			errs = append(errs, f.Close())
		}
		return errors.Join(errs...)
	}
	var missing error
	for i := range c.Manifest.Files {
		file := &c.Manifest.Files[i]
		f, err := c.OpenFile(file.Path)
		if errors.Is(err, fs.ErrNotExist) {
			missing = errors.Join(missing, err)
			continue
		}
		if err != nil {
			return nil, closeAll, err
		}
		files = append(files, f)
		src, err := transcode.FileSource(file.Path, f)
		if err != nil {
			return nil, closeAll, err
		}
		if src.Size == 0 {
			missing = errors.Join(missing, &capture.InputError{File: file.Path, Reason: "the file is empty", Hint: "the recorder wrote nothing into it"})
			continue
		}
		parts = append(parts, transcode.Part{Source: src, Start: partStart(c, file, i), Follows: file.StartedAt.IsZero() && i > 0})
	}
	if len(parts) == 0 {
		var input *capture.InputError
		if !errors.As(missing, &input) {
			missing = &capture.InputError{File: c.Name, Reason: "none of its files is there", Err: missing}
		}
		return nil, closeAll, missing
	}
	return parts, closeAll, nil
}

func partStart(c *capture.Capture, file *capture.File, i int) time.Duration {
	if file.StartedAt.IsZero() {
		return 0
	}
	return max(c.Session.Offset(file.StartedAt.Time), 0)
}
