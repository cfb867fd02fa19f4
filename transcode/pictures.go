package transcode

import (
	"context"
	"errors"
	"time"

	"rushes/transcode/internal/av"
)

// pictureDecoder is the middle step: packets become pictures of the output's size and colour, at their places
// on the output's time line.
type pictureDecoder struct {
	e       *videoEncoder
	part    int
	dec     *av.Decoder
	frame   *av.Frame
	held    *av.Frame // the last picture of a pause: what is seen when it ends
	holds   bool
	heldEnd int64 // session time at which that pause ends
	scaler  *av.Scaler
	lastOut int64 // ticks
	lastDur int64 // ns, typical
	bad     int
	ended   <-chan struct{}
}

func (d *pictureDecoder) run(ctx context.Context) error {
	defer close(d.e.frames)
	d.ended = ctx.Done()
	for p := range d.e.packets {
		if err := ctx.Err(); err != nil {
			return err
		}
		if p.part != d.part {
			if err := d.nextPart(p.part); err != nil {
				return err
			}
		}
		if err := d.dec.Decode(p.pkt, d.frame, d.refused, d.decoded); err != nil {
			return err
		}
		d.e.free <- p
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return d.drain()
}

func (d *pictureDecoder) nextPart(part int) error {
	if err := d.drain(); err != nil {
		return err
	}
	d.part = part
	pp := &d.e.r.parts[part]
	var err error
	d.dec, err = sessionDecoder(&pp.streams[pp.video], pp.Source.Name, 0)
	return err
}

// sessionDecoder opens a decoder whose timestamps are nanoseconds of the session, so that a picture that
// comes out late still has its place.
func sessionDecoder(s *av.Stream, name string, threads int) (*av.Decoder, error) {
	spec := s.Decoder(name)
	spec.TimeBase, spec.Threads = av.Rational{Num: 1, Den: int(time.Second)}, threads
	dec, err := av.NewDecoder(spec)
	if err != nil && invalid(err) {
		return nil, &InputError{File: name, Reason: "a stream of it cannot be decoded", Err: err}
	}
	return dec, err
}

func (d *pictureDecoder) drain() error {
	if d.dec == nil {
		return nil
	}
	err := d.dec.Decode(nil, d.frame, d.refused, d.decoded)
	err = errors.Join(err, d.dec.Close())
	d.dec = nil
	return err
}

func (d *pictureDecoder) refused(error) error { d.bad++; return nil }

// decoded places a picture. What was decoded from damaged data is not shown once there is a good one.
func (d *pictureDecoder) decoded(f *av.Frame) error {
	if f.PTS == av.NoPTS || f.Width <= 0 || f.Height <= 0 {
		d.bad++
		return nil
	}
	if f.Broken && d.lastOut != noTime {
		d.bad++
		return nil
	}
	r := d.e.r
	session := f.PTS
	out, paused := r.cuts.at(session)
	if paused {
		d.holds, d.heldEnd = true, r.cuts.resumes(session)
		return f.Share(d.held)
	}
	if d.holds {
		d.holds = false
		if session > d.heldEnd+max(2*d.lastDur, int64(100*time.Millisecond)) {
			at, _ := r.cuts.at(d.heldEnd)
			if err := d.show(d.held, at-r.zero, session-d.heldEnd); err != nil {
				return err
			}
		}
	}
	if f.Duration > 0 {
		d.lastDur = f.Duration
	}
	return d.show(f, out-r.zero, d.lastDur)
}

// show draws a picture at an output time and passes it on. Of two pictures at one tick the first stays.
func (d *pictureDecoder) show(f *av.Frame, out, dur int64) error {
	at := ticksOf(out, videoTimescale)
	if d.lastOut != noTime && at <= d.lastOut {
		return nil
	}
	if d.lastOut != noTime && dur == 0 {
		dur = (at - d.lastOut) * int64(time.Second) / videoTimescale
	}
	var pic *av.Frame
	select {
	case pic = <-d.e.pool:
	case <-d.ended:
		return context.Canceled
	}
	if err := d.draw(pic, f); err != nil {
		return err
	}
	pic.PTS, pic.Duration = at, ticksOf(dur, videoTimescale)
	d.lastOut = at
	d.e.frames <- pic // never full: it is as long as the pool
	return nil
}

func (d *pictureDecoder) draw(pic, f *av.Frame) error {
	w, h := d.e.width, d.e.height
	if d.scaler.Copies(f, w, h) {
		return f.Share(pic)
	}
	if pic.Width != w || pic.Height != h || pic.Format != av.YUV420P {
		if err := pic.AllocPicture(w, h, av.YUV420P); err != nil {
			return err
		}
	} else if err := pic.Writable(); err != nil {
		return err
	}
	to := fit(f.Width, f.Height, f.SAR, d.e.r.video.first.SAR, w, h)
	if to.W != w || to.H != h {
		av.Fill(pic, av.Rect{W: w, H: h}, 16, 128, 128)
	}
	return d.scaler.Draw(pic, f, to)
}

// fit is the largest even rectangle of a picture's shape in the middle of the output. Sample aspect ratios
// other than the output's are taken into account.
func fit(sw, sh int, sar, outSAR av.Rational, w, h int) av.Rect {
	num, den := int64(sw), int64(sh)
	if sar.Num > 0 && sar.Den > 0 {
		num, den = num*int64(sar.Num), den*int64(sar.Den)
	}
	if outSAR.Num > 0 && outSAR.Den > 0 {
		num, den = num*int64(outSAR.Den), den*int64(outSAR.Num)
	}
	rw, rh := int64(w), int64(w)*den/num
	if rh > int64(h) {
		rw, rh = int64(h)*num/den, int64(h)
	}
	snap := func(v, full int64) int64 { // a difference of rounding is none
		if full-v < 4 {
			return full
		}
		return max(v&^1, 2)
	}
	rw, rh = snap(rw, int64(w)), snap(rh, int64(h))
	return av.Rect{X: (w - int(rw)) / 2 &^ 1, Y: (h - int(rh)) / 2 &^ 1, W: int(rw), H: int(rh)}
}

func (d *pictureDecoder) close() error {
	return errors.Join(d.dec.Close(), d.frame.Close(), d.held.Close(), d.scaler.Close())
}
