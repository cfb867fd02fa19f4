package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"rushes/catalog/blob/dir"
	"rushes/catalog/sqlstore"
)

// dataFlag is the data folder, for every subcommand that uses it.
type dataFlag struct {
	Data string `help:"Folder of the catalog (catalog.db) and the assets (blobs/)." default:"./rushes-data" type:"path" env:"RUSHES_DATA" placeholder:"DIR"`
}

// data is an open data folder.
type data struct {
	catalog *sqlstore.Store
	blobs   *dir.Store
	scratch string
}

// openData opens the data folder, made if it is not there.
func openData(ctx context.Context, folder string) (_ *data, err error) {
	d := &data{scratch: filepath.Join(folder, "scratch")}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	for _, f := range []string{folder, d.scratch} {
		if err := os.MkdirAll(f, 0o755); err != nil {
			return nil, fmt.Errorf("data folder: %w", err)
		}
	}
	if d.blobs, err = dir.Open(filepath.Join(folder, "blobs")); err != nil {
		return nil, err
	}
	if d.catalog, err = sqlstore.Open(ctx, sqlstore.Config{Path: filepath.Join(folder, "catalog.db")}); err != nil {
		return nil, err
	}
	return d, nil
}

// Close closes what was opened.
func (d *data) Close() error {
	var errs []error
	if d.catalog != nil {
		errs = append(errs, d.catalog.Close())
	}
	if d.blobs != nil {
		errs = append(errs, d.blobs.Close())
	}
	return errors.Join(errs...)
}
