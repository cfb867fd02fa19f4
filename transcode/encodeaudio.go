package transcode

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rushes/transcode/internal/av"
	"rushes/transcode/mp4"
)

const outputRate = 48_000 // Hz of all sound that Rushes encodes

// aacSink encodes planar float sound as AAC-LC and hands out its frames.
type aacSink struct {
	enc      *av.Encoder
	frame    *av.Frame
	pkt      *av.Packet
	buffer   [][]float32
	pts      int64 // of the first sample in buffer
	rate     int
	channels int
	out      func(pts int64, duration int64, data []byte) error
}

func newAACSink(rate, channels, bitRate int, out func(pts, duration int64, data []byte) error) (s *aacSink, err error) {
	s = &aacSink{rate: rate, channels: channels, out: out, buffer: make([][]float32, channels)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.frame, err = av.NewFrame(); err != nil {
		return s, err
	}
	if s.pkt, err = av.NewPacket(); err != nil {
		return s, err
	}
	s.enc, err = av.NewEncoder(av.EncoderSpec{Encoder: "aac", TimeBase: av.Rational{Num: 1, Den: rate}, SampleRate: rate, Channels: channels,
		SampleFormat: av.FloatPlanar, BitRate: int64(bitRate), GlobalHeader: true, Threads: 1})
	return s, err
}

// add encodes as many whole frames as there are.
func (s *aacSink) add(channels [][]float32) error {
	for i := range s.buffer {
		s.buffer[i] = append(s.buffer[i], channels[i]...)
	}
	n := s.enc.FrameSize()
	used := 0
	for len(s.buffer[0])-used >= n {
		if err := s.encode(upto(from(s.buffer, used), n)); err != nil {
			return err
		}
		used += n
	}
	for i := range s.buffer {
		s.buffer[i] = s.buffer[i][:copy(s.buffer[i], s.buffer[i][used:])]
	}
	return nil
}

func (s *aacSink) encode(channels [][]float32) error {
	if err := s.frame.SetSound(s.rate, channels); err != nil {
		return err
	}
	s.frame.PTS = s.pts
	s.pts += int64(len(channels[0]))
	return s.enc.Encode(s.frame, false, s.pkt, s.packet)
}

func (s *aacSink) packet(p *av.Packet) error { return s.out(p.PTS, p.Duration, p.Data()) }

// finish encodes the rest and drains the encoder.
func (s *aacSink) finish() error {
	if len(s.buffer[0]) > 0 {
		if err := s.encode(s.buffer); err != nil {
			return err
		}
	}
	return s.enc.Encode(nil, false, s.pkt, s.packet)
}

func (s *aacSink) close() error { return errors.Join(s.enc.Close(), s.frame.Close(), s.pkt.Close()) }

// encodeSilence encodes n frames of silence and hands out each with the encoder's configuration.
func encodeSilence(rate, channels, n int, fn func(config, data []byte) error) (err error) {
	var s *aacSink
	s, err = newAACSink(rate, channels, 64_000, func(_, _ int64, data []byte) error { return fn(s.enc.Extradata(), data) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	zeros := make([][]float32, channels)
	for i := range zeros {
		zeros[i] = make([]float32, n*aacFrame)
	}
	return s.add(zeros) // without draining: the last frames of a stream are not those of its middle
}

// audioEncoder decodes any sound and encodes it as AAC-LC.
type audioEncoder struct {
	r     *run
	track int
	part  int
	dec   *av.Decoder
	frame *av.Frame
	res   *av.Resampler
	line  soundLine
	sink  *aacSink
	first int64 // sample at which the line begins, noTime before
	bad   int
	run   int   // of the last unit
	cut   int64 // what pauses took from the time of the last block
}

func newAudioEncoder(r *run) (e *audioEncoder, err error) {
	channels := min(max(r.audio.first.Channels, 1), 2)
	e = &audioEncoder{r: r, part: -1, first: noTime, res: av.NewResampler(outputRate, channels)}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.close())
		}
	}()
	if e.frame, err = av.NewFrame(); err != nil {
		return e, err
	}
	if e.sink, err = newAACSink(outputRate, channels, r.rec.Audio.BitRate, e.write); err != nil {
		return e, err
	}
	jitter := int64(hardGap)
	if r.feed != nil {
		jitter = trackGap
	}
	e.line = soundLine{jitter: jitter, rate: outputRate, channels: channels, next: noTime, res: e.res, out: e.sound, gap: e.gap}
	e.track, err = r.mux.w.AddTrack(mp4.Track{Timescale: outputRate, Audio: &mp4.Audio{Codec: "mp4a", Config: e.sink.enc.Extradata(),
		SampleRate: outputRate, Channels: channels, BitRate: r.rec.Audio.BitRate}})
	return e, err
}

func (e *audioEncoder) unit(ctx context.Context, u *unit) error {
	if u.part != e.part {
		if err := e.nextPart(u); err != nil {
			return err
		}
	}
	e.line.exact = e.line.exact || u.run != e.run
	e.run = u.run
	u.stamp(u.pkt)
	return e.dec.Decode(u.pkt, e.frame, e.refused, e.decoded)
}

// nextPart drains the decoder of one file and opens that of the next.
func (e *audioEncoder) nextPart(u *unit) error {
	if err := e.drain(); err != nil {
		return err
	}
	e.part = u.part
	var err error
	e.dec, err = sessionDecoder(u.stream, e.r.parts[u.part].Source.Name, 1)
	return err
}

func (e *audioEncoder) drain() error {
	if e.dec == nil {
		return nil
	}
	err := e.dec.Decode(nil, e.frame, e.refused, e.decoded)
	err = errors.Join(err, e.dec.Close())
	e.dec = nil
	return err
}

// refused counts packets that do not decode; the hole that they leave becomes silence.
func (e *audioEncoder) refused(error) error { e.bad++; return nil }

// decoded puts a decoded frame, less what lies in pauses, onto the line.
func (e *audioEncoder) decoded(f *av.Frame) error {
	session := f.PTS
	channels, err := e.res.Run(f)
	if err != nil || len(channels[0]) == 0 {
		return err
	}
	if session == av.NoPTS {
		return e.line.emit(channels)
	}
	n := len(channels[0])
	for done := 0; done < n; {
		at := session + int64(done)*int64(time.Second)/outputRate
		k, paused := e.r.cuts.run(at, n-done)
		if !paused {
			out, _ := e.r.cuts.at(at)
			e.line.exact = e.line.exact || at-out != e.cut
			e.cut = at - out
			if err := e.line.block(ticksOf(out-e.r.zero, outputRate), upto(from(channels, done), k)); err != nil {
				return err
			}
		}
		done += k
	}
	return nil
}

func (e *audioEncoder) sound(channels [][]float32) error {
	if e.first == noTime {
		e.first = e.line.next - int64(len(channels[0]))
	}
	return e.sink.add(channels)
}

func (e *audioEncoder) gap(at, n int64) {
	if e.r.feed != nil {
		return // mutes and silence that was not sent are no defects of a track; the index knows its holes
	}
	e.r.defects.add(Defect{Kind: DefectGap, File: e.r.parts[e.part].Source.Name, Detail: fmt.Sprintf("no sound for %v at %v; silence put in",
		show(n*int64(time.Second)/outputRate), show(at*int64(time.Second)/outputRate))})
}

func (e *audioEncoder) write(pts, duration int64, data []byte) error {
	at := pts + e.first
	return e.r.mux.write(e.track, mp4.Sample{DTS: at, PTS: at, Duration: uint32(duration), Sync: true}, at*int64(time.Second)/outputRate, data)
}

func (e *audioEncoder) finish(context.Context) error {
	if err := e.drain(); err != nil {
		return err
	}
	if e.bad > 0 {
		e.r.defects.add(Defect{Kind: DefectUndecodable, File: e.r.audio.firstN, Detail: fmt.Sprintf("%d packets of sound do not decode", e.bad)})
	}
	if e.first == noTime {
		return nil
	}
	rest, err := e.res.Run(nil)
	if err != nil {
		return err
	}
	if err := e.line.emit(rest); err != nil {
		return err
	}
	if err := e.sink.finish(); err != nil {
		return err
	}
	e.r.mux.mu.Lock()
	defer e.r.mux.mu.Unlock()
	e.r.mux.w.SetEnd(e.track, e.line.next)
	return nil
}

func (e *audioEncoder) close() error {
	errs := []error{e.dec.Close(), e.res.Close(), e.frame.Close()}
	if e.sink != nil {
		errs = append(errs, e.sink.close())
	}
	return errors.Join(errs...)
}

func (e *audioEncoder) describe(res *Result) { res.Audio = e.first != noTime }
