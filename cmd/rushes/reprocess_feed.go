package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"rushes/catalog"
	"rushes/pipeline/stage"
)

// captureGroup is what a run makes again of one capture, with one job.
type captureGroup struct {
	key    string
	assets []string // ids, in order
}

// load reads what is left of the run: captures to queue, and jobs that were queued.
func (f *feeder) load(ctx context.Context) error {
	if err := f.loadJobs(ctx); err != nil {
		return err
	}
	err := f.items(ctx, catalog.ItemQueued, func(i catalog.BackfillItem) error {
		f.fly(i.JobID, i.AssetID)
		return nil
	})
	if err != nil {
		return err
	}
	groups := map[string]*captureGroup{}
	keys := map[string]string{} // of jobs
	return f.items(ctx, catalog.ItemPending, func(i catalog.BackfillItem) error {
		if err := f.keep(ctx); err != nil {
			return err
		}
		key, reason, err := f.captureOf(ctx, i.AssetID, keys)
		if err != nil {
			return err
		}
		if reason != "" {
			return f.settleItem(ctx, i.AssetID, "", catalog.ItemSkipped, reason)
		}
		g := groups[key]
		if g == nil {
			g = &captureGroup{key: key}
			groups[key] = g
			f.groups = append(f.groups, g)
		}
		g.assets = append(g.assets, i.AssetID)
		return nil
	})
}

// loadJobs finds the jobs that the run has queued: one that was stopped may not have written all of them down.
func (f *feeder) loadJobs(ctx context.Context) error {
	filter := catalog.JobFilter{BackfillID: f.backfill.ID, Kind: catalog.CaptureJob}
	for {
		jobs, err := f.data.catalog.ListJobs(ctx, filter)
		if err != nil {
			return err
		}
		for _, j := range jobs {
			f.queued[j.CaptureKey], filter.After = j.ID, j.ID
		}
		if len(jobs) < catalog.MaxPage {
			return nil
		}
	}
}

// items calls fn with all items of the run that are in a state; fn may change that.
func (f *feeder) items(ctx context.Context, state catalog.BackfillItemState, fn func(catalog.BackfillItem) error) error {
	for after := ""; ; {
		page, err := f.data.catalog.Items(ctx, f.backfill.ID, state, after, catalog.MaxPage)
		if err != nil {
			return err
		}
		for _, i := range page {
			if err := fn(i); err != nil {
				return err
			}
			after = i.AssetID
		}
		if len(page) < catalog.MaxPage {
			return nil
		}
	}
}

// Why an item may be skipped.
const (
	notInCatalog = "the asset is not in the catalog"
	noJobKnown   = "no job is known that has made the asset"
)

// captureOf gives the key of the capture that an asset is of, or why it cannot be made again.
func (f *feeder) captureOf(ctx context.Context, assetID string, keys map[string]string) (key, reason string, err error) {
	a, err := f.data.catalog.AssetByID(ctx, assetID)
	if errors.Is(err, catalog.ErrNotFound) {
		return "", notInCatalog, nil
	}
	if err != nil {
		return "", "", err
	}
	if key, ok := keys[a.JobID]; ok {
		return key, "", nil
	}
	job, err := f.data.catalog.JobByID(ctx, a.JobID)
	if errors.Is(err, catalog.ErrNotFound) {
		return "", noJobKnown, nil
	}
	keys[a.JobID] = job.CaptureKey
	return job.CaptureKey, "", err
}

// feed queues the job of a capture, or writes down why there is none.
func (f *feeder) feed(ctx context.Context, g *captureGroup) error {
	if id, ok := f.queued[g.key]; ok { // before the run was stopped
		return f.attach(ctx, g.assets, id)
	}
	var assets []catalog.Asset
	var made []catalog.Job
	for _, id := range g.assets {
		a, err := f.data.catalog.AssetByID(ctx, id)
		switch {
		case errors.Is(err, catalog.ErrNotFound):
			err = f.settleItem(ctx, id, "", catalog.ItemSkipped, notInCatalog)
		case err == nil && a.SupersededBy != "":
			err = f.settleItem(ctx, id, "", catalog.ItemSkipped, "a newer asset has replaced it already")
		case err == nil:
			assets = append(assets, a)
		}
		if err != nil {
			return err
		}
	}
	for _, a := range assets {
		if slices.ContainsFunc(made, func(j catalog.Job) bool { return j.ID == a.JobID }) {
			continue
		}
		job, err := f.data.catalog.JobByID(ctx, a.JobID)
		if err != nil {
			return err
		}
		made = append(made, job)
	}
	if len(assets) == 0 {
		return nil
	}
	job, state, err := f.newJob(ctx, made, assets)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	left := make([]string, 0, len(assets))
	for _, a := range assets {
		left = append(left, a.ID)
	}
	if err != nil {
		var errs []error
		for _, id := range left {
			errs = append(errs, f.settleItem(ctx, id, "", state, line(err)))
		}
		return errors.Join(errs...)
	}
	if job, err = f.data.catalog.AddGeneration(ctx, job, true); err != nil {
		return err
	}
	return f.attach(ctx, left, job.ID)
}

// attach writes down which job makes the assets again.
func (f *feeder) attach(ctx context.Context, assets []string, job string) error {
	for _, id := range assets {
		if err := f.write(ctx, id, job, catalog.ItemQueued, ""); err != nil {
			return err
		}
		f.fly(job, id)
	}
	return nil
}

// newJob makes the job that makes the assets again; with an error comes what becomes of the items.
func (f *feeder) newJob(ctx context.Context, made []catalog.Job, assets []catalog.Asset) (catalog.Job, catalog.BackfillItemState, error) {
	var change stage.Options
	if err := json.Unmarshal(f.backfill.Options, &change); err != nil {
		return catalog.Job{}, catalog.ItemFailed, fmt.Errorf("options of run %s: %w", f.backfill.ID, err)
	}
	options, err := stage.Again(made, change, assets)
	if err != nil {
		return catalog.Job{}, catalog.ItemFailed, err
	}
	state, failure := catalog.ItemSkipped, error(nil)
	try := func(uris []string) (job catalog.Job, found bool) {
		for _, uri := range uris {
			job, err := f.data.flags.fetcher().NewJob(ctx, uri, options)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				err = fmt.Errorf("the capture has vanished: %w", err)
			case err != nil:
				state = catalog.ItemFailed
			case job.CaptureKey != made[0].CaptureKey:
				err = fmt.Errorf("the capture has vanished: another one lies at %s", uri)
			default:
				job.Queue, job.BackfillID = catalog.QueueBackfill, f.backfill.ID
				return job, true
			}
			failure = cmp.Or(failure, err)
		}
		return catalog.Job{}, false
	}
	job, found := try(addresses(made))
	if !found && state == catalog.ItemSkipped { // it may have been moved, and queued from elsewhere
		elsewhere, err := f.elsewhere(ctx, made[0])
		if err != nil {
			return catalog.Job{}, catalog.ItemFailed, err
		}
		job, found = try(elsewhere)
	}
	if found {
		return job, catalog.ItemQueued, nil
	}
	return catalog.Job{}, state, failure
}

// addresses are where the capture of the jobs lies, by the one that was written last first.
func addresses(jobs []catalog.Job) (uris []string) {
	jobs = slices.Clone(jobs)
	slices.SortStableFunc(jobs, func(a, b catalog.Job) int { return b.UpdatedAt.Compare(a.UpdatedAt) })
	for _, j := range jobs {
		if !slices.Contains(uris, j.CaptureURI) {
			uris = append(uris, j.CaptureURI)
		}
	}
	return uris
}

// elsewhere lists where all jobs of a job's room found its capture. The room's jobs are read once.
func (f *feeder) elsewhere(ctx context.Context, job catalog.Job) ([]string, error) {
	if f.rooms[job.RoomID] == nil {
		captures := map[string][]catalog.Job{}
		filter := catalog.JobFilter{RoomID: job.RoomID, Kind: catalog.CaptureJob}
		for {
			page, err := f.data.catalog.ListJobs(ctx, filter)
			if err != nil {
				return nil, err
			}
			for _, j := range page {
				filter.After = j.ID
				captures[j.CaptureKey] = append(captures[j.CaptureKey], catalog.Job{CaptureURI: j.CaptureURI, UpdatedAt: j.UpdatedAt})
			}
			if len(page) < catalog.MaxPage {
				break
			}
		}
		f.rooms[job.RoomID] = captures
	}
	return addresses(f.rooms[job.RoomID][job.CaptureKey]), nil
}
