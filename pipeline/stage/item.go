package stage

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"rushes/catalog"
	"rushes/pipeline"
	"rushes/pipeline/capture"
	"rushes/transcode"
)

// row is a catalog.Asset in JSON with all its fields, without the API's form of it.
type row catalog.Asset

// item is an asset on its way, as every process that works at it knows it: plain values.
type item struct {
	Name   string // unique in the job, for folders and messages
	Asset  row    // what is known before it is made
	File   string // name of the file that render writes
	Key    string // content key of all that the file depends on
	Stills stillsWanted
	Length time.Duration `json:",omitempty"` // of a composite: about how long it will be; other assets are never split
}

// product is an item with the function that makes it, in the process that touches media.
type product struct {
	item
	options any     // all that the file depends on beside the capture
	group   *bundle // those that are made together have the same one, and no render
	render  func(ctx context.Context, run *pipeline.Run, f *os.File, progress func(pipeline.Progress)) (rendered, error)
}

// bundle makes several products at once. Their units' folders are there and empty; what it gives, by name, has no CPU time.
type bundle struct {
	render func(ctx context.Context, run *pipeline.Run, list []*product, progress func(pipeline.Progress)) (map[string]outcome, error)
}

// rendered is what is remembered of a written file, or of a package of files.
type rendered struct {
	Size          int64 // of all files
	Duration      time.Duration
	Start         time.Duration // in the session
	Width, Height int           // zero without video
	Scenes        int           // of a composite
	Files         int           `json:",omitempty"` // of a package: how many there are
	Layers        int           `json:",omitempty"` // of a package
	Pictures      string        `json:",omitempty"` // of a package: the playlist of its highest layer
	Defects       []catalog.Defect
	Sync          json.RawMessage `json:",omitempty"`
}

// work is an item and what became of it so far, in the process that publishes it.
type work struct {
	item
	made    *catalog.Asset // there already
	before  string         // id of the asset that is made again
	failure error          // cannot be made
	rendered
	thumbs thumbs
}

// path is where the item is to be stored; n > 0 are other places should that one be taken.
func (i *item) path(n int) string {
	a := &i.Asset
	session := catalog.Session{RoomID: a.RoomID, SessionID: a.SessionID, StartedAt: a.StartedAt}
	m := &a.Metadata
	switch a.Type {
	case catalog.TrackAsset:
		return session.TrackPath(m.PeerID, m.StreamID, numbered(m.TrackID, n), catalog.Container(filepath.Ext(i.File)))
	case catalog.StreamAsset:
		return session.StreamPath(m.PeerID, numbered(m.StreamID, n))
	}
	session.StartedAt = session.StartedAt.Add(time.Duration(n) * time.Millisecond)
	switch {
	case a.Type == catalog.RoomCompositeLegacy:
		return session.RoomCompositeLegacyPath()
	case a.Type == catalog.RoomVOD && i.File == masterFile:
		return session.VODPath(masterFile)
	case a.Type == catalog.RoomVOD:
		return session.VODZipPath()
	case m.Layer != "":
		return session.LayerPath(m.Layer)
	}
	return session.RoomCompositePath()
}

// register gives the row of the finished or failed item.
func (w *work) register(software string) catalog.Asset {
	a := catalog.Asset(w.Asset)
	a.Software = software
	a.Metadata.Defects = append(a.Metadata.Defects, w.Defects...)
	if w.failure != nil {
		a.Status, a.Error, a.Path = catalog.AssetFailed, assetError(w.failure), ""
		return a
	}
	a.Status, a.Size, a.Duration, a.Metadata.Sync = catalog.AssetCompleted, w.Size, w.Duration, w.Sync
	if !a.StartedAt.IsZero() {
		a.StartedAt = a.StartedAt.Add(w.Start)
		a.Metadata.OffsetMS = w.Start.Milliseconds()
	}
	switch {
	case a.Type == catalog.RoomVOD:
		a.Metadata.NumLayers, a.Metadata.MaxWidth, a.Metadata.MaxHeight = strconv.Itoa(w.Layers), w.Width, w.Height
	case w.Width > 0:
		a.Metadata.Resolution = &catalog.Resolution{Width: w.Width, Height: w.Height}
	}
	a.Metadata.Scenes = w.Scenes
	a.Metadata.ThumbnailNote = w.thumbs.Note
	for n := range w.thumbs.Made {
		a.Thumbnails = append(a.Thumbnails, w.thumbKey(n))
	}
	return a
}

// Failure is an error that has come from another process, or may have to go there: what it means and says.
type Failure struct {
	// Kind is the error's kind by its name.
	Kind string
	// Message is the error's text.
	Message string

	err error // the error itself, in the process that it came up in
}

// newFailure gives the form of an error that can be written down; nil for nil.
func newFailure(err error) *Failure {
	if err == nil {
		return nil
	}
	return &Failure{Kind: pipeline.KindOf(err).String(), Message: err.Error(), err: err}
}

// Error returns the error's text.
func (f *Failure) Error() string { return f.Message }

// Unwrap returns the error itself where it is known.
func (f *Failure) Unwrap() error { return f.err }

// BadInput reports whether the capture is at fault; see pipeline.KindOf.
func (f *Failure) BadInput() bool { return f.Kind == pipeline.KindBadInput.String() }

// Permanent reports whether no retry helps; see pipeline.KindOf.
func (f *Failure) Permanent() bool { return f.Kind == pipeline.KindPermanent.String() }

// final reports whether an error of making an asset is that asset's failure: bad input and what can never work.
// Everything else ends the attempt.
func final(ctx context.Context, err error) bool {
	switch pipeline.KindOf(err) {
	case pipeline.KindBadInput, pipeline.KindPermanent:
		return ctx.Err() == nil
	}
	return false
}

// assetError puts an error into the catalog's form: one line, and one of few words for programs.
func assetError(err error) *catalog.AssetError {
	kind := "PROCESSING_ERROR"
	if pipeline.KindOf(err) == pipeline.KindBadInput {
		kind = "INPUT_ERROR"
	}
	return &catalog.AssetError{Kind: kind, Message: oneLine(err)}
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

func captureDefects(defects []capture.Defect) []catalog.Defect {
	out := make([]catalog.Defect, 0, len(defects))
	for _, d := range defects {
		out = append(out, catalog.Defect{Kind: string(d.Kind), Detail: d.Detail, File: d.File, Track: d.Track})
	}
	return out
}

func mediaDefects(defects []transcode.Defect) []catalog.Defect {
	out := make([]catalog.Defect, 0, len(defects))
	for _, d := range defects {
		out = append(out, catalog.Defect{Kind: d.Kind, Detail: d.Detail, File: d.File})
	}
	return out
}
