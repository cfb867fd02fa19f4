package stage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"rushes/pipeline"
)

// renderAll writes the files of the items that are asked for, each once. An item whose input is bad, or that can
// never be made, is a failure in the result; trouble of the machine ends the step.
func (r *workroom) renderAll(ctx context.Context, s *site) (StepResult, error) {
	list, err := r.products(ctx, s.req)
	if err != nil {
		return StepResult{}, err
	}
	result := StepResult{Rendered: map[string]outcome{}}
	for _, name := range s.req.Items {
		i := slices.IndexFunc(list, func(p *product) bool { return p.Name == name })
		if i < 0 {
			return result, pipeline.Permanent(fmt.Errorf("asset %s is not among the %d of the capture", name, len(list)))
		}
		s.report(StepReport{Item: name})
		before := cpuTime()
		made, _, err := pipeline.Remember(ctx, s.run, "render."+name, list[i].Key, func(ctx context.Context, _ *pipeline.Run) (rendered, error) {
			return renderOne(ctx, s, list[i])
		})
		o := outcome{Rendered: made, CPU: cpuTime() - before}
		if err != nil {
			if !final(ctx, err) {
				return result, fmt.Errorf("%s: %w", name, err)
			}
			o.Failure = newFailure(err)
		}
		result.Rendered[name] = o
	}
	return result, nil
}

func renderOne(ctx context.Context, s *site, p *product) (_ rendered, err error) {
	folder, err := s.run.Scratch.Dir("render." + p.Name)
	if err != nil {
		return rendered{}, err
	}
	f, err := os.Create(filepath.Join(folder, p.File))
	if err != nil {
		return rendered{}, fmt.Errorf("make the output file: %w", err)
	}
	report := func(progress pipeline.Progress) { s.report(StepReport{Item: p.Name, Progress: &progress}) }
	furthest := pipeline.Progress{}
	r, err := p.render(ctx, s.run, f, func(progress pipeline.Progress) {
		// A track that turns out not to be fit for copying begins everything again; the bar waits for it.
		progress.Done = min(max(progress.Done, furthest.Done), progress.Total)
		furthest = progress
		report(progress)
	})
	if err := errors.Join(err, f.Close()); err != nil {
		return rendered{}, errors.Join(err, os.Remove(f.Name()))
	}
	total := cmp.Or(furthest.Total, r.Size) // a short film is done before it has said anything
	report(pipeline.Progress{Done: total, Total: total, Media: r.Duration})
	return r, nil
}

// cpuTime is what this process has used so far; 0 where the system does not tell.
func cpuTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
