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
	at      int64 // frame after the last one drawn
}

// NewRenderer opens a renderer; the caller closes it.
func NewRenderer(c *Composite) (r *Renderer, err error) {
	r = &Renderer{comp: c, cuts: newCutter(c.Paused), players: map[string]*player{}}
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
	r.at = chunk.End
	run.writer.SetEnd(0, (chunk.End-chunk.First)*ticksPerFrame)
	if run.res.Summary, err = run.writer.Close(); err != nil {
		return nil, fmt.Errorf("finish frames %d to %d: %w", chunk.First, chunk.End, err)
	}
	return run.res, nil
}

// rewind closes the tracks, so that they are read from their beginning again.
func (r *Renderer) rewind() error {
	var errs []error
	for id, p := range r.players {
		errs = append(errs, p.close())
		delete(r.players, id)
	}
	r.painter.scene = -1
	return errors.Join(errs...)
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
	after := r.work()
	r.res.Decoded, r.res.Bad, r.res.Drawn = after.Decoded-before.Decoded, after.Bad-before.Bad, after.Drawn-before.Drawn
	r.res.Held = after.Held.less(before.Held)
	return nil
}

// work sums up what all tracks have taken so far.
func (r *Renderer) work() ChunkResult {
	sum := ChunkResult{Drawn: r.painter.drawn}
	for _, p := range r.players {
		sum.Decoded += p.decoded
		sum.Bad += p.bad
		sum.Held = sum.Held.less(Held{-p.gate.held.BeforeKey, -p.gate.held.Damaged, -p.gate.held.AfterLoss})
	}
	return sum
}

func (h Held) less(o Held) Held {
	return Held{h.BeforeKey - o.BeforeKey, h.Damaged - o.Damaged, h.AfterLoss - o.AfterLoss}
}

// advance opens the tracks of a scene that are not open yet and decodes them up to a frame's time.
func (r *chunkRun) advance(ctx context.Context, k int64, scene int) error {
	at := r.cuts.session(r.comp.frameTime(k))
	if scene != r.painter.scene {
		for _, t := range r.comp.Plan.Scenes[scene].Tiles {
			v := r.comp.Video[t.TrackID]
			if v == nil || r.players[t.TrackID] != nil {
				continue
			}
			p, err := newPlayer(v)
			if err != nil {
				return fmt.Errorf("track %s: %w", t.TrackID, err)
			}
			r.players[t.TrackID] = p
		}
		r.painter.enter(scene)
	}
	for i := range r.painter.tiles {
		p := r.painter.tiles[i].player
		if p == nil {
			continue
		}
		if err := p.advance(ctx, time.Duration(at)); err != nil {
			return fmt.Errorf("track %s: %w", r.painter.tiles[i].TrackID, err)
		}
	}
	r.painter.update()
	return nil
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
