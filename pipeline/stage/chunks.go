package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"rushes/catalog"
	"rushes/layout"
	"rushes/pipeline"
	"rushes/transcode"
)

// chunkMade is what is remembered of a chunk.
type chunkMade struct {
	File    string
	Size    int64
	Bad     int // pictures that did not decode
	Defects []catalog.Defect
}

// chunkDefects are those of all chunks, each once.
func chunkDefects(chunks []chunkMade) []catalog.Defect {
	var out []catalog.Defect
	bad := 0
	for _, c := range chunks {
		bad += c.Bad
		for _, d := range c.Defects {
			if !slices.Contains(out, d) {
				out = append(out, d)
			}
		}
	}
	if bad > 0 {
		out = append(out, catalog.Defect{Kind: transcode.DefectUndecodable, Detail: fmt.Sprintf("%d pictures do not decode; the one before stays", bad)})
	}
	return out
}

const chunkFile = "chunk.mp4"

// chunks renders all chunks that are not there yet: every processor takes a run of them that follow on each other,
// so that its tracks are read and decoded once.
func (c *composer) chunks(ctx context.Context, run *pipeline.Run, key string, comp *transcode.Composite, progress func(pipeline.Progress)) ([]chunkMade, error) {
	list := comp.Chunks(c.settings.Chunk)
	workers := min(runtime.GOMAXPROCS(0), len(list))
	oneThread(comp, workers)
	w := &chunkWork{run: run, key: key, comp: comp, list: list, made: make([]chunkMade, len(list)), progress: progress}
	group, gctx := errgroup.WithContext(ctx)
	for i := range workers {
		group.Go(func() error { return w.some(gctx, w.share(i, workers), w.share(i+1, workers)) })
	}
	return w.made, group.Wait()
}

// oneThread lets x264 use one thread where the chunks are what runs side by side, and where there is one processor.
func oneThread(comp *transcode.Composite, workers int) {
	if workers > 1 || runtime.GOMAXPROCS(0) == 1 {
		comp.Threads = 1
	}
}

// share is the first chunk of one of n workers: all have about as many frames.
func (w *chunkWork) share(i, n int) int {
	at := slices.IndexFunc(w.list, func(c transcode.Chunk) bool { return c.First*int64(n) >= w.comp.Plan.Frames*int64(i) })
	if at < 0 {
		return len(w.list)
	}
	return at
}

// chunkWork is the chunks of a composite, shared by the goroutines that render them.
type chunkWork struct {
	run      *pipeline.Run
	key      string
	comp     *transcode.Composite
	list     []transcode.Chunk
	made     []chunkMade
	mu       sync.Mutex
	done     int64 // frames
	progress func(pipeline.Progress)
	finished func(i int) // a chunk is there; nil for nobody
}

// some renders the chunks from one to before another.
func (w *chunkWork) some(ctx context.Context, from, to int) (err error) {
	r, err := transcode.NewRenderer(w.comp)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for i := from; i < to; i++ {
		if err := w.one(ctx, r, i); err != nil {
			return err
		}
	}
	return nil
}

func chunkKey(composite string, plan layout.Plan, chunk transcode.Chunk) (string, error) {
	return pipeline.ContentKey(composite, plan, chunk)
}

func chunkName(i int) string { return fmt.Sprintf("composite.chunk.%04d", i) }

func (w *chunkWork) one(ctx context.Context, r *transcode.Renderer, i int) error {
	chunk, plan := w.list[i], w.comp.Plan
	key, err := chunkKey(w.key, plan, chunk)
	if err != nil {
		return err
	}
	before := int64(0)
	report := func(frames int64) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.done += frames - before
		before = frames
		w.progress(pipeline.Progress{Done: w.done, Total: plan.Frames, Media: time.Duration(w.done) * time.Second / time.Duration(plan.Canvas.FPS)})
	}
	made, reused, err := pipeline.Remember(ctx, w.run, chunkName(i), key, func(ctx context.Context, run *pipeline.Run) (_ chunkMade, err error) {
		folder, err := run.Scratch.Dir(chunkName(i))
		if err != nil {
			return chunkMade{}, err
		}
		f, err := os.Create(folder + "/" + chunkFile)
		if err != nil {
			return chunkMade{}, fmt.Errorf("make the file of a chunk: %w", err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		res, err := r.Chunk(ctx, chunk, f, report)
		if err != nil {
			return chunkMade{}, err
		}
		made := chunkMade{File: chunkFile, Size: res.Size, Bad: res.Bad}
		for _, d := range res.Defects {
			made.Defects = append(made.Defects, catalog.Defect{Kind: d.Kind, Detail: d.Detail, Track: d.File})
		}
		return made, nil
	})
	if reused {
		report(chunk.End - chunk.First)
	}
	w.made[i] = made
	if err == nil && w.finished != nil {
		w.finished(i)
	}
	return err
}
