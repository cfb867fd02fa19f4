package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"rushes/pipeline"
	"rushes/pipeline/capture"
)

// material is an open capture and what was found out about it, for the makers of products.
type material struct {
	capture  *capture.Capture
	settings Settings
	scratch  *pipeline.Scratch // where the index is kept for other processes; nil for nowhere
	tracks   *capture.Index    // of an sfu capture, once a maker has asked for it
	composer *composer         // where a composite is to be made
	live     *live             // of a live stream, once a maker has asked for it
}

const (
	indexUnit = "index" // name of the unit
	indexFile = "tracks"
)

// index gives the index of the tracks: with the first call, the one that an earlier process has kept in the scratch
// folder, or else one that is built and kept.
func (m *material) index(ctx context.Context) (_ *capture.Index, err error) {
	if m.tracks != nil {
		return m.tracks, nil
	}
	if m.scratch == nil {
		m.tracks, err = capture.BuildIndex(ctx, m.capture)
		return m.tracks, err
	}
	key, err := pipeline.ContentKey("index v1", m.capture.Key())
	if err != nil {
		return nil, err
	}
	if m.tracks, err = m.keptIndex(key); m.tracks != nil || err != nil {
		return m.tracks, err
	}
	ix, err := capture.BuildIndex(ctx, m.capture)
	if err != nil {
		return nil, err
	}
	m.tracks = ix
	return ix, m.keepIndex(key, ix)
}

// keptIndex gives nil where none is kept that fits the capture as it is now.
func (m *material) keptIndex(key string) (_ *capture.Index, err error) {
	if done, err := m.scratch.Done(indexUnit, key, nil); err != nil || !done {
		return nil, err
	}
	f, err := os.Open(m.scratch.Path(indexUnit, indexFile))
	if err != nil {
		return nil, fmt.Errorf("open the index of the tracks: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	ix, err := capture.DecodeIndex(f, m.capture)
	if errors.Is(err, capture.ErrIndexUnusable) {
		return nil, nil
	}
	return ix, err
}

func (m *material) keepIndex(key string, ix *capture.Index) error {
	if err := m.scratch.Reset(indexUnit); err != nil {
		return err
	}
	folder, err := m.scratch.Dir(indexUnit)
	if err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(folder, indexFile))
	if err != nil {
		return fmt.Errorf("keep the index of the tracks: %w", err)
	}
	if err := errors.Join(ix.Encode(f), f.Close()); err != nil {
		return fmt.Errorf("keep the index of the tracks: %w", err)
	}
	return m.scratch.MarkDone(indexUnit, key, nil)
}
