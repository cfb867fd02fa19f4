package transcode

import (
	"context"
	"errors"
	"fmt"
	"io"

	"rushes/transcode/internal/av"
	"rushes/transcode/mp4"
)

// segmentScale is the number of ticks per second of MPEG-TS timestamps.
const segmentScale = 90_000

// maxAhead is how many bytes of access units are held while the tracks' configurations are looked for.
const maxAhead = 16 << 20

// SegmentUnit is one access unit of a Segment.
type SegmentUnit struct {
	// Track is the index in Segment.Tracks.
	Track int
	// DTS and PTS are in ticks of 1/90000 s, as they stand in the segment; where they wrap at 2^33 they go on, and may
	// be negative before that.
	DTS, PTS int64
	// Sync marks a picture from which decoding can start (IDR), and all sound.
	Sync bool
	// Torn marks a unit of which bytes are missing.
	Torn bool
}

// Segment reads the access units of one MPEG-TS segment as the samples of an MP4 hold them: H.264 with four bytes of
// length before each NAL unit and without parameter sets, AAC without ADTS headers. One PES packet of each track is in
// memory at a time. It serves one goroutine.
type Segment struct {
	src   Source
	in    *av.Input
	pkt   *av.Packet
	lanes []*segmentLane // one for each of libav's streams, nil for those of no use
	used  []*segmentLane // by index of the track
	all   []mp4.Track
	queue []segmentItem
	ahead int // bytes in the queue
	ended bool
	clock segmentClock

	failures int  // reads in a row that gave nothing
	whole    bool // the last unit is taken for whole, whatever its end looks like
}

// segmentItem is a unit with its own bytes.
type segmentItem struct {
	SegmentUnit
	lane *segmentLane
	data []byte
}

// segmentLane makes units out of the PES packets of one stream.
type segmentLane struct {
	index int // of the track, -1 until it is known
	kind  av.Kind
	track *mp4.Track // nil until its configuration is known
	video *pictureSplitter
	audio *frameSplitter
	last  []byte   // bytes of the unit that was given last
	free  [][]byte // buffers to use again
}

// OpenSegment opens a segment and reads until its tracks are known. Streams of other codecs than H.264 and AAC become
// tracks without a configuration and without units. The source stays open while the segment is used. What is no
// MPEG-TS, or has nothing in it, is an *InputError.
func OpenSegment(ctx context.Context, src Source) (*Segment, error) {
	return openSegment(ctx, src, false)
}

// openSegment is OpenSegment; with whole, the end is not looked at.
func openSegment(ctx context.Context, src Source, whole bool) (_ *Segment, err error) {
	s := &Segment{src: src, whole: whole}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.in, err = av.OpenInput(ctx, av.Source{Name: src.Name, R: src.R, Size: src.Size, PES: true}); err != nil {
		return nil, openError(ctx, src, err)
	}
	if s.pkt, err = av.NewPacket(); err != nil {
		return nil, err
	}
	for !s.known() && !s.ended && s.ahead < maxAhead {
		if err := s.read(ctx); err != nil {
			return nil, err
		}
	}
	s.number()
	if len(s.all) == 0 {
		return nil, &InputError{File: src.Name, Reason: "not an MPEG-TS segment with pictures or sound"}
	}
	return s, nil
}

// Tracks describes the tracks; they stay the same for the whole segment.
func (s *Segment) Tracks() []mp4.Track { return s.all }

// Next gives the next unit, io.EOF after the last. Units of one track come in decoding order, tracks about as they are
// interleaved in the file.
func (s *Segment) Next(ctx context.Context) (SegmentUnit, error) {
	for len(s.queue) == 0 {
		if s.ended {
			return SegmentUnit{}, io.EOF
		}
		if err := s.read(ctx); err != nil {
			return SegmentUnit{}, err
		}
	}
	i := s.queue[0]
	s.queue = s.queue[1:]
	s.ahead -= len(i.data)
	if i.lane.last != nil {
		i.lane.free = append(i.lane.free, i.lane.last)
	}
	i.lane.last = i.data
	i.Track = i.lane.index
	return i.SegmentUnit, nil
}

// Data gives the bytes of the unit that Next gave last for the track. They are good until the next unit of that track.
func (s *Segment) Data(track int) ([]byte, error) {
	if track < 0 || track >= len(s.used) || s.used[track].last == nil {
		return nil, fmt.Errorf("%s: no unit of track %d was read", s.src.Name, track)
	}
	return s.used[track].last, nil
}

// Close ends the reading. It does not close the source. It may be called again.
func (s *Segment) Close() error {
	err := s.pkt.Close()
	for _, l := range s.lanes {
		if l != nil {
			err = errors.Join(err, l.close())
		}
	}
	return errors.Join(err, s.in.Close())
}

// Suspect reports whether the end of the segment may be missing, from a look at its last bytes. Of segments that are
// whole it is said of few.
func (s *Segment) Suspect() bool { return suspectEnd(s.src) }

// known tells whether every stream of use has its configuration.
func (s *Segment) known() bool {
	for i := range s.in.Streams() {
		if l := s.lane(i); l != nil && l.track == nil {
			return false
		}
	}
	return len(s.in.Streams()) > 0
}

// number gives the tracks their indices: pictures first, of each kind those first that can be used. A stream without a
// configuration has nothing in it.
func (s *Segment) number() {
	for _, class := range []func(*segmentLane) bool{
		func(l *segmentLane) bool { return l.video != nil },
		func(l *segmentLane) bool { return l.kind == av.KindVideo && l.video == nil },
		func(l *segmentLane) bool { return l.audio != nil },
		func(l *segmentLane) bool { return l.kind == av.KindAudio && l.audio == nil },
	} {
		for _, l := range s.lanes {
			if l != nil && l.track != nil && class(l) {
				l.index = len(s.used)
				s.used, s.all = append(s.used, l), append(s.all, *l.track)
			}
		}
	}
	kept := s.queue[:0]
	for _, i := range s.queue {
		if i.lane.index >= 0 {
			kept = append(kept, i)
		}
	}
	s.queue = kept
}

// lane gives the lane of a stream, nil for one that is neither pictures nor sound.
func (s *Segment) lane(stream int) *segmentLane {
	streams := s.in.Streams()
	if stream < 0 || stream >= len(streams) {
		return nil
	}
	for len(s.lanes) < len(streams) {
		s.lanes = append(s.lanes, newSegmentLane(&streams[len(s.lanes)]))
	}
	return s.lanes[stream]
}

func newSegmentLane(st *av.Stream) *segmentLane {
	l := &segmentLane{index: -1, kind: st.Kind}
	switch {
	case st.Kind == av.KindVideo && st.Codec == "h264":
		l.video = &pictureSplitter{}
	case st.Kind == av.KindAudio && st.Codec == "aac":
		l.audio = &frameSplitter{}
	case st.Kind == av.KindVideo:
		l.track = &mp4.Track{Timescale: segmentScale, Video: &mp4.Video{Codec: st.Codec}}
	case st.Kind == av.KindAudio:
		l.track = &mp4.Track{Timescale: segmentScale, Audio: &mp4.Audio{Codec: st.Codec}}
	default:
		return nil
	}
	return l
}

// read takes one PES packet of the file, or its end.
func (s *Segment) read(ctx context.Context) error {
	err := s.in.ReadPacket(ctx, s.pkt)
	s.failures++
	switch {
	case errors.Is(err, io.EOF):
		return s.finish(ctx)
	case ctx.Err() == nil && (invalid(err) || errors.Is(err, av.ErrAgain)): // libav passes over what is broken
		if s.failures > mostFailures {
			return s.finish(ctx)
		}
		return nil
	case err != nil:
		return err
	}
	s.failures = 0
	if s.pkt.Stream >= len(s.in.Streams()) && len(s.used) == 0 {
		if _, err := s.in.Refresh(); err != nil {
			return err
		}
	}
	l := s.lane(s.pkt.Stream)
	if l == nil || len(s.used) > 0 && l.index < 0 {
		return nil
	}
	pts, dts := s.clock.unwrap(s.pkt.PTS), s.clock.unwrap(s.pkt.DTS)
	switch {
	case l.video != nil:
		return l.video.packet(s, l, pts, dts)
	case l.audio != nil:
		l.audio.packet(s, l, pts)
	}
	return nil
}

// finish gives what was held back.
func (s *Segment) finish(ctx context.Context) error {
	s.ended = true
	for _, l := range s.lanes {
		switch {
		case l == nil:
		case l.video != nil:
			if err := l.video.finish(ctx, s, l); err != nil {
				return err
			}
		case l.audio != nil:
			l.audio.finish(s, l)
		}
	}
	return nil
}

// give puts a unit into the queue. data belongs to the segment from now on.
func (s *Segment) give(l *segmentLane, u SegmentUnit, data []byte) {
	s.queue = append(s.queue, segmentItem{SegmentUnit: u, lane: l, data: data})
	s.ahead += len(data)
}

// buffer gives an empty buffer.
func (l *segmentLane) buffer() []byte {
	if n := len(l.free); n > 0 {
		b := l.free[n-1]
		l.free = l.free[:n-1]
		return b[:0]
	}
	return nil
}

func (l *segmentLane) close() error {
	if l.video != nil {
		return l.video.pending.Close()
	}
	return nil
}

// segmentClock makes one line of timestamps that wrap at 2^33 (ISO/IEC 13818-1, 2.4.3.7).
type segmentClock struct {
	last    int64
	started bool
}

func (c *segmentClock) unwrap(t int64) int64 {
	if t == av.NoPTS {
		return t
	}
	const span, half = int64(1) << 33, int64(1) << 32
	if !c.started {
		c.last, c.started = t, true
		return t
	}
	c.last += ((t-c.last+half)%span+span)%span - half
	return c.last
}
