package transcode

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/Eyevinn/mp4ff/avc"

	"rushes/transcode/internal/av"
	"rushes/transcode/mp4"
)

// More NAL unit types (ITU-T H.264, table 7-1).
const (
	nalSlice   = 1
	nalAUD     = 9
	nalFiller  = 12
	maxPicture = 64 << 20 // bytes of one access unit
)

// pictureSplitter makes pictures of the PES packets of an H.264 stream. A packet is held until the next one that has a
// time: libav cuts large PES packets, and encoders may.
type pictureSplitter struct {
	pending *av.Packet
	held    bool
	more    []byte // what follows pending and has no time of its own
	at      SegmentUnit
	place   int64 // where the packet begins in the file
	corrupt bool

	units  [][]byte
	sps    [][]byte
	pps    [][]byte
	config avcConfig
	frames bool  // every picture is a frame: two slices that begin a picture are two
	step   int64 // from one picture to the next, as far as known
}

// packet takes the packet that the segment has read.
func (v *pictureSplitter) packet(s *Segment, l *segmentLane, pts, dts int64) (err error) {
	p := s.pkt
	if pts == av.NoPTS && dts == av.NoPTS {
		if v.held && v.size()+len(p.Data()) <= maxPicture {
			v.more = append(v.more, p.Data()...)
			v.corrupt = v.corrupt || p.Corrupt
		}
		return nil
	}
	v.flush(s, l)
	if v.pending == nil {
		if v.pending, err = av.NewPacket(); err != nil {
			return err
		}
	}
	if pts == av.NoPTS {
		pts = dts
	}
	if dts == av.NoPTS {
		dts = pts
	}
	if d := dts - v.at.DTS; v.at.DTS != 0 && d > 0 && d < segmentScale {
		v.step = d
	}
	v.at, v.place, v.corrupt, v.held = SegmentUnit{DTS: dts, PTS: pts}, p.Position, p.Corrupt, true
	p.MoveTo(v.pending)
	return nil
}

func (v *pictureSplitter) size() int { return len(v.pending.Data()) + len(v.more) }

// bytes are those of the packet that is held.
func (v *pictureSplitter) bytes() []byte {
	if len(v.more) == 0 {
		return v.pending.Data()
	}
	v.more = append(v.more, v.pending.Data()...) // room
	n := len(v.pending.Data())
	copy(v.more[n:], v.more[:len(v.more)-n])
	copy(v.more, v.pending.Data())
	return v.more
}

// flush gives the pictures of the packet that is held.
func (v *pictureSplitter) flush(s *Segment, l *segmentLane) {
	if !v.held {
		return
	}
	v.held = false
	v.units = splitAnnexB(v.units[:0], v.bytes())
	v.learn(l)
	at, from := v.at, 0
	for from < len(v.units) {
		to := v.pictureEnd(from)
		v.give(s, l, at, v.units[from:to])
		from = to
		at.DTS, at.PTS = at.DTS+v.step, at.PTS+v.step
	}
	v.more = v.more[:0]
}

// pictureEnd is the index behind the last NAL unit of the access unit that begins at from (ITU-T H.264, 7.4.1.2.3).
func (v *pictureSplitter) pictureEnd(from int) int {
	seen := false
	for i := from; i < len(v.units); i++ {
		u := v.units[i]
		kind := u[0] & 31
		isSlice := kind >= nalSlice && kind <= nalIDR
		switch {
		case seen && (kind == nalAUD || kind == nalSPS):
			return i
		case seen && isSlice && v.frames && len(u) > 1 && u[1]&0x80 != 0: // first_mb_in_slice is 0
			return i
		}
		seen = seen || isSlice
	}
	return len(v.units)
}

// give makes a sample of the NAL units of a picture.
func (v *pictureSplitter) give(s *Segment, l *segmentLane, at SegmentUnit, units [][]byte) {
	data, hasSlice := l.buffer(), false
	for _, u := range units {
		switch u[0] & 31 {
		case nalAUD, nalFiller:
			continue
		case nalSPS, nalPPS:
			if l.track == nil || v.config.has(u) {
				continue
			}
		case nalIDR:
			at.Sync, hasSlice = true, true
		case nalSlice, 2, 3, 4:
			hasSlice = true
		}
		data = append(binary.BigEndian.AppendUint32(data, uint32(len(u))), u...)
	}
	if !hasSlice {
		l.free = append(l.free, data)
		return
	}
	at.Torn = v.corrupt
	s.give(l, at, data)
}

// learn looks for the parameter sets, until the track is known.
func (v *pictureSplitter) learn(l *segmentLane) {
	if l.track != nil {
		return
	}
	for _, u := range v.units {
		switch u[0] & 31 {
		case nalSPS:
			v.sps = keepSet(v.sps, u)
		case nalPPS:
			v.pps = keepSet(v.pps, u)
		}
	}
	if len(v.sps) == 0 || len(v.pps) == 0 {
		return
	}
	track, config, err := pictureTrack(v.sps, v.pps)
	if err != nil {
		v.sps, v.pps = nil, nil // damaged; others may come
		return
	}
	l.track, v.config = track, config
	if sps, err := avc.ParseSPSNALUnit(v.sps[0], false); err == nil {
		v.frames = sps.FrameMbsOnlyFlag
	}
}

// maxSets bounds the parameter sets of a kind (an avcC has room for 31).
const maxSets = 31

func keepSet(sets [][]byte, u []byte) [][]byte {
	for _, s := range sets {
		if bytes.Equal(s, u) {
			return sets
		}
	}
	if len(sets) >= maxSets {
		return sets
	}
	return append(sets, bytes.Clone(u))
}

// pictureTrack describes an H.264 track by its parameter sets.
func pictureTrack(sps, pps [][]byte) (*mp4.Track, avcConfig, error) {
	first, err := avc.ParseSPSNALUnit(sps[0], true)
	if err != nil {
		return nil, avcConfig{}, fmt.Errorf("H.264 parameter set: %w", err)
	}
	var all []byte
	for _, u := range append(append([][]byte{}, sps...), pps...) {
		all = append(append(all, 0, 0, 1), u...)
	}
	config, err := newAVCConfig(all)
	if err != nil {
		return nil, config, err
	}
	v := &mp4.Video{Codec: "avc1", Config: config.record, Width: int(first.Width), Height: int(first.Height)}
	if u := first.VUI; u != nil {
		if u.SampleAspectRatioWidth > 0 && u.SampleAspectRatioHeight > 0 && u.SampleAspectRatioWidth != u.SampleAspectRatioHeight {
			v.SAR = mp4.Rational{Num: uint32(u.SampleAspectRatioWidth), Den: uint32(u.SampleAspectRatioHeight)}
		}
		if u.ColourDescriptionFlag {
			v.Color = &mp4.Color{Primaries: uint16(u.ColourPrimaries), Transfer: uint16(u.TransferCharacteristics), Matrix: uint16(u.MatrixCoefficients), FullRange: u.VideoFullRangeFlag}
		}
	}
	return &mp4.Track{Timescale: segmentScale, Video: v}, config, nil
}

// finish gives the last picture and finds out whether its end is there.
func (v *pictureSplitter) finish(ctx context.Context, s *Segment, l *segmentLane) error {
	if !v.held {
		return nil
	}
	end := endWhole
	if !v.corrupt && !s.whole {
		var err error
		if end, err = tailOf(s.src, v.place); err != nil {
			return err
		}
	}
	n := len(s.queue)
	v.flush(s, l)
	if len(s.queue) == n {
		return nil
	}
	last := &s.queue[len(s.queue)-1]
	if end == endUnknown {
		broken, err := lastBroken(ctx, s.src)
		if err != nil {
			return err
		}
		if broken {
			end = endTorn
		}
	}
	last.Torn = last.Torn || end == endTorn
	return nil
}

// lastBroken decodes the pictures of a segment and tells whether the last one lacks something.
func lastBroken(ctx context.Context, src Source) (broken bool, err error) {
	s, err := openSegment(ctx, src, true)
	if err != nil {
		return false, err
	}
	n, err := countPictures(ctx, s)
	if err := errors.Join(err, s.Close()); err != nil || n == 0 {
		return false, err
	}
	if s, err = openSegment(ctx, src, true); err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	spec := av.DecoderSpec{Name: src.Name, Stream: -1, Codec: "h264", TimeBase: av.Rational{Num: 1, Den: segmentScale},
		Extradata: s.all[0].Video.Config, Threads: 1, Strict: true}
	list, err := trialDecode(ctx, spec, n, func(_ int, p *av.Packet) error {
		u, err := s.nextPicture(ctx)
		if err != nil {
			return err
		}
		if err := p.SetData(s.used[0].last); err != nil {
			return err
		}
		p.PTS, p.DTS, p.Key = u.PTS, u.DTS, u.Sync
		return nil
	})
	if err != nil {
		return false, err
	}
	return list[n-1], nil
}

func countPictures(ctx context.Context, s *Segment) (n int, err error) {
	for {
		if _, err := s.nextPicture(ctx); err != nil {
			if errors.Is(err, io.EOF) {
				return n, nil
			}
			return n, err
		}
		n++
	}
}

// nextPicture gives the next unit of the first track.
func (s *Segment) nextPicture(ctx context.Context) (SegmentUnit, error) {
	for {
		u, err := s.Next(ctx)
		if err != nil || u.Track == 0 {
			return u, err
		}
	}
}
