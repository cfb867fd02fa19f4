package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"rushes/catalog"
	"rushes/catalog/blob"
	"rushes/pipeline"
	"rushes/pipeline/capture"
)

// Catalog is what the stages need of the catalog; sqlstore.Store says what its methods do. All may be repeated.
type Catalog interface {
	pipeline.Jobs
	// AddJob and SeizeJob are for Process, which makes its job and claims it at once.
	AddJob(ctx context.Context, job catalog.Job, dispatch bool) (_ catalog.Job, created bool, _ error)
	SeizeJob(ctx context.Context, id, worker string) (catalog.Job, error)
	UpdateJob(ctx context.Context, claim catalog.Claim, stage string, permille int) error
	ListJobs(ctx context.Context, f catalog.JobFilter) ([]catalog.Job, error)
	Attempts(ctx context.Context, jobID string) ([]catalog.AttemptRecord, error)
	AssetByKey(ctx context.Context, key string) (catalog.Asset, error)
	RegisterAssets(ctx context.Context, claim catalog.Claim, assets []catalog.Asset) ([]catalog.Asset, error)
	ReservePlace(ctx context.Context, claim catalog.Claim, assetKey, path string) error
	Strays(ctx context.Context, limit int) ([]catalog.Place, error)
	ForgetPlaces(ctx context.Context, paths []string) error
	Lease(ctx context.Context, name, holder string, ttl time.Duration) (bool, error)
	Release(ctx context.Context, name, holder string) error
}

// Meter counts what is made. Its methods are safe for concurrent use and do not block.
type Meter interface {
	// Rendered is called for every asset's file that was written: its size in bytes, the media's length, and the
	// processor time that it took.
	Rendered(t catalog.AssetType, bytes int64, media, cpu time.Duration)
	// Died is called for every child process that died, with the reason.
	Died(reason string)
}

// Config is what Process and Worker work with. Catalog, Blobs, Scratch and Software are required.
type Config struct {
	Catalog  Catalog
	Blobs    blob.Store
	Scratch  string            // folder of all jobs' scratch folders
	Software string            // version of Rushes, kept with every asset
	Observer pipeline.Observer // nil for nobody
	Meter    Meter             // nil for nobody
	// Waiting is called once when another process works at the same capture, before Process waits for it; nil is fine.
	Waiting func()
	// Asked is what was asked for beside the manifest, which Process keeps with its job: it is not looked at otherwise.
	Asked Options

	Settings
}

// Outcome is what became of a capture.
type Outcome struct {
	Job          catalog.Job
	Assets       []catalog.Asset // completed and failed ones, in the order of the products
	Made, Failed int
}

// localWorker names the claims of Process.
const localWorker = "process"

// Process makes the assets of an open capture that its manifest's outputs ask for, in this process. Assets that are
// there already, catalog row and bytes, are given back as they are. While another process works at the same capture,
// Process waits for it, until ctx ends, and then takes what it has made. The error is that of the first product when
// none could be made, or the trouble that ended the job; some failed products among others are in the Outcome only.
func Process(ctx context.Context, cfg Config, c *capture.Capture, uri string) (_ Outcome, err error) {
	local := &Local{Capture: c}
	first, err := local.Step(ctx, StepRequest{Step: StepOpen, Settings: cfg.Settings}, nil)
	if err != nil {
		return Outcome{}, err
	}
	wanted := first.Opened.Job
	wanted.CaptureURI = uri
	if wanted.Options, err = json.Marshal(cfg.Asked); err != nil {
		return Outcome{}, fmt.Errorf("options of %s: %w", c.Name, err)
	}
	job, _, err := cfg.Catalog.AddJob(ctx, wanted, false)
	if err != nil {
		return Outcome{}, fmt.Errorf("begin the job of %s: %w", c.Name, err)
	}
	// The lock on the job's folder says that nobody of this machine works at it; what a dead process has left of a
	// claim is seized.
	scratch, err := openScratch(ctx, cfg.Scratch, job.ID, cfg.Waiting)
	if err != nil {
		return Outcome{Job: job}, fmt.Errorf("scratch folder of job %s: %w", job.ID, err)
	}
	if job, err = cfg.Catalog.SeizeJob(ctx, job.ID, localWorker); err != nil {
		return Outcome{}, errors.Join(fmt.Errorf("begin the job of %s: %w", c.Name, err), scratch.Close())
	}
	a := &attempt{cfg: &cfg, steps: local, job: job, opened: first.Opened, last: true}
	out := Outcome{Job: job}
	err = pipeline.Hold(ctx, cfg.Catalog, a.claim(), func(ctx context.Context) error { return a.run(ctx, scratch) })
	if err == nil {
		out = a.outcome()
	}
	if err == nil && out.Made == 0 {
		err = a.firstFailure()
	}
	// The job's end is written down even when ctx is what ended it.
	ended, endErr := cfg.Catalog.EndAttempt(context.WithoutCancel(ctx), a.claim(), a.ending(err))
	if endErr == nil {
		out.Job = ended
		endErr = CleanStrays(context.WithoutCancel(ctx), cfg.Catalog, cfg.Blobs)
	}
	if endErr != nil {
		endErr = fmt.Errorf("finish job %s: %w", job.ID, endErr)
	}
	err = errors.Join(err, endErr)
	return out, errors.Join(err, leave(scratch, err == nil || out.Made+out.Failed > 0))
}

// leave ends the use of a scratch folder: it goes when nothing in it can be of use any more.
func leave(scratch *pipeline.Scratch, done bool) error {
	if done {
		return errors.Join(os.RemoveAll(scratch.Path()+fetchedSuffix), scratch.Remove())
	}
	return scratch.Close()
}

// outcome counts what there is.
func (a *attempt) outcome() Outcome {
	out := Outcome{Job: a.job, Assets: a.assets}
	for _, x := range a.assets {
		if x.Status == catalog.AssetCompleted {
			out.Made++
		} else {
			out.Failed++
		}
	}
	return out
}

// ending says what becomes of Process's job: nobody tries it again but who runs the command again.
func (a *attempt) ending(err error) catalog.Attempt {
	end := catalog.Attempt{Ending: catalog.EndCompleted, Defects: a.defects(), Usage: a.usage}
	switch {
	case pipeline.KindOf(err) == pipeline.KindInterrupted:
		end.Ending = catalog.EndHandBack
	case err != nil:
		end.Ending, end.Failure = catalog.EndFailed, assetError(err)
	}
	return end
}
