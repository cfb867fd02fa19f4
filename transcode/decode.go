package transcode

import (
	"context"
	"errors"
	"io"
	"time"

	"rushes/transcode/internal/av"
)

// Picture is one decoded picture, 8-bit 4:2:0. Its planes are views that are good until the call that gave
// them returns.
type Picture struct {
	PTS, Duration     time.Duration // of the file's presentation; Duration 0 = unknown
	Width, Height     int
	Y, Cb, Cr         []byte
	StrideY, StrideC  int  // bytes from line to line
	Matrix            int  // ISO/IEC 23091-2 matrix coefficients, 2 = unspecified
	FullRange, Broken bool // Broken: decoded from damaged data
	Key               bool
}

// Sound is a run of decoded sound.
type Sound struct {
	PTS      time.Duration // of the file's presentation
	Rate     int           // Hz
	Channels [][]float32   // samples by channel, −1 to 1; views good until the call returns
}

// Sink takes what Decode gives, in the order of the file. A nil function leaves that kind undecoded.
type Sink struct {
	Picture func(Picture) error
	Sound   func(Sound) error
}

// DecodeStats counts what Decode met.
type DecodeStats struct {
	Pictures, Broken int // pictures given out, and those of them that are damaged
	Refused          int // packets that the decoders did not take
}

// Decode reads a file from end to end and gives every picture and all sound of its first streams to sink.
func Decode(ctx context.Context, src Source, sink Sink) (stats DecodeStats, err error) {
	in, err := av.OpenInput(ctx, src.av())
	if err != nil {
		return stats, openError(ctx, src, err)
	}
	d := &decodeRun{in: in, sink: sink, stats: &stats, scaler: av.NewScaler(), decoders: map[int]*av.Decoder{}}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.open(); err != nil {
		return stats, err
	}
	for {
		err := in.ReadPacket(ctx, d.pkt)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return stats, err
		}
		if err := d.packet(d.pkt.Stream); err != nil {
			return stats, err
		}
	}
	d.pkt.Close()
	d.pkt = nil
	for i := range in.Streams() {
		if err := d.packet(i); err != nil {
			return stats, err
		}
	}
	return stats, nil
}

type decodeRun struct {
	in       *av.Input
	sink     Sink
	stats    *DecodeStats
	scaler   *av.Scaler
	pkt      *av.Packet
	frame    *av.Frame
	pic      *av.Frame
	res      *av.Resampler
	resRate  int
	decoders map[int]*av.Decoder
}

func (d *decodeRun) open() (err error) {
	if d.pkt, err = av.NewPacket(); err != nil {
		return err
	}
	if d.frame, err = av.NewFrame(); err != nil {
		return err
	}
	if d.pic, err = av.NewFrame(); err != nil {
		return err
	}
	seen := map[av.Kind]bool{}
	for _, s := range d.in.Streams() {
		wanted := s.Kind == av.KindVideo && d.sink.Picture != nil || s.Kind == av.KindAudio && d.sink.Sound != nil
		if !wanted || seen[s.Kind] {
			continue
		}
		seen[s.Kind] = true
		dec, err := sessionDecoder(&s, d.in.Name(), 0)
		if err != nil {
			return err
		}
		d.decoders[s.Index] = dec
	}
	return nil
}

// packet decodes the current packet of a stream; without one, it drains the stream's decoder.
func (d *decodeRun) packet(stream int) error {
	dec := d.decoders[stream]
	if dec == nil {
		return nil
	}
	s := d.in.Streams()[stream]
	if p := d.pkt; p != nil {
		if p.PTS != av.NoPTS {
			p.PTS = nanos(p.PTS, s.TimeBase)
		}
		if p.DTS != av.NoPTS {
			p.DTS = nanos(p.DTS, s.TimeBase)
		}
		p.Duration = nanos(p.Duration, s.TimeBase)
	}
	give := d.picture
	if s.Kind == av.KindAudio {
		give = d.sound
	}
	return dec.Decode(d.pkt, d.frame, func(error) error { d.stats.Refused++; return nil }, give)
}

func (d *decodeRun) picture(f *av.Frame) error {
	pic := f
	if f.Format != av.YUV420P {
		if d.pic.Width != f.Width&^1 || d.pic.Height != f.Height&^1 {
			if err := d.pic.AllocPicture(max(f.Width&^1, 2), max(f.Height&^1, 2), av.YUV420P); err != nil {
				return err
			}
		}
		pic = d.pic
		if err := d.scaler.Draw(pic, f, av.Rect{W: pic.Width, H: pic.Height}); err != nil {
			return err
		}
	}
	d.stats.Pictures++
	if f.Broken {
		d.stats.Broken++
	}
	p := Picture{PTS: time.Duration(f.PTS), Duration: time.Duration(f.Duration), Width: pic.Width, Height: pic.Height,
		Matrix: f.Color.Matrix, FullRange: f.Color.Range == 2, Broken: f.Broken, Key: f.Key}
	if pic == d.pic {
		p.Matrix, p.FullRange = 1, false
	}
	p.Y, p.StrideY = pic.Plane(0, pic.Height)
	p.Cb, p.StrideC = pic.Plane(1, (pic.Height+1)/2)
	p.Cr, _ = pic.Plane(2, (pic.Height+1)/2)
	return d.sink.Picture(p)
}

func (d *decodeRun) sound(f *av.Frame) error {
	if d.res == nil || d.resRate != f.SampleRate {
		if err := d.res.Close(); err != nil {
			return err
		}
		d.res, d.resRate = av.NewResampler(f.SampleRate, min(f.Channels, 2)), f.SampleRate
	}
	ch, err := d.res.Run(f)
	if err != nil {
		return err
	}
	return d.sink.Sound(Sound{PTS: time.Duration(f.PTS), Rate: f.SampleRate, Channels: ch})
}

func (d *decodeRun) close() error {
	errs := []error{d.in.Close(), d.pkt.Close(), d.frame.Close(), d.pic.Close(), d.res.Close(), d.scaler.Close()}
	for _, dec := range d.decoders {
		errs = append(errs, dec.Close())
	}
	return errors.Join(errs...)
}
