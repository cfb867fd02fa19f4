package hls

import (
	"context"
	"errors"
	"fmt"
	"io"

	"rushes/transcode/mp4"
)

// picture is a sample of pictures in media time. Its data is good until the puller goes on.
type picture struct {
	dts, pts, dur Tick
	sync          bool
	data          []byte
	spec          *mp4.Track
	stretch       int
}

// sound is a frame of sound in media time. It owns its data.
type sound struct {
	pts, dur Tick
	data     []byte
	spec     *mp4.Track
}

// puller reads one layer from beginning to end: it gives the pictures and hands the sound that is used to hear.
type puller struct {
	t     *Timeline
	layer int
	note  func(Defect)
	hear  func(sound)

	stretch, index int // of the next piece
	p              *piece
	r              *opened
	tornV, tornA   bool
	limit          Tick // pictures from here on belong to the next piece
	began          bool // a picture of the stretch was given
	synced         bool // the picture before can be decoded
	shown          Tick // media time up to which pictures came
	passed         Tick // media time of the picture taken last
	spans          int  // of the piece that are over
	vClock, aClock clock

	head *picture
	done bool
	slab []byte // frames of sound are cut from it
}

func (p *puller) close() error {
	if p.r == nil {
		return nil
	}
	r := p.r
	p.r = nil
	if err := r.Close(); err != nil {
		return fmt.Errorf("hls: closing %q: %w", p.p.seg.Name, err)
	}
	return nil
}

// peek gives the next picture without taking it, nil at the end.
func (p *puller) peek(ctx context.Context) (*picture, error) {
	for p.head == nil && !p.done {
		if err := p.step(ctx); err != nil {
			return nil, err
		}
	}
	return p.head, nil
}

// take removes the picture that peek gave. Its data stays good until the next peek.
func (p *puller) take() *picture {
	h := p.head
	p.head, p.passed = nil, max(p.passed, h.dts)
	return h
}

// step reads one unit, or goes on to the next piece.
func (p *puller) step(ctx context.Context) error {
	if p.r == nil {
		return p.openNext(ctx)
	}
	u, err := p.r.Next(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("hls: reading %q: %w", p.p.seg.Name, ctx.Err())
		}
		if !errors.Is(err, io.EOF) {
			p.torn(err.Error())
		}
		return p.close()
	}
	switch {
	case u.Torn && u.Track == p.p.video && !p.tornV:
		p.torn("the segment's end is missing")
		p.tornV = true
	case u.Torn && u.Track == p.p.audio && !p.tornA:
		p.defect(DefectTornFile, "the segment's end is missing")
		p.tornA = true
	case u.Track == p.p.video && !p.tornV:
		return p.see(&u)
	case u.Track == p.p.audio && !p.tornA && p.spans < len(p.p.sound):
		return p.listen(&u)
	}
	return nil
}

func (p *puller) defect(kind DefectKind, detail string) {
	p.note(Defect{Kind: kind, Layer: p.t.dump.Layers[p.layer].Name, File: p.p.seg.Name, Detail: detail})
}

func (p *puller) torn(detail string) {
	p.defect(DefectTornFile, detail)
	p.synced = false // what follows cannot be decoded before its next key frame
}

// openNext goes on to the layer's next piece.
func (p *puller) openNext(ctx context.Context) error {
	for p.stretch < len(p.t.stretches) {
		s := p.t.stretches[p.stretch]
		list := s.pieces[p.layer]
		if p.index >= len(list) {
			p.stretch, p.index, p.began, p.synced = p.stretch+1, 0, false, false
			continue
		}
		p.p = list[p.index]
		p.index++
		if !p.p.hasV && len(p.p.sound) == 0 {
			continue
		}
		p.tornV, p.tornA, p.spans = !p.p.hasV, false, 0
		p.vClock, p.aClock = clock{}, clock{}
		p.limit = maxTick * 4
		if p.index < len(list) && list[p.index].hasV && len(list[p.index].syncs) > 0 {
			p.limit = list[p.index].syncs[0] - p.p.vStep/2
		}
		if p.p.hasV && p.began && p.p.vStart+s.shift > p.shown+minHole {
			p.synced = false
		}
		r, err := p.t.open.open(ctx, p.p.seg, p.p.spare)
		var bad *fileError
		if errors.As(err, &bad) {
			p.defect(bad.kind, bad.Error())
			continue
		}
		if err != nil {
			return err
		}
		p.r = r
		return nil
	}
	p.done = true
	return nil
}

// see takes a unit of pictures.
func (p *puller) see(u *Unit) error {
	ts := p.p.vspec.Timescale
	pts, dts := fromScale(u.PTS, ts)+p.p.base, fromScale(u.DTS, ts)+p.p.base
	if !p.vClock.admit(pts) || abs(pts-dts) > maxForwardDelay {
		p.defect(DefectTimestamps, "a picture's time cannot be true; it is left out")
		return nil
	}
	if pts >= p.limit {
		p.defect(DefectOverlap, "pictures that the next segment has too are left out")
		return nil
	}
	if !p.synced && !u.Sync {
		p.defect(DefectTimestamps, "pictures before the first key frame cannot be decoded and are left out")
		return nil
	}
	p.synced = true
	s := p.t.stretches[p.stretch]
	pic := &picture{dts: dts + s.shift, pts: pts + s.shift, dur: pictureTime(u.Duration, p.p.vspec), sync: u.Sync, spec: p.p.vspec, stretch: p.stretch}
	if !p.began {
		p.began = true
		if early := pic.pts - s.start; early > minHole && !inZones(s.zones[p.layer], s.start) {
			pic.pts, pic.dts = pic.pts-early, pic.dts-early // shown from the beginning, until the next one comes
		}
	}
	p.shown = max(p.shown, pts+s.shift+max(pic.dur, p.p.vStep))
	var err error
	if pic.data, err = p.r.Data(u.Track); err != nil {
		return p.unread(err)
	}
	p.head = pic
	return nil
}

// maxForwardDelay is the most that a picture's presentation differs from its decoding.
const maxForwardDelay = Tick(10 * Timescale)

// unread tells errors of the medium from damaged samples.
func (p *puller) unread(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		p.torn("a sample's bytes are missing")
		return nil
	}
	return fmt.Errorf("hls: reading %q: %w", p.p.seg.Name, err)
}

// listen takes a unit of sound if it is in a part that is used.
func (p *puller) listen(u *Unit) error {
	pts := fromScale(u.PTS, p.p.aspec.Timescale) + p.p.base
	if !p.aClock.admit(pts) {
		return nil
	}
	dur := frameTime(u.Duration, p.p.aspec)
	for p.spans < len(p.p.sound) && pts > p.p.sound[p.spans].to-dur/2 {
		p.spans++
	}
	if p.spans == len(p.p.sound) || pts < p.p.sound[p.spans].from-dur/2 {
		return nil
	}
	data, err := p.r.Data(u.Track)
	if err != nil {
		return p.unread(err)
	}
	p.hear(sound{pts: pts + p.p.sound[p.spans].shift, dur: dur, data: p.keep(data), spec: p.p.aspec})
	return nil
}

// keep copies a small frame.
func (p *puller) keep(data []byte) []byte {
	const slab = 64 << 10
	if len(data) > cap(p.slab)-len(p.slab) {
		p.slab = make([]byte, 0, max(slab, len(data)))
	}
	from := len(p.slab)
	p.slab = append(p.slab, data...)
	return p.slab[from:len(p.slab):len(p.slab)]
}
