package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"rushes/catalog"
	"rushes/pipeline"
	"rushes/pipeline/capture"
	"rushes/transcode"
)

// StepName is the name of a step: a piece of a job that touches media, and runs in a process of its own.
type StepName string

// The steps of a job.
const (
	StepOpen       StepName = "open"       // read the capture and list what is to be made
	StepPlan       StepName = "plan"       // plan a composite and list its units, without the pictures
	StepUnits      StepName = "units"      // make some units of a composite
	StepRender     StepName = "render"     // make assets' files
	StepThumbnails StepName = "thumbnails" // take stills of files that were made
)

// Settings say how media are encoded. The zero value of a field leaves it to the worker, then to the default.
type Settings struct {
	Video       transcode.VideoSettings
	Audio       transcode.AudioSettings
	StillFormat transcode.StillFormat // empty = PNG
	Chunk       time.Duration         // about how much of a composite is rendered at a time; zero = 1 min
}

// StepRequest is all that a step needs to know. It goes to a child process as JSON.
type StepRequest struct {
	Step     StepName
	JobID    string
	Attempt  int
	Capture  string          // path of the capture
	Outputs  json.RawMessage `json:",omitempty"` // what to change in the manifest's outputs; see capture.Override
	Settings Settings
	Scratch  string   // the job's scratch folder, which the caller has locked
	Items    []string `json:",omitempty"` // names of the assets to make
	Units    []string `json:",omitempty"` // names of the units to make
	Films    []film   `json:",omitempty"` // of which to take stills
}

// film is a rendered file that stills are wanted of.
type film struct {
	Name   string
	File   string
	Key    string
	Stills stillsWanted
	// Pictures is, of a package, the playlist of its highest layer.
	Pictures string `json:",omitempty"`
}

// StepReport is sent while a step runs.
type StepReport struct {
	// Item is the asset at work; a report with only it says that it begins.
	Item string `json:",omitempty"`
	// Progress is how far the step, or the asset, is.
	Progress *pipeline.Progress `json:",omitempty"`
	// Unit is the name of a unit that has just been finished.
	Unit string `json:",omitempty"`
}

// StepResult is what a step has found or made; the files are in the scratch folder.
type StepResult struct {
	Opened   *opened            `json:",omitempty"`
	Plan     *planned           `json:",omitempty"`
	Rendered map[string]outcome `json:",omitempty"` // by name of the item
	Thumbs   map[string]thumbs  `json:",omitempty"` // by name of the item
	// Usage is what the step took where it ran in a process of its own; it is set beside an error too.
	Usage catalog.Usage `json:"-"`
}

// opened is what is known of a capture once it is open.
type opened struct {
	Key     string
	Job     catalog.Job // what the capture says of its job
	Defects []catalog.Defect
	Items   []item
	Bytes   int64     // of all its files
	Changed time.Time // when a file changed last, zero when unknown
	Stopped bool      // the recorder has said that it stopped, or the capture cannot say
}

// outcome is what became of an item that was to be rendered.
type outcome struct {
	Rendered rendered
	Failure  *Failure      `json:",omitempty"`
	CPU      time.Duration // of the process, while it was made
}

// RunStep runs one step in this process: it opens the capture and closes it. report may be nil.
func RunStep(ctx context.Context, req StepRequest, report func(StepReport)) (_ StepResult, err error) {
	if req.Step == StepThumbnails {
		return (&workroom{}).step(ctx, req, report) // needs no capture
	}
	c, err := capture.Open(ctx, req.Capture)
	if err != nil {
		return StepResult{}, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := c.Override(req.Outputs); err != nil {
		return StepResult{}, err
	}
	return (&workroom{capture: c}).step(ctx, req, report)
}

// Local runs steps in this process, on a capture that the caller has opened and closes. Requests' Capture and Outputs
// are not looked at. It is not safe for concurrent use.
type Local struct {
	// Capture is the open capture.
	Capture *capture.Capture

	room *workroom // what was found out by earlier steps
}

// Step runs a step.
func (l *Local) Step(ctx context.Context, req StepRequest, report func(StepReport)) (StepResult, error) {
	if l.room == nil {
		l.room = &workroom{capture: l.Capture}
	}
	return l.room.step(ctx, req, report)
}

// workroom is where a process works at a capture's media.
type workroom struct {
	capture *capture.Capture
	from    *material
	list    []*product // nil until the first step that needs it
}

func (r *workroom) step(ctx context.Context, req StepRequest, report func(StepReport)) (StepResult, error) {
	if report == nil {
		report = func(StepReport) {}
	}
	// The sound of a composite and its chunks are made side by side, and all report.
	var one sync.Mutex
	told := report
	report = func(s StepReport) {
		one.Lock()
		defer one.Unlock()
		told(s)
	}
	switch req.Step {
	case StepOpen:
		return r.open(ctx, req)
	case StepRender:
		return inScratch(ctx, req, report, r.renderAll)
	case StepThumbnails:
		return inScratch(ctx, req, report, takeAllThumbs)
	case StepPlan:
		return inScratch(ctx, req, report, r.planComposite)
	case StepUnits:
		return inScratch(ctx, req, report, r.makeUnits)
	}
	return StepResult{}, pipeline.Permanent(fmt.Errorf("step %q is not known to this version", req.Step))
}

// site is a step at work in a scratch folder.
type site struct {
	req    StepRequest
	run    *pipeline.Run
	report func(StepReport)
}

// inScratch runs a step that works in the scratch folder.
func inScratch(ctx context.Context, req StepRequest, report func(StepReport), fn func(context.Context, *site) (StepResult, error)) (result StepResult, err error) {
	scratch, err := pipeline.JoinScratch(req.Scratch)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, scratch.Close()) }()
	run := &pipeline.Run{JobID: req.JobID, Attempt: req.Attempt, Scratch: scratch, Observer: forward(report)}
	err = pipeline.Execute(ctx, run, pipeline.StageFunc(string(req.Step), func(ctx context.Context, run *pipeline.Run) (err error) {
		result, err = fn(ctx, &site{req: req, run: run, report: report})
		return err
	}))
	var wrapped *pipeline.StageError // the caller has a stage of that name
	if errors.As(err, &wrapped) && errors.Is(err, wrapped) {
		err = wrapped.Err
	}
	return result, err
}

// forward passes progress on as reports.
type forward func(StepReport)

func (f forward) StageStarted(string, int, int)          {}
func (f forward) StageDone(string, pipeline.StageResult) {}
func (f forward) Progress(_ string, p pipeline.Progress) { f(StepReport{Progress: &p}) }

// products lists, once, what the capture's outputs ask for.
func (r *workroom) products(ctx context.Context, req StepRequest) (_ []*product, err error) {
	if r.list != nil {
		return r.list, nil
	}
	r.from = &material{capture: r.capture, settings: req.Settings}
	if req.Scratch != "" {
		if r.from.scratch, err = pipeline.JoinScratch(req.Scratch); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, r.from.scratch.Close()) }()
	}
	list, err := products(ctx, r.from)
	if err != nil {
		return nil, err
	}
	for _, p := range list {
		if err := p.setKey(); err != nil {
			return nil, err
		}
	}
	r.list = list
	return list, nil
}

// setKey gives a product the key of all that its file depends on.
func (p *product) setKey() (err error) {
	p.Key, err = pipeline.ContentKey("render v2", p.Asset.Key, p.options)
	return err
}

func (r *workroom) open(ctx context.Context, req StepRequest) (StepResult, error) {
	list, err := r.products(ctx, req)
	if err != nil {
		return StepResult{}, err
	}
	c := r.capture
	o := &opened{Key: c.Key(), Job: jobOf(c), Defects: captureDefects(c.Defects), Stopped: !c.Manifest.StoppedAt.IsZero()}
	for _, p := range list {
		o.Items = append(o.Items, p.item)
	}
	o.Bytes, o.Changed = filesOf(c)
	return StepResult{Opened: o}, nil
}

// filesOf tells how much there is of a capture's files, and when one of them changed last.
func filesOf(c *capture.Capture) (bytes int64, changed time.Time) {
	for name := range c.Manifest.Paths() {
		info, err := c.Stat(name)
		if err != nil {
			continue // opening it says why
		}
		bytes += info.Size()
		if info.ModTime().After(changed) {
			changed = info.ModTime()
		}
	}
	return bytes, changed
}

// jobOf is what a capture says of its job.
func jobOf(c *capture.Capture) catalog.Job {
	m := c.Manifest
	return catalog.Job{CaptureKey: c.Key(), RecordingID: m.JobID, RoomID: m.RoomID, SessionID: m.SessionID, TemplateID: m.TemplateID,
		Source: string(m.Source), StartedAt: m.StartedAt.Time, StoppedAt: m.StoppedAt.Time}
}

// makersOf gives the functions that make the products of each asset type that a source can give.
func makersOf(c *capture.Capture) (map[string]func(context.Context, *material) ([]*product, error), error) {
	makers := map[capture.Source]map[string]func(context.Context, *material) ([]*product, error){
		capture.SourceBeam: {capture.AssetRoomComposite: beamProducts, capture.AssetRoomVOD: packaged(beamProducts)},
		capture.SourceSFU: {capture.AssetTrack: trackProducts, capture.AssetStream: streamProducts, capture.AssetRoomCompositeLegacy: compositeProducts,
			capture.AssetRoomVOD: packaged(compositeProducts)},
		capture.SourceLiveStream: {capture.AssetRoomVOD: liveVOD, capture.AssetRoomComposite: liveComposites},
	}
	bySource, ok := makers[c.Manifest.Source]
	if !ok {
		return nil, &capture.InputError{Field: "source", File: c.Name, Reason: fmt.Sprintf("%q captures cannot be processed by this version", c.Manifest.Source), Hint: "use a beam, sfu or live-stream capture"}
	}
	return bySource, nil
}

// products lists what a capture's outputs ask for.
func products(ctx context.Context, m *material) ([]*product, error) {
	c := m.capture
	bySource, err := makersOf(c)
	if err != nil {
		return nil, err
	}
	var all []*product
	for _, name := range c.Manifest.Outputs.Assets {
		maker, ok := bySource[name]
		if !ok {
			continue // a type that this version does not make yet: the others are made
		}
		made, err := maker(ctx, m)
		if err != nil {
			return nil, err
		}
		all = append(all, made...)
	}
	if len(all) == 0 {
		return nil, &capture.InputError{Field: "outputs.assets", File: c.Name, Reason: fmt.Sprintf("nothing of %v can be made of this capture", c.Manifest.Outputs.Assets)}
	}
	return all, nil
}
