package transcode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"rushes/transcode/internal/av"
	"rushes/transcode/mp4"
)

// Unit is one access unit of a track on the session clock: a picture, or a packet of sound. H.264 is in Annex B
// form, AV1 a temporal unit, AAC a raw frame.
type Unit struct {
	Data     []byte // good until the next call of the Units that gave it
	At       time.Duration
	Duration time.Duration // 0 = unknown
	Key      bool
	Lost     int  // packets that are known to be missing before it
	Damaged  bool // packets of its own are missing
}

// Units gives the access units of a track in the order of decoding, io.EOF after the last. What Next returns is
// good until the next call.
type Units interface {
	// Next gives the next unit.
	Next() (*Unit, error)
	// Close ends the reading; it may be called again.
	Close() error
}

// TrackInput is a track of a session, to be copied or encoded.
type TrackInput struct {
	Name       string // for messages
	Codec      string // libav's name: "vp8", "vp9", "av1", "h264", "opus", "aac", "pcm_mulaw", "pcm_alaw"
	Width      int    // of the picture, most of the time
	Height     int
	FrameRate  float64 // about, 0 = unknown
	SampleRate int     // Hz
	Channels   int     // 1 or 2
	Config     []byte  // AudioSpecificConfig of AAC
	// Open begins to read the track from its first unit. It may be called again after Close.
	Open func() (Units, error)
	// OpenAt begins at the unit with a number, counted from 0: from there on it gives exactly what Open gives. Nil is
	// a track that can be read from its beginning only.
	OpenAt func(unit int) (Units, error)
}

// Held counts pictures that are not in an output, by reason.
type Held struct {
	BeforeKey int // before the first key frame, not decodable
	Damaged   int // packets of them are missing
	AfterLoss int // between a loss and the next key frame
}

// gate lets those pictures through that can be decoded without a flaw: from a key frame on, up to a loss.
type gate struct {
	open, begun bool
	held        Held
}

func (g *gate) pass(u *Unit) bool {
	switch {
	case u.Damaged:
		g.open = false
		g.held.Damaged++
		return false
	case u.Key:
		g.open, g.begun = true, true
	case u.Lost > 0:
		g.open = false
	}
	if !g.open {
		if g.begun {
			g.held.AfterLoss++
		} else {
			g.held.BeforeKey++
		}
	}
	return g.open
}

// videoUnits lets only decodable pictures of another Units through.
type videoUnits struct {
	Units
	gate gate
}

func (v *videoUnits) Next() (*Unit, error) {
	for {
		u, err := v.Units.Next()
		if err != nil || v.gate.pass(u) {
			return u, err
		}
	}
}

// TracksRecording is up to one track of pictures and one of sound, to be made into one MP4.
type TracksRecording struct {
	Video, Audio *TrackInput // at least one
	Copy         bool        // copy H.264 and AAC where that is possible
	VideoSet     VideoSettings
	AudioSet     AudioSettings
	Progress     func(at time.Duration) // session time reached; nil is fine
}

// TracksResult tells what an MP4 of tracks holds.
type TracksResult struct {
	Result
	Held Held
}

// ConvertTracks writes tracks of a session as a progressive MP4 to out, which must be empty. Its zero is the first
// moment at which there is a picture or sound; the track that begins later has an empty edit before it. Holes in the
// sound become silence, the picture before a hole stays.
func ConvertTracks(ctx context.Context, rec TracksRecording, out mp4.File) (_ *TracksResult, err error) {
	rec.VideoSet = rec.VideoSet.withDefaults()
	if rec.AudioSet.BitRate == 0 {
		rec.AudioSet.BitRate = 128_000
	}
	res := &TracksResult{}
	for {
		feed := &trackFeed{rec: rec}
		p, err := feed.open()
		if err == nil {
			var r *Result
			r, err = p.run(ctx, out)
			if r != nil {
				res.Result, res.Held = *r, feed.held()
			}
		}
		err = errors.Join(err, feed.close())
		var again *needsEncoding
		if !errors.As(err, &again) || !rec.Copy {
			return res, err
		}
		rec.Copy = false
		if err := out.Truncate(0); err != nil {
			return nil, fmt.Errorf("begin the output again: %w", err)
		}
	}
}

// trackFeed merges the tracks by session time and hands them to the lanes.
type trackFeed struct {
	rec     TracksRecording
	sources [2]*feedSource // video, audio
	pkt     *av.Packet
}

type feedSource struct {
	units  Units
	gate   *gate
	next   *Unit
	stream av.Stream
	kind   av.Kind
}

func (f *trackFeed) held() Held {
	if s := f.sources[0]; s != nil {
		return s.gate.held
	}
	return Held{}
}

func (f *trackFeed) close() error {
	errs := []error{f.pkt.Close()}
	for _, s := range f.sources {
		if s != nil {
			errs = append(errs, s.units.Close())
		}
	}
	return errors.Join(errs...)
}

// open opens the tracks, looks at the first unit of each and makes the plan of it.
func (f *trackFeed) open() (*plan, error) {
	p := &plan{rec: Recording{Video: f.rec.VideoSet, Audio: f.rec.AudioSet}, feed: f}
	pp := plannedPart{video: 0, audio: 1, streams: make([]av.Stream, 2)}
	start := time.Duration(-1)
	for i, in := range []*TrackInput{f.rec.Video, f.rec.Audio} {
		if in == nil {
			continue
		}
		s, err := f.openTrack(in, i == 0)
		if err != nil {
			return nil, err
		}
		f.sources[i] = s
		pp.Source.Name = in.Name
		if s.next == nil {
			continue
		}
		s.stream.Index = i
		pp.streams[i] = s.stream
		if start < 0 || s.next.At < start {
			start = s.next.At
		}
		t := &trackPlan{first: s.stream, firstN: in.Name, copy: f.rec.Copy && (in.Codec == "h264" || in.Codec == "aac"), width: in.Width &^ 1, height: in.Height &^ 1}
		if i == 0 {
			p.video = t
		} else {
			p.audio = t
		}
	}
	if start < 0 {
		return nil, &InputError{File: pp.Source.Name, Reason: "nothing in it can be played"}
	}
	p.parts, p.start, p.zero = []plannedPart{pp}, int64(start), int64(start)
	var err error
	f.pkt, err = av.NewPacket()
	return p, err
}

func (f *trackFeed) openTrack(in *TrackInput, video bool) (s *feedSource, err error) {
	units, err := in.Open()
	if err != nil {
		return nil, err
	}
	s = &feedSource{units: units, kind: av.KindAudio}
	s.stream = av.Stream{Kind: av.KindAudio, Codec: in.Codec, TimeBase: av.Rational{Num: 1, Den: int(time.Second)}, SampleRate: in.SampleRate, Channels: in.Channels, Extradata: in.Config, Supported: true}
	if in.Codec == "opus" {
		s.stream.Extradata = opusHead(in.Channels)
	}
	if video {
		v := &videoUnits{Units: units}
		s.units, s.gate, s.kind = v, &v.gate, av.KindVideo
		s.stream.Kind, s.stream.Width, s.stream.Height = av.KindVideo, in.Width, in.Height
		s.stream.FrameRate = av.Rational{Num: int(in.FrameRate * 1000), Den: 1000}
	}
	s.next, err = s.units.Next()
	if errors.Is(err, io.EOF) {
		return s, nil
	}
	if err == nil && in.Codec == "h264" {
		s.stream.Extradata = annexBParameterSets(s.next.Data)
	}
	if err != nil {
		return nil, errors.Join(err, units.Close())
	}
	return s, nil
}

// read hands all units to the lanes of a run, in order of time.
func (f *trackFeed) read(ctx context.Context, r *run) error {
	for n := 0; ; n++ {
		var s *feedSource
		for _, c := range f.sources {
			if c != nil && c.next != nil && (s == nil || c.next.At < s.next.At) {
				s = c
			}
		}
		if s == nil {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f.give(ctx, r, s); err != nil {
			return err
		}
		if f.rec.Progress != nil && n%100 == 0 {
			f.rec.Progress(s.next.At)
		}
		next, err := s.units.Next()
		if errors.Is(err, io.EOF) {
			next = nil
		} else if err != nil {
			return err
		}
		s.next = next
	}
}

func (f *trackFeed) give(ctx context.Context, r *run, s *feedSource) error {
	if err := f.pkt.SetData(s.next.Data); err != nil {
		return err
	}
	u := unit{pkt: f.pkt, stream: &r.parts[0].streams[s.stream.Index], pts: int64(s.next.At), dts: noTime, dur: int64(s.next.Duration)}
	f.pkt.Key, f.pkt.PTS, f.pkt.DTS = s.next.Key, u.pts, av.NoPTS
	if s.stream.Codec == "h264" { // a track has no bidirectional pictures: RTP senders of calls make none
		u.dts = u.pts
	}
	return r.lanes[s.kind].unit(ctx, &u)
}

// annexBParameterSets gives the SPS and PPS of an access unit, with start codes.
func annexBParameterSets(data []byte) []byte {
	var out []byte
	for _, n := range splitAnnexB(nil, data) {
		if t := n[0] & 31; t == nalSPS || t == nalPPS {
			out = append(append(out, 0, 0, 0, 1), n...)
		}
	}
	return out
}
