package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"rushes/catalog"
	"rushes/pipeline"
	"rushes/pipeline/capture"
	"rushes/pipeline/stage"
	"rushes/transcode"
)

// reprocessCmd makes assets again. `rushes reprocess --room X` is `rushes reprocess run --room X`.
type reprocessCmd struct {
	Run  reprocessRunCmd  `cmd:"" default:"withargs" help:"Make assets again (the word run may be left out): what is chosen, of captures that are still there."`
	List reprocessListCmd `cmd:"" help:"List runs, newest first."`
	Show reprocessShowCmd `cmd:"" help:"Show one run: how far it is, as its command has seen it, and what was skipped or has failed, with reasons."`
}

// The limits of a run when nobody says otherwise.
const (
	usualRate     = 10
	usualInFlight = 100
)

type reprocessRunCmd struct {
	selectFlags `embed:"" group:"Which assets:"`
	againFlags  `embed:"" group:"How, where not as they were made before:"`
	DryRun      bool     `help:"Count what is chosen and estimate the CPU-hours, from what the jobs that made the assets took, else per hour of media: 0.3 for room-composite, 0.4 for room-composite-legacy, 0.1 for stream, 0.01 for track and room-vod. Nothing is written. With --purge, count what would be deleted."`
	Purge       bool     `help:"Delete assets that were chosen and that a newer, completed asset has replaced: rows, bytes and thumbnails."`
	Resume      string   `help:"Go on with the run of this id, with its selection and options." placeholder:"ID"`
	Rate        *float64 `help:"Most jobs to queue each second; 0 is without limit. Default: 10, or the resumed run's." placeholder:"N"`
	MaxInFlight *int     `help:"Most jobs of the run that wait or run at a time; 0 is without limit. Default: 100, or the resumed run's." placeholder:"N"`
	JSON        bool     `name:"json" help:"Print one JSON document at the end; progress goes to standard error."`
	dataFlag    `embed:""`
}

// againFlags say what is to be other than when the assets were made. Unlike the flags of process they have no
// variables: a run is an order of its own, and keeps what it was ordered with.
type againFlags struct {
	TrackFormat string   `help:"Format of track assets: auto or mp4." enum:",auto,mp4" default:"" placeholder:"FORMAT"`
	Layout      string   `help:"Layout of the composite: auto, grid, sidebar, spotlight, single, pip or regions." placeholder:"NAME"`
	Size        string   `help:"Size of the composite's picture." placeholder:"WxH"`
	FPS         string   `name:"fps" help:"Frames per second of the composite, or auto." placeholder:"N"`
	Roles       []string `help:"Only peers with these roles are seen and heard." sep:"," placeholder:"LIST"`
	Background  string   `help:"Colour behind the tiles." placeholder:"#RRGGBB"`
	NoNames     bool     `help:"Draw no names on the tiles."`

	CRF             float64 `help:"Quality of encoded pictures, 1 to 51, instead of the worker's." placeholder:"N"`
	Preset          string  `help:"x264's preset instead of the worker's." enum:",ultrafast,superfast,veryfast,faster,fast,medium,slow,slower,veryslow" default:"" placeholder:"NAME"`
	AudioBitrate    int     `help:"Bits per second of encoded sound instead of the worker's." placeholder:"N"`
	ThumbnailFormat string  `help:"Format of thumbnails instead of the worker's: png or jpeg." enum:",png,jpeg" default:"" placeholder:"FORMAT"`
}

// options gives the flags as the options of jobs. What no capture could be given is refused.
func (f *againFlags) options() (o stage.Options, err error) {
	out := outputFlags{TrackFormat: f.TrackFormat, layoutFlags: layoutFlags{Layout: f.Layout, Size: f.Size, FPS: f.FPS,
		Roles: f.Roles, Background: f.Background, NoNames: f.NoNames}}
	if o.Outputs, err = out.patch(); err != nil {
		return o, err
	}
	trial := &capture.Capture{Name: "the options", Manifest: &capture.Manifest{Source: capture.SourceSFU, Outputs: capture.DefaultOutputs(capture.SourceSFU)}}
	if err := trial.Override(o.Outputs); err != nil {
		return o, err
	}
	o.Settings = stage.Settings{
		Video:       transcode.VideoSettings{CRF: f.CRF, Preset: f.Preset},
		Audio:       transcode.AudioSettings{BitRate: f.AudioBitrate},
		StillFormat: transcode.StillFormat(f.ThumbnailFormat),
	}
	if f.CRF != 0 && !(f.CRF >= 1 && f.CRF <= 51) {
		return o, fmt.Errorf("--crf: %v is not between 1 and 51", f.CRF)
	}
	if f.AudioBitrate != 0 && (f.AudioBitrate < 16_000 || f.AudioBitrate > 512_000) {
		return o, fmt.Errorf("--audio-bitrate: %d is not between 16000 and 512000", f.AudioBitrate)
	}
	return o, nil
}

// given reports whether anything is to be other.
func (f *againFlags) given() bool {
	return f.TrackFormat != "" || f.Layout != "" || f.Size != "" || f.FPS != "" || len(f.Roles) > 0 || f.Background != "" || f.NoNames ||
		f.CRF != 0 || f.Preset != "" || f.AudioBitrate != 0 || f.ThumbnailFormat != ""
}

// Validate checks what kong's tags cannot.
func (c *reprocessRunCmd) Validate() error {
	if err := c.selectFlags.check(); err != nil {
		return err
	}
	if _, err := c.options(); err != nil {
		return errors.New(line(err))
	}
	limits := c.Rate != nil || c.MaxInFlight != nil
	switch {
	case c.Rate != nil && !(*c.Rate >= 0 && *c.Rate <= 1e6):
		return fmt.Errorf("--rate: %v is no number of jobs per second", *c.Rate)
	case c.MaxInFlight != nil && *c.MaxInFlight < 0:
		return fmt.Errorf("--max-in-flight: %d is negative", *c.MaxInFlight)
	case c.Resume != "" && (c.chosen() || c.given() || c.DryRun || c.Purge):
		return errors.New("--resume: a run keeps its selection and options; only --rate and --max-in-flight may be changed")
	case c.Resume == "" && !c.chosen():
		return errors.New("no assets are chosen: use --room, --session, --type, --status, --from, --to, --software or --ids, or --all for everything")
	case c.Purge && (c.given() || limits):
		return errors.New("--purge makes nothing: it goes with a selection and --dry-run only")
	}
	return nil
}

// Run makes the assets that are chosen again, or counts or deletes them.
func (c *reprocessRunCmd) Run(ctx context.Context, e env) (err error) {
	var ids []string
	if c.IDs != "" {
		if ids, err = readIDs(c.IDs); err != nil {
			return &exitError{code: pipeline.ExitUsage, err: err}
		}
	}
	d, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	switch {
	case c.Purge:
		return purge(ctx, e, d, &c.selectFlags, ids, c.DryRun, c.JSON)
	case c.Resume != "":
		run, err := d.catalog.Backfill(ctx, c.Resume)
		if errors.Is(err, catalog.ErrNotFound) {
			return &exitError{code: pipeline.ExitOther, err: fmt.Errorf("no run has the id %q; see `rushes reprocess list`", clean(c.Resume))}
		}
		if err != nil {
			return err
		}
		return c.feed(ctx, e, d, run)
	}
	chosen, err := c.choose(ctx, d, ids)
	if err != nil {
		return err
	}
	if c.DryRun {
		return dryRun(ctx, e, d, chosen, c.JSON)
	}
	run, err := c.order(ctx, d, chosen)
	if err != nil {
		return err
	}
	return c.feed(ctx, e, d, run)
}

// order writes the run down, with one item for each asset.
func (c *reprocessRunCmd) order(ctx context.Context, d *data, chosen []choice) (run catalog.Backfill, err error) {
	options, err := c.options()
	if err != nil {
		return run, err
	}
	run = catalog.Backfill{Rate: usualRate, MaxInFlight: usualInFlight}
	if run.Options, err = json.Marshal(options); err != nil {
		return run, err
	}
	if run.Selection, err = json.Marshal(c.selection()); err != nil {
		return run, err
	}
	if c.Rate != nil {
		run.Rate = *c.Rate
	}
	if c.MaxInFlight != nil {
		run.MaxInFlight = *c.MaxInFlight
	}
	ids := make([]string, 0, len(chosen))
	for _, x := range chosen {
		ids = append(ids, x.id)
	}
	return d.catalog.CreateBackfill(ctx, run, ids)
}

// feed queues what is left of a run and waits for it.
func (c *reprocessRunCmd) feed(ctx context.Context, e env, d *data, run catalog.Backfill) error {
	if c.Rate != nil {
		run.Rate = *c.Rate
	}
	if c.MaxInFlight != nil {
		run.MaxInFlight = *c.MaxInFlight
	}
	f, err := newFeeder(e, d, run, c.JSON)
	if err != nil {
		return err
	}
	return f.run(ctx)
}
