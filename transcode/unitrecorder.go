package transcode

import (
	"context"
	"errors"
	"io"
	"time"

	"rushes/transcode/internal/av"
)

// NewUnitRecorder opens a Recorder that writes no file but hands every encoded access unit to sink, before the call
// that made it returns where the encoder has no delay. Format and MuxerOptions of spec do not count. The unit is good
// until sink returns; its At is the encoder's timestamp, which for sound may be negative by the encoder's delay. An
// error of sink ends the call with that error. Fixtures make the dumps of an SFU with it.
func NewUnitRecorder(spec RecorderSpec, sink func(sound bool, u *Unit) error) (*Recorder, error) {
	r := &Recorder{spec: spec, sink: sink}
	if err := r.open(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// packetUnit gives a view of an encoded packet.
func packetUnit(p *av.Packet, tb av.Rational) *Unit {
	at := func(ticks int64) time.Duration {
		den := int64(tb.Den)
		return time.Duration(ticks/den)*time.Second + time.Duration(ticks%den)*time.Second/time.Duration(den)
	}
	return &Unit{Data: p.Data(), At: at(p.PTS), Duration: at(p.Duration), Key: p.Key}
}

// UnitWriter writes encoded access units of one track into a container, as recorders do that know nothing of losses.
// Fixtures make dumps with it. It serves one goroutine at a time.
type UnitWriter struct {
	out    *av.Output
	pkt    *av.Packet
	stream int
}

// NewUnitWriter opens a writer of a libav format ("webm", "matroska", "mp4", "mpegts", …) with one track, of which
// Codec, size or rate and channels, and Config count; Config is SPS and PPS with start codes for H.264. options are
// the muxer's own. w must be empty.
func NewUnitWriter(ctx context.Context, w io.WriterAt, format, name string, in TrackInput, options map[string]string) (u *UnitWriter, err error) {
	u = &UnitWriter{}
	defer func() {
		if err != nil {
			err = errors.Join(err, u.Close())
		}
	}()
	if u.pkt, err = av.NewPacket(); err != nil {
		return u, err
	}
	if u.out, err = av.NewOutput(ctx, w, format, name); err != nil {
		return u, err
	}
	s := av.Stream{Kind: av.KindVideo, Codec: in.Codec, TimeBase: av.Rational{Num: 1, Den: videoTimescale}, Width: in.Width, Height: in.Height, Extradata: in.Config}
	if in.SampleRate > 0 {
		s.Kind, s.SampleRate, s.Channels, s.TimeBase.Den = av.KindAudio, in.SampleRate, in.Channels, in.SampleRate
		if in.Codec == "opus" {
			s.Extradata = opusHead(in.Channels)
		}
	}
	if u.stream, err = u.out.AddStream(&s); err != nil {
		return u, err
	}
	return u, u.out.Header(options)
}

// Write adds a unit, in the order of decoding.
func (u *UnitWriter) Write(unit *Unit) error {
	if err := u.pkt.SetData(unit.Data); err != nil {
		return err
	}
	u.pkt.PTS, u.pkt.DTS, u.pkt.Duration, u.pkt.Key = int64(unit.At), int64(unit.At), int64(unit.Duration), unit.Key
	return u.out.Write(u.stream, u.pkt, av.Rational{Num: 1, Den: int(time.Second)})
}

// Finish ends the file.
func (u *UnitWriter) Finish() error { return u.out.Finish() }

// Close frees everything; without Finish the file is left as a killed recorder leaves it. It may be called again.
func (u *UnitWriter) Close() error { return errors.Join(u.out.Close(), u.pkt.Close()) }
