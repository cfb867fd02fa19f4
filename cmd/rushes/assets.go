package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"

	"rushes/catalog"
	"rushes/pipeline"
)

type assetsCmd struct {
	List assetsListCmd `cmd:"" help:"List assets, newest first."`
	Show assetsShowCmd `cmd:"" help:"Show one asset with all its metadata, as JSON."`

	Link   assetsLinkCmd   `cmd:"" help:"Print an address that opens an asset, for a while, for whoever has it."`
	Delete assetsDeleteCmd `cmd:"" help:"Delete assets: rows, bytes and thumbnails."`
	Expire assetsExpireCmd `cmd:"" help:"Delete assets that are older than their type is kept."`
}

type assetsListCmd struct {
	Room     string `help:"Only assets of this room."`
	Session  string `help:"Only assets of this session."`
	Type     string `help:"Only assets of this type." placeholder:"TYPE"`
	Status   string `help:"Only assets with this status: processing, completed or failed." placeholder:"STATUS"`
	Limit    int    `help:"Most assets to list." default:"100"`
	After    string `help:"Go on after the asset with this id." placeholder:"ID"`
	JSON     bool   `name:"json" help:"Print JSON."`
	dataFlag `embed:""`
}

// Validate refuses what no asset can have: an empty list would not tell of a slip.
func (c *assetsListCmd) Validate() error {
	if c.Type != "" && !slices.Contains(catalog.AssetTypes(), catalog.AssetType(c.Type)) {
		return fmt.Errorf("--type: %q is none of %v", c.Type, catalog.AssetTypes())
	}
	states := []catalog.AssetStatus{catalog.AssetProcessing, catalog.AssetCompleted, catalog.AssetFailed}
	if c.Status != "" && !slices.Contains(states, catalog.AssetStatus(c.Status)) {
		return fmt.Errorf("--status: %q is none of %v", c.Status, states)
	}
	return nil
}

// Run prints a page of the catalog.
func (c *assetsListCmd) Run(ctx context.Context, e env) (err error) {
	d, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	assets, err := d.catalog.ListAssets(ctx, catalog.Filter{RoomID: c.Room, SessionID: c.Session, Type: catalog.AssetType(c.Type),
		Status: catalog.AssetStatus(c.Status), Limit: c.Limit, After: c.After})
	if errors.Is(err, catalog.ErrInvalid) {
		return &exitError{code: pipeline.ExitUsage, err: err}
	}
	if err != nil {
		return err
	}
	if !c.JSON {
		return printAssets(e.stdout, d, assets)
	}
	list := []assetOnDisk{}
	for _, a := range assets {
		x, err := onDisk(d, a)
		if err != nil {
			return err
		}
		list = append(list, x)
	}
	return printJSON(e.stdout, list)
}

type assetsShowCmd struct {
	ID       string `arg:"" help:"The asset's id."`
	dataFlag `embed:""`
}

// Run prints one asset.
func (c *assetsShowCmd) Run(ctx context.Context, e env) (err error) {
	d, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	a, err := d.catalog.AssetByID(ctx, c.ID)
	if errors.Is(err, catalog.ErrNotFound) {
		return fmt.Errorf("no asset has the id %q; see `rushes assets list`", clean(c.ID))
	}
	if err != nil {
		return err
	}
	x, err := onDisk(d, a)
	if err == nil && d.backup != nil && a.Path != "" {
		if x.BackedUp, err = d.backup.BackedUp(ctx, a.Path); x.BackedUp && err == nil {
			x.File, err = d.behind.where(a.Path)
		}
	}
	if err != nil {
		return err
	}
	return printJSON(e.stdout, x)
}

// printAssets prints a table; a failed asset has its reason in place of the file.
func printAssets(w io.Writer, d *data, assets []catalog.Asset) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tTYPE\tSTATUS\tDURATION\tPICTURE\tSIZE\tFILE")
	for _, a := range assets {
		x, err := onDisk(d, a)
		if err != nil {
			return err
		}
		where, picture := clean(x.File), "-"
		if a.Error != nil {
			where = clean(a.Error.Message)
		}
		if r := a.Metadata.Resolution; r != nil {
			picture = fmt.Sprintf("%dx%d", r.Width, r.Height)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", a.ID, a.Type, a.Status, a.Duration.Round(time.Millisecond), picture, humanize.IBytes(uint64(a.Size)), where)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, a := range assets {
		for _, defect := range a.Metadata.Defects {
			if _, err := fmt.Fprintf(w, "%s  note: %s: %s\n", a.ID, clean(defect.Kind), clean(defect.Detail)); err != nil {
				return err
			}
		}
	}
	return nil
}
