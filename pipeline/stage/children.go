package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"rushes/catalog"
	"rushes/pipeline"
	"rushes/pipeline/child"
)

// Children runs each step in a child process of its own, which can read the capture and write the scratch folder and
// nothing else (see package child). It is safe for concurrent use.
type Children struct {
	// Command are the program's arguments that make it call ChildMain.
	Command []string
	// Env are variables for the child, as "NAME=value".
	Env []string
	// Limits bound each child.
	Limits child.Limits
	// Meter is told of children that die; nil for nobody.
	Meter Meter
	// Log gets the children's standard error; nil for nobody.
	Log *slog.Logger
}

// LimitsOf gives the limits of a child that works at a job of this cost: twice the memory that is expected and at
// least 1 GiB, the processors that the job was admitted with, and as much time as the attempt has.
func LimitsOf(cost catalog.Cost, timeout time.Duration) child.Limits {
	cpus := max((cost.CPU+999)/1000, 1)
	return child.Limits{Memory: max(2*cost.Memory, 1<<30), CPUs: cpus, CPU: timeout * time.Duration(cpus)}
}

// Step runs one step in a child. A child that dies is a *child.Death.
func (c *Children) Step(ctx context.Context, req StepRequest, report func(StepReport)) (result StepResult, err error) {
	readable, err := captureFolder(req.Capture)
	if err != nil {
		return result, err
	}
	spec := child.Spec{Args: c.Command, Env: c.Env, Input: req, Readable: readable, Limits: c.Limits, Log: c.Log}
	if req.Scratch != "" {
		spec.Writable = []string{req.Scratch}
		// The list of the system's fonts is made anew where it is needed: one kept for all jobs could be changed by one.
		spec.Env = append(slices.Clone(c.Env), "XDG_CACHE_HOME="+filepath.Join(req.Scratch, ".cache"), "TMPDIR="+req.Scratch)
	}
	out, err := child.Run(ctx, spec, func(text json.RawMessage) {
		var r StepReport
		if report != nil && json.Unmarshal(text, &r) == nil {
			report(r)
		}
	})
	var death *child.Death
	if errors.As(err, &death) && c.Meter != nil {
		c.Meter.Died(string(death.Reason))
	}
	if err == nil {
		if err = json.Unmarshal(out.Result, &result); err != nil {
			err = fmt.Errorf("result of step %s: %w", req.Step, err)
		}
	}
	result.Usage = catalog.Usage{CPU: out.CPU, Memory: out.Memory}
	return result, err
}

// captureFolder is what a child must read to open a capture: its folder, or that of its manifest or media file. A
// symbolic link is followed, as capture.Open does.
func captureFolder(path string) ([]string, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // the child says so
	}
	if err != nil {
		return nil, fmt.Errorf("look for capture %s: %w", path, err)
	}
	info, err := os.Stat(resolved)
	if err != nil {
		return nil, fmt.Errorf("look for capture %s: %w", path, err)
	}
	named, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("look for capture %s: %w", path, err)
	}
	if info.IsDir() {
		return []string{resolved, named}, nil
	}
	return []string{filepath.Dir(resolved), filepath.Dir(named)}, nil
}

// ChildMain is the child's side of Children: it runs the one step that stdin asks for and gives the exit status.
func ChildMain(ctx context.Context, stdin io.Reader, stdout io.Writer) int {
	return child.Main(ctx, stdin, stdout, func(ctx context.Context, input json.RawMessage, report func(any)) (any, error) {
		var req StepRequest
		if err := json.Unmarshal(input, &req); err != nil {
			return nil, pipeline.Permanent(fmt.Errorf("request of a step: %w", err))
		}
		return RunStep(ctx, req, func(r StepReport) { report(r) })
	})
}
