package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"

	"rushes/catalog"
)

// usualEffort is how much processor time an hour of media takes where no job tells, in thousandths of an hour, as
// measured on calls of two to nine people: encoding where there is any, 720p. It also
// says how the time of a job is shared among the assets of several types that it has made.
func usualEffort(t catalog.AssetType) int64 {
	switch t {
	case catalog.RoomComposite:
		return 300
	case catalog.RoomCompositeLegacy:
		return 400
	case catalog.StreamAsset:
		return 100
	}
	return 10
}

// estimate is what making assets of a type again would come to.
type estimate struct {
	Type    catalog.AssetType `json:"type,omitempty"`
	Assets  int64             `json:"assets"`
	MediaMS int64             `json:"media_ms"`
	Bytes   int64             `json:"bytes"`
	CPUMS   int64             `json:"cpu_ms"`
	// Guessed is how many of the assets no recorded usage tells of.
	Guessed int64 `json:"guessed"`
}

func (e *estimate) add(o estimate) {
	e.Assets, e.MediaMS, e.Bytes, e.CPUMS, e.Guessed = e.Assets+o.Assets, e.MediaMS+o.MediaMS, e.Bytes+o.Bytes, e.CPUMS+o.CPUMS, e.Guessed+o.Guessed
}

// estimates is the answer of --dry-run.
type estimates struct {
	Types    []estimate `json:"types"`
	Total    estimate   `json:"total"`
	Captures int        `json:"captures"`
	// Skipped counts ids that nothing would be done for: not in the catalog, or replaced.
	Skipped int `json:"skipped"`
}

// dryRun prints what a run with these assets would be.
func dryRun(ctx context.Context, e env, d *data, chosen []choice, asJSON bool) error {
	m := &estimator{d: d, jobs: map[string]effort{}}
	byType := map[catalog.AssetType]*estimate{}
	out := estimates{Types: []estimate{}}
	captures := map[string]bool{}
	for _, x := range chosen {
		if x.asset.ID == "" || x.asset.SupersededBy != "" {
			out.Skipped++
			continue
		}
		one, key, err := m.asset(ctx, x.asset)
		if err != nil {
			return err
		}
		captures[key] = true
		if byType[x.asset.Type] == nil {
			byType[x.asset.Type] = &estimate{Type: x.asset.Type}
		}
		byType[x.asset.Type].add(one)
		out.Total.add(one)
	}
	out.Captures = len(captures)
	for _, row := range byType {
		out.Types = append(out.Types, *row)
	}
	slices.SortFunc(out.Types, func(a, b estimate) int { return strings.Compare(string(a.Type), string(b.Type)) })
	if asJSON {
		return printJSON(e.stdout, out)
	}
	return printEstimates(e.stdout, out)
}

func printEstimates(w io.Writer, out estimates) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TYPE\tASSETS\tMEDIA HOURS\tSIZE\tCPU-HOURS")
	for _, row := range append(slices.Clone(out.Types), out.Total) {
		name := string(row.Type)
		if name == "" {
			name = "together"
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\n", name, row.Assets, hours(row.MediaMS), humanize.IBytes(uint64(max(row.Bytes, 0))), hours(row.CPUMS))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "of %d captures; nothing was written\n", out.Captures)
	if out.Total.Guessed > 0 {
		fmt.Fprintf(w, "the CPU-hours of %d assets are a guess from their type: no job tells what they took\n", out.Total.Guessed)
	}
	if out.Skipped > 0 {
		fmt.Fprintf(w, "%d ids would be skipped: not in the catalog, or replaced by newer assets\n", out.Skipped)
	}
	return nil
}

// hours writes milliseconds as hours with as many digits as tell something.
func hours(ms int64) string {
	return fmt.Sprintf("%.3f", time.Duration(ms*int64(time.Millisecond)).Hours())
}

// estimator knows what jobs took.
type estimator struct {
	d    *data
	jobs map[string]effort
}

// effort is what a job took, and what it would have taken by the usual measure, and the capture it was of.
type effort struct {
	cpu, usual time.Duration
	capture    string
	session    time.Duration // length, or 0
}

// asset estimates what one asset takes, and gives the key of its capture.
func (m *estimator) asset(ctx context.Context, a catalog.Asset) (estimate, string, error) {
	job, known := m.jobs[a.JobID]
	if !known {
		var err error
		if job, err = m.job(ctx, a.JobID); err != nil {
			return estimate{}, "", err
		}
		m.jobs[a.JobID] = job
	}
	media := a.Duration
	if media == 0 { // nothing came of it: at most as long as the session
		media = job.session
	}
	one := estimate{Assets: 1, MediaMS: media.Milliseconds(), Bytes: a.Size}
	cpu := usual(a.Type, media)
	if job.cpu > 0 && job.usual > 0 && a.Duration > 0 {
		cpu = time.Duration(float64(job.cpu) * float64(cpu) / float64(job.usual))
	} else {
		one.Guessed = 1
	}
	one.CPUMS = cpu.Milliseconds()
	return one, job.capture, nil
}

// job adds up what the attempts at a job and at its parts took.
func (m *estimator) job(ctx context.Context, id string) (effort, error) {
	e := effort{capture: "job " + id}
	job, err := m.d.catalog.JobByID(ctx, id)
	if errors.Is(err, catalog.ErrNotFound) {
		return e, nil
	}
	if err != nil {
		return e, err
	}
	e.capture = job.CaptureKey
	if !job.StartedAt.IsZero() && job.StoppedAt.After(job.StartedAt) {
		e.session = job.StoppedAt.Sub(job.StartedAt)
	}
	parts, err := m.d.catalog.ListJobs(ctx, catalog.JobFilter{ParentID: id})
	if err != nil {
		return e, err
	}
	for _, j := range append(parts, job) {
		log, err := m.d.catalog.Attempts(ctx, j.ID)
		if err != nil {
			return e, err
		}
		for _, attempt := range log {
			e.cpu += attempt.Usage.CPU
		}
	}
	assets, err := m.d.catalog.ListAssets(ctx, catalog.Filter{JobID: id, Superseded: true})
	if err != nil {
		return e, err
	}
	for _, a := range assets {
		e.usual += usual(a.Type, a.Duration)
	}
	return e, nil
}

// usual is what an asset takes by the usual measure.
func usual(t catalog.AssetType, media time.Duration) time.Duration {
	return media / 1000 * time.Duration(usualEffort(t))
}
