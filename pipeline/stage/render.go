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
		if list[i].group != nil {
			if err := renderTogether(ctx, s, list, list[i].group, result.Rendered); err != nil {
				return result, fmt.Errorf("%s: %w", name, err)
			}
			continue
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

// renderTogether writes the files of all products of a group that are asked for and not there yet, in one go. Each is
// remembered by itself. With the first call, all are in made.
func renderTogether(ctx context.Context, s *site, list []*product, g *bundle, made map[string]outcome) error {
	var missing []*product
	for _, p := range list {
		if _, known := made[p.Name]; p.group != g || known || !slices.Contains(s.req.Items, p.Name) {
			continue
		}
		var r rendered
		done, err := s.run.Scratch.Done("render."+p.Name, p.Key, &r)
		if err != nil {
			return err
		}
		if done {
			made[p.Name] = outcome{Rendered: r}
			continue
		}
		if err := s.run.Scratch.Reset("render." + p.Name); err != nil {
			return err
		}
		if _, err := s.run.Scratch.Dir("render." + p.Name); err != nil {
			return err
		}
		missing = append(missing, p)
	}
	if len(missing) == 0 {
		return nil
	}
	s.report(StepReport{Item: missing[0].Name})
	before := cpuTime()
	out, err := g.render(ctx, s.run, missing, func(p pipeline.Progress) { s.report(StepReport{Item: missing[0].Name, Progress: &p}) })
	if err != nil && !final(ctx, err) {
		return err
	}
	share := (cpuTime() - before) / time.Duration(len(missing))
	for _, p := range missing {
		o, ok := out[p.Name]
		switch {
		case err != nil:
			o = outcome{Failure: newFailure(err)}
		case !ok:
			return fmt.Errorf("%s was not made", p.Name)
		case o.Failure == nil:
			if err := s.run.Scratch.MarkDone("render."+p.Name, p.Key, o.Rendered); err != nil {
				return err
			}
		}
		o.CPU = share
		made[p.Name] = o
	}
	return nil
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
