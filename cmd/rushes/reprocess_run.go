package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"rushes/catalog"
	"rushes/pipeline"
	"rushes/pipeline/stage"
)

const (
	// feederLease is how long nobody else may feed a run whose feeder has died.
	feederLease = 3 * time.Second
	// looksAtJobs is how many jobs are looked at at a time.
	looksAtJobs = 200
	// noWorkerAfter is after how long without anybody at work this is said.
	noWorkerAfter = 15 * time.Second
)

// feeder queues the jobs of a run as its limits allow and writes down what becomes of them. It runs in the command's
// process; the jobs run wherever workers are. Killed at any moment, it goes on with --resume: what it has written down
// is kept, and the job of a capture is queued once in a run.
type feeder struct {
	env      env
	data     *data
	backfill catalog.Backfill
	json     bool
	holder   string // of the run's lease
	noWorker time.Duration

	queued  map[string]string                   // capture key to job, of all the run's jobs
	groups  []*captureGroup                     // not queued yet
	rooms   map[string]map[string][]catalog.Job // room to capture key to where its jobs found it, as far as that was asked for
	flying  map[string][]string                 // job to its assets, of jobs that are not over
	order   []string                            // the jobs of flying, the one to look at next first
	counts  map[catalog.BackfillItemState]int64
	nextAt  time.Time // when the next job may be queued
	aliveAt time.Time // when a job was last seen at work, or waiting for nobody
	keptAt  time.Time // when the lease was last renewed
	view    *reprocessView
}

func newFeeder(e env, d *data, run catalog.Backfill, asJSON bool) (*feeder, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("name of this machine: %w", err)
	}
	return &feeder{env: e, data: d, backfill: run, json: asJSON, noWorker: noWorkerAfter,
		holder: fmt.Sprintf("%s-%d-%s", host, os.Getpid(), rand.Text()),
		rooms:  map[string]map[string][]catalog.Job{}, queued: map[string]string{}, flying: map[string][]string{}, counts: map[catalog.BackfillItemState]int64{}}, nil
}

// run feeds until every item is over, or ctx ends.
func (f *feeder) run(ctx context.Context) (err error) {
	clean := context.WithoutCancel(ctx)
	f.view = newReprocessView(f.env, f.json)
	defer f.view.close()
	if err := f.await(ctx); err != nil {
		return f.stopped(ctx, err)
	}
	defer func() { err = errors.Join(err, f.data.catalog.Release(clean, f.lease(), f.holder)) }()
	err = f.data.catalog.SetBackfillState(ctx, f.backfill.ID, catalog.BackfillRunning)
	if err == nil {
		err = f.count(ctx)
	}
	if err == nil {
		f.view.begin(f.backfill.ID, f.counts)
		err = f.load(ctx)
	}
	if err == nil {
		err = f.loop(ctx)
	}
	if err != nil && !errors.Is(err, errFedElsewhere) {
		err = errors.Join(err, f.data.catalog.SetBackfillState(clean, f.backfill.ID, catalog.BackfillStopped))
	}
	if err != nil {
		return f.stopped(ctx, err)
	}
	if err := f.data.catalog.SetBackfillState(clean, f.backfill.ID, catalog.BackfillDone); err != nil {
		return err
	}
	f.view.close()
	if err := showRun(clean, f.env.stdout, f.data, f.backfill.ID, f.json); err != nil {
		return err
	}
	if code := pipeline.ExitCode(int(f.counts[catalog.ItemDone]), int(f.counts[catalog.ItemFailed]), nil); code != pipeline.ExitOK {
		return &exitError{code: code}
	}
	return nil
}

// stopped says how to go on after an end before the end.
func (f *feeder) stopped(ctx context.Context, err error) error {
	how := fmt.Sprintf("`rushes reprocess --resume %s` goes on", f.backfill.ID)
	if ctx.Err() == nil {
		return fmt.Errorf("run %s: %w; %s", f.backfill.ID, err, how)
	}
	return &exitError{code: pipeline.ExitOther, err: fmt.Errorf("run %s: stopped; what is queued will be made, and %s", f.backfill.ID, how)}
}

// errFedElsewhere says that the lease of a run is lost, after a pause that was longer than it.
var errFedElsewhere = errors.New("another process feeds it now")

// await takes the run's lease; while another process has it, that one feeds the run.
func (f *feeder) await(ctx context.Context) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for told := false; ; told = true {
		ours, err := f.data.catalog.Lease(ctx, f.lease(), f.holder, feederLease)
		if err != nil || ours {
			return err
		}
		if !told {
			fmt.Fprintf(f.env.stderr, "rushes: another process feeds run %s, or did just now; waiting for it\n", f.backfill.ID)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

func (f *feeder) count(ctx context.Context) error {
	counts, err := f.data.catalog.CountItems(ctx, f.backfill.ID)
	for _, c := range counts {
		f.counts[c.State] += c.Count
	}
	return err
}

// loop feeds and looks until nothing is left.
func (f *feeder) loop(ctx context.Context) error {
	f.aliveAt = time.Now()
	var looked time.Time
	for {
		if time.Since(looked) >= lookEvery {
			looked = time.Now()
			if err := f.look(ctx); err != nil {
				return err
			}
		}
		for len(f.groups) > 0 && f.room() && time.Since(looked) < lookEvery {
			if err := f.feedNext(ctx); err != nil {
				return err
			}
		}
		f.warn()
		f.view.show(f.counts, len(f.flying))
		if len(f.groups) == 0 && len(f.flying) == 0 {
			return nil
		}
		wait := time.Until(looked.Add(lookEvery))
		if len(f.groups) > 0 && f.roomInFlight() {
			wait = min(wait, time.Until(f.nextAt))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(max(wait, 0)):
		}
	}
}

func (f *feeder) roomInFlight() bool {
	return f.backfill.MaxInFlight == 0 || len(f.flying) < f.backfill.MaxInFlight
}

// room reports whether another job may be queued now.
func (f *feeder) room() bool { return f.roomInFlight() && !time.Now().Before(f.nextAt) }

func (f *feeder) feedNext(ctx context.Context) error {
	if err := f.keep(ctx); err != nil {
		return err
	}
	g := f.groups[0]
	before := len(f.flying)
	if err := f.feed(ctx, g); err != nil {
		return err
	}
	f.groups = f.groups[1:]
	if len(f.flying) > before && f.backfill.Rate > 0 {
		f.nextAt = time.Now().Add(time.Duration(float64(time.Second) / f.backfill.Rate))
	}
	return nil
}

// fly remembers a job that is to be looked at.
func (f *feeder) fly(job, asset string) {
	if f.flying[job] == nil {
		f.order = append(f.order, job)
	}
	f.flying[job] = append(f.flying[job], asset)
}

// keep renews the lease when it is time to.
func (f *feeder) keep(ctx context.Context) error {
	if time.Since(f.keptAt) < lookEvery {
		return nil
	}
	f.keptAt = time.Now()
	ours, err := f.data.catalog.Lease(ctx, f.lease(), f.holder, feederLease)
	if err == nil && !ours {
		err = errFedElsewhere
	}
	return err
}

func (f *feeder) lease() string { return "backfill/" + f.backfill.ID }

// look sees to the jobs that may be over.
func (f *feeder) look(ctx context.Context) error {
	if err := f.keep(ctx); err != nil {
		return err
	}
	for range min(len(f.order), looksAtJobs) {
		id := f.order[0]
		job, err := f.data.catalog.JobByID(ctx, id)
		if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return err
		}
		if err == nil && job.State != catalog.JobQueued {
			f.aliveAt = time.Now()
		}
		over := err != nil || job.State.Final()
		if over {
			if err := f.settle(ctx, id, job); err != nil {
				return err
			}
			delete(f.flying, id)
		}
		f.order = f.order[1:]
		if !over {
			f.order = append(f.order, id)
		}
	}
	return nil
}

// settle writes down what became of the assets of a job that is over; job is zero when it is not in the catalog.
func (f *feeder) settle(ctx context.Context, id string, job catalog.Job) error {
	made, err := f.data.catalog.ListAssets(ctx, catalog.Filter{JobID: id, Status: catalog.AssetCompleted, Superseded: true})
	if err != nil {
		return err
	}
	keys, replaced := map[string]bool{}, map[string]bool{}
	for _, a := range made {
		keys[a.Key], replaced[a.Supersedes] = true, true
	}
	for _, asset := range f.flying[id] {
		a, err := f.data.catalog.AssetByID(ctx, asset)
		if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return err
		}
		state, reason := catalog.ItemDone, ""
		if !keys[a.Key] && !replaced[asset] {
			state, reason = catalog.ItemFailed, whyNot(job, asset)
		}
		if err := f.settleItem(ctx, asset, id, state, reason); err != nil {
			return err
		}
	}
	return nil
}

// whyNot says why a job that is over has not made an asset again.
func whyNot(job catalog.Job, asset string) string {
	switch {
	case job.ID == "":
		return "its job is not in the catalog any more"
	case job.State == catalog.JobCanceled:
		return "its job was canceled"
	case job.Error != nil:
		return line(errors.New(job.Error.Message))
	}
	return cmp.Or(stage.NotMade(job, asset), "the capture does not give this asset any more")
}

// settleItem writes down that an item is over, and tells it.
func (f *feeder) settleItem(ctx context.Context, asset, job string, state catalog.BackfillItemState, reason string) error {
	if err := f.write(ctx, asset, job, state, reason); err != nil {
		return err
	}
	f.view.item(asset, state, reason)
	return nil
}

// write writes down how far an item is. It had one of the two states that are not final.
func (f *feeder) write(ctx context.Context, asset, job string, state catalog.BackfillItemState, reason string) error {
	err := f.data.catalog.UpdateItem(ctx, catalog.BackfillItem{BackfillID: f.backfill.ID, AssetID: asset, JobID: job, State: state, Reason: reason})
	if err != nil {
		return err
	}
	before := catalog.ItemQueued
	if job == "" || state == catalog.ItemQueued {
		before = catalog.ItemPending
	}
	f.counts[before]--
	f.counts[state]++
	return nil
}

// warn says once when nobody works.
func (f *feeder) warn() {
	if len(f.flying) == 0 {
		f.aliveAt = time.Now()
	}
	if f.noWorker > 0 && time.Since(f.aliveAt) >= f.noWorker {
		fmt.Fprintf(f.env.stderr, "rushes: no worker has been at any of the run's jobs for %v; is `rushes serve` or `rushes worker` running?\n", f.noWorker)
		f.noWorker = 0
	}
}
