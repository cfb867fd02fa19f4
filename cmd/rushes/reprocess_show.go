package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"rushes/catalog"
)

type reprocessListCmd struct {
	JSON     bool `name:"json" help:"Print JSON."`
	dataFlag `embed:""`
}

// runShown is a run with what became of its assets so far.
type runShown struct {
	catalog.Backfill
	Counts map[catalog.BackfillItemState]int64 `json:"counts"`
	// Items are those that were skipped or have failed; lists of runs leave them out.
	Items []catalog.BackfillItem `json:"items,omitempty"`
}

func countRun(ctx context.Context, d *data, run catalog.Backfill) (runShown, []catalog.BackfillCount, error) {
	shown := runShown{Backfill: run, Counts: map[catalog.BackfillItemState]int64{}}
	counts, err := d.catalog.CountItems(ctx, run.ID)
	for _, c := range counts {
		shown.Counts[c.State] += c.Count
	}
	return shown, counts, err
}

// Run prints all runs.
func (c *reprocessListCmd) Run(ctx context.Context, e env) (err error) {
	d, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	runs, err := d.catalog.Backfills(ctx)
	if err != nil {
		return err
	}
	list := []runShown{}
	for _, run := range runs {
		shown, _, err := countRun(ctx, d, run)
		if err != nil {
			return err
		}
		list = append(list, shown)
	}
	if c.JSON {
		return printJSON(e.stdout, list)
	}
	t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tSTATE\tPENDING\tQUEUED\tDONE\tSKIPPED\tFAILED\tORDERED\tSELECTION")
	for _, r := range list {
		fmt.Fprintf(t, "%s\t%s", r.ID, r.State)
		for _, state := range catalog.BackfillItemStates() {
			fmt.Fprintf(t, "\t%d", r.Counts[state])
		}
		fmt.Fprintf(t, "\t%s\t%s\n", r.CreatedAt.UTC().Format(time.RFC3339), clean(string(r.Selection)))
	}
	return t.Flush()
}

type reprocessShowCmd struct {
	ID       string `arg:"" help:"The run's id."`
	JSON     bool   `name:"json" help:"Print JSON."`
	dataFlag `embed:""`
}

// Run prints one run.
func (c *reprocessShowCmd) Run(ctx context.Context, e env) (err error) {
	d, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	err = showRun(ctx, e.stdout, d, c.ID, c.JSON)
	if errors.Is(err, catalog.ErrNotFound) {
		return fmt.Errorf("no run has the id %q; see `rushes reprocess list`", clean(c.ID))
	}
	return err
}

// showRun prints how far a run is: with --json all its items that were skipped or have failed, else how many for which
// reason.
func showRun(ctx context.Context, w io.Writer, d *data, id string, asJSON bool) error {
	run, err := d.catalog.Backfill(ctx, id)
	if err != nil {
		return err
	}
	shown, counts, err := countRun(ctx, d, run)
	if err != nil {
		return err
	}
	if asJSON {
		f := &feeder{data: d, backfill: run}
		for _, state := range []catalog.BackfillItemState{catalog.ItemSkipped, catalog.ItemFailed} {
			err := f.items(ctx, state, func(i catalog.BackfillItem) error {
				shown.Items = append(shown.Items, i)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return printJSON(w, shown)
	}
	fmt.Fprintf(w, "run %s: %s\n", run.ID, run.State)
	fmt.Fprintf(w, "selection %s, options %s\n", clean(orNothing(run.Selection)), clean(orNothing(run.Options)))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, state := range catalog.BackfillItemStates() {
		fmt.Fprintf(t, "%s\t%d\n", state, shown.Counts[state])
		for _, c := range counts {
			if c.State == state && c.Reason != "" {
				fmt.Fprintf(t, "\t%d: %s\n", c.Count, clean(c.Reason))
			}
		}
	}
	return t.Flush()
}

func orNothing(m json.RawMessage) string {
	if len(m) == 0 {
		return "{}"
	}
	return string(m)
}

// reprocessView shows how a run goes on: a bar where somebody looks, else lines.
type reprocessView struct {
	env   env
	out   io.Writer // of lines
	p     *mpb.Progress
	bar   *mpb.Bar
	text  chan string // what the bar's decorator shows now: one value at all times
	said  string
	saidT time.Time
}

// sayEvery is how often a line says how far a run is.
const sayEvery = 10 * time.Second

func newReprocessView(e env, asJSON bool) *reprocessView {
	v := &reprocessView{env: e, out: e.stdout}
	if asJSON {
		v.out = e.stderr
	}
	if e.terminal {
		v.p = mpb.New(mpb.WithOutput(e.stderr), mpb.WithWidth(50), mpb.WithRefreshRate(150*time.Millisecond))
	}
	return v
}

// begin names the run and says how much there is to do.
func (v *reprocessView) begin(id string, counts map[catalog.BackfillItemState]int64) {
	total := int64(0)
	for _, n := range counts {
		total += n
	}
	fmt.Fprintf(v.out, "run %s: %d assets\n", id, total)
	if v.p == nil {
		return
	}
	v.text = make(chan string, 1)
	v.text <- ""
	v.bar = v.p.AddBar(max(total, 1), mpb.PrependDecorators(decor.Name("assets "), decor.Percentage(decor.WCSyncSpace)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			text := <-v.text
			v.text <- text
			return text
		})))
}

// item tells of an item that was skipped or has failed.
func (v *reprocessView) item(asset string, state catalog.BackfillItemState, reason string) {
	if v.p == nil && state != catalog.ItemDone {
		fmt.Fprintf(v.out, "%s  %s: %s\n", asset, state, clean(reason))
	}
}

// show tells how far the run is.
func (v *reprocessView) show(counts map[catalog.BackfillItemState]int64, flying int) {
	var words []string
	over := int64(0)
	for _, state := range catalog.BackfillItemStates() {
		if state == catalog.ItemDone || state == catalog.ItemSkipped || state == catalog.ItemFailed {
			over += counts[state]
		}
		if state != catalog.ItemQueued {
			words = append(words, fmt.Sprintf("%d %s", counts[state], state))
		}
	}
	said := fmt.Sprintf("%s, %d jobs in flight", strings.Join(words, ", "), flying)
	if v.bar != nil {
		<-v.text
		v.text <- " " + said
		v.bar.SetCurrent(over)
		return
	}
	if said != v.said && time.Since(v.saidT) >= sayEvery {
		fmt.Fprintln(v.out, said)
		v.said, v.saidT = said, time.Now()
	}
}

// close ends the bar; it may be repeated.
func (v *reprocessView) close() {
	if v.p == nil {
		return
	}
	if v.bar != nil && !v.bar.Completed() {
		v.bar.Abort(false)
	}
	v.p.Wait()
	v.p, v.bar = nil, nil
}
