package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"rushes/catalog"
	"rushes/catalog/blob"
	"rushes/pipeline"
	"rushes/pipeline/capture"
	"rushes/transcode"
)

// stillsWanted says which thumbnails an asset gets.
type stillsWanted struct {
	Enabled       bool
	Width, Height int
	Offsets       []time.Duration
	Format        transcode.StillFormat
}

func newStillsWanted(t capture.Thumbnails, format transcode.StillFormat) stillsWanted {
	w := stillsWanted{Enabled: t.Enabled, Width: t.Width, Height: t.Height, Format: transcode.PNG}
	if format != "" {
		w.Format = format
	}
	for _, o := range t.Offsets {
		w.Offsets = append(w.Offsets, o.Duration)
	}
	return w
}

// thumbs is what is remembered of an asset's thumbnails.
type thumbs struct {
	Note string
	Made []thumb
}

type thumb struct {
	File   string
	Offset time.Duration
}

// thumbKey is where a thumbnail is stored, beside its asset.
func (p *product) thumbKey(n int) string {
	return catalog.ThumbnailPath(p.asset.Path, n, p.thumbs.Made[n].Offset, extension(p.stills.Format))
}

// thumbnails takes the stills of every product that has pictures. A film of which no still can be taken is an
// asset without thumbnails, with a note.
func (j *jobRun) thumbnails(ctx context.Context, run *pipeline.Run) error {
	j.note(ctx, "thumbnails", renderDone)
	for _, p := range j.todo() {
		if !p.stills.Enabled || len(p.stills.Offsets) == 0 {
			continue
		}
		if p.Width == 0 {
			p.thumbs = thumbs{Note: transcode.ErrNoPictures.Error()}
			continue
		}
		key, err := pipeline.ContentKey("thumbnails v2", p.asset.Key, p.options, p.stills)
		if err != nil {
			return err
		}
		p.thumbs, _, err = pipeline.Remember(ctx, run, "thumbnails."+p.name, key, func(ctx context.Context, run *pipeline.Run) (thumbs, error) {
			return takeThumbs(ctx, run, p)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

func takeThumbs(ctx context.Context, run *pipeline.Run, p *product) (_ thumbs, err error) {
	film, err := os.Open(run.Scratch.Path("render."+p.name, p.file))
	if err != nil {
		return thumbs{}, fmt.Errorf("open the rendered file: %w", err)
	}
	defer func() { err = errors.Join(err, film.Close()) }()
	src, err := transcode.FileSource(p.file, film)
	if err != nil {
		return thumbs{}, err
	}
	stills, err := transcode.Stills(ctx, src, p.stills.Offsets, p.stills.Width, p.stills.Height)
	if err != nil {
		if ctx.Err() == nil && pipeline.KindOf(err) == pipeline.KindBadInput {
			return thumbs{Note: oneLine(err)}, nil
		}
		return thumbs{}, err
	}
	folder, err := run.Scratch.Dir("thumbnails." + p.name)
	if err != nil {
		return thumbs{}, err
	}
	made := thumbs{}
	for i := range stills {
		t := thumb{File: fmt.Sprintf("%d.%s", i, p.stills.Format), Offset: stills[i].Offset}
		if stills[i].Blank {
			made.Note = "every picture is blank"
		}
		if err := writeStill(&stills[i], filepath.Join(folder, t.File), p.stills.Format); err != nil {
			return thumbs{}, err
		}
		made.Made = append(made.Made, t)
	}
	return made, nil
}

func extension(f transcode.StillFormat) string {
	if f == transcode.JPEG {
		return ".jpg"
	}
	return "." + string(f)
}

func writeStill(s *transcode.Still, path string, format transcode.StillFormat) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write a thumbnail: %w", err)
	}
	if err := errors.Join(s.Encode(f, format), f.Close()); err != nil {
		return fmt.Errorf("write a thumbnail: %w", err)
	}
	return nil
}

// publish puts the files into the store. What is in place already keeps its name from the scratch folder until
// the catalog knows of it, so that it can be done again.
func (j *jobRun) publish(ctx context.Context, run *pipeline.Run) error {
	j.note(ctx, "publish", stillsDone)
	if err := j.choosePlaces(ctx, run); err != nil {
		return err
	}
	for _, p := range j.todo() {
		if err := j.put(ctx, run.Scratch.Path("render."+p.name, p.file), p.asset.Path, p.Size, contentType(p.file)); err != nil {
			return err
		}
		for n, t := range p.thumbs.Made {
			if err := j.put(ctx, run.Scratch.Path("thumbnails."+p.name, t.File), p.thumbKey(n), blob.UnknownSize, contentType(t.File)); err != nil {
				return err
			}
		}
	}
	return nil
}

// put stores one file under a key. A store on the same file system links it instead of copying it.
func (j *jobRun) put(ctx context.Context, path, key string, size int64, contentType string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("publish %s: %w", key, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("publish %s: %w", key, err)
	}
	if size != blob.UnknownSize && info.Size() != size {
		return fmt.Errorf("publish %s: the rendered file has %d bytes instead of %d", key, info.Size(), size)
	}
	if a, ok := j.cfg.Blobs.(blob.Adopter); ok {
		link := path + ".link"
		if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) { // of an attempt that was killed
			return fmt.Errorf("publish %s: %w", key, err)
		}
		if os.Link(path, link) == nil { // not every file system has links
			if err := a.Adopt(ctx, key, link); err != nil {
				return fmt.Errorf("publish %s: %w", key, err)
			}
			return nil
		}
	}
	if err := j.cfg.Blobs.Put(ctx, key, f, blob.PutOptions{Size: info.Size(), ContentType: contentType}); err != nil {
		return fmt.Errorf("publish %s: %w", key, err)
	}
	stored, err := j.cfg.Blobs.Stat(ctx, key)
	if err != nil {
		return fmt.Errorf("publish %s: look at what is stored: %w", key, err)
	}
	if stored.Size != info.Size() {
		return fmt.Errorf("publish %s: %d of %d bytes are stored", key, stored.Size, info.Size())
	}
	return nil
}

func contentType(name string) string {
	for ext, t := range map[string]string{".mp4": "video/mp4", ".webm": "video/webm", ".png": "image/png", ".jpeg": "image/jpeg"} {
		if len(name) > len(ext) && name[len(name)-len(ext):] == ext {
			return t
		}
	}
	return "application/octet-stream"
}
