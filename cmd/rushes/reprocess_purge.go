package main

import (
	"context"
	"fmt"

	"github.com/dustin/go-humanize"

	"rushes/catalog"
	"rushes/pipeline"
	"rushes/pipeline/stage"
)

// purged is the answer of --purge.
type purged struct {
	DryRun bool  `json:"dry_run"`
	Assets int64 `json:"assets"`
	Bytes  int64 `json:"bytes"`
	// Kept are assets that were replaced and had to stay all the same.
	Kept []keptAsset `json:"kept"`
}

type keptAsset struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// purge deletes the assets that were chosen and replaced. What it was stopped at, it may be asked for again.
func purge(ctx context.Context, e env, d *data, f *selectFlags, ids []string, dry, asJSON bool) error {
	out := purged{DryRun: dry, Kept: []keptAsset{}}
	// All are known before the first one goes: what replaced an asset is looked for in the catalog.
	var replaced []catalog.Asset
	err := f.each(ctx, d, ids, true, func(x choice) error {
		if x.asset.SupersededBy != "" {
			replaced = append(replaced, x.asset)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, a := range replaced {
		reason, err := stage.Keep(ctx, d.catalog, d.blobs, a)
		if err == nil && reason == "" && !dry {
			err = stage.Purge(ctx, d.catalog, d.blobs, a)
		}
		if err != nil {
			return err
		}
		if reason != "" {
			out.Kept = append(out.Kept, keptAsset{ID: a.ID, Reason: reason})
			fmt.Fprintf(e.stderr, "rushes: asset %s stays: %s\n", a.ID, clean(reason))
			continue
		}
		out.Assets++
		out.Bytes += a.Size
	}
	if asJSON {
		err = printJSON(e.stdout, out)
	} else {
		said := "purged"
		if dry {
			said = "would purge"
		}
		_, err = fmt.Fprintf(e.stdout, "%s %d assets, %s and their thumbnails\n", said, out.Assets, humanize.IBytes(uint64(max(out.Bytes, 0))))
	}
	if err == nil && len(out.Kept) > 0 {
		return &exitError{code: pipeline.ExitPartial}
	}
	return err
}
