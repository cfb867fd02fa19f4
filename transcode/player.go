package transcode

import (
	"context"
	"errors"
	"io"
	"time"

	"rushes/transcode/internal/av"
)

// player follows one track of pictures: it decodes as far as it is asked to and holds the picture that is seen
// then. While nobody looks at it, it stands still; it goes on at the last key frame before it is seen again.
type player struct {
	in     *CompositeVideo
	units  Units
	gate   gate
	number int   // of next
	next   *Unit // read but not decoded; nil before the first and after the last
	ended  bool
	pkt    *av.Packet
	frame  *av.Frame
	shown  *av.Frame // the last good picture
	has    bool
	dec    *av.Decoder
	scaler *av.Scaler

	version         int // counts the pictures in shown
	decoded, bad    int
	begun           bool
	lastDecodedUnit int
}

func newPlayer(in *CompositeVideo) (p *player, err error) {
	p = &player{in: in, lastDecodedUnit: -1, scaler: av.NewScaler()}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.units, err = in.Open(); err != nil {
		return p, err
	}
	if p.pkt, err = av.NewPacket(); err != nil {
		return p, err
	}
	if p.frame, err = av.NewFrame(); err != nil {
		return p, err
	}
	if p.shown, err = av.NewFrame(); err != nil {
		return p, err
	}
	p.dec, err = av.NewDecoder(av.DecoderSpec{Name: in.Name, Stream: -1, Codec: in.Codec, TimeBase: av.Rational{Num: 1, Den: int(time.Second)}, Threads: 1, LowDelay: true})
	return p, err
}

func (p *player) close() error {
	errs := []error{p.pkt.Close(), p.frame.Close(), p.shown.Close(), p.dec.Close(), p.scaler.Close()}
	if p.units != nil {
		errs = append(errs, p.units.Close())
		p.units = nil
	}
	return errors.Join(errs...)
}

// work is what the track has taken so far.
func (p *player) work() ChunkResult {
	return ChunkResult{Decoded: p.decoded, Bad: p.bad, Held: p.gate.held}
}

// advance decodes everything up to a session time. Afterwards shown is the picture that is seen then.
func (p *player) advance(ctx context.Context, to time.Duration) error {
	if err := p.skipToKey(to); err != nil {
		return err
	}
	for n := 0; ; n++ {
		if n%64 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := p.peek(); err != nil {
			return err
		}
		if p.next == nil || p.next.At > to {
			return nil
		}
		if err := p.decode(); err != nil {
			return err
		}
	}
}

// skipToKey passes over the pictures that need not be decoded because a key frame follows before the time.
func (p *player) skipToKey(to time.Duration) error {
	key, ok := p.in.keyBefore(to)
	if !ok || key.Unit <= p.number || p.begun && key.Unit <= p.lastDecodedUnit+64 {
		return nil // decoding a few pictures costs less than to begin anew
	}
	if err := p.jump(key.Unit); err != nil {
		return err
	}
	for p.number < key.Unit {
		if err := p.peek(); err != nil || p.next == nil {
			return err
		}
		p.next = nil
		p.number++
	}
	p.dec.Flush()
	p.gate.open = false
	return nil
}

// farAway is from how many units on a track is opened anew instead of read on: about as many are passed over there.
const farAway = 512

// jump goes near a unit that is far ahead, where the track can be entered in the middle.
func (p *player) jump(unit int) error {
	if p.in.OpenAt == nil || unit-p.number < farAway {
		return nil
	}
	if err := p.units.Close(); err != nil {
		return err
	}
	p.units = nil
	u, err := p.in.OpenAt(unit)
	if err != nil {
		return err
	}
	p.units, p.next, p.number, p.ended = u, nil, unit, false
	return nil
}

// peek reads the next unit if none is waiting.
func (p *player) peek() error {
	if p.next != nil || p.ended {
		return nil
	}
	u, err := p.units.Next()
	if errors.Is(err, io.EOF) {
		p.ended = true
		return nil
	}
	p.next = u
	return err
}

func (p *player) decode() error {
	u := p.next
	p.next = nil
	p.begun, p.lastDecodedUnit = true, p.number
	p.number++
	if !p.gate.pass(u) {
		return nil
	}
	if err := p.pkt.SetData(u.Data); err != nil {
		return err
	}
	p.pkt.PTS, p.pkt.DTS, p.pkt.Key = int64(u.At), int64(u.At), u.Key
	p.decoded++
	return p.dec.Decode(p.pkt, p.frame, func(error) error { p.bad++; return nil }, func(f *av.Frame) error {
		if f.Broken && p.has || f.Width <= 0 || f.Height <= 0 {
			p.bad++
			return nil
		}
		f.MoveTo(p.shown)
		p.has = true
		p.version++
		return nil
	})
}
