package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"rushes/catalog"
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
func (w *work) thumbKey(n int) string {
	return catalog.ThumbnailPath(w.Asset.Path, n, w.thumbs.Made[n].Offset, extension(w.Stills.Format))
}

// takeAllThumbs takes the stills of every film of the request.
func takeAllThumbs(ctx context.Context, s *site) (StepResult, error) {
	result := StepResult{Thumbs: map[string]thumbs{}}
	for _, f := range s.req.Films {
		s.report(StepReport{Item: f.Name})
		key, err := pipeline.ContentKey("thumbnails v3", f.Key, f.Stills)
		if err != nil {
			return result, err
		}
		result.Thumbs[f.Name], _, err = pipeline.Remember(ctx, s.run, "thumbnails."+f.Name, key, func(ctx context.Context, run *pipeline.Run) (thumbs, error) {
			return takeThumbs(ctx, run, f)
		})
		if err != nil {
			return result, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return result, nil
}

// takeThumbs takes the stills of one film. One of which no still can be taken is an asset without thumbnails, with a
// note.
func takeThumbs(ctx context.Context, run *pipeline.Run, want film) (_ thumbs, err error) {
	file := run.Scratch.Path("render."+want.Name, want.File)
	var stills []transcode.Still
	if want.Pictures != "" {
		stills, err = packageStills(ctx, file, want.Pictures, want.Stills)
	} else {
		stills, err = fileStills(ctx, file, want.Stills)
	}
	if err != nil {
		if ctx.Err() == nil && pipeline.KindOf(err) == pipeline.KindBadInput {
			return thumbs{Note: oneLine(err)}, nil
		}
		return thumbs{}, err
	}
	folder, err := run.Scratch.Dir("thumbnails." + want.Name)
	if err != nil {
		return thumbs{}, err
	}
	made := thumbs{}
	for i := range stills {
		t := thumb{File: fmt.Sprintf("%d.%s", i, want.Stills.Format), Offset: stills[i].Offset}
		if stills[i].Blank {
			made.Note = "every picture is blank"
		}
		if err := writeStill(&stills[i], filepath.Join(folder, t.File), want.Stills.Format); err != nil {
			return thumbs{}, err
		}
		made.Made = append(made.Made, t)
	}
	return made, nil
}

func fileStills(ctx context.Context, file string, want stillsWanted) (_ []transcode.Still, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("open the rendered file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	src, err := transcode.FileSource(filepath.Base(file), f)
	if err != nil {
		return nil, err
	}
	return transcode.Stills(ctx, src, want.Offsets, want.Width, want.Height)
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
