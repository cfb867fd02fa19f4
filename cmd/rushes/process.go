package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode"

	"rushes/catalog"
	"rushes/pipeline"
	"rushes/pipeline/capture"
	"rushes/pipeline/stage"
	"rushes/transcode"
)

// encodeFlags say how media is encoded where it cannot be copied.
type encodeFlags struct {
	CRF             float64 `help:"Quality of encoded pictures: x264's constant rate factor, 1 (best and largest) to 51." default:"23" env:"RUSHES_CRF"`
	Preset          string  `help:"x264's preset, ultrafast to veryslow." default:"veryfast" env:"RUSHES_PRESET" enum:"ultrafast,superfast,veryfast,faster,fast,medium,slow,slower,veryslow"`
	AudioBitrate    int     `help:"Bits per second of encoded sound." default:"128000" env:"RUSHES_AUDIO_BITRATE"`
	ThumbnailFormat string  `help:"Format of thumbnails: png or jpeg." default:"png" enum:"png,jpeg" env:"RUSHES_THUMBNAIL_FORMAT"`
}

func (f *encodeFlags) Validate() error {
	if f.CRF < 1 || f.CRF > 51 { // 0 would be lossless, which few players can show
		return fmt.Errorf("--crf: %v is not between 1 and 51", f.CRF)
	}
	if f.AudioBitrate < 16_000 || f.AudioBitrate > 512_000 {
		return fmt.Errorf("--audio-bitrate: %d is not between 16000 and 512000", f.AudioBitrate)
	}
	return nil
}

type processCmd struct {
	Capture     string `arg:"" help:"Folder with capture.json, a manifest, or a media file; s3://BUCKET/PREFIX/ or s3://BUCKET/KEY too."`
	JSON        bool   `name:"json" help:"Print one JSON document with the job and its assets."`
	dataFlag    `embed:""`
	outputFlags `embed:""`
	encodeFlags `embed:""`
	chunkFlag   `embed:""`
}

// Validate checks the flags that kong's tags cannot.
func (c *processCmd) Validate() error {
	return errors.Join(c.encodeFlags.Validate(), c.chunkFlag.Validate())
}

// Run makes the assets and prints them.
func (c *processCmd) Run(ctx context.Context, e env) (err error) {
	path, leave, err := c.bring(ctx, c.Capture, func() { fmt.Fprintln(e.stderr, "rushes: another process fetches this capture; waiting for it") })
	if err != nil {
		return c.interrupted(err)
	}
	defer func() { err = errors.Join(err, leave(err)) }()
	cp, err := c.openCapture(ctx, path)
	if err != nil {
		return err // before there is a data folder, for a capture that lies here
	}
	defer func() { err = errors.Join(err, cp.Close()) }()
	cp.Name = c.Capture
	d, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	out, err := c.process(ctx, e, d, cp)
	if pipeline.KindOf(err) == pipeline.KindInterrupted {
		return c.interrupted(err)
	}
	if err == nil || out.Failed > 0 {
		if perr := c.print(e.stdout, d, out); perr != nil {
			return errors.Join(err, perr)
		}
	}
	if code := pipeline.ExitCode(out.Made, out.Failed, err); code != pipeline.ExitOK {
		return &exitError{code: code, err: err}
	}
	return nil
}

// interrupted says what to do where that is the error.
func (c *processCmd) interrupted(err error) error {
	if pipeline.KindOf(err) != pipeline.KindInterrupted {
		return err
	}
	return &exitError{code: pipeline.ExitOther, err: fmt.Errorf("%s: %w", c.Capture, errInterrupted{err})}
}

// errInterrupted is an interruption in the words for those who caused it.
type errInterrupted struct{ cause error }

func (errInterrupted) Error() string { return "interrupted; the same command goes on where it was" }

func (e errInterrupted) Unwrap() error { return e.cause }

// openCapture opens the capture and puts what the command line says of its outputs in place of the manifest's.
func (c *processCmd) openCapture(ctx context.Context, path string) (*capture.Capture, error) {
	cp, err := capture.Open(ctx, path)
	if err != nil {
		return cp, err
	}
	if err := c.outputFlags.apply(cp); err != nil {
		return nil, &exitError{code: pipeline.ExitUsage, err: errors.Join(err, cp.Close())}
	}
	return cp, nil
}

// process takes one capture through the pipeline.
func (c *processCmd) process(ctx context.Context, e env, d *data, cp *capture.Capture) (out stage.Outcome, err error) {
	uri := cp.Name
	if _, _, remote := stage.SplitS3(uri); !remote {
		if uri, err = filepath.Abs(uri); err != nil {
			return out, err
		}
	}
	d.refused = func(key string, _ error) {
		fmt.Fprintf(e.stderr, "rushes: the store refuses %s; it waits in the backup store\n", clean(key))
	}
	patch, err := c.patch()
	if err != nil {
		return out, err
	}
	bars := newBars(e)
	defer bars.close()
	return stage.Process(ctx, stage.Config{
		Asked:   stage.Options{Outputs: patch},
		Catalog: d.catalog, Blobs: d.blobs, Scratch: d.scratch, Software: version, Observer: bars,
		Waiting: func() { fmt.Fprintln(e.stderr, "rushes: another process works at this capture; waiting for it") },
		Settings: stage.Settings{
			Video:       transcode.VideoSettings{CRF: c.CRF, Preset: c.Preset},
			Audio:       transcode.AudioSettings{BitRate: c.AudioBitrate},
			StillFormat: transcode.StillFormat(c.ThumbnailFormat),
			Chunk:       c.Chunk,
		},
	}, cp, uri)
}

// assetOnDisk is an asset as in the API, with the file, or the address in S3, that holds it.
type assetOnDisk struct {
	catalog.AssetDocument
	File string `json:"file"`
	// BackedUp says that it waits in the backup store.
	BackedUp bool `json:"backed_up,omitempty"`
}

func onDisk(d *data, a catalog.Asset) (assetOnDisk, error) {
	out := assetOnDisk{AssetDocument: a.Document()}
	if a.Path == "" {
		return out, nil
	}
	file, err := d.where(a.Path)
	out.File = file
	return out, err
}

func (c *processCmd) print(w io.Writer, d *data, out stage.Outcome) error {
	if !c.JSON {
		return printAssets(w, d, out.Assets)
	}
	doc := struct {
		Job    catalog.Job   `json:"job"`
		Assets []assetOnDisk `json:"assets"`
	}{Job: out.Job, Assets: []assetOnDisk{}}
	for _, a := range out.Assets {
		x, err := onDisk(d, a)
		if err != nil {
			return err
		}
		doc.Assets = append(doc.Assets, x)
	}
	return printJSON(w, doc)
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// clean makes a text of unknown origin safe for a terminal and a table: no control characters, and nothing that turns
// the direction of what follows.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\u200c' || r == '\u200d': // letters of Persian and Hindi, and emoji, need them
			return r
		case unicode.Is(unicode.Cf, r):
			return -1
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
			return ' '
		}
		return r
	}, s)
}
