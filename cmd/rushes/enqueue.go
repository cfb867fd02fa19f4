package main

import (
	"context"
	"errors"
	"fmt"

	"rushes/catalog"
	"rushes/pipeline"
	"rushes/pipeline/stage"
)

type enqueueCmd struct {
	Captures    []string `arg:"" help:"Folders with capture.json, manifests, or media files; s3://BUCKET/PREFIX/ or s3://BUCKET/KEY too." placeholder:"CAPTURE"`
	Priority    int      `help:"Jobs with a higher number begin earlier." default:"0" placeholder:"N"`
	MaxAttempts int      `help:"How often a job is tried before it has failed." default:"5" placeholder:"N" env:"RUSHES_MAX_ATTEMPTS"`
	JSON        bool     `name:"json" help:"Print the jobs as JSON."`
	dataFlag    `embed:""`
	outputFlags `embed:""`
}

// Validate checks the flags that kong's tags cannot.
func (c *enqueueCmd) Validate() error {
	if c.MaxAttempts < 1 || c.MaxAttempts > 100 {
		return fmt.Errorf("--max-attempts: %d is not between 1 and 100", c.MaxAttempts)
	}
	return nil
}

// Run queues the captures that can be queued and says why others cannot. A capture that has a job already is not
// queued again.
func (c *enqueueCmd) Run(ctx context.Context, e env) (err error) {
	patch, err := c.patch()
	if err != nil {
		return &exitError{code: pipeline.ExitUsage, err: err}
	}
	var ready []catalog.Job
	var refused error
	fetcher := c.fetcher()
	for _, uri := range c.Captures {
		job, err := fetcher.NewJob(ctx, uri, stage.Options{Outputs: patch})
		if err != nil {
			refused = errors.Join(refused, err)
			fmt.Fprintln(e.stderr, "rushes:", line(err))
			continue
		}
		job.Priority, job.MaxAttempts = c.Priority, c.MaxAttempts
		ready = append(ready, job)
	}
	if len(ready) == 0 {
		return &exitError{code: pipeline.ExitCode(0, 0, refused)} // said already
	}
	d, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	jobs := []catalog.Job{}
	for _, job := range ready {
		job, created, err := d.catalog.AddJob(ctx, job, true)
		if err != nil {
			return err
		}
		jobs = append(jobs, job)
		if !c.JSON {
			said := "queued"
			if !created {
				said = "was there: " + string(job.State)
			}
			fmt.Fprintf(e.stdout, "%s  %s  %s\n", job.ID, said, clean(job.CaptureURI))
		}
	}
	if c.JSON {
		if err := printJSON(e.stdout, jobs); err != nil {
			return err
		}
	}
	if refused != nil {
		return &exitError{code: pipeline.ExitPartial}
	}
	return nil
}
