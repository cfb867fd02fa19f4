package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"rushes/pipeline"
	"rushes/pipeline/capture"
	"rushes/pipeline/stage"
)

// planFlags ask inspect for the plan of the composite in place of what is in the capture.
type planFlags struct {
	Plan bool   `help:"Print the plan of the composite, as JSON: who is where, when (sfu)."`
	SVG  string `name:"svg" help:"With --plan: draw each scene into this folder, scene-0000.svg and so on." placeholder:"DIR" type:"path"`
}

// Validate refuses what makes no sense alone.
func (f *planFlags) Validate() error {
	if f.SVG != "" && !f.Plan {
		return fmt.Errorf("--svg goes with --plan")
	}
	return nil
}

// printPlan prints the plan and draws its scenes.
func (c *inspectCmd) printPlan(ctx context.Context, e env, cp *capture.Capture) error {
	if err := (&outputFlags{layoutFlags: c.layoutFlags}).apply(cp); err != nil {
		return &exitError{code: pipeline.ExitUsage, err: err}
	}
	plan, err := stage.PlanOf(ctx, cp)
	if err != nil {
		return err
	}
	if c.SVG != "" {
		if err := os.MkdirAll(c.SVG, 0o755); err != nil {
			return fmt.Errorf("folder of the drawings: %w", err)
		}
		for i := range plan.Scenes {
			file := filepath.Join(c.SVG, fmt.Sprintf("scene-%04d.svg", i))
			if err := os.WriteFile(file, plan.SVG(i), 0o644); err != nil {
				return fmt.Errorf("draw scene %d: %w", i, err)
			}
		}
	}
	return printJSON(e.stdout, plan)
}
