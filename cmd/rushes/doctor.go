package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"rushes/catalog/blob"
	"rushes/pipeline"
	"rushes/transcode"
)

type doctorCmd struct {
	dataFlag `embed:""`
}

// Run prints a line a check; a failed one makes the exit status 1.
func (c *doctorCmd) Run(ctx context.Context, e env) error {
	b := transcode.BuildInfo()
	fmt.Fprintf(e.stdout, "ok    rushes %s\n", version)
	fmt.Fprintf(e.stdout, "ok    libavcodec %s, licence: %s\n", b.Version, b.License)
	failed := printFound(e.stdout, "decoder", b.Decoders)
	failed = printFound(e.stdout, "encoder", b.Encoders) || failed
	if err := c.writeTest(ctx); err != nil {
		fmt.Fprintf(e.stdout, "FAIL  data folder %s: %s\n", clean(c.Data), line(err))
		failed = true
	} else {
		fmt.Fprintf(e.stdout, "ok    data folder %s: written, read and deleted a blob; catalog opens\n", clean(c.Data))
	}
	if failed {
		return &exitError{code: pipeline.ExitOther}
	}
	return nil
}

func printFound(w io.Writer, what string, found map[string]bool) (failed bool) {
	var have, miss []string
	for _, name := range transcode.Sorted(found) {
		if found[name] {
			have = append(have, name)
		} else {
			miss = append(miss, name)
		}
	}
	fmt.Fprintf(w, "ok    %ss: %s\n", what, strings.Join(have, ", "))
	if len(miss) > 0 {
		fmt.Fprintf(w, "FAIL  %ss missing: %s\n", what, strings.Join(miss, ", "))
	}
	return len(miss) > 0
}

// writeTest does with the data folder what a job does.
func (c *doctorCmd) writeTest(ctx context.Context) (err error) {
	made := firstMissing(c.Data)
	var d *data
	defer func() {
		if d != nil {
			err = errors.Join(err, d.Close())
		}
		if made != "" { // looking leaves nothing behind
			err = errors.Join(err, os.RemoveAll(made))
		}
	}()
	if d, err = openData(ctx, c.Data); err != nil {
		return err
	}
	const key, text = "doctor/write-test.txt", "rushes"
	if err := d.blobs.Put(ctx, key, strings.NewReader(text), blob.PutOptions{Size: int64(len(text))}); err != nil {
		return err
	}
	r, err := d.blobs.Get(ctx, key, blob.Range{})
	if err != nil {
		return err
	}
	back, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	if string(back) != text {
		return fmt.Errorf("wrote %q and read %q", text, back)
	}
	return d.blobs.Delete(ctx, key)
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
