package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"rushes/catalog"
	"rushes/pipeline"
)

type jobsCmd struct {
	List   jobsListCmd   `cmd:"" help:"List jobs, newest first."`
	Show   jobsShowCmd   `cmd:"" help:"Show one job with its attempts and parts, as JSON."`
	Retry  jobsRetryCmd  `cmd:"" help:"Queue jobs again that failed or were canceled."`
	Cancel jobsCancelCmd `cmd:"" help:"Cancel jobs: what is made is kept, nothing more is."`
	Watch  jobsWatchCmd  `cmd:"" help:"Follow jobs until they are over: bars on a terminal, lines elsewhere."`
}

type jobsListCmd struct {
	Room     string `help:"Only jobs of this room."`
	State    string `help:"Only jobs in this state: queued, running, waiting, completed, failed or canceled." placeholder:"STATE"`
	Queue    string `help:"Only jobs of this queue: chunks, default or backfill." placeholder:"QUEUE"`
	Parts    bool   `help:"Parts of composites too."`
	Limit    int    `help:"Most jobs to list." default:"100"`
	After    string `help:"Go on after the job with this id." placeholder:"ID"`
	JSON     bool   `name:"json" help:"Print JSON."`
	dataFlag `embed:""`
}

// Validate refuses what no job can have.
func (c *jobsListCmd) Validate() error {
	if c.State != "" && !slices.Contains(catalog.JobStates(), catalog.JobState(c.State)) {
		return fmt.Errorf("--state: %q is none of %v", c.State, catalog.JobStates())
	}
	if c.Queue != "" && !slices.Contains(catalog.QueueNames(), catalog.QueueName(c.Queue)) {
		return fmt.Errorf("--queue: %q is none of %v", c.Queue, catalog.QueueNames())
	}
	return nil
}

// Run prints a page of jobs.
func (c *jobsListCmd) Run(ctx context.Context, e env) (err error) {
	d, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	f := catalog.JobFilter{Kind: catalog.CaptureJob, State: catalog.JobState(c.State), Queue: catalog.QueueName(c.Queue), RoomID: c.Room, After: c.After, Limit: c.Limit}
	if c.Parts || f.Queue == catalog.QueueChunks {
		f.Kind = ""
	}
	jobs, err := d.catalog.ListJobs(ctx, f)
	if errors.Is(err, catalog.ErrInvalid) {
		return &exitError{code: pipeline.ExitUsage, err: err}
	}
	if err != nil {
		return err
	}
	if c.JSON {
		if jobs == nil {
			jobs = []catalog.Job{}
		}
		return printJSON(e.stdout, jobs)
	}
	return printJobs(e.stdout, jobs)
}

func printJobs(w io.Writer, jobs []catalog.Job) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tKIND\tSTATE\tSTAGE\tDONE\tATTEMPTS\tAGE\tCAPTURE")
	for _, j := range jobs {
		where := clean(j.CaptureURI)
		if j.Error != nil {
			where = clean(j.Error.Message)
		}
		stage := clean(j.Stage)
		if stage == "" {
			stage = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%.1f%%\t%d/%d\t%s\t%s\n", j.ID, j.Kind, j.State, stage, float64(j.Progress)/10, j.Attempts, j.MaxAttempts,
			time.Since(j.CreatedAt).Round(time.Second), where)
	}
	return t.Flush()
}

type jobsShowCmd struct {
	ID       string `arg:"" help:"The job's id."`
	dataFlag `embed:""`
}

// jobShown is a job with what belongs to it.
type jobShown struct {
	catalog.Job
	Log    []catalog.AttemptRecord `json:"log"`
	Parts  []catalog.Job           `json:"parts"`
	Assets []catalog.Asset         `json:"assets"`
}

// Run prints one job.
func (c *jobsShowCmd) Run(ctx context.Context, e env) (err error) {
	d, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	shown := jobShown{Log: []catalog.AttemptRecord{}, Parts: []catalog.Job{}, Assets: []catalog.Asset{}}
	if shown.Job, err = d.catalog.JobByID(ctx, c.ID); err != nil {
		return noJob(c.ID, err)
	}
	log, err := d.catalog.Attempts(ctx, c.ID)
	if err != nil {
		return err
	}
	parts, err := d.catalog.ListJobs(ctx, catalog.JobFilter{ParentID: c.ID})
	if err != nil {
		return err
	}
	slices.Reverse(parts)
	assets, err := d.catalog.ListAssets(ctx, catalog.Filter{JobID: c.ID})
	if err != nil {
		return err
	}
	shown.Log, shown.Parts, shown.Assets = append(shown.Log, log...), append(shown.Parts, parts...), append(shown.Assets, assets...)
	return printJSON(e.stdout, shown)
}

func noJob(id string, err error) error {
	if errors.Is(err, catalog.ErrNotFound) {
		return fmt.Errorf("no job has the id %q; see `rushes jobs list`", clean(id))
	}
	return err
}

type jobsRetryCmd struct {
	IDs      []string `arg:"" name:"id" help:"Ids of jobs."`
	dataFlag `embed:""`
}

// Run queues the jobs again.
func (c *jobsRetryCmd) Run(ctx context.Context, e env) error {
	return changeJobs(ctx, e, &c.dataFlag, c.IDs, "only a job that failed or was canceled can be retried", func(d *data, id string) (catalog.Job, error) {
		return d.catalog.RetryJob(ctx, id)
	})
}

type jobsCancelCmd struct {
	IDs      []string `arg:"" name:"id" help:"Ids of jobs."`
	dataFlag `embed:""`
}

// Run cancels the jobs.
func (c *jobsCancelCmd) Run(ctx context.Context, e env) error {
	return changeJobs(ctx, e, &c.dataFlag, c.IDs, "the job is over", func(d *data, id string) (catalog.Job, error) {
		return d.catalog.CancelJob(ctx, id)
	})
}

// changeJobs changes one job after the other, and goes on after one that cannot be changed.
func changeJobs(ctx context.Context, e env, f *dataFlag, ids []string, refusal string, change func(d *data, id string) (catalog.Job, error)) (err error) {
	d, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	var errs []error
	for _, id := range ids {
		job, err := change(d, id)
		switch {
		case errors.Is(err, catalog.ErrInvalid):
			errs = append(errs, fmt.Errorf("job %s: %s", clean(id), refusal))
		case err != nil:
			errs = append(errs, noJob(id, err))
		case job.CancelRequested:
			fmt.Fprintf(e.stdout, "%s  %s, is being canceled\n", job.ID, job.State)
		default:
			fmt.Fprintf(e.stdout, "%s  %s\n", job.ID, job.State)
		}
	}
	return errors.Join(errs...)
}
