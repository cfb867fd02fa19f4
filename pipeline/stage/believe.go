package stage

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rushes/catalog"
	"rushes/pipeline"
	"rushes/pipeline/capture"
)

// errForged says that a process which touched media has answered what it cannot know or may not choose: hostile bytes
// may have taken it over, and it shall not reach what is not its own.
var errForged = pipeline.Permanent(errors.New("a step answered what it may not"))

// believe checks what a step says of a capture before anything is done with it: its assets are of this job's capture,
// room and session, and their names are file names.
func (a *attempt) believe(ctx context.Context, o *opened) error {
	if o == nil {
		return fmt.Errorf("%w: nothing", errForged)
	}
	if o.Key != a.job.CaptureKey {
		// A media file without a manifest is known by its bytes, and may have grown since it was queued.
		c, err := capture.Open(ctx, a.capture)
		if err != nil {
			return err
		}
		key := c.Key()
		if err := c.Close(); err != nil {
			return err
		}
		if key != o.Key {
			return fmt.Errorf("%w: another capture's key", errForged)
		}
	}
	for _, i := range o.Items {
		x := &i.Asset
		ours := x.RoomID == a.job.RoomID && x.SessionID == a.job.SessionID && strings.HasPrefix(x.Key, o.Key+"/") && slices.Contains(catalog.AssetTypes(), x.Type)
		plain := i.File == filepath.Base(i.File) && filepath.IsLocal(i.File) && x.Path == "" && x.ID == "" && x.Version == 0 && x.Supersedes == ""
		if !ours || !plain {
			return fmt.Errorf("%w: asset %q", errForged, i.Name)
		}
	}
	return nil
}

// credible cuts what a step says of a rendered file down to what can be.
func (r rendered) credible() rendered {
	const longest = 1000 * time.Hour
	r.Duration, r.Start = min(max(r.Duration, 0), longest), min(max(r.Start, 0), longest)
	r.Width, r.Height, r.Scenes = max(r.Width, 0), max(r.Height, 0), max(r.Scenes, 0)
	r.Size, r.Files, r.Layers = max(r.Size, 0), max(r.Files, 0), max(r.Layers, 0)
	if r.Pictures != "" && !filepath.IsLocal(r.Pictures) {
		r.Pictures = ""
	}
	return r
}

// credible leaves out thumbnails that are none of the unit's files, or more than were asked for.
func (t thumbs) credible(want int) thumbs {
	t.Made = slices.DeleteFunc(t.Made, func(x thumb) bool {
		return x.File != filepath.Base(x.File) || !filepath.IsLocal(x.File) || x.Offset < 0
	})
	t.Made = t.Made[:min(len(t.Made), want)]
	return t
}
