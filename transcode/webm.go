package transcode

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"rushes/transcode/internal/av"
)

// WebMResult tells what a WebM file of one track holds.
type WebMResult struct {
	Start, Duration time.Duration // of the first unit in the session; from it to the end of the last
	Units           int
	Held            Held
	Silence         time.Duration // that was put in
	Overlapping     int           // packets of sound left out because they lie inside the one before
}

// WriteWebM copies one track of VP8, VP9, AV1 or Opus into a WebM file with duration and cues. Its zero is the first
// unit. Holes in the sound are filled with coded silence; pictures that cannot be decoded are left out, so that the
// one before stays. A track without one usable unit is an *InputError.
func WriteWebM(ctx context.Context, in TrackInput, w io.WriterAt, progress func(at time.Duration)) (res WebMResult, err error) {
	units, err := in.Open()
	if err != nil {
		return res, err
	}
	c := &webmCopy{in: in, units: units, res: &res, progress: progress}
	if in.SampleRate == 0 {
		v := &videoUnits{Units: units}
		c.units, c.gate = v, &v.gate
	}
	defer func() { err = errors.Join(err, c.close()) }()
	first, err := c.units.Next()
	if errors.Is(err, io.EOF) {
		return res, &InputError{File: in.Name, Reason: c.nothing()}
	}
	if err != nil {
		return res, err
	}
	if err := c.open(ctx, w, first); err != nil {
		return res, err
	}
	return res, c.run(ctx, first)
}

type webmCopy struct {
	in       TrackInput
	units    Units
	gate     *gate
	out      *av.Output
	pkt      *av.Packet
	res      *WebMResult
	progress func(time.Duration)
	end      time.Duration // of the last unit, in the session
	step     time.Duration // between the last two pictures
	last     int64         // timestamp written last, ms
	held     []byte        // the last picture, which waits for its duration
	heldKey  bool
	heldAt   time.Duration
}

func (c *webmCopy) nothing() string {
	if c.gate != nil && c.gate.held.BeforeKey+c.gate.held.Damaged > 0 {
		return fmt.Sprintf("no key frame among its %d pictures", c.gate.held.BeforeKey+c.gate.held.Damaged)
	}
	return "nothing in it can be played"
}

func (c *webmCopy) close() error {
	if c.gate != nil {
		c.res.Held = c.gate.held
	}
	return errors.Join(c.units.Close(), c.out.Close(), c.pkt.Close())
}

func (c *webmCopy) open(ctx context.Context, w io.WriterAt, first *Unit) (err error) {
	if c.pkt, err = av.NewPacket(); err != nil {
		return err
	}
	if c.out, err = av.NewOutput(ctx, w, "webm", c.in.Name); err != nil {
		return err
	}
	s := av.Stream{Kind: av.KindVideo, Codec: c.in.Codec, TimeBase: av.Rational{Num: 1, Den: 1000}, Width: c.in.Width, Height: c.in.Height}
	switch c.in.Codec {
	case "opus":
		s.Kind, s.SampleRate, s.Channels, s.Extradata = av.KindAudio, 48_000, c.in.Channels, opusHead(c.in.Channels)
	case "av1":
		s.Extradata = av1SequenceHeader(first.Data)
	}
	if _, err = c.out.AddStream(&s); err != nil {
		return err
	}
	c.last = -1
	c.res.Start, c.end = first.At, first.At
	return c.out.Header(map[string]string{"cluster_time_limit": "5000"})
}

func (c *webmCopy) run(ctx context.Context, u *Unit) error {
	for n := 0; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.unit(u); err != nil {
			return err
		}
		if c.progress != nil && n%200 == 0 {
			c.progress(u.At)
		}
		next, err := c.units.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		u = next
	}
	if err := c.flushPicture(c.step); err != nil {
		return err
	}
	c.res.Duration = c.end - c.res.Start
	return c.out.Finish()
}

func (c *webmCopy) unit(u *Unit) error {
	if c.gate == nil {
		return c.sound(u)
	}
	at := u.At
	if c.held != nil {
		if at <= c.heldAt {
			at = c.heldAt + time.Millisecond
		}
		c.step = at - c.heldAt
		if err := c.flushPicture(c.step); err != nil {
			return err
		}
	}
	c.held, c.heldKey, c.heldAt = append(c.held[:0], u.Data...), u.Key, at
	return nil
}

// flushPicture writes the picture that waits, with the time until the next.
func (c *webmCopy) flushPicture(duration time.Duration) error {
	if c.held == nil {
		return nil
	}
	duration = min(max(duration, time.Millisecond), time.Hour)
	c.end = c.heldAt + duration
	return c.write(c.held, c.heldKey, c.heldAt, duration)
}

const shortestOpus = 2500 * time.Microsecond

// sound writes a packet, and silence before it where there is a hole. A packet that begins inside the one before by
// more than jitter is left out.
func (c *webmCopy) sound(u *Unit) error {
	gap := u.At - c.end
	if c.res.Units == 0 {
		gap = 0
	}
	if gap < -u.Duration/2 && gap < -shortestOpus {
		c.res.Overlapping++
		return nil
	}
	for gap >= shortestOpus {
		data, d := opusSilence(gap, c.in.Channels)
		if err := c.write(data, true, c.end, d); err != nil {
			return err
		}
		c.end += d
		gap -= d
		c.res.Silence += d
	}
	c.end = u.At + max(u.Duration, 0)
	return c.write(u.Data, true, u.At, u.Duration)
}

func (c *webmCopy) write(data []byte, key bool, at, duration time.Duration) error {
	if len(data) == 0 {
		return nil
	}
	ms := (at - c.res.Start).Round(time.Millisecond).Milliseconds()
	if ms <= c.last && c.gate != nil {
		ms = c.last + 1
	}
	c.last = max(ms, c.last)
	c.res.Units++
	return c.out.WriteData(c.pkt, data, ms, max(duration.Round(time.Millisecond).Milliseconds(), 1), key, av.Rational{Num: 1, Den: 1000})
}

// opusSilence gives a packet of silence, at most 20 ms and not longer than d, and its length (RFC 6716, 3.1: CELT,
// full band; the payload is that of a frame in which nothing is coded).
func opusSilence(d time.Duration, channels int) ([]byte, time.Duration) {
	config, length := byte(31), 20*time.Millisecond
	for length > d && config > 28 {
		config, length = config-1, length/2
	}
	toc := config << 3
	if channels == 2 {
		toc |= 4
	}
	return []byte{toc, 0xff, 0xfe}, length
}

// opusHead is the identification header for sound that begins in mid-air: with no pre-skip, because nothing of it
// may be left out (RFC 7845, 5.1).
func opusHead(channels int) []byte {
	h := append([]byte("OpusHead"), 1, byte(channels), 0, 0)
	h = binary.LittleEndian.AppendUint32(h, 48_000)
	return append(h, 0, 0, 0)
}

// av1SequenceHeader gives the sequence header OBU of a temporal unit, which WebM's codec configuration is made of
// (AV1 specification, 5.3).
func av1SequenceHeader(data []byte) []byte {
	for len(data) > 1 {
		header := data[0]
		at := 1
		if header&4 != 0 {
			at++
		}
		if header&2 == 0 || at >= len(data) {
			return nil
		}
		size, n := binary.Uvarint(data[at:])
		if n <= 0 || size > uint64(len(data)-at-n) {
			return nil
		}
		end := at + n + int(size)
		if header>>3&15 == 1 {
			return data[:end]
		}
		data = data[end:]
	}
	return nil
}
