package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"rushes/catalog"
	"rushes/hls"
	"rushes/pipeline"
	"rushes/pipeline/capture"
	"rushes/transcode"
	"rushes/transcode/mp4"
)

// filmVOD makes a package of a composite, which is made first where it is not there.
type filmVOD struct {
	capture  *capture.Capture
	settings Settings
	film     *product
	own      *product
}

// packaged makes the package of what another function makes.
func packaged(films func(context.Context, *material) ([]*product, error)) func(context.Context, *material) ([]*product, error) {
	return func(ctx context.Context, from *material) ([]*product, error) {
		list, err := films(ctx, from)
		if err != nil {
			return nil, err
		}
		if len(list) != 1 {
			return nil, fmt.Errorf("a package of %d films", len(list))
		}
		film := list[0]
		if err := film.setKey(); err != nil {
			return nil, err
		}
		m := from.capture.Manifest
		v := &filmVOD{capture: from.capture, settings: from.settings, film: film}
		v.own = &product{
			item: item{
				Name: "room-vod",
				File: packageFile(&m.Outputs.VOD),
				Asset: row{RoomID: m.RoomID, SessionID: m.SessionID, Type: catalog.RoomVOD, StartedAt: m.StartedAt.Time,
					Key: catalog.AssetKey(from.capture.Key(), catalog.RoomVOD), Metadata: catalog.Metadata{Defects: captureDefects(from.capture.Defects)}},
				Stills: film.Stills,
				Length: film.Length,
			},
			options: []any{film.options, m.Outputs.VOD, from.settings.Video},
			group:   &bundle{render: v.render},
		}
		return []*product{v.own}, nil
	}
}

// render makes the film, its rungs and the package.
func (v *filmVOD) render(ctx context.Context, run *pipeline.Run, _ []*product, progress func(pipeline.Progress)) (map[string]outcome, error) {
	s := &site{run: run, report: func(r StepReport) {
		if r.Progress != nil {
			progress(*r.Progress)
		}
	}}
	unit := "render." + v.film.Name
	film, _, err := pipeline.Remember(ctx, run, unit, v.film.Key, func(ctx context.Context, _ *pipeline.Run) (rendered, error) {
		return renderOne(ctx, s, v.film)
	})
	if err != nil {
		return nil, fmt.Errorf("the film: %w", err)
	}
	wall := time.Time{}
	if start := v.capture.Manifest.StartedAt; !start.IsZero() {
		wall = start.Add(film.Start)
	}
	dump := hls.Dump{StartedAt: wall}
	add := func(name, file string) {
		dump.Layers = append(dump.Layers, hls.Layer{Name: name, Segments: []hls.Segment{{Name: file, WallTime: wall}}})
	}
	name := "audio-only"
	if film.Height > 0 {
		name = rungName(film.Height)
	}
	add(name, run.Scratch.Path(unit, v.film.File))
	rungs, err := v.rungs(ctx, run, run.Scratch.Path(unit, v.film.File), &film, progress)
	if err != nil {
		return nil, err
	}
	for _, r := range rungs {
		add(rungName(r.Height), r.File)
	}
	files := newDumpFiles(os.Open)
	t, err := hls.Open(ctx, dump, files, nil, hls.Options{})
	if err != nil {
		return nil, err
	}
	w := &timelineWriter{timeline: t, files: files, progress: progress, vod: &v.capture.Manifest.Outputs.VOD}
	res, err := w.write(ctx, run, v.own, nil)
	if err != nil {
		return nil, err
	}
	made, err := w.packageMade(run, v.own, res, film.Start)
	if err != nil {
		return nil, err
	}
	made.Defects = append(film.Defects, made.Defects...)
	for i := range made.Defects {
		if filepath.IsAbs(made.Defects[i].File) { // of the scratch folder, which nobody knows later
			made.Defects[i].File = filepath.Base(made.Defects[i].File)
		}
	}
	return map[string]outcome{v.own.Name: {Rendered: made}}, nil
}

func rungName(height int) string { return strconv.Itoa(height) + "p" }

// rung is a lower layer that was encoded.
type rung struct {
	File          string
	Width, Height int
}

// rungs encodes the lower layers, each remembered by itself.
func (v *filmVOD) rungs(ctx context.Context, run *pipeline.Run, file string, film *rendered, progress func(pipeline.Progress)) (list []rung, err error) {
	var keys []time.Duration
	for _, height := range v.capture.Manifest.Outputs.VOD.Ladder {
		if height >= film.Height {
			continue
		}
		if keys == nil {
			if keys, err = keyPictures(file); err != nil {
				return nil, err
			}
		}
		r := rung{Width: max((film.Width*height/film.Height+1)&^1, 2), Height: height}
		unit := "rung." + rungName(height)
		key, err := pipeline.ContentKey("rung v1", v.film.Key, r, v.settings.Video)
		if err != nil {
			return nil, err
		}
		r.File = run.Scratch.Path(unit, "rung.mp4")
		_, _, err = pipeline.Remember(ctx, run, unit, key, func(ctx context.Context, run *pipeline.Run) (bool, error) {
			return true, v.encode(ctx, run, unit, file, &r, keys, progress)
		})
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", rungName(height), err)
		}
		list = append(list, r)
	}
	return list, nil
}

func (v *filmVOD) encode(ctx context.Context, run *pipeline.Run, unit, file string, r *rung, keys []time.Duration, progress func(pipeline.Progress)) (err error) {
	if _, err := run.Scratch.Dir(unit); err != nil {
		return err
	}
	in, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("open the film: %w", err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	src, err := transcode.FileSource(v.film.File, in)
	if err != nil {
		return err
	}
	out, err := os.Create(r.File)
	if err != nil {
		return fmt.Errorf("make the file of the layer: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = transcode.Convert(ctx, transcode.Recording{
		Parts: []transcode.Part{{Source: src}}, Video: v.settings.Video, Audio: v.settings.Audio,
		Rung: &transcode.Rung{Width: r.Width, Height: r.Height, Keys: keys},
		Progress: func(p transcode.Progress) {
			progress(pipeline.Progress{Done: p.Bytes, Total: p.TotalBytes, Media: p.Time})
		},
	}, out)
	return err
}

// keyPictures are the times of a film's key frames: its layers can be changed at those only that all have.
func keyPictures(file string) (keys []time.Duration, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("look for the key frames: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("look for the key frames: %w", err)
	}
	m, err := mp4.Read(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("look for the key frames: %w", err)
	}
	keys = []time.Duration{}
	for _, t := range m.Tracks {
		if t.Video == nil {
			continue
		}
		scale := int64(max(t.Timescale, 1))
		for s, err := range t.Samples() {
			if err != nil {
				return nil, fmt.Errorf("look for the key frames: %w", err)
			}
			if s.Sync {
				keys = append(keys, time.Duration(s.PTS/scale)*time.Second+time.Duration(s.PTS%scale)*time.Second/time.Duration(scale))
			}
		}
		break
	}
	return keys, nil
}
