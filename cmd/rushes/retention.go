package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"rushes/catalog"
	"rushes/pipeline"
	"rushes/pipeline/stage"
)

// retention is how many days assets are kept, written like track=30,room-vod=365.
type retention []retentionRule

type retentionRule struct {
	kind catalog.AssetType
	days int
}

var _ kong.MapperValue = (*retention)(nil)

// mostDays is a hundred years.
const mostDays = 36500

// Decode reads the value of a flag.
func (r *retention) Decode(ctx *kong.DecodeContext) error {
	var text string
	if err := ctx.Scan.PopValueInto("types and days", &text); err != nil {
		return err
	}
	*r = nil
	for entry := range strings.SplitSeq(text, ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		name, number, _ := strings.Cut(entry, "=")
		kind := catalog.AssetType(strings.TrimSpace(name))
		days, err := strconv.Atoi(strings.TrimSpace(number))
		switch {
		case !slices.Contains(catalog.AssetTypes(), kind):
			return fmt.Errorf("%q is none of %v", name, catalog.AssetTypes())
		case err != nil || days < 1 || days > mostDays:
			return fmt.Errorf("%q: a whole number of days from 1 to %d is wanted", entry, mostDays)
		case slices.ContainsFunc(*r, func(o retentionRule) bool { return o.kind == kind }):
			return fmt.Errorf("%s is there twice", kind)
		}
		*r = append(*r, retentionRule{kind, days})
	}
	return nil
}

// String writes the value as the flag takes it.
func (r retention) String() string {
	var list []string
	for _, rule := range r {
		list = append(list, fmt.Sprintf("%s=%d", rule.kind, rule.days))
	}
	return strings.Join(list, ",")
}

// rules gives the value as the stages take it.
func (r retention) rules() stage.Retention {
	out := stage.Retention{}
	for _, rule := range r {
		out[rule.kind] = time.Duration(rule.days) * 24 * time.Hour
	}
	return out
}

// retainFlag is of those who delete what is too old.
type retainFlag struct {
	Retain retention `help:"Delete assets of these types, with bytes and thumbnails, that are older than so many days, such as track=30,room-vod=365. Types that are not named are kept." env:"RUSHES_RETAIN" placeholder:"TYPE=DAYS,..."`
}

// chores deletes what is too old; nil when nothing is ever too old.
func (f *retainFlag) chores(d *data, log *slog.Logger) []func(context.Context) error {
	if len(f.Retain) == 0 {
		return nil
	}
	return []func(context.Context) error{func(ctx context.Context) error {
		return stage.Expire(ctx, d.catalog, d.blobs, f.Retain.rules(), time.Now(), false, func(a catalog.Asset) error {
			log.Info("an asset has expired", "asset_id", a.ID, "type", string(a.Type), "bytes", a.Size, "created_at", a.CreatedAt)
			return nil
		})
	}}
}

// deletion is what delete and expire say of an asset.
type deletion struct {
	ID      string `json:"id"`
	Type    string `json:"type,omitempty"`
	Path    string `json:"path,omitempty"`
	Bytes   int64  `json:"bytes"`
	Deleted bool   `json:"deleted"` // false in a dry run, and where there was nothing
	Found   bool   `json:"found"`
}

func deletionOf(a catalog.Asset, deleted bool) deletion {
	return deletion{ID: a.ID, Type: string(a.Type), Path: a.Path, Bytes: a.Size, Deleted: deleted, Found: true}
}

// print prints a line.
func (x deletion) print(e env) error {
	said := "would be deleted"
	switch {
	case !x.Found:
		said = "is not there"
	case x.Deleted:
		said = "deleted"
	}
	_, err := fmt.Fprintln(e.stdout, strings.TrimSpace(fmt.Sprintf("%s  %s  %s  %s", x.ID, said, x.Type, clean(x.Path))))
	return err
}

type assetsDeleteCmd struct {
	IDs      []string `arg:"" name:"id" help:"Ids of assets."`
	DryRun   bool     `help:"Say what would be deleted."`
	JSON     bool     `name:"json" help:"Print JSON."`
	dataFlag `embed:""`
}

// Validate refuses what no asset is called: an asset that is not there is as good as deleted, a slip is not.
func (c *assetsDeleteCmd) Validate() error {
	for _, id := range c.IDs {
		if !catalog.ValidID(id) {
			return fmt.Errorf("%q is no id of an asset", clean(id))
		}
	}
	return nil
}

// Run deletes one asset after the other, and goes on after one that cannot be deleted.
func (c *assetsDeleteCmd) Run(ctx context.Context, e env) (err error) {
	d, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	done := []deletion{}
	var errs []error
	for _, id := range c.IDs {
		x, err := c.one(ctx, d, id)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		done = append(done, x)
		if !c.JSON {
			errs = append(errs, x.print(e))
		}
	}
	if c.JSON {
		errs = append(errs, printJSON(e.stdout, done))
	}
	return errors.Join(errs...)
}

// one deletes one asset.
func (c *assetsDeleteCmd) one(ctx context.Context, d *data, id string) (deletion, error) {
	if !c.DryRun {
		a, found, err := stage.Delete(ctx, d.catalog, d.blobs, id)
		if !found {
			return deletion{ID: id}, err
		}
		return deletionOf(a, err == nil), err
	}
	a, err := d.catalog.AssetByID(ctx, id)
	if errors.Is(err, catalog.ErrNotFound) {
		return deletion{ID: id}, nil
	}
	if err == nil && a.Status == catalog.AssetProcessing {
		err = fmt.Errorf("asset %s: %w", id, stage.ErrInMaking)
	}
	return deletionOf(a, false), err
}

type assetsExpireCmd struct {
	DryRun     bool `help:"Say what would be deleted."`
	JSON       bool `name:"json" help:"Print JSON."`
	retainFlag `embed:""`
	dataFlag   `embed:""`
}

// Run deletes what is too old at this moment, as serve and worker do all the time.
func (c *assetsExpireCmd) Run(ctx context.Context, e env) (err error) {
	if len(c.Retain) == 0 {
		return &exitError{code: pipeline.ExitUsage, err: errors.New("--retain: say which types are deleted after how many days, such as track=30")}
	}
	d, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	done := []deletion{}
	err = stage.Expire(ctx, d.catalog, d.blobs, c.Retain.rules(), time.Now(), c.DryRun, func(a catalog.Asset) error {
		x := deletionOf(a, !c.DryRun)
		done = append(done, x)
		if c.JSON {
			return nil
		}
		return x.print(e)
	})
	if c.JSON {
		err = errors.Join(err, printJSON(e.stdout, done))
	}
	return err
}
