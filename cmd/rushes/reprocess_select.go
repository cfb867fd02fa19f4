package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"rushes/catalog"
)

// selectFlags choose assets: those that meet all that is given.
type selectFlags struct {
	All      bool   `help:"All assets."`
	Room     string `help:"Assets of this room."`
	Session  string `help:"Assets of this session."`
	Type     string `help:"Assets of this type." placeholder:"TYPE"`
	Status   string `help:"Assets with this status: processing, completed or failed." placeholder:"STATUS"`
	From     string `help:"Assets that were registered at this time or later: RFC 3339, or a date (UTC)." placeholder:"TIME"`
	To       string `help:"Assets that were registered before this time, or on this date (UTC) or before." placeholder:"TIME"`
	Software string `help:"Assets that this version of Rushes has made." placeholder:"VERSION"`
	IDs      string `name:"ids" help:"Assets whose ids are in this file, one in a line; - is standard input." placeholder:"FILE"`
}

// selection is what was chosen, as it is kept with a run.
type selection struct {
	All      bool   `json:"all,omitempty"`
	Room     string `json:"room,omitempty"`
	Session  string `json:"session,omitempty"`
	Type     string `json:"type,omitempty"`
	Status   string `json:"status,omitempty"`
	From     string `json:"from,omitempty"`
	To       string `json:"to,omitempty"`
	Software string `json:"software,omitempty"`
	IDs      string `json:"ids,omitempty"`
}

func (f *selectFlags) selection() selection { return selection(*f) }

// chosen reports whether anything was given.
func (f *selectFlags) chosen() bool { return *f != selectFlags{} }

// check refuses what no asset can meet: an empty selection would not tell of a slip.
func (f *selectFlags) check() error {
	only := *f
	only.All = false
	if f.All && only != (selectFlags{}) {
		return errors.New("--all: nothing else may be chosen beside everything")
	}
	list := assetsListCmd{Type: f.Type, Status: f.Status}
	if err := list.Validate(); err != nil {
		return err
	}
	filter, err := f.filter()
	if err == nil && !filter.From.IsZero() && !filter.Before.IsZero() && !filter.From.Before(filter.Before) {
		return fmt.Errorf("--from %s is not before --to %s", f.From, f.To)
	}
	return err
}

// filter gives the flags as the catalog asks for them.
func (f *selectFlags) filter() (filter catalog.Filter, err error) {
	filter = catalog.Filter{RoomID: f.Room, SessionID: f.Session, Type: catalog.AssetType(f.Type), Status: catalog.AssetStatus(f.Status), Software: f.Software}
	if f.From != "" {
		if filter.From, _, err = timeOrDate(f.From); err != nil {
			return filter, fmt.Errorf("--from: %w", err)
		}
	}
	if f.To != "" {
		at, date, err := timeOrDate(f.To)
		if err != nil {
			return filter, fmt.Errorf("--to: %w", err)
		}
		if date {
			at = at.AddDate(0, 0, 1)
		}
		filter.Before = at
	}
	return filter, nil
}

// timeOrDate reads a time, or the beginning of a date.
func timeOrDate(text string) (at time.Time, date bool, err error) {
	if at, err := time.Parse(time.DateOnly, text); err == nil {
		return at, true, nil
	}
	at, err = time.Parse(time.RFC3339, text)
	if err != nil {
		return at, false, fmt.Errorf("%q is neither a date like 2026-11-22 nor a time like 2026-11-22T21:30:00Z", text)
	}
	return at, false, nil
}

// readIDs reads the ids of assets: one in a line, of which the first word counts; lines that are empty or begin with #
// do not.
func readIDs(name string) (ids []string, err error) {
	var r io.Reader = os.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("--ids: %w", err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		r = f
	}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if !catalog.ValidID(words[0]) {
			return nil, fmt.Errorf("--ids: line %d of %s: %q is no id of an asset", n, name, clean(words[0]))
		}
		ids = append(ids, words[0])
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("--ids: %s: %w", name, err)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// choice is an asset that was chosen; one that the catalog does not hold has only its id.
type choice struct {
	id    string
	asset catalog.Asset
}

// choose gives the assets that meet the flags and that nothing has replaced. Of ids that were given, those that the
// catalog does not hold or that were replaced are given back too: the run says so.
func (f *selectFlags) choose(ctx context.Context, d *data, ids []string) (chosen []choice, err error) {
	err = f.each(ctx, d, ids, false, func(x choice) error {
		chosen = append(chosen, x)
		return nil
	})
	return chosen, err
}

// each calls fn with the assets that meet the flags, also with replaced ones if these are wanted.
func (f *selectFlags) each(ctx context.Context, d *data, ids []string, superseded bool, fn func(choice) error) error {
	filter, err := f.filter()
	if err != nil {
		return err
	}
	if f.IDs != "" {
		for _, id := range ids {
			a, err := d.catalog.AssetByID(ctx, id)
			if err != nil && !errors.Is(err, catalog.ErrNotFound) {
				return err
			}
			if err != nil || meets(a, filter) {
				if err := fn(choice{id: id, asset: a}); err != nil {
					return err
				}
			}
		}
		return nil
	}
	filter.Superseded = superseded
	for {
		page, err := d.catalog.ListAssets(ctx, filter)
		if err != nil {
			return err
		}
		for _, a := range page {
			if err := fn(choice{id: a.ID, asset: a}); err != nil {
				return err
			}
			filter.After = a.ID
		}
		if len(page) < catalog.MaxPage {
			return nil
		}
	}
}

// meets reports whether an asset meets the filter, as the catalog's lists do.
func meets(a catalog.Asset, f catalog.Filter) bool {
	return (f.RoomID == "" || a.RoomID == f.RoomID) && (f.SessionID == "" || a.SessionID == f.SessionID) &&
		(f.Type == "" || a.Type == f.Type) && (f.Status == "" || a.Status == f.Status) && (f.Software == "" || a.Software == f.Software) &&
		(f.From.IsZero() || !a.CreatedAt.Before(f.From)) && (f.Before.IsZero() || a.CreatedAt.Before(f.Before))
}
