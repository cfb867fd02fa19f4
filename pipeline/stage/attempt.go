package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"rushes/catalog"
	"rushes/catalog/blob"
	"rushes/pipeline"
	"rushes/pipeline/child"
)

// attempt is one attempt at a capture's job, in the process that holds the claim. What touches media goes through
// steps.
type attempt struct {
	cfg     *Config
	steps   Steps
	job     catalog.Job
	capture string          // path of the capture
	outputs json.RawMessage // what to change in its outputs
	only    []string        // keys of the assets to make; empty means all
	last    bool            // no attempt comes after this one
	isReady func() error    // asked once the capture is open; nil for always
	fanOut  time.Duration   // composites from this length on are made in parts; zero = none

	opened *opened
	works  []*work
	assets []catalog.Asset
	noted  time.Time // when progress was last written to the catalog
	usage  catalog.Usage
}

// Steps runs the steps of jobs that touch media: [Local] in this process, [Children] in processes of their own.
type Steps interface {
	// Step runs one step to its end. report is called from one goroutine at a time.
	Step(ctx context.Context, req StepRequest, report func(StepReport)) (StepResult, error)
}

func (a *attempt) claim() catalog.Claim {
	return catalog.Claim{JobID: a.job.ID, Fence: a.job.Fence}
}

// run makes everything that is not there yet, in the job's scratch folder, which the caller has locked.
func (a *attempt) run(ctx context.Context, scratch *pipeline.Scratch) error {
	run := &pipeline.Run{JobID: a.job.ID, Attempt: a.job.Attempts, Scratch: scratch, Observer: a.cfg.Observer}
	stages := []pipeline.Stage{pipeline.StageFunc("open", a.open)}
	if a.fanOut > 0 {
		stages = append(stages, pipeline.StageFunc("plan", a.plan))
	}
	err := pipeline.Execute(ctx, run, append(stages,
		pipeline.StageFunc("render", a.render),
		pipeline.StageFunc("thumbnails", a.thumbnails),
		pipeline.StageFunc("publish", a.publish),
		pipeline.StageFunc("register", a.register))...)
	if errors.Is(err, catalog.ErrClaimLost) || errors.Is(context.Cause(ctx), catalog.ErrClaimLost) {
		err = errors.Join(err, a.discard(context.WithoutCancel(ctx)))
	}
	return err
}

// step fills in what all requests have, runs the step, and counts what it took.
func (a *attempt) step(ctx context.Context, run *pipeline.Run, req StepRequest, report func(StepReport)) (StepResult, error) {
	req.JobID, req.Attempt, req.Capture, req.Outputs, req.Settings = a.job.ID, a.job.Attempts, a.capture, a.outputs, a.cfg.Settings
	req.Scratch = run.Scratch.Path()
	result, err := a.steps.Step(ctx, req, report)
	a.usage.CPU += result.Usage.CPU
	a.usage.Memory = max(a.usage.Memory, result.Usage.Memory)
	return result, err
}

// open reads the capture, unless that has been done, and looks for what an earlier attempt has made.
func (a *attempt) open(ctx context.Context, run *pipeline.Run) error {
	if a.opened == nil {
		result, err := a.step(ctx, run, StepRequest{Step: StepOpen}, nil)
		if err != nil {
			return err
		}
		if err := a.believe(ctx, result.Opened); err != nil {
			return err
		}
		a.opened = result.Opened
	}
	if a.isReady != nil {
		if err := a.isReady(); err != nil {
			return err
		}
	}
	for _, i := range a.opened.Items {
		if len(a.only) == 0 || slices.Contains(a.only, i.Asset.Key) {
			a.works = append(a.works, &work{item: i})
		}
	}
	if len(a.works) == 0 {
		return pipeline.Permanent(fmt.Errorf("none of the %d assets that are asked for can be made of the capture", len(a.only)))
	}
	// Only under the lock: who had it before may have made everything.
	return a.findMade(ctx)
}

// findMade looks for assets that an earlier attempt has completed and whose bytes are still there.
func (a *attempt) findMade(ctx context.Context) error {
	for _, w := range a.works {
		made, err := a.cfg.Catalog.AssetByKey(ctx, w.Asset.Key)
		if errors.Is(err, catalog.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look for asset %s: %w", w.Name, err)
		}
		if a.job.Generation > 0 && made.JobID != a.job.ID {
			w.before = made.ID
			if made.Status == catalog.AssetFailed { // the catalog replaces completed ones by itself
				w.Asset.Supersedes = made.ID
			}
			continue
		}
		if made.Status != catalog.AssetCompleted {
			continue
		}
		size, err := storedSize(ctx, a.cfg.Blobs, made.Path)
		switch {
		case errors.Is(err, blob.ErrNotFound) || err == nil && size != made.Size:
			w.Asset.Path = made.Path // the bytes are made good where the catalog says that they are
		case err != nil:
			return fmt.Errorf("look for the bytes of asset %s: %w", made.ID, err)
		default:
			w.made = &made
		}
	}
	return nil
}

// render has every item's file written. A child that dies costs the attempt; with the last one, it costs the asset
// that it was at, and the others are made without it.
func (a *attempt) render(ctx context.Context, run *pipeline.Run) error {
	a.note(ctx, "render", 0)
	for {
		var names []string
		for _, w := range a.todo() {
			if w.Size == 0 {
				names = append(names, w.Name)
			}
		}
		if len(names) == 0 {
			return nil
		}
		at := names[0]
		result, err := a.step(ctx, run, StepRequest{Step: StepRender, Items: names}, func(r StepReport) {
			if slices.Contains(names, r.Item) {
				at = r.Item
			}
			if r.Progress != nil {
				run.Progress(*r.Progress)
				a.noteRender(ctx, slices.Index(names, at), len(names), *r.Progress)
			}
		})
		a.take(result.Rendered)
		if err == nil {
			continue
		}
		if !a.last || !died(err) || ctx.Err() != nil {
			return err
		}
		a.byName(at).failure = pipeline.Permanent(fmt.Errorf("%s: %w", at, err))
	}
}

// died reports whether an error says that a child process has died.
func died(err error) bool {
	var death *child.Death
	return errors.As(err, &death)
}

// take puts what was rendered to the works.
func (a *attempt) take(made map[string]outcome) {
	for name, o := range made {
		w := a.byName(name)
		if w == nil {
			continue
		}
		w.rendered = o.Rendered.credible()
		if o.Failure != nil {
			w.failure = fmt.Errorf("%w", o.Failure)
		}
		if a.cfg.Meter != nil && o.Failure == nil {
			a.cfg.Meter.Rendered(w.Asset.Type, o.Rendered.Size, o.Rendered.Duration, o.CPU)
		}
	}
}

func (a *attempt) byName(name string) *work {
	for _, w := range a.works {
		if w.Name == name {
			return w
		}
	}
	return nil
}

// thumbnails has the stills taken of every item that has pictures.
func (a *attempt) thumbnails(ctx context.Context, run *pipeline.Run) error {
	a.note(ctx, "thumbnails", renderDone)
	var films []film
	for _, w := range a.todo() {
		switch {
		case !w.Stills.Enabled || len(w.Stills.Offsets) == 0:
		case w.Width == 0:
			w.thumbs = thumbs{Note: noPictures}
		default:
			films = append(films, film{Name: w.Name, File: w.File, Key: w.Key, Stills: w.Stills, Pictures: w.Pictures})
		}
	}
	if len(films) == 0 {
		return nil
	}
	result, err := a.step(ctx, run, StepRequest{Step: StepThumbnails, Films: films}, nil)
	if err != nil && (!a.last || !died(err) || ctx.Err() != nil) {
		return err
	}
	for _, f := range films {
		w := a.byName(f.Name)
		if w.thumbs = result.Thumbs[f.Name].credible(len(f.Stills.Offsets)); err != nil {
			w.thumbs = thumbs{Note: oneLine(err)}
		}
	}
	return nil
}

// The shares of the stages in a job's progress, in thousandths: where each begins.
const (
	renderDone = 900
	stillsDone = 950
	putDone    = 990
)

// note writes into the catalog where the job is. A failure to do so is no failure of the job: a lost claim is seen by
// the heartbeat.
func (a *attempt) note(ctx context.Context, stage string, permille int) {
	a.noted = time.Now()
	_ = a.cfg.Catalog.UpdateJob(ctx, a.claim(), stage, permille)
}

// noteRender notes how far rendering is, once a second at most.
func (a *attempt) noteRender(ctx context.Context, index, total int, p pipeline.Progress) {
	if p.Total <= 0 || time.Since(a.noted) < time.Second {
		return
	}
	share := renderDone / max(total, 1)
	a.note(ctx, "render", max(index, 0)*share+int(min(p.Done*int64(share)/p.Total, int64(share))))
}

// todo is what is neither there already nor failed.
func (a *attempt) todo() []*work {
	return slices.DeleteFunc(slices.Clone(a.works), func(w *work) bool { return w.made != nil || w.failure != nil })
}

// register puts all assets into the catalog at once. A making again that failed leaves what there was.
func (a *attempt) register(ctx context.Context, _ *pipeline.Run) error {
	a.note(ctx, "register", putDone)
	var fresh []catalog.Asset
	var from []*work
	for _, w := range a.works {
		if w.made == nil && (w.failure == nil || a.job.Generation == 0) {
			fresh, from = append(fresh, w.register(a.cfg.Software)), append(from, w)
		}
	}
	registered, err := a.cfg.Catalog.RegisterAssets(ctx, a.claim(), fresh)
	if err != nil {
		return fmt.Errorf("register %d assets: %w", len(fresh), err)
	}
	for i := range from {
		from[i].made = &registered[i]
	}
	for _, w := range a.works {
		if w.made != nil {
			a.assets = append(a.assets, *w.made)
		}
	}
	return nil
}

func (a *attempt) firstFailure() error {
	for _, w := range a.works {
		if w.failure != nil {
			return w.failure
		}
	}
	return nil
}

// defects are those of the capture, once it was opened, and what could not be made again.
func (a *attempt) defects() []catalog.Defect {
	if a.opened == nil {
		return nil
	}
	return append(slices.Clone(a.opened.Defects), a.notMade()...)
}
