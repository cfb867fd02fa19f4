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

type webhooksCmd struct {
	List   webhooksListCmd   `cmd:"" help:"List what webhook endpoints were told, or are to be, newest first."`
	Replay webhooksReplayCmd `cmd:"" help:"Have deliveries sent again, with the ids that they had and fresh links."`
}

type webhooksListCmd struct {
	State    string `help:"Only deliveries in this state: pending, delivered or failed." placeholder:"STATE"`
	Endpoint string `help:"Only deliveries to the endpoint of this name." placeholder:"NAME"`
	Job      string `help:"Only deliveries that tell of this job." placeholder:"ID"`
	Limit    int    `help:"Most deliveries to list." default:"100"`
	After    string `help:"Go on after the delivery with this id." placeholder:"ID"`
	JSON     bool   `name:"json" help:"Print JSON."`
	dataFlag `embed:""`
}

// Validate refuses what no delivery can have.
func (c *webhooksListCmd) Validate() error {
	if c.State != "" && !slices.Contains(catalog.DeliveryStates(), catalog.DeliveryState(c.State)) {
		return fmt.Errorf("--state: %q is none of %v", c.State, catalog.DeliveryStates())
	}
	return nil
}

// Run prints a page of deliveries.
func (c *webhooksListCmd) Run(ctx context.Context, e env) (err error) {
	d, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	deliveries, err := d.catalog.ListDeliveries(ctx, catalog.DeliveryFilter{
		State: catalog.DeliveryState(c.State), Endpoint: c.Endpoint, JobID: c.Job, After: c.After, Limit: c.Limit,
	})
	if errors.Is(err, catalog.ErrInvalid) {
		return &exitError{code: pipeline.ExitUsage, err: err}
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(e.stdout, append([]catalog.Delivery{}, deliveries...))
	}
	return printDeliveries(e.stdout, deliveries)
}

// printDeliveries prints a table; one that failed has its reason at the end.
func printDeliveries(w io.Writer, deliveries []catalog.Delivery) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tENDPOINT\tEVENT\tSTATE\tATTEMPTS\tAGE\tABOUT")
	for _, d := range deliveries {
		state, about := string(d.State), "job "+d.JobID
		if d.Replay {
			state += " (replay)"
		}
		if d.AssetID != "" {
			about = "asset " + d.AssetID
		}
		if d.Error != "" {
			about += ": " + clean(d.Error)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", d.ID, clean(d.Endpoint), clean(d.Type), state, d.Attempts, time.Since(d.CreatedAt).Round(time.Second), about)
	}
	return t.Flush()
}

type webhooksReplayCmd struct {
	IDs      []string `arg:"" optional:"" name:"id" help:"Ids of deliveries."`
	Failed   bool     `help:"All deliveries that failed."`
	Endpoint string   `help:"With --failed, only those to the endpoint of this name." placeholder:"NAME"`
	dataFlag `embed:""`
}

// Validate wants deliveries named in one way.
func (c *webhooksReplayCmd) Validate() error {
	switch {
	case c.Failed && len(c.IDs) > 0:
		return errors.New("either ids or --failed")
	case !c.Failed && len(c.IDs) == 0:
		return errors.New("which ones? Give ids, or --failed")
	case c.Endpoint != "" && !c.Failed:
		return errors.New("--endpoint goes with --failed")
	}
	return nil
}

// Run makes the deliveries pending again; who serves sends them. It goes on after one that cannot be.
func (c *webhooksReplayCmd) Run(ctx context.Context, e env) (err error) {
	d, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	ids := c.IDs
	if c.Failed {
		if ids, err = failedDeliveries(ctx, d, c.Endpoint); err != nil {
			return err
		}
	}
	var errs []error
	for _, id := range ids {
		delivery, err := d.catalog.ReplayDelivery(ctx, id)
		switch {
		case errors.Is(err, catalog.ErrNotFound):
			errs = append(errs, fmt.Errorf("no delivery has the id %q; see `rushes webhooks list`", clean(id)))
		case errors.Is(err, catalog.ErrInvalid):
			errs = append(errs, fmt.Errorf("delivery %s: it is being delivered", clean(id)))
		case err != nil:
			errs = append(errs, err)
		default:
			fmt.Fprintf(e.stdout, "%s  is sent again: %s to %s\n", delivery.ID, clean(delivery.Type), clean(delivery.Endpoint))
		}
	}
	return errors.Join(errs...)
}

// failedDeliveries returns the ids of all that failed, the oldest first.
func failedDeliveries(ctx context.Context, d *data, endpoint string) ([]string, error) {
	var ids []string
	filter := catalog.DeliveryFilter{State: catalog.DeliveryFailed, Endpoint: endpoint, Limit: catalog.MaxPage}
	for {
		page, err := d.catalog.ListDeliveries(ctx, filter)
		if err != nil {
			return nil, err
		}
		for _, delivery := range page {
			ids = append(ids, delivery.ID)
		}
		if len(page) < filter.Limit {
			slices.Reverse(ids)
			return ids, nil
		}
		filter.After = ids[len(ids)-1]
	}
}
