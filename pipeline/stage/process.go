package stage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"rushes/catalog"
	"rushes/catalog/blob"
	"rushes/pipeline"
	"rushes/pipeline/capture"
	"rushes/transcode"
)

// Catalog is what the stages need of the catalog.
type Catalog interface {
	// BeginJob and the other methods do what sqlstore.Store says of them; all may be repeated.
	BeginJob(ctx context.Context, job catalog.Job) (catalog.Job, error)
	UpdateJob(ctx context.Context, id, stage string, permille int) error
	FinishJob(ctx context.Context, id string, state catalog.JobState, failure *catalog.AssetError, defects []catalog.Defect) error
	JobByID(ctx context.Context, id string) (catalog.Job, error)
	ListAssets(ctx context.Context, f catalog.Filter) ([]catalog.Asset, error)
	AssetByKey(ctx context.Context, key string) (catalog.Asset, error)
	RegisterAssets(ctx context.Context, jobID string, assets []catalog.Asset) ([]catalog.Asset, error)
}

// Config is what Process works with. All fields but Observer, Waiting, Video, Audio and StillFormat are required.
type Config struct {
	Catalog  Catalog
	Blobs    blob.Store
	Scratch  string // folder of all jobs' scratch folders
	Software string // version of Rushes, kept with every asset
	Observer pipeline.Observer
	// Waiting is called once when another process works at the same capture, before Process waits for it; nil is fine.
	Waiting func()

	Video       transcode.VideoSettings
	Audio       transcode.AudioSettings
	StillFormat transcode.StillFormat // empty = PNG
	Chunk       time.Duration         // about how much of a composite is rendered at a time; zero = 1 min
}

// Outcome is what became of a capture.
type Outcome struct {
	Job          catalog.Job
	Assets       []catalog.Asset // completed and failed ones, in the order of the products
	Made, Failed int
}

// Process makes the assets of an open capture that its manifest's outputs ask for. Assets that are there already,
// catalog row and bytes, are given back as they are. While another process works at the same capture, Process
// waits for it, until ctx ends, and then takes what it has made. The error is that of the first product when none could be
// made, or the trouble that ended the job; some failed products among others are in the Outcome only.
func Process(ctx context.Context, cfg Config, c *capture.Capture, uri string) (_ Outcome, err error) {
	products, err := products(ctx, c, &cfg)
	if err != nil {
		return Outcome{}, err
	}
	job, err := cfg.Catalog.BeginJob(ctx, newJob(c, uri))
	if err != nil {
		return Outcome{}, fmt.Errorf("begin the job of %s: %w", c.Name, err)
	}
	j := &jobRun{cfg: cfg, capture: c, job: job, products: products}
	defer func() {
		// The job's end is written down even when ctx is what ended it.
		err = errors.Join(err, j.finish(context.WithoutCancel(ctx), err))
	}()
	if err := j.run(ctx); err != nil {
		return Outcome{Job: job}, err
	}
	out := Outcome{Assets: j.assets}
	for _, a := range j.assets {
		if a.Status == catalog.AssetCompleted {
			out.Made++
		} else {
			out.Failed++
		}
	}
	if out.Made == 0 {
		err = j.firstFailure()
	}
	out.Job, err = j.jobNow(ctx, err)
	return out, err
}

func newJob(c *capture.Capture, uri string) catalog.Job {
	m := c.Manifest
	return catalog.Job{CaptureURI: uri, CaptureKey: c.Key(), RecordingID: m.JobID, RoomID: m.RoomID, SessionID: m.SessionID, TemplateID: m.TemplateID,
		Source: string(m.Source), State: catalog.JobRunning, StartedAt: m.StartedAt.Time, StoppedAt: m.StoppedAt.Time}
}

// jobRun is one attempt at a job.
type jobRun struct {
	cfg      Config
	capture  *capture.Capture
	job      catalog.Job
	products []*product
	assets   []catalog.Asset
	noted    time.Time // when progress was last written to the catalog
	finished bool
}

func (j *jobRun) run(ctx context.Context) (err error) {
	scratch, err := openScratch(ctx, j.cfg.Scratch, j.job.ID, j.cfg.Waiting)
	if err != nil {
		return fmt.Errorf("scratch folder of job %s: %w", j.job.ID, err)
	}
	// Only under the lock: who had it before may have made everything.
	if err := j.findMade(ctx); err != nil {
		return errors.Join(err, scratch.Close())
	}
	run := &pipeline.Run{JobID: j.job.ID, Attempt: j.job.Attempts, Scratch: scratch, Observer: j.cfg.Observer}
	err = pipeline.Execute(ctx, run,
		pipeline.StageFunc("render", j.render),
		pipeline.StageFunc("thumbnails", j.thumbnails),
		pipeline.StageFunc("publish", j.publish),
		pipeline.StageFunc("register", j.register))
	if err != nil {
		return errors.Join(err, scratch.Close())
	}
	if err := scratch.Remove(); err != nil {
		return fmt.Errorf("remove the scratch folder of job %s: %w", j.job.ID, err)
	}
	return nil
}

// findMade looks for assets that an earlier run has completed and whose bytes are still there.
func (j *jobRun) findMade(ctx context.Context) error {
	for _, p := range j.products {
		a, err := j.cfg.Catalog.AssetByKey(ctx, p.asset.Key)
		if errors.Is(err, catalog.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look for asset %s: %w", p.name, err)
		}
		if a.Status != catalog.AssetCompleted {
			continue
		}
		p.asset.Path = a.Path
		info, err := j.cfg.Blobs.Stat(ctx, a.Path)
		if errors.Is(err, blob.ErrNotFound) || err == nil && info.Size != a.Size {
			continue
		}
		if err != nil {
			return fmt.Errorf("look for the bytes of asset %s: %w", a.ID, err)
		}
		p.made = &a
	}
	return nil
}

// render writes every product's file, each once.
func (j *jobRun) render(ctx context.Context, run *pipeline.Run) error {
	j.note(ctx, "render", 0)
	for _, p := range j.todo() {
		key, err := pipeline.ContentKey("render v1", p.asset.Key, p.options)
		if err != nil {
			return err
		}
		p.rendered, _, err = pipeline.Remember(ctx, run, "render."+p.name, key, func(ctx context.Context, run *pipeline.Run) (rendered, error) {
			return j.renderOne(ctx, run, p)
		})
		if err := p.failedBy(ctx, err); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

func (j *jobRun) renderOne(ctx context.Context, run *pipeline.Run, p *product) (_ rendered, err error) {
	folder, err := run.Scratch.Dir("render." + p.name)
	if err != nil {
		return rendered{}, err
	}
	f, err := os.Create(filepath.Join(folder, p.file))
	if err != nil {
		return rendered{}, fmt.Errorf("make the output file: %w", err)
	}
	furthest := pipeline.Progress{}
	r, err := p.render(ctx, run, f, func(progress pipeline.Progress) {
		// A track that turns out not to be fit for copying begins everything again; the bar waits for it.
		progress.Done = min(max(progress.Done, furthest.Done), progress.Total)
		furthest = progress
		run.Progress(progress)
		j.noteRender(ctx, progress)
	})
	if err := errors.Join(err, f.Close()); err != nil {
		return rendered{}, errors.Join(err, os.Remove(f.Name()))
	}
	total := cmp.Or(furthest.Total, r.Size) // a short film is done before it has said anything
	run.Progress(pipeline.Progress{Done: total, Total: total, Media: r.Duration})
	return r, nil
}

// The shares of the stages in a job's progress, in thousandths: where each begins.
const (
	renderDone = 900
	stillsDone = 950
	putDone    = 990
)

// note writes into the catalog where the job is. A failure to do so is no failure of the job.
func (j *jobRun) note(ctx context.Context, stage string, permille int) {
	j.noted = time.Now()
	_ = j.cfg.Catalog.UpdateJob(ctx, j.job.ID, stage, permille)
}

// noteRender notes how far rendering is, once a second at most.
func (j *jobRun) noteRender(ctx context.Context, p pipeline.Progress) {
	if p.Total > 0 && time.Since(j.noted) >= time.Second {
		j.note(ctx, "render", int(min(p.Done*renderDone/p.Total, renderDone)))
	}
}

// todo is what is neither there already nor failed.
func (j *jobRun) todo() []*product {
	return slices.DeleteFunc(slices.Clone(j.products), func(p *product) bool { return p.made != nil || p.failure != nil })
}

// register puts all assets into the catalog at once.
func (j *jobRun) register(ctx context.Context, _ *pipeline.Run) error {
	j.note(ctx, "register", putDone)
	var fresh []catalog.Asset
	for _, p := range j.products {
		if p.made == nil {
			fresh = append(fresh, p.register(j.cfg.Software))
		}
	}
	registered, err := j.cfg.Catalog.RegisterAssets(ctx, j.job.ID, fresh)
	if err != nil {
		return fmt.Errorf("register %d assets: %w", len(fresh), err)
	}
	j.assets = j.assets[:0]
	for _, p := range j.products {
		if p.made != nil {
			j.assets = append(j.assets, *p.made)
			continue
		}
		j.assets = append(j.assets, registered[0])
		registered = registered[1:]
	}
	return nil
}

func (j *jobRun) firstFailure() error {
	for _, p := range j.products {
		if p.failure != nil {
			return p.failure
		}
	}
	return nil
}

// finish writes the job's end into the catalog, unless jobNow has done so. An interrupted job stays as it is:
// the next run takes it up.
func (j *jobRun) finish(ctx context.Context, failure error) error {
	if j.finished || pipeline.KindOf(failure) == pipeline.KindInterrupted {
		return nil
	}
	j.finished = true
	state, reason := catalog.JobCompleted, (*catalog.AssetError)(nil)
	if failure != nil {
		state, reason = catalog.JobFailed, assetError(failure)
	}
	if err := j.cfg.Catalog.FinishJob(ctx, j.job.ID, state, reason, captureDefects(j.capture.Defects)); err != nil {
		return fmt.Errorf("finish job %s: %w", j.job.ID, err)
	}
	return nil
}

// jobNow ends the job and reads its row back.
func (j *jobRun) jobNow(ctx context.Context, failure error) (catalog.Job, error) {
	if err := j.finish(ctx, failure); err != nil {
		return j.job, errors.Join(failure, err)
	}
	job, err := j.cfg.Catalog.JobByID(ctx, j.job.ID)
	if err != nil {
		return j.job, errors.Join(failure, fmt.Errorf("read job %s: %w", j.job.ID, err))
	}
	return job, failure
}
