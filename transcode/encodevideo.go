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

const videoTimescale = 90_000 // ticks per second of all pictures that Rushes encodes

// videoEncoder decodes pictures of any codec and size and encodes them as H.264 High. Reading, decoding and
// encoding overlap: packets go through one channel, drawn pictures through another, and both are as long as
// their pools, which bounds the memory.
type videoEncoder struct {
	r             *run
	track         int
	width, height int

	group   *errgroup.Group
	ended   <-chan struct{} // closed by the first error of decoder or encoder, or by cancel
	cancel  context.CancelFunc
	closed  bool // packets is closed
	packets chan *videoPacket
	free    chan *videoPacket
	frames  chan *av.Frame
	pool    chan *av.Frame
	all     []*videoPacket
	pics    []*av.Frame

	pictures pictureDecoder
	encoder  pictureEncoder
}

// videoPacket is a packet on its way to the decoder.
type videoPacket struct {
	pkt  *av.Packet // timestamps are ns of the session
	part int
}

func newVideoEncoder(ctx context.Context, r *run) (e *videoEncoder, err error) {
	e = &videoEncoder{r: r}
	if err := e.chooseSize(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.release())
		}
	}()
	if err := e.makePools(); err != nil {
		return e, err
	}
	e.pictures = pictureDecoder{e: e, part: -1, scaler: av.NewScaler(), lastOut: noTime}
	if e.pictures.frame, err = av.NewFrame(); err != nil {
		return e, err
	}
	if e.pictures.held, err = av.NewFrame(); err != nil {
		return e, err
	}
	e.encoder = pictureEncoder{e: e, lastPTS: noTime, nextKey: noTime}
	if err := e.encoder.open(); err != nil {
		return e, err
	}
	ctx, e.cancel = context.WithCancel(ctx)
	e.group, ctx = errgroup.WithContext(ctx)
	e.ended = ctx.Done()
	e.group.Go(func() error { return e.pictures.run(ctx) })
	e.group.Go(func() error { return e.encoder.run(ctx) })
	return e, nil
}

// chooseSize takes the first size of the recording that lasts, made even.
func (e *videoEncoder) chooseSize(ctx context.Context) error {
	t := e.r.video
	if rung := e.r.rec.Rung; rung != nil {
		t.width, t.height = rung.Width, rung.Height
	}
	if t.width > 0 {
		e.width, e.height = t.width, t.height
		return nil
	}
	w, h := t.first.Width, t.first.Height
	var sizes []SizeChange
	for i := range e.r.parts {
		if e.r.parts[i].video < 0 {
			continue
		}
		sc, err := Scan(ctx, e.r.parts[i].Source, true)
		if err != nil {
			return err
		}
		for _, s := range sc.Streams {
			if s.Index == e.r.parts[i].video {
				sizes = append(sizes, s.Sizes...)
			}
		}
	}
	if s, ok := stableSize(sizes); ok {
		w, h = s.Width, s.Height
	}
	if len(sizes) > 1 {
		e.r.defects.add(Defect{Kind: DefectSizeChange, File: t.firstN, Detail: fmt.Sprintf("the picture changes its size %d times; all is fitted into %dx%d", len(sizes)-1, w&^1, h&^1)})
	}
	t.width, t.height = max(w&^1, 2), max(h&^1, 2)
	e.width, e.height = t.width, t.height
	return nil
}

func (e *videoEncoder) makePools() error {
	const packets, pictures = 32, 4 // few pictures: what the encoder takes is still in the processor's cache
	e.packets, e.free = make(chan *videoPacket, packets), make(chan *videoPacket, packets)
	e.frames, e.pool = make(chan *av.Frame, pictures), make(chan *av.Frame, pictures)
	for range packets {
		p, err := av.NewPacket()
		if err != nil {
			return err
		}
		e.all = append(e.all, &videoPacket{pkt: p})
		e.free <- e.all[len(e.all)-1]
	}
	for range pictures {
		f, err := av.NewFrame()
		if err != nil {
			return err
		}
		e.pics = append(e.pics, f)
		e.pool <- f
	}
	return nil
}

// unit passes a packet on to the decoder.
func (e *videoEncoder) unit(_ context.Context, u *unit) error {
	var p *videoPacket
	select {
	case p = <-e.free:
	case <-e.ended:
		return e.wait()
	}
	u.pkt.MoveTo(p.pkt)
	u.stamp(p.pkt)
	p.part = u.part
	e.packets <- p // never full: it is as long as the pool
	return nil
}

// wait tells the decoder that nothing more comes and gives the error that ended the group.
func (e *videoEncoder) wait() error {
	if !e.closed {
		close(e.packets)
		e.closed = true
	}
	return e.group.Wait()
}

func (e *videoEncoder) finish(context.Context) error {
	if err := e.wait(); err != nil {
		return err
	}
	if n := e.pictures.bad; n > 0 {
		e.r.defects.add(Defect{Kind: DefectUndecodable, File: e.r.video.firstN, Detail: fmt.Sprintf("%d pictures do not decode; the one before stays", n)})
	}
	if e.encoder.count > 0 {
		e.r.mux.mu.Lock()
		defer e.r.mux.mu.Unlock()
		e.r.mux.w.SetEnd(e.track, e.encoder.lastPTS+e.encoder.lastDur)
	}
	return nil
}

// close ends both goroutines at once. What they say then is the echo of an error that is known already, or of none.
func (e *videoEncoder) close() error {
	e.cancel()
	_ = e.wait()
	return e.release()
}

func (e *videoEncoder) release() error {
	errs := []error{e.pictures.close(), e.encoder.close()}
	for _, p := range e.all {
		errs = append(errs, p.pkt.Close())
	}
	for _, f := range e.pics {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

func (e *videoEncoder) describe(res *Result) {
	if e.encoder.count > 0 {
		res.Video, res.Width, res.Height = true, e.width, e.height
	}
}

// pictureEncoder is the last step: pictures on the output's time line become H.264 in the file.
type pictureEncoder struct {
	e       *videoEncoder
	enc     *av.Encoder
	pkt     *av.Packet
	lastPTS int64
	lastDur int64
	nextKey int64
	keys    int // of the rung's key frames that are made
	count   int
	config  avcConfig
}

func (p *pictureEncoder) open() (err error) {
	e, set := p.e, p.e.r.rec.Video
	if p.pkt, err = av.NewPacket(); err != nil {
		return err
	}
	s := e.r.video.first
	rate := s.FrameRate
	if rate.Num <= 0 || rate.Den <= 0 || rate.Num/rate.Den > 240 {
		rate = av.Rational{Num: 30, Den: 1}
	}
	p.enc, err = av.NewEncoder(av.EncoderSpec{Encoder: "libx264", TimeBase: av.Rational{Num: 1, Den: videoTimescale}, Width: e.width, Height: e.height,
		FrameRate: rate, SAR: s.SAR, Color: av.BT709(), GlobalHeader: true, GOP: 1 << 20,
		Options: map[string]string{"preset": set.Preset, "crf": strconv.FormatFloat(set.CRF, 'f', -1, 64), "profile": "high", "forced-idr": "1"}})
	if err != nil {
		return err
	}
	if p.config, err = newAVCConfig(p.enc.Extradata()); err != nil {
		return err
	}
	v := &mp4.Video{Codec: "avc1", Config: p.config.record, Width: e.width, Height: e.height, Color: &mp4.Color{Primaries: 1, Transfer: 1, Matrix: 1}}
	if s.SAR.Num > 0 && s.SAR.Den > 0 {
		v.SAR = mp4.Rational{Num: uint32(s.SAR.Num), Den: uint32(s.SAR.Den)}
	}
	if s.Rotation != nil {
		v.Matrix = *s.Rotation
	}
	e.track, err = e.r.mux.w.AddTrack(mp4.Track{Timescale: videoTimescale, Video: v})
	return err
}

func (p *pictureEncoder) run(ctx context.Context) error {
	for f := range p.e.frames {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.encode(f); err != nil {
			return err
		}
		p.e.pool <- f
	}
	if err := ctx.Err(); err != nil || p.count == 0 {
		return err
	}
	return p.enc.Encode(nil, false, p.pkt, p.write)
}

func (p *pictureEncoder) encode(f *av.Frame) error {
	key := p.isKey(f.PTS)
	p.lastPTS, p.lastDur = f.PTS, max(f.Duration, 1)
	p.count++
	return p.enc.Encode(f, key, p.pkt, p.write)
}

// isKey tells whether the picture at pts begins a group.
func (p *pictureEncoder) isKey(pts int64) bool {
	if rung := p.e.r.rec.Rung; rung != nil {
		key := p.count == 0
		for p.keys < len(rung.Keys) && pts+1 >= ticksOf(int64(rung.Keys[p.keys]), videoTimescale) { // 1: both are rounded
			key = true
			p.keys++
		}
		return key
	}
	key := p.nextKey == noTime || pts >= p.nextKey
	if key {
		p.nextKey = pts + ticksOf(int64(p.e.r.rec.Video.KeyInterval), videoTimescale)
	}
	return key
}

func (p *pictureEncoder) write(pkt *av.Packet) error {
	units := splitAnnexB(nil, pkt.Data())
	parts := make([][]byte, 0, 2*len(units))
	for _, u := range units {
		parts = append(parts, []byte{byte(len(u) >> 24), byte(len(u) >> 16), byte(len(u) >> 8), byte(len(u))}, u)
	}
	s := mp4.Sample{DTS: pkt.DTS, PTS: pkt.PTS, Sync: pkt.Key, Duration: uint32(p.lastDur)}
	return p.e.r.mux.write(p.e.track, s, pkt.PTS*int64(time.Second)/videoTimescale, parts...)
}

func (p *pictureEncoder) close() error { return errors.Join(p.enc.Close(), p.pkt.Close()) }
