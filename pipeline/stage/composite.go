package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"rushes/catalog"
	"rushes/layout"
	"rushes/pipeline"
	"rushes/pipeline/capture"
	"rushes/transcode"
)

// compositeProducts is the one room-composite-legacy of an sfu capture: all its tracks in one picture.
func compositeProducts(ctx context.Context, from *material) ([]*product, error) {
	c, set := from.capture, from.settings
	comp := &composer{capture: c, settings: set, index: &capture.Index{}}
	if err := comp.refuse(); err != nil {
		return nil, fmt.Errorf("outputs.composition: %w", err)
	}
	ix, err := from.index(ctx)
	if err != nil {
		return nil, err
	}
	comp.index = ix
	m := c.Manifest
	p := &product{
		item: item{
			Name: compositeName,
			File: "composite.mp4",
			Asset: row{RoomID: m.RoomID, SessionID: m.SessionID, Type: catalog.RoomCompositeLegacy,
				Key: catalog.AssetKey(c.Key(), catalog.RoomCompositeLegacy), StartedAt: m.StartedAt.Time,
				Metadata: catalog.Metadata{Layout: m.Outputs.Composition.Layout, Defects: captureDefects(c.Defects)}},
			Stills: newStillsWanted(m.Outputs.Thumbnails, set.StillFormat),
			Length: comp.duration(),
		},
		options: []any{set.Video, set.Audio, m.Outputs.Composition, c.Session.Paused, m.StoppedAt, set.Chunk},
		render:  comp.render,
	}
	from.composer = comp
	return []*product{p}, nil
}

// compositeName is the name of the one composite of a capture.
const compositeName = "composite"

// composer makes one composite: the sound, which also tells who speaks; the plan; its chunks, several at a time;
// and the file that they are joined into. Sound and chunks are remembered one by one.
type composer struct {
	capture  *capture.Capture
	settings Settings
	index    *capture.Index
	defects  []catalog.Defect
}

func (c *composer) render(ctx context.Context, run *pipeline.Run, f *os.File, progress func(pipeline.Progress)) (rendered, error) {
	c.defects = nil
	key, err := c.key()
	if err != nil {
		return rendered{}, err
	}
	sound, plan, chunks, err := c.parts(ctx, run, key, progress)
	if err != nil {
		return rendered{}, err
	}
	sum, err := c.join(ctx, run, chunks, f)
	if err != nil {
		return rendered{}, err
	}
	out := rendered{Size: sum.Size, Duration: plan.Duration, Width: plan.Canvas.Width, Height: plan.Canvas.Height, Scenes: len(plan.Scenes), Defects: c.defects}
	out.Defects = append(out.Defects, sound.Defects...)
	out.Defects = append(out.Defects, chunkDefects(chunks)...)
	var reports []syncReport
	for _, t := range c.index.Tracks {
		out.Defects = append(out.Defects, captureDefects(t.Defects)...)
		if t.Units > 0 {
			reports = append(reports, newSyncReport(t, nil, 0))
		} else {
			out.Defects = append(out.Defects, catalog.Defect{Kind: "unreadable", Track: t.Track.ID, Detail: "nothing of the track can be played; its peer is shown without it"})
		}
	}
	out.Sync, err = json.Marshal(reports)
	return out, err
}

// key covers all that sound and chunks depend on.
func (c *composer) key() (string, error) {
	return pipeline.ContentKey("composite v1", c.capture.Key(), c.capture.Manifest.Outputs.Composition, c.capture.Session, c.settings.Video, c.settings.Audio)
}

// parts makes the sound and the pictures: at once, where who is shown does not depend on who is heard.
func (c *composer) parts(ctx context.Context, run *pipeline.Run, key string, progress func(pipeline.Progress)) (sound soundMade, plan layout.Plan, chunks []chunkMade, err error) {
	mix := func(ctx context.Context) error {
		var err error
		if sound, _, err = pipeline.Remember(ctx, run, soundUnit, key, c.sound); err != nil {
			return fmt.Errorf("sound: %w", err)
		}
		return nil
	}
	group, gctx := errgroup.WithContext(ctx)
	heard := soundMade{}
	if c.wantsLevels() {
		if err := mix(ctx); err != nil {
			return sound, plan, nil, err
		}
		heard = sound
	} else {
		group.Go(func() error { return mix(gctx) })
	}
	group.Go(func() (err error) {
		if plan, err = c.plan(heard); err != nil {
			return err
		}
		chunks, err = c.chunks(gctx, run, key, c.composite(plan), progress)
		return err
	})
	err = group.Wait()
	return sound, plan, chunks, err
}

// soundMade is what is remembered of the mix.
type soundMade struct {
	File    string
	Size    int64
	Tracks  []string // whose levels follow
	Levels  [][]int  // in dBFS, per 100 ms; −1000 is digital silence
	Defects []catalog.Defect
}

const (
	soundUnit = "composite.sound" // name of the unit
	soundFile = "sound.mp4"
)

func (c *composer) sound(ctx context.Context, run *pipeline.Run) (_ soundMade, err error) {
	folder, err := run.Scratch.Dir(soundUnit)
	if err != nil {
		return soundMade{}, err
	}
	f, err := os.Create(folder + "/" + soundFile)
	if err != nil {
		return soundMade{}, fmt.Errorf("make the file of the sound: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return c.mix(ctx, f, func(at time.Duration) {
		run.Progress(pipeline.Progress{Media: at}) // alive, but no part of the frames that are counted
	})
}

// mix writes the sound of all tracks that are heard to f.
func (c *composer) mix(ctx context.Context, f *os.File, progress func(time.Duration)) (soundMade, error) {
	mix := transcode.Mix{Paused: pausesOf(c.capture), Duration: c.duration(), Audio: c.settings.Audio}
	made := soundMade{File: soundFile}
	options := c.options()
	for _, t := range c.index.Tracks {
		if t.Track.Kind != capture.KindAudio || t.Units == 0 || !options.Selects(c.roleOf(t.Track.PeerID)) {
			continue
		}
		in := transcode.MixTrack{TrackInput: *trackInput(c.capture, tracksOf{t})}
		for _, m := range t.Track.Muted {
			in.Muted = append(in.Muted, c.interval(m))
		}
		mix.Tracks = append(mix.Tracks, in)
		made.Tracks = append(made.Tracks, t.Track.ID)
	}
	res, err := transcode.MixSound(ctx, mix, f, progress)
	if err != nil {
		return soundMade{}, err
	}
	made.Size, made.Defects = res.Size, mediaDefects(res.Defects)
	for _, track := range res.Levels {
		levels := make([]int, len(track))
		for i, v := range track {
			levels[i] = int(max(v, -1000))
		}
		made.Levels = append(made.Levels, levels)
	}
	return made, nil
}

// PlanOf gives the plan of the composite that Process would make of a capture. Where nothing tells who spoke, the
// sound is measured for it, which takes a while.
func PlanOf(ctx context.Context, c *capture.Capture) (_ layout.Plan, err error) {
	if c.Manifest.Source != capture.SourceSFU {
		return layout.Plan{}, &capture.InputError{Field: "source", File: c.Name, Reason: fmt.Sprintf("a %s capture has no composite", c.Manifest.Source), Hint: "use an sfu capture"}
	}
	ix, err := capture.BuildIndex(ctx, c)
	if err != nil {
		return layout.Plan{}, err
	}
	comp := &composer{capture: c, index: ix}
	if err := comp.refuse(); err != nil {
		return layout.Plan{}, fmt.Errorf("outputs.composition: %w", err)
	}
	if !comp.wantsLevels() {
		return comp.plan(soundMade{})
	}
	f, err := os.CreateTemp("", "rushes-sound-*.mp4")
	if err != nil {
		return layout.Plan{}, fmt.Errorf("measure the sound: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	sound, err := comp.mix(ctx, f, nil)
	if err != nil {
		return layout.Plan{}, fmt.Errorf("measure the sound: %w", err)
	}
	return comp.plan(sound)
}

// join puts the chunks and the sound into the asset's file.
func (c *composer) join(ctx context.Context, run *pipeline.Run, chunks []chunkMade, out *os.File) (_ fileSummary, err error) {
	var open []*os.File
	defer func() {
		for _, f := range open {
			err = errors.Join(err, f.Close())
		}
	}()
	source := func(unit, file string) (transcode.Source, error) {
		f, err := os.Open(run.Scratch.Path(unit, file))
		if err != nil {
			return transcode.Source{}, fmt.Errorf("join: %w", err)
		}
		open = append(open, f)
		return transcode.FileSource(unit, f)
	}
	var parts []transcode.Source
	for i, c := range chunks {
		src, err := source(chunkName(i), c.File)
		if err != nil {
			return fileSummary{}, err
		}
		parts = append(parts, src)
	}
	sound, err := source(soundUnit, soundFile)
	if err != nil {
		return fileSummary{}, err
	}
	sum, err := transcode.JoinComposite(ctx, parts, &sound, out)
	return fileSummary{Size: sum.Size}, err
}

type fileSummary struct{ Size int64 }

// composite is what the compositor works from.
func (c *composer) composite(plan layout.Plan) *transcode.Composite {
	comp := &transcode.Composite{Plan: plan, Paused: pausesOf(c.capture), Encode: c.settings.Video, Video: map[string]*transcode.CompositeVideo{}}
	for _, t := range c.index.Tracks {
		if t.Track.Kind != capture.KindVideo || t.Units == 0 {
			continue
		}
		v := &transcode.CompositeVideo{TrackInput: *trackInput(c.capture, tracksOf{t})}
		for _, k := range t.Keys {
			v.Keys = append(v.Keys, transcode.KeyPicture{Unit: k.Unit, At: k.At})
		}
		comp.Video[t.Track.ID] = v
	}
	return comp
}

func pausesOf(c *capture.Capture) []transcode.Interval {
	var out []transcode.Interval
	for _, p := range c.Session.Paused {
		out = append(out, transcode.Interval{From: p.From, To: p.To})
	}
	return out
}
