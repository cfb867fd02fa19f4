package stage

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"rushes/layout"
	"rushes/pipeline"
	"rushes/transcode"
)

// planned is a composite in units that can be made one by one, in any process: what render would find remembered.
type planned struct {
	Units  []plannedUnit
	Shared []string // units that those who make the others need: finished already
}

// plannedUnit is the sound, or a chunk, of a composite.
type plannedUnit struct {
	Name   string
	Key    string
	Frames int64 // 0 for the sound
}

// planComposite lists the units of the capture's composite. Where the plan depends on who is heard, the sound is made
// first.
func (r *workroom) planComposite(ctx context.Context, s *site) (StepResult, error) {
	comp, err := r.composite(ctx, s)
	if err != nil {
		return StepResult{}, err
	}
	key, err := comp.key()
	if err != nil {
		return StepResult{}, err
	}
	out := &planned{Shared: []string{indexUnit}}
	plan, err := comp.planFor(ctx, s.run, key)
	if err != nil {
		return StepResult{}, err
	}
	if comp.wantsLevels() {
		out.Shared = append(out.Shared, soundUnit)
	} else {
		out.Units = append(out.Units, plannedUnit{Name: soundUnit, Key: key})
	}
	for i, chunk := range comp.composite(plan).Chunks(comp.settings.Chunk) {
		chunkKey, err := chunkKey(key, plan, chunk)
		if err != nil {
			return StepResult{}, err
		}
		out.Units = append(out.Units, plannedUnit{Name: chunkName(i), Key: chunkKey, Frames: chunk.End - chunk.First})
	}
	return StepResult{Plan: out}, nil
}

// composite gives the composer of the capture's composite.
func (r *workroom) composite(ctx context.Context, s *site) (*composer, error) {
	if _, err := r.products(ctx, s.req); err != nil {
		return nil, err
	}
	if r.from.composer == nil {
		return nil, pipeline.Permanent(errors.New("no composite is asked for"))
	}
	return r.from.composer, nil
}

// planFor makes the plan, and before it the sound where the plan depends on it.
func (c *composer) planFor(ctx context.Context, run *pipeline.Run, key string) (layout.Plan, error) {
	heard := soundMade{}
	if c.wantsLevels() {
		var err error
		if heard, _, err = pipeline.Remember(ctx, run, soundUnit, key, c.sound); err != nil {
			return layout.Plan{}, fmt.Errorf("sound: %w", err)
		}
	}
	return c.plan(heard)
}

// makeUnits makes the units of the composite that are asked for, and reports each as soon as it is finished.
func (r *workroom) makeUnits(ctx context.Context, s *site) (StepResult, error) {
	comp, err := r.composite(ctx, s)
	if err != nil {
		return StepResult{}, err
	}
	key, err := comp.key()
	if err != nil {
		return StepResult{}, err
	}
	if slices.Contains(s.req.Units, soundUnit) {
		if _, _, err := pipeline.Remember(ctx, s.run, soundUnit, key, comp.sound); err != nil {
			return StepResult{}, fmt.Errorf("sound: %w", err)
		}
		s.report(StepReport{Unit: soundUnit})
	}
	if len(s.req.Units) == 1 && s.req.Units[0] == soundUnit {
		return StepResult{}, nil
	}
	plan, err := comp.planFor(ctx, s.run, key)
	if err != nil {
		return StepResult{}, err
	}
	return StepResult{}, someChunks(ctx, s, comp.composite(plan), comp.settings, key)
}

// someChunks renders the chunks that the request names, in runs of such as follow on each other.
func someChunks(ctx context.Context, s *site, comp *transcode.Composite, set Settings, key string) error {
	list := comp.Chunks(set.Chunk)
	var runs [][2]int
	total := int64(0)
	for i, chunk := range list {
		if !slices.Contains(s.req.Units, chunkName(i)) {
			continue
		}
		total += chunk.End - chunk.First
		if n := len(runs); n > 0 && runs[n-1][1] == i {
			runs[n-1][1] = i + 1
			continue
		}
		runs = append(runs, [2]int{i, i + 1})
	}
	workers := min(runtime.GOMAXPROCS(0), len(runs))
	oneThread(comp, workers)
	var reports sync.Mutex
	w := &chunkWork{run: s.run, key: key, comp: comp, list: list, made: make([]chunkMade, len(list)),
		progress: func(p pipeline.Progress) {
			p.Total = total
			s.report(StepReport{Progress: &p})
		},
		finished: func(i int) {
			reports.Lock()
			defer reports.Unlock()
			s.report(StepReport{Unit: chunkName(i)})
		}}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(max(workers, 1))
	for _, run := range runs {
		group.Go(func() error { return w.some(gctx, run[0], run[1]) })
	}
	return group.Wait()
}
