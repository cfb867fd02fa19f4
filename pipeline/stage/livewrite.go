package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rushes/hls"
	"rushes/pipeline"
	"rushes/pipeline/capture"
	"rushes/transcode/mp4"
)

// timelineWriter writes a timeline as a package, as MP4s, or as both.
type timelineWriter struct {
	timeline *hls.Timeline
	files    *dumpFiles
	progress func(pipeline.Progress)
	vod      *capture.VOD
	sink     *packageSink
}

// packageFolder is where in its unit a package lies until it is put into a zip.
const packageFolder = "package"

// write makes the files of the products, each in its unit's folder. pack may be nil.
func (w *timelineWriter) write(ctx context.Context, run *pipeline.Run, pack *product, layers map[int]*product) (res *hls.Result, err error) {
	out := hls.Outputs{Movies: map[int]mp4.File{}}
	var open []*os.File
	defer func() {
		for _, f := range open {
			err = errors.Join(err, f.Close())
		}
	}()
	for i, p := range layers {
		f, err := os.Create(run.Scratch.Path("render."+p.Name, p.File))
		if err != nil {
			return nil, fmt.Errorf("make the output file: %w", err)
		}
		open = append(open, f)
		out.Movies[i] = f
	}
	if pack != nil {
		folder := run.Scratch.Path("render." + pack.Name)
		if w.vod.Zip {
			folder = filepath.Join(folder, packageFolder)
		}
		w.sink = &packageSink{folder: folder}
		out.Package = &hls.PackageOptions{Sink: w.sink, SingleFile: w.vod.Segments == capture.SegmentsSingleFile,
			Storyboard: &hls.Storyboard{Stills: w.sink.stills, PosterAt: 2 * time.Second, PosterWidth: 1280}}
	}
	w.watch(w.timeline.End.Duration())
	res, err = w.timeline.Write(ctx, out)
	w.files.done = nil
	if err != nil {
		return nil, err
	}
	if pack != nil && w.vod.Zip {
		err = zipFolder(ctx, w.sink.folder, run.Scratch.Path("render."+pack.Name, pack.File))
	}
	return res, err
}

// watch reports progress by the bytes of the files that are done: those that were looked at are all read again.
func (w *timelineWriter) watch(length time.Duration) {
	var done int64
	total := max(w.files.total(), 1)
	w.files.done = func(bytes int64) {
		done = min(done+bytes, total)
		w.progress(pipeline.Progress{Done: done, Total: total, Media: length * time.Duration(done*1000/total) / 1000})
	}
}

// packageMade is what is remembered of a package.
func (w *timelineWriter) packageMade(run *pipeline.Run, p *product, res *hls.Result, start time.Duration) (rendered, error) {
	out := rendered{Duration: res.Duration, Start: start, Sync: joinsOf(w.timeline)}
	for _, l := range res.Layers {
		if l.Dir == "" {
			continue
		}
		out.Layers++
		if l.Width*l.Height > out.Width*out.Height {
			out.Width, out.Height, out.Pictures = l.Width, l.Height, l.Dir+"/index.m3u8"
		}
	}
	for _, d := range res.Defects {
		out.Defects = append(out.Defects, dumpDefect(d))
	}
	folder := run.Scratch.Path("render." + p.Name)
	err := filepath.WalkDir(folder, func(_ string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		out.Files++
		out.Size += info.Size()
		return nil
	})
	if err != nil {
		return out, fmt.Errorf("count the files of the package: %w", err)
	}
	return out, nil
}

// joinReport is a place where the time line of a live stream was closed, in an asset's sync report.
type joinReport struct {
	Kind string    `json:"join"`
	AtMS int64     `json:"at_ms"` // of the asset
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
}

// joinsOf is the sync report of a time line, nil without joins.
func joinsOf(t *hls.Timeline) json.RawMessage {
	var list []joinReport
	for _, j := range t.Joins {
		list = append(list, joinReport{Kind: string(j.Kind), AtMS: j.At.Duration().Milliseconds(), From: j.From, To: j.To})
	}
	if list == nil {
		return nil
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil // times outside of what JSON knows
	}
	return text
}

// publishRank orders a package's files: playlists come after all that they name.
func publishRank(name, main string) int {
	switch {
	case name == main:
		return 2
	case strings.HasSuffix(name, ".m3u8"):
		return 1
	}
	return 0
}
