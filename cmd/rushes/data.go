package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"rushes/catalog"
	"rushes/catalog/blob"
	"rushes/catalog/blob/backup"
	"rushes/catalog/sqlstore"
	"rushes/pipeline"
	"rushes/pipeline/stage"
)

// dataFlag says where a process finds what it works with, for every subcommand that works with it.
type dataFlag struct {
	Data        string         `help:"Folder of the catalog (catalog.db) and the assets (blobs/), where they are nowhere else, and of what is in the making (scratch/)." default:"./rushes-data" type:"path" env:"RUSHES_DATA" placeholder:"DIR"`
	Catalog     catalog.Secret `help:"Catalog: a PostgreSQL database (postgres://USER:PASSWORD@HOST/DATABASE) or the file of an SQLite one. Default: catalog.db in the data folder." env:"RUSHES_CATALOG" placeholder:"URL"`
	Store       string         `help:"Where assets are kept: s3://BUCKET/PREFIX or a folder. Default: blobs in the data folder." env:"RUSHES_STORE" placeholder:"PLACE"`
	BackupStore string         `help:"Where assets go that the store refuses, until it takes them: s3://BUCKET/PREFIX or a folder." env:"RUSHES_BACKUP_STORE" placeholder:"PLACE"`
	Webhooks    string         `help:"File that says which servers are told of finished recordings. The same for all processes." type:"path" env:"RUSHES_WEBHOOKS" placeholder:"FILE"`
	s3Flags     `embed:"" prefix:"s3-"`
}

// data is what a process works with.
type data struct {
	catalog *sqlstore.Store
	blobs   blob.Store // main with backup behind it, where there is one
	scratch string
	folder  string // the data folder

	flags  *dataFlag
	main   place
	backup *backup.Store // nil without one
	behind place         // of the backup; its store is nil without one
	// refused is told when an object went to the backup store; set it before anything is put. It may be nil.
	refused func(key string, cause error)
}

// openData opens a data folder that nothing else is said of, made if it is not there.
func openData(ctx context.Context, folder string) (*data, error) {
	return (&dataFlag{Data: folder}).open(ctx)
}

// open opens the catalog and the store, made where they are in folders that are not there.
func (f *dataFlag) open(ctx context.Context) (_ *data, err error) {
	d := &data{folder: f.Data, scratch: filepath.Join(f.Data, "scratch"), flags: f}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	catalogConfig, err := f.catalogConfig()
	if err != nil {
		return nil, &exitError{code: pipeline.ExitUsage, err: err}
	}
	for _, folder := range []string{f.Data, d.scratch} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, fmt.Errorf("data folder: %w", err)
		}
	}
	where := f.Store
	if where == "" {
		where = filepath.Join(f.Data, "blobs")
	}
	if d.main, err = f.openPlace(ctx, where); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	d.blobs = d.main.store
	if f.BackupStore != "" {
		if d.behind, err = f.openPlace(ctx, f.BackupStore); err != nil {
			return nil, fmt.Errorf("backup store: %w", err)
		}
		if d.behind.name == d.main.name {
			return nil, &exitError{code: pipeline.ExitUsage, err: fmt.Errorf("--backup-store: %s is the store itself", d.main.name)}
		}
		d.backup = backup.New(d.main.store, d.behind.store, backup.Options{OnBackup: func(_ context.Context, key string, cause error) error {
			if d.refused != nil {
				d.refused(key, cause)
			}
			return nil
		}})
		d.blobs = d.backup
	}
	catalogConfig.Events = f.Webhooks != "" // who ends a job writes down that somebody is to be told
	if d.catalog, err = sqlstore.Open(ctx, catalogConfig); err != nil {
		return nil, err
	}
	return d, nil
}

// catalogConfig says which catalog is meant.
func (f *dataFlag) catalogConfig() (sqlstore.Config, error) {
	where := f.Catalog.Reveal()
	scheme, _, isURL := strings.Cut(where, "://")
	switch {
	case where == "":
		return sqlstore.Config{Path: filepath.Join(f.Data, "catalog.db")}, nil
	case !isURL:
		return sqlstore.Config{Path: where}, nil
	case scheme == "postgres" || scheme == "postgresql":
		return sqlstore.Config{URL: f.Catalog}, nil
	}
	return sqlstore.Config{}, errors.New("--catalog: neither a postgres:// address nor a path") // the value may hold a password
}

// isPostgres reports whether the catalog is one.
func (f *dataFlag) isPostgres() bool { return strings.Contains(f.Catalog.Reveal(), "://") }

// where says where an object lies in the store: the path of its file, or its address in S3.
func (d *data) where(key string) (string, error) { return d.main.where(key) }

// Close closes what was opened.
func (d *data) Close() error {
	var errs []error
	if d.catalog != nil {
		errs = append(errs, d.catalog.Close())
	}
	return errors.Join(append(errs, d.main.close(), d.behind.close())...)
}

// fetcher brings captures that lie in S3 to this machine.
func (f *dataFlag) fetcher() *stage.Fetcher {
	return &stage.Fetcher{Open: func(ctx context.Context, bucket string) (stage.Remote, error) { return f.openBucket(ctx, bucket, "") }}
}

// bring gives the path of a capture on this machine, as its user named it or fetched from S3 into a folder of its own.
// The caller calls leave when it is not read any more, with the error that its use ended in.
func (f *dataFlag) bring(ctx context.Context, uri string, waiting func()) (path string, leave func(error) error, err error) {
	if _, _, remote := stage.SplitS3(uri); !remote {
		return uri, func(error) error { return nil }, nil
	}
	path, done, err := f.fetcher().Bring(ctx, filepath.Join(f.Data, "scratch"), uri, waiting)
	return path, func(err error) error {
		var decided *exitError
		if errors.As(err, &decided) {
			err = decided.err // nil where it was all said, and there is something to show for it
		}
		kind := pipeline.KindOf(err)
		return done(kind != pipeline.KindInterrupted && kind != pipeline.KindTransient) // the same command goes on with it
	}, err
}
