package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"rushes/fixtures"
	"rushes/pipeline"
)

type demoCmd struct {
	Dir         string `help:"Folder for the sample captures and the data." default:"./demo" type:"path" placeholder:"DIR" env:"RUSHES_DEMO_DIR"`
	encodeFlags `embed:""`
}

// Run makes sample captures, processes each and prints what came out.
func (c *demoCmd) Run(ctx context.Context, e env) (err error) {
	captures, err := fixtures.Demo(ctx, filepath.Join(c.Dir, "captures"))
	if err != nil {
		return fmt.Errorf("make the sample captures: %w", err)
	}
	d, err := openData(ctx, filepath.Join(c.Dir, "data"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	for _, path := range captures {
		if err := c.one(ctx, e, d, path); err != nil {
			return err
		}
	}
	fmt.Fprintf(e.stdout, "The sample captures lie in %s, the catalog and the assets in %s.\nLook again: bin/rushes assets list --data %s\n",
		filepath.Join(c.Dir, "captures"), filepath.Join(c.Dir, "data"), filepath.Join(c.Dir, "data"))
	return nil
}

// one takes one capture through the pipeline and prints its assets.
func (c *demoCmd) one(ctx context.Context, e env, d *data, path string) (err error) {
	p := processCmd{encodeFlags: c.encodeFlags}
	cp, err := p.openCapture(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cp.Close()) }()
	out, err := p.process(ctx, e, d, cp)
	if err != nil {
		return err
	}
	if out.Failed > 0 {
		return &exitError{code: pipeline.ExitPartial, err: fmt.Errorf("%s: %d assets failed", path, out.Failed)}
	}
	fmt.Fprintf(e.stdout, "%s\n", path)
	if err := printAssets(e.stdout, d, out.Assets); err != nil {
		return err
	}
	for _, a := range out.Assets {
		x, err := onDisk(d, a)
		if err != nil {
			return err
		}
		fmt.Fprintf(e.stdout, "open  file://%s\n\n", x.File)
	}
	return nil
}
