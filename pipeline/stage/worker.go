package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"rushes/catalog"
	"rushes/catalog/blob"
	"rushes/pipeline"
	"rushes/pipeline/capture"
)

// Options are what was asked for beside a capture's manifest: the JSON of catalog.Job.Options.
type Options struct {
	// Outputs changes the manifest's outputs; see capture.Override.
	Outputs json.RawMessage `json:"outputs,omitempty"`
	// Settings change the worker's; a field that is zero leaves it.
	Settings Settings `json:"settings,omitzero"`
	// Only are the keys of the assets to make; empty means all.
	Only []string `json:"only,omitempty"`
	// Part is set on parts only.
	Part *partOptions `json:"part,omitempty"`
}

// WorkerConfig is what a Worker works with beside Config.
type WorkerConfig struct {
	Config
	// Steps gives what runs the steps of a job.
	Steps func(job catalog.Job) Steps
	// Observer gives who is told how a job goes on; nil for nobody. It is taken instead of Config.Observer.
	Observer func(job catalog.Job) pipeline.Observer
	// FanOut is from which length on a composite is made in parts that any worker takes; zero is never.
	FanOut time.Duration
	// Settle is how long the files of a capture whose recorder has not said that it stopped must have been unchanged.
	Settle time.Duration
	// Patience is how long after it was queued a capture that still changes is taken as it is.
	Patience time.Duration
	// Disk says how much space a job needs before it begins. Its Path is that of the scratch folders.
	Disk pipeline.DiskRule
	// Backoff is that of retries.
	Backoff pipeline.Backoff
	// Fetch brings a capture that lies elsewhere to this machine and gives its path; see Fetcher. Without it, captures
	// lie on this machine.
	Fetch func(ctx context.Context, uri string, scratch *pipeline.Scratch) (path string, err error)
}

// Work returns the handler of all jobs, of captures and of parts.
func Work(cfg WorkerConfig) pipeline.Handler {
	return func(ctx context.Context, job catalog.Job, _ catalog.Claim) catalog.Attempt {
		a := &attempt{cfg: &cfg.Config, job: job, last: job.Attempts >= job.MaxAttempts, fanOut: cfg.FanOut}
		err := a.work(ctx, &cfg)
		end := pipeline.AttemptOf(err, job, cfg.Backoff, time.Now())
		var parts *waitForParts
		if errors.As(err, &parts) {
			end = catalog.Attempt{Ending: catalog.EndWaiting, Parts: parts.parts}
		}
		if end.Failure != nil && end.Ending != catalog.EndHandBack {
			end.Failure.Kind = assetError(err).Kind
		}
		end.Defects, end.Usage = a.defects(), a.usage
		return end
	}
}

// work makes the attempt at either kind of job.
func (a *attempt) work(ctx context.Context, cfg *WorkerConfig) (err error) {
	var o Options
	if len(a.job.Options) > 0 {
		if err := json.Unmarshal(a.job.Options, &o); err != nil {
			return pipeline.Permanent(fmt.Errorf("options of job %s: %w", a.job.ID, err))
		}
	}
	own := cfg.Config
	own.Settings = own.Settings.with(o.Settings)
	if cfg.Observer != nil {
		own.Observer = cfg.Observer(a.job)
	}
	a.cfg, a.steps = &own, cfg.Steps(a.job)
	a.outputs, a.only = o.Outputs, o.Only
	a.isReady = func() error {
		if err := cfg.Disk.Check(a.opened.Bytes); err != nil {
			return err
		}
		return unfinished(a, cfg.Settle, cfg.Patience)
	}
	if err := cfg.Disk.Check(0); err != nil { // opening writes the index of the tracks already
		return err
	}
	scratch, err := openScratch(ctx, own.Scratch, a.job.ID, nil)
	if err != nil {
		return fmt.Errorf("scratch folder of job %s: %w", a.job.ID, err)
	}
	if err := a.locate(ctx, cfg, scratch); err != nil {
		return errors.Join(err, leave(scratch, a.over(ctx, err)))
	}
	if o.Part != nil {
		err = a.runPart(ctx, scratch, *o.Part)
		return errors.Join(err, leave(scratch, err == nil || a.over(ctx, err)))
	}
	if err = a.run(ctx, scratch); err == nil && a.outcome().Made == 0 {
		err = a.firstFailure()
	}
	if err != nil && !a.over(ctx, err) {
		return errors.Join(err, leave(scratch, false))
	}
	// What cannot be deleted now is no failure of the job: the sweeper's chores and CleanScratch come to it.
	clean := context.WithoutCancel(ctx)
	_ = errors.Join(shared{store: own.Blobs, job: a.job.ID}.clear(clean), CleanStrays(clean, own.Catalog, own.Blobs), leave(scratch, true))
	return err
}

// over reports whether the job is at its end with this error, or is canceled.
func (a *attempt) over(ctx context.Context, err error) bool {
	if errors.Is(context.Cause(ctx), pipeline.ErrCanceled) {
		return true
	}
	var parts *waitForParts
	switch pipeline.KindOf(err).Outcome() {
	case pipeline.Finish, pipeline.Fail:
		return true
	case pipeline.Retry:
		var later *pipeline.NotReadyError
		return a.last && !errors.As(err, &later) && !errors.As(err, &parts) && !errors.Is(err, catalog.ErrClaimLost)
	}
	return false
}

// with gives settings in which those of o that are set stand before s's.
func (s Settings) with(o Settings) Settings {
	if o.Video.CRF != 0 {
		s.Video.CRF = o.Video.CRF
	}
	if o.Video.Preset != "" {
		s.Video.Preset = o.Video.Preset
	}
	if o.Video.KeyInterval != 0 {
		s.Video.KeyInterval = o.Video.KeyInterval
	}
	s.Video.Encode = s.Video.Encode || o.Video.Encode
	if o.Audio.BitRate != 0 {
		s.Audio.BitRate = o.Audio.BitRate
	}
	if o.StillFormat != "" {
		s.StillFormat = o.StillFormat
	}
	if o.Chunk != 0 {
		s.Chunk = o.Chunk
	}
	return s
}

// unfinished says that a capture is still being written, while there is patience with it. How long to wait grows
// with the time that has been waited.
func unfinished(a *attempt, settle, patience time.Duration) error {
	if a.opened.Stopped || a.opened.Changed.IsZero() {
		return nil
	}
	now := time.Now()
	quiet, waited := now.Sub(a.opened.Changed), now.Sub(a.job.CreatedAt)
	if quiet < 0 || quiet >= settle || waited >= patience {
		return nil // a clock that is ahead says nothing
	}
	return &pipeline.NotReadyError{After: max(settle-quiet, min(waited/2, 5*time.Minute), time.Second),
		Err: fmt.Errorf("the capture is still being written: no stopped_at, and a file changed %v ago", quiet.Round(time.Second))}
}

// LocalPath gives the path of a capture on this machine from its address: a path or a file:// address.
func LocalPath(uri string) string {
	const scheme = "file://"
	if len(uri) > len(scheme) && uri[:len(scheme)] == scheme {
		return uri[len(scheme):]
	}
	return uri
}

// NewJob makes the job of a capture as it is to be queued: the capture is opened and closed, and what can be known to
// be wrong with it, or with the options, is refused. The address is made absolute.
func NewJob(ctx context.Context, uri string, o Options) (_ catalog.Job, err error) {
	c, err := capture.Open(ctx, LocalPath(uri))
	if err != nil {
		return catalog.Job{}, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	address, err := filepath.Abs(LocalPath(uri))
	if err != nil {
		return catalog.Job{}, fmt.Errorf("address of capture %s: %w", uri, err)
	}
	return newJob(c, address, o)
}

// newJob makes the job of an open capture at this address.
func newJob(c *capture.Capture, uri string, o Options) (_ catalog.Job, err error) {
	if err := c.Override(o.Outputs); err != nil {
		return catalog.Job{}, err
	}
	if _, err := makersOf(c); err != nil {
		return catalog.Job{}, err
	}
	job := jobOf(c)
	job.CaptureURI = uri
	if job.Options, err = json.Marshal(o); err != nil {
		return job, fmt.Errorf("options of capture %s: %w", uri, err)
	}
	job.Cost = costOf(c)
	return job, nil
}

// costOf estimates what a capture's job takes of a machine: encoding a picture uses what processors there are, copying
// one of them.
func costOf(c *capture.Capture) catalog.Cost {
	cost := catalog.Cost{CPU: 1000, Memory: 256 << 20}
	for _, asset := range c.Manifest.Outputs.Assets {
		if asset == capture.AssetRoomVOD { // it is made of the composite
			switch c.Manifest.Source {
			case capture.SourceSFU:
				asset = capture.AssetRoomCompositeLegacy
			case capture.SourceBeam:
				asset = capture.AssetRoomComposite
			}
		}
		switch asset {
		case capture.AssetRoomCompositeLegacy:
			o := &c.Manifest.Outputs.Composition
			const frames = 200 // that are on their way in encoders and decoders
			cost.CPU = 2000
			cost.Memory = max(cost.Memory, 256<<20+int64(o.Width)*int64(o.Height)*3/2*frames)
		case capture.AssetRoomComposite:
			if c.Manifest.Source == capture.SourceLiveStream {
				continue // copied
			}
			cost.CPU = 2000
			cost.Memory = max(cost.Memory, 512<<20)
		}
	}
	return cost
}

// isMissing reports whether an error says that an object is not in the store.
func isMissing(err error) bool { return errors.Is(err, blob.ErrNotFound) }
