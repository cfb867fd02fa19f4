package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"rushes/catalog"
	"rushes/pipeline"
	"rushes/pipeline/capture"
	"rushes/transcode"
)

// product is one asset on its way.
type product struct {
	name    string             // unique in the job, for folders and messages
	asset   catalog.Asset      // what is known before it is made
	path    func(n int) string // where it is stored; n > 0 are other places should that one be taken
	file    string             // name of the file that render writes
	options any                // all that the file depends on beside the capture
	render  func(ctx context.Context, run *pipeline.Run, f *os.File, progress func(pipeline.Progress)) (rendered, error)

	stills  stillsWanted
	made    *catalog.Asset // there already
	failure error          // cannot be made
	rendered
	thumbs thumbs
}

// rendered is what is remembered of a written file.
type rendered struct {
	Size          int64
	Duration      time.Duration
	Start         time.Duration // in the session
	Width, Height int           // zero without video
	Scenes        int           // of a composite
	Defects       []catalog.Defect
	Sync          json.RawMessage `json:",omitempty"`
}

// failedBy takes an error of making the product: bad input and what can never work are its failure, everything
// else is given back and ends the attempt.
func (p *product) failedBy(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	switch pipeline.KindOf(err) {
	case pipeline.KindBadInput, pipeline.KindPermanent:
		if ctx.Err() == nil {
			p.failure = err
			return nil
		}
	}
	return err
}

// register gives the row of the finished or failed product.
func (p *product) register(software string) catalog.Asset {
	a := p.asset
	a.Software = software
	a.Metadata.Defects = append(a.Metadata.Defects, p.Defects...)
	if p.failure != nil {
		a.Status, a.Error, a.Path = catalog.AssetFailed, assetError(p.failure), ""
		return a
	}
	a.Status, a.Size, a.Duration, a.Metadata.Sync = catalog.AssetCompleted, p.Size, p.Duration, p.Sync
	if !a.StartedAt.IsZero() {
		a.StartedAt = a.StartedAt.Add(p.Start)
		a.Metadata.OffsetMS = p.Start.Milliseconds()
	}
	if p.Width > 0 {
		a.Metadata.Resolution = &catalog.Resolution{Width: p.Width, Height: p.Height}
	}
	a.Metadata.Scenes = p.Scenes
	a.Metadata.ThumbnailNote = p.thumbs.Note
	for n := range p.thumbs.Made {
		a.Thumbnails = append(a.Thumbnails, p.thumbKey(n))
	}
	return a
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

// material is an open capture and what was found out about it, for the makers of products.
type material struct {
	capture *capture.Capture
	cfg     *Config
	tracks  *capture.Index // of an sfu capture, once a maker has asked for it
}

// index gives the index of the tracks, made with the first call.
func (m *material) index(ctx context.Context) (_ *capture.Index, err error) {
	if m.tracks == nil {
		m.tracks, err = capture.BuildIndex(ctx, m.capture)
	}
	return m.tracks, err
}

// products lists what a capture's outputs ask for.
func products(ctx context.Context, c *capture.Capture, cfg *Config) ([]*product, error) {
	makers := map[capture.Source]map[string]func(context.Context, *material) ([]*product, error){
		capture.SourceBeam: {capture.AssetRoomComposite: beamProducts},
		capture.SourceSFU:  {capture.AssetTrack: trackProducts, capture.AssetStream: streamProducts, capture.AssetRoomCompositeLegacy: compositeProducts},
	}
	bySource, ok := makers[c.Manifest.Source]
	if !ok {
		return nil, &capture.InputError{Field: "source", File: c.Name, Reason: fmt.Sprintf("%q captures cannot be processed by this version", c.Manifest.Source), Hint: "use a beam or an sfu capture"}
	}
	var all []*product
	m := &material{capture: c, cfg: cfg}
	for _, name := range c.Manifest.Outputs.Assets {
		maker, ok := bySource[name]
		if !ok {
			continue // a type that this version does not make yet: the others are made
		}
		made, err := maker(ctx, m)
		if err != nil {
			return nil, err
		}
		all = append(all, made...)
	}
	if len(all) == 0 {
		return nil, &capture.InputError{Field: "outputs.assets", File: c.Name, Reason: fmt.Sprintf("nothing of %v can be made of this capture", c.Manifest.Outputs.Assets)}
	}
	return all, nil
}
