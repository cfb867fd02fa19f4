package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"rushes/catalog"
	"rushes/pipeline"
)

// partOptions say what a part is to do.
type partOptions struct {
	Of     string        // the parent's id, under which units are shared
	Units  []plannedUnit // to be made
	Shared []plannedUnit // that are needed for it, and are in the store
	// Fence is that of the claim that hands it out. Units of a part that is over may be missing again, when the job was
	// cleaned up after and is tried anew: then other parts make them.
	Fence int64
}

// waitForParts is the error of an attempt that goes on when its parts are over.
type waitForParts struct{ parts []catalog.Job }

func (w *waitForParts) Error() string {
	return fmt.Sprintf("waits for its %d parts", len(w.parts))
}

// A part has at least this many frames, so that the start of a process does not matter, but where a composite is
// short, it has fewerParts parts, so that there is something to share.
const (
	partFrames = 1800
	fewerParts = 4
)

// plan hands a long composite out in parts and, once they are over, takes what they have made.
func (a *attempt) plan(ctx context.Context, run *pipeline.Run) error {
	i := slices.IndexFunc(a.todo(), func(w *work) bool { return w.Length >= a.fanOut })
	if i < 0 {
		return nil
	}
	w := a.todo()[i]
	s := shared{store: a.cfg.Blobs, job: a.job.ID, claim: a.claim()}
	earlier, err := a.parts(ctx)
	if err != nil {
		return err
	}
	if err := a.takeParts(ctx, run, s, earlier); err != nil {
		return err
	}
	a.note(ctx, "plan", 0)
	result, err := a.step(ctx, run, StepRequest{Step: StepPlan}, func(r StepReport) {
		if r.Progress != nil {
			run.Progress(*r.Progress)
		}
	})
	if err != nil {
		if a.last && died(err) && ctx.Err() == nil {
			w.failure = pipeline.Permanent(fmt.Errorf("%s: %w", w.Name, err))
			return nil
		}
		if final(ctx, err) {
			w.failure = err
			return nil
		}
		return err
	}
	return a.handOut(ctx, run, s, w, result.Plan, earlier)
}

// madePart is a part as it is now, with what it was to do.
type madePart struct {
	catalog.Job
	options partOptions
}

// parts are all parts that were handed out so far.
func (a *attempt) parts(ctx context.Context) (all []madePart, err error) {
	for f := (catalog.JobFilter{ParentID: a.job.ID}); ; {
		page, err := a.cfg.Catalog.ListJobs(ctx, f)
		if err != nil {
			return nil, fmt.Errorf("look for the parts of job %s: %w", a.job.ID, err)
		}
		for _, p := range page {
			var o Options
			if err := json.Unmarshal(p.Options, &o); err != nil || o.Part == nil {
				return nil, pipeline.Permanent(fmt.Errorf("options of part %s: %w", p.ID, errors.Join(err, catalog.ErrInvalid)))
			}
			all = append(all, madePart{p, *o.Part})
			f.After = p.ID
		}
		if len(page) < catalog.MaxPage {
			return all, nil
		}
	}
}

// takeParts takes the units that finished parts have made.
func (a *attempt) takeParts(ctx context.Context, run *pipeline.Run, s shared, parts []madePart) error {
	for _, p := range parts {
		for _, u := range slices.Concat(p.options.Shared, p.options.Units) {
			if _, err := s.pull(ctx, run.Scratch, u.Name, u.Key); err != nil {
				return err
			}
		}
	}
	return nil
}

// handOut makes parts of the units that are missing. Where a part for a unit has failed for good, so has the
// composite; where there is little to do, it is not worth it.
func (a *attempt) handOut(ctx context.Context, run *pipeline.Run, s shared, w *work, plan *planned, earlier []madePart) error {
	var missing []plannedUnit
	for _, u := range plan.Units {
		done, err := run.Scratch.Done(u.Name, u.Key, nil)
		if err != nil {
			return err
		}
		if !done {
			missing = append(missing, u)
		}
	}
	var err error
	if w.failure, err = a.failedParts(ctx, missing, earlier); w.failure != nil || err != nil {
		return err
	}
	groups := group(missing)
	if len(groups) < 2 && len(earlier) == 0 {
		return nil
	}
	var have []plannedUnit
	for _, name := range plan.Shared {
		mark, done, err := run.Scratch.Unit(name)
		if err == nil && !done {
			err = fmt.Errorf("unit %s is not finished", name)
		}
		if err != nil {
			return err
		}
		if err := s.push(ctx, run.Scratch, name); err != nil {
			return err
		}
		have = append(have, plannedUnit{Name: name, Key: mark.Key})
	}
	var parts []catalog.Job
	for _, units := range groups {
		part, err := a.part(partOptions{Of: a.job.ID, Units: units, Shared: have, Fence: a.job.Fence})
		if err != nil {
			return err
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return nil
	}
	return &waitForParts{parts: parts}
}

// failedParts gives the failure of a part that was to make one of the missing units, if there is one. Where somebody
// asked for the job to be tried again since, those before do not count.
func (a *attempt) failedParts(ctx context.Context, missing []plannedUnit, earlier []madePart) (failure, err error) {
	var latest int64
	for _, p := range earlier {
		latest = max(latest, p.options.Fence)
	}
	var found *madePart
	var unit plannedUnit
	for _, p := range earlier {
		if p.options.Fence < latest {
			continue
		}
		if p.State == catalog.JobCanceled {
			return nil, nil // with the job, which is tried again
		}
		i := slices.IndexFunc(p.options.Units, func(u plannedUnit) bool { return slices.Contains(missing, u) })
		if p.State == catalog.JobFailed && i >= 0 {
			found, unit = &p, p.options.Units[i]
		}
	}
	if found == nil {
		return nil, nil
	}
	log, err := a.cfg.Catalog.Attempts(ctx, a.job.ID)
	if err != nil {
		return nil, fmt.Errorf("look for earlier attempts at job %s: %w", a.job.ID, err)
	}
	if slices.ContainsFunc(log, func(r catalog.AttemptRecord) bool { return r.Ending == catalog.EndFailed && r.Fence > latest }) {
		return nil, nil
	}
	return pipeline.Permanent(fmt.Errorf("%s: %s", unit.Name, found.Error.Message)), nil
}

// group puts units together: chunks that follow on each other; the sound is for itself.
func group(units []plannedUnit) [][]plannedUnit {
	total := int64(0)
	for _, u := range units {
		total += u.Frames
	}
	most := min(partFrames, total/fewerParts)
	var groups [][]plannedUnit
	frames := int64(0)
	for _, u := range units {
		n := len(groups)
		if u.Frames == 0 || n == 0 || groups[n-1][0].Frames == 0 || frames+u.Frames > most {
			groups, frames, n = append(groups, nil), 0, n+1
		}
		groups[n-1] = append(groups[n-1], u)
		frames += u.Frames
	}
	return groups
}

// part makes the job of a part. Its key is that of its units and of the claim, so that the same part is not queued twice.
func (a *attempt) part(o partOptions) (catalog.Job, error) {
	key, err := pipeline.ContentKey("part v1", a.job.ID, o)
	if err != nil {
		return catalog.Job{}, err
	}
	options, err := json.Marshal(Options{Outputs: a.outputs, Settings: a.cfg.Settings, Part: &o})
	if err != nil {
		return catalog.Job{}, fmt.Errorf("options of a part: %w", err)
	}
	j := a.job
	return catalog.Job{Kind: catalog.PartJob, ParentID: j.ID, CaptureURI: j.CaptureURI, CaptureKey: key, RoomID: j.RoomID, SessionID: j.SessionID,
		Source: j.Source, Options: options, Queue: catalog.QueueChunks, Priority: j.Priority, MaxAttempts: j.MaxAttempts, Cost: partCost(), BackfillID: j.BackfillID}, nil
}

// partCost is what a part takes: one processor, and the frames that are on their way through it.
func partCost() catalog.Cost { return catalog.Cost{CPU: 1000, Memory: 512 << 20} }

// runPart makes a part's units, each of which goes to the store as soon as it is finished.
func (a *attempt) runPart(ctx context.Context, scratch *pipeline.Scratch, o partOptions) error {
	s := shared{store: a.cfg.Blobs, job: o.Of, claim: a.claim()}
	run := &pipeline.Run{JobID: a.job.ID, Attempt: a.job.Attempts, Scratch: scratch, Observer: a.cfg.Observer}
	return pipeline.Execute(ctx, run, pipeline.StageFunc("chunks", func(ctx context.Context, run *pipeline.Run) error {
		for _, u := range o.Shared {
			there, err := s.pull(ctx, scratch, u.Name, u.Key)
			if err == nil && !there {
				err = fmt.Errorf("unit %s of job %s is not in the store", u.Name, o.Of)
			}
			if err != nil {
				return err
			}
		}
		var names []string
		for _, u := range o.Units {
			_, err := s.find(ctx, u.Name, u.Key)
			if err == nil {
				continue // of an attempt before
			}
			if !isMissing(err) {
				return err
			}
			names = append(names, u.Name)
		}
		if len(names) == 0 {
			return nil
		}
		return a.units(ctx, run, s, names)
	}))
}

// units has units made, and shares them.
func (a *attempt) units(ctx context.Context, run *pipeline.Run, s shared, names []string) error {
	a.note(ctx, "chunks", 0)
	shared := 0
	var failed error
	step, stop := context.WithCancel(ctx)
	defer stop()
	_, err := a.step(step, run, StepRequest{Step: StepUnits, Units: names}, func(r StepReport) {
		switch {
		case failed != nil:
		case r.Unit != "":
			if failed = s.push(ctx, run.Scratch, r.Unit); failed != nil {
				stop()
				return
			}
			shared++
		case r.Progress != nil:
			run.Progress(*r.Progress)
			if r.Progress.Total > 0 && time.Since(a.noted) >= time.Second {
				a.note(ctx, "chunks", int(min(r.Progress.Done*catalog.ProgressDone/r.Progress.Total, catalog.ProgressDone)))
			}
		}
	})
	if failed != nil {
		return failed
	}
	if err == nil && shared < len(names) {
		err = fmt.Errorf("%d of %d units were made", shared, len(names))
	}
	return err
}
