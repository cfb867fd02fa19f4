package transcode

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"rushes/transcode/internal/av"
	"rushes/transcode/mp4"
)

const canvases = 4 // that take turns between drawing and encoding

func formatCRF(crf float64) string { return strconv.FormatFloat(crf, 'f', -1, 64) }

// Renderer renders chunks of one composite, best in order: its tracks stay open between them, so that what follows
// on each other is decoded once. It serves one goroutine at a time; several Renderers may share a Composite.
type Renderer struct {
	comp    *Composite
	cuts    cutter
	painter painter
	players map[string]*player
	pool    []*canvas
	at      int64          // frame after the last one drawn
	last    map[string]int // by track: the last scene that shows it
	gone    ChunkResult    // what closed tracks have taken
}

// NewRenderer opens a renderer; the caller closes it.
func NewRenderer(c *Composite) (r *Renderer, err error) {
	r = &Renderer{comp: c, cuts: newCutter(c.Paused), players: map[string]*player{}, last: map[string]int{}}
	for i, s := range c.Plan.Scenes {
		for _, t := range s.Tiles {
			r.last[t.TrackID] = i
		}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	size := c.Plan.Canvas
	art, err := newArtist(size)
	if err != nil {
		return r, err
	}
	r.painter = painter{comp: c, players: r.players, art: art, background: colour(size.Background), scene: -1}
	for range canvases {
		f, err := av.NewFrame()
		if err != nil {
			return r, err
		}
		r.pool = append(r.pool, &canvas{frame: f, scene: -1})
		if err := f.AllocPicture(size.Width, size.Height, av.YUV420P); err != nil {
			return r, err
		}
	}
	return r, nil
}

// Close frees everything. It may be called again.
func (r *Renderer) Close() error {
	var errs []error
	for _, c := range r.pool {
		errs = append(errs, c.frame.Close())
	}
	for _, p := range r.players {
		errs = append(errs, p.close())
	}
	r.players = nil
	return errors.Join(errs...)
}

// Chunk renders a run of the composite's frames into an MP4 of pictures only, whose zero is the run's first frame.
// Frame k shows the state of the session at k/fps. Decoding and drawing are done by one goroutine, encoding by
// another; progress, which may be nil, is called with the number of frames done so far.
func (r *Renderer) Chunk(ctx context.Context, chunk Chunk, out mp4.File, progress func(frames int64)) (_ *ChunkResult, err error) {
	if chunk.First < r.at {
		if err := r.rewind(); err != nil {
			return nil, err
		}
	}
	r.at = chunk.End
	run := &chunkRun{Renderer: r, chunk: chunk, res: &ChunkResult{}, progress: progress}
	defer func() { err = errors.Join(err, run.close()) }()
	if err := run.open(out); err != nil {
		return nil, err
	}
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return run.draw(gctx) })
	group.Go(func() error { return run.encode(gctx) })
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("render frames %d to %d: %w", chunk.First, chunk.End, err)
	}
	run.writer.SetEnd(0, (chunk.End-chunk.First)*ticksPerFrame)
	if run.res.Summary, err = run.writer.Close(); err != nil {
		return nil, fmt.Errorf("finish frames %d to %d: %w", chunk.First, chunk.End, err)
	}
	return run.res, nil
}

// rewind closes the tracks, so that they are read from their beginning again.
func (r *Renderer) rewind() error {
	var errs []error
	for id := range r.players {
		errs = append(errs, r.forget(id))
	}
	r.painter.scene = -1
	for _, c := range r.pool {
		c.scene = -1
	}
	return errors.Join(errs...)
}

// forget closes a track.
func (r *Renderer) forget(id string) error {
	p := r.players[id]
	r.gone.add(p.work())
	delete(r.players, id)
	return p.close()
}

// chunkRun is the rendering of one chunk.
type chunkRun struct {
	*Renderer
	chunk    Chunk
	free     chan *canvas
	filled   chan *canvas
	enc      *av.Encoder
	pkt      *av.Packet
	writer   *mp4.Writer
	res      *ChunkResult
	progress func(int64)
	units    [][]byte
	parts    [][]byte
}

func (r *chunkRun) open(out mp4.File) (err error) {
	r.free, r.filled = make(chan *canvas, canvases), make(chan *canvas, canvases)
	for _, c := range r.pool {
		r.free <- c
	}
	if r.pkt, err = av.NewPacket(); err != nil {
		return err
	}
	if r.enc, err = av.NewEncoder(r.comp.encoderSpec()); err != nil {
		return err
	}
	config, err := newAVCConfig(r.enc.Extradata())
	if err != nil {
		return err
	}
	r.writer = mp4.NewWriter(out, mp4.Options{})
	_, err = r.writer.AddTrack(compositeTrack(r.comp, config.record))
	return err
}

func compositeTrack(c *Composite, record []byte) mp4.Track {
	canvas := c.Plan.Canvas
	return mp4.Track{Timescale: uint32(canvas.FPS * ticksPerFrame), Video: &mp4.Video{Codec: "avc1", Config: record, Width: canvas.Width, Height: canvas.Height,
		SAR: mp4.Rational{Num: 1, Den: 1}, Color: &mp4.Color{Primaries: 1, Transfer: 1, Matrix: 1}}}
}

func (r *chunkRun) close() error { return errors.Join(r.enc.Close(), r.pkt.Close()) }

// draw brings a canvas up to every frame's state and hands it to the encoder.
func (r *chunkRun) draw(ctx context.Context) error {
	defer close(r.filled)
	before := r.work()
	scene := r.comp.Plan.SceneAt(r.chunk.First)
	for k := r.chunk.First; k < r.chunk.End; k++ {
		for scene+1 < len(r.comp.Plan.Scenes) && k >= r.comp.Plan.Scenes[scene].EndFrame {
			scene++
		}
		if err := r.advance(ctx, k, scene); err != nil {
			return err
		}
		var c *canvas
		select {
		case c = <-r.free:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := r.painter.paint(c); err != nil {
			return fmt.Errorf("draw frame %d: %w", k, err)
		}
		c.frame.PTS, c.frame.Duration = k-r.chunk.First, 1
		r.filled <- c // never full: it is as long as the pool
	}
	r.res.add(r.work())
	r.res.add(before.negative())
	return nil
}

// work sums up what all tracks have taken so far.
func (r *Renderer) work() ChunkResult {
	sum := r.gone
	sum.Drawn += r.painter.drawn
	for _, p := range r.players {
		sum.add(p.work())
	}
	return sum
}

// add sums up the numbers.
func (r *ChunkResult) add(o ChunkResult) {
	r.Decoded, r.Drawn, r.Bad = r.Decoded+o.Decoded, r.Drawn+o.Drawn, r.Bad+o.Bad
	r.Held.BeforeKey += o.Held.BeforeKey
	r.Held.Damaged += o.Held.Damaged
	r.Held.AfterLoss += o.Held.AfterLoss
}

func (r ChunkResult) negative() ChunkResult {
	return ChunkResult{Decoded: -r.Decoded, Drawn: -r.Drawn, Bad: -r.Bad, Held: Held{-r.Held.BeforeKey, -r.Held.Damaged, -r.Held.AfterLoss}}
}

// advance opens the tracks of a scene that are not open yet and decodes them up to a frame's time.
func (r *chunkRun) advance(ctx context.Context, k int64, scene int) error {
	at := r.cuts.session(r.comp.frameTime(k))
	if scene != r.painter.scene {
		if err := r.enter(scene); err != nil {
			return err
		}
	}
	for i := range r.painter.tiles {
		p := r.painter.tiles[i].player
		if p == nil {
			continue
		}
		if err := p.advance(ctx, time.Duration(at)); err != nil {
			if ctx.Err() != nil || !tracksOwn(err) {
				return fmt.Errorf("track %s: %w", r.painter.tiles[i].TrackID, err)
			}
			p.ended, p.next = true, nil
			r.broken(r.painter.tiles[i].TrackID, "its pictures are left out from here", err)
		}
	}
	r.painter.update()
	return nil
}

// enter begins a scene: it closes the tracks that no scene from here on shows and opens those of this one. A track
// that cannot be opened is a defect.
func (r *chunkRun) enter(scene int) error {
	for id := range r.players {
		if r.last[id] < scene {
			if err := r.forget(id); err != nil {
				return fmt.Errorf("track %s: %w", id, err)
			}
		}
	}
	for _, t := range r.comp.Plan.Scenes[scene].Tiles {
		v := r.comp.Video[t.TrackID]
		if v == nil || r.players[t.TrackID] != nil {
			continue
		}
		p, err := newPlayer(v)
		switch {
		case err == nil:
			r.players[t.TrackID] = p
		case tracksOwn(err):
			r.broken(t.TrackID, "none of its pictures can be shown", err)
		default:
			return fmt.Errorf("track %s: %w", t.TrackID, err)
		}
	}
	r.painter.enter(scene)
	return nil
}

func (r *chunkRun) broken(track, what string, err error) {
	r.res.Defects = append(r.res.Defects, Defect{Kind: DefectUndecodable, File: track, Detail: what + ": " + err.Error()})
}

// tracksOwn tells whether an error is a track's own, not the machine's.
func tracksOwn(err error) bool {
	var bad interface{ BadInput() bool }
	return errors.As(err, &bad) && bad.BadInput() || invalid(err)
}

func (r *chunkRun) encode(ctx context.Context) error {
	done := int64(0)
	for c := range r.filled {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.enc.Encode(c.frame, c.frame.PTS == 0, r.pkt, r.write); err != nil {
			return err
		}
		r.free <- c
		if done++; r.progress != nil {
			r.progress(done)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return r.enc.Encode(nil, false, r.pkt, r.write)
}

func (r *chunkRun) write(p *av.Packet) error {
	r.units, r.parts = splitAnnexB(r.units[:0], p.Data()), r.parts[:0]
	for _, u := range r.units {
		r.parts = append(r.parts, []byte{byte(len(u) >> 24), byte(len(u) >> 16), byte(len(u) >> 8), byte(len(u))}, u)
	}
	s := mp4.Sample{DTS: p.DTS * ticksPerFrame, PTS: p.PTS * ticksPerFrame, Duration: ticksPerFrame, Sync: p.Key}
	return r.writer.WriteV(0, s, r.parts...)
}
