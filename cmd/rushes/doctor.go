package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rushes/pipeline"
	sandbox "rushes/pipeline/child"
	"rushes/pipeline/queue"
	"rushes/transcode"
)

type doctorCmd struct {
	Redis     string `help:"Redis that the jobs are queued in; not looked at without it." placeholder:"URL" env:"RUSHES_REDIS"`
	dataFlag  `embed:""`
	linkFlags `embed:""`
}

// doctorPatience is how long one check may take.
const doctorPatience = 30 * time.Second

// checkup prints a line a check: ok, FAIL for what nothing works without, warn for the rest.
type checkup struct {
	out    io.Writer
	failed bool
}

func (u *checkup) ok(format string, args ...any) {
	fmt.Fprintf(u.out, "ok    %s\n", fmt.Sprintf(format, args...))
}

func (u *checkup) warn(format string, args ...any) {
	fmt.Fprintf(u.out, "warn  %s\n", fmt.Sprintf(format, args...))
}

func (u *checkup) fail(what string, err error) {
	u.failed = true
	fmt.Fprintf(u.out, "FAIL  %s: %s\n", what, clean(line(err)))
}

// Run prints a line a check; a failed one makes the exit status 1.
func (c *doctorCmd) Run(ctx context.Context, e env) error {
	u := &checkup{out: e.stdout}
	b := transcode.BuildInfo()
	u.ok("rushes %s", version)
	u.ok("libavcodec %s, licence: %s", b.Version, b.License)
	u.found("decoder", b.Decoders)
	u.found("encoder", b.Encoders)
	for _, p := range sandbox.Support() {
		if p.Available {
			u.ok("sandbox: %s: %s", p.Name, p.Detail)
		} else {
			u.warn("sandbox: the kernel has no %s: %s", p.Name, p.Detail)
		}
	}
	err := c.folders(ctx, u)
	if c.Redis != "" {
		c.redis(ctx, u)
	}
	c.webhooks(ctx, u)
	if err == nil && u.failed {
		err = &exitError{code: pipeline.ExitOther}
	}
	return err
}

func (u *checkup) found(what string, found map[string]bool) {
	var have, miss []string
	for _, name := range transcode.Sorted(found) {
		if found[name] {
			have = append(have, name)
		} else {
			miss = append(miss, name)
		}
	}
	u.ok("%ss: %s", what, strings.Join(have, ", "))
	if len(miss) > 0 {
		u.fail(what+"s missing", errors.New(strings.Join(miss, ", ")))
	}
}

// folders looks at the data folder, the catalog and the stores, and leaves no folder behind that was not there.
func (c *doctorCmd) folders(ctx context.Context, u *checkup) (err error) {
	for _, folder := range c.places() {
		if made := firstMissing(folder); made != "" {
			defer func() { err = errors.Join(err, os.RemoveAll(made)) }()
		}
	}
	ctx, stop := context.WithTimeout(ctx, doctorPatience)
	defer stop()
	if err := writable(filepath.Join(c.Data, "scratch")); err != nil {
		u.fail("data folder "+clean(c.Data), err)
		return nil
	}
	u.ok("data folder %s: written, read and deleted a file", clean(c.Data))
	c.catalog(ctx, u)
	c.store(ctx, u, "store", c.Store)
	if c.BackupStore != "" {
		c.store(ctx, u, "backup store", c.BackupStore)
	}
	return nil
}

// places are the folders that looking may make.
func (c *doctorCmd) places() []string {
	places := []string{c.Data}
	for _, p := range []string{c.Store, c.BackupStore} {
		if p != "" && !strings.Contains(p, "://") {
			places = append(places, p)
		}
	}
	return places
}

// writable makes the folder, and a file in it.
func writable(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(folder, ".doctor-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString("rushes")
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
}

// catalog opens the catalog, which brings its schema up to date.
func (c *doctorCmd) catalog(ctx context.Context, u *checkup) {
	what := "catalog (SQLite)"
	if c.isPostgres() {
		what = "catalog (PostgreSQL)"
	}
	store, err := c.openCatalog(ctx)
	if err != nil {
		u.fail(what, err)
		return
	}
	counts, err := store.CountJobs(ctx)
	if err := errors.Join(err, store.Close()); err != nil {
		u.fail(what, err)
		return
	}
	jobs := 0
	for _, n := range counts {
		jobs += int(n.Count)
	}
	u.ok("%s: opens, its schema is up to date, %d jobs", what, jobs)
}

// redis asks Redis for an answer.
func (c *doctorCmd) redis(ctx context.Context, u *checkup) {
	ctx, stop := context.WithTimeout(ctx, doctorPatience)
	defer stop()
	what := "Redis " + queue.URL(c.Redis).String()
	q, err := queue.New(queue.Config{RedisURL: queue.URL(c.Redis)})
	if err == nil {
		err = errors.Join(q.Ping(ctx), q.Close())
	}
	if err != nil {
		u.fail(what, err)
		return
	}
	u.ok("%s: answers", what)
}

// firstMissing is the outermost folder of a path that is not there yet, "" when all are.
func firstMissing(path string) (missing string) {
	for ; ; path = filepath.Dir(path) {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			return missing
		}
		missing = path
	}
}
