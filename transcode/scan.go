package transcode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"rushes/transcode/internal/av"
)

// StreamInfo tells what a stream is and, after a Scan, what was found in it.
type StreamInfo struct {
	Index      int     `json:"index"`
	Kind       string  `json:"kind"`  // "video", "audio" or "other"
	Codec      string  `json:"codec"` // libav's name
	Supported  bool    `json:"supported"`
	Width      int     `json:"width,omitempty"`
	Height     int     `json:"height,omitempty"`
	FrameRate  float64 `json:"frame_rate,omitempty"` // about, per second
	SampleRate int     `json:"sample_rate,omitempty"`
	Channels   int     `json:"channels,omitempty"`

	Packets   int           `json:"packets"`
	Bytes     int64         `json:"bytes"`
	KeyFrames int           `json:"key_frames,omitempty"`
	Start     time.Duration `json:"-"` // from the file's first timestamp
	End       time.Duration `json:"-"`
	Sizes     []SizeChange  `json:"-"` // the first size and every change
	Gaps      []Gap         `json:"-"`
	Jumps     int           `json:"jumps,omitempty"` // timestamps that ran backwards or far ahead
}

// SizeChange says from when on a picture has a size.
type SizeChange struct {
	At            time.Duration
	Width, Height int
	lasts         time.Duration
}

// Gap is a stretch in which a stream has nothing.
type Gap struct {
	From, To time.Duration
}

// Info tells what a media file is; after a Scan also what is in it from end to end.
type Info struct {
	Format   string
	Duration time.Duration // from the first timestamp to the last end; Probe gives 0
	Streams  []StreamInfo
	Defects  []Defect
}

// Probe opens a file and describes its streams without reading further than that needs.
func Probe(ctx context.Context, src Source) (info Info, err error) {
	in, err := av.OpenInput(ctx, src.av())
	if err != nil {
		return Info{}, openError(ctx, src, err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	return describe(in), nil
}

// openError makes an InputError of what is wrong with the bytes and leaves other errors as they are.
func openError(ctx context.Context, src Source, err error) error {
	if ctx.Err() == nil && invalid(err) {
		return &InputError{File: src.Name, Reason: "not a media file that Rushes can read", Err: err}
	}
	return err
}

func describe(in *av.Input) Info {
	info := Info{Format: in.Format()}
	for _, s := range in.Streams() {
		si := StreamInfo{Index: s.Index, Kind: s.Kind.String(), Codec: s.Codec, Supported: s.Supported, Width: s.Width, Height: s.Height, SampleRate: s.SampleRate, Channels: s.Channels}
		if s.FrameRate.Num > 0 && s.FrameRate.Den > 0 && s.Kind == av.KindVideo {
			si.FrameRate = float64(s.FrameRate.Num*1000/s.FrameRate.Den) / 1000
		}
		info.Streams = append(info.Streams, si)
	}
	return info
}

// Scan reads a file from end to end without decoding it (with sizes, key frames are decoded to learn the
// size of the picture). A file that breaks off is described up to there.
func Scan(ctx context.Context, src Source, sizes bool) (info Info, err error) {
	in, err := av.OpenInput(ctx, src.av())
	if err != nil {
		return Info{}, openError(ctx, src, err)
	}
	s := &scanner{in: in, src: src, info: describe(in), sizes: sizes, decoders: map[int]*av.Decoder{}}
	defer func() { err = errors.Join(err, s.close()) }()
	if s.pkt, err = av.NewPacket(); err != nil {
		return Info{}, err
	}
	if s.frame, err = av.NewFrame(); err != nil {
		return Info{}, err
	}
	err = s.run(ctx)
	return s.info, err
}

type scanner struct {
	in       *av.Input
	src      Source
	info     Info
	sizes    bool
	pkt      *av.Packet
	frame    *av.Frame
	decoders map[int]*av.Decoder
	clock    *clock
	ends     []int64
}

func (s *scanner) close() error {
	errs := []error{s.in.Close(), s.pkt.Close(), s.frame.Close()}
	for _, d := range s.decoders {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}

func (s *scanner) run(ctx context.Context) error {
	origin := noTime
	streams := s.in.Streams()
	for _, st := range streams {
		if st.Kind != av.KindOther && st.Start != av.NoPTS && (origin == noTime || nanos(st.Start, st.TimeBase) < origin) {
			origin = nanos(st.Start, st.TimeBase)
		}
	}
	s.ends = make([]int64, len(streams))
	for {
		err := s.in.ReadPacket(ctx, s.pkt)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			if ctx.Err() != nil || !invalid(err) {
				return err
			}
			s.add(Defect{Kind: DefectDamaged, File: s.src.Name, Detail: fmt.Sprintf("reading ended at %v: %v", s.info.Duration.Round(time.Millisecond), err)})
			break
		}
		if s.pkt.Stream >= len(streams) || streams[s.pkt.Stream].Kind == av.KindOther {
			continue
		}
		if err := s.packet(&streams[s.pkt.Stream], &origin); err != nil {
			return err
		}
	}
	for i := range s.info.Streams {
		s.finishSizes(&s.info.Streams[i])
	}
	return nil
}

func (s *scanner) add(d Defect) {
	if len(s.info.Defects) < 100 {
		s.info.Defects = append(s.info.Defects, d)
	}
}

func (s *scanner) packet(st *av.Stream, origin *int64) error {
	pts := s.pkt.PTS
	if pts == av.NoPTS {
		pts = s.pkt.DTS
	}
	info := &s.info.Streams[st.Index]
	info.Packets++
	info.Bytes += int64(len(s.pkt.Data()))
	if s.pkt.Key && st.Kind == av.KindVideo {
		info.KeyFrames++
	}
	if s.pkt.Corrupt {
		s.add(Defect{Kind: DefectDamaged, File: s.src.Name, Detail: fmt.Sprintf("incomplete packet in stream %d", st.Index)})
	}
	if pts == av.NoPTS {
		return nil
	}
	t := nanos(pts, st.TimeBase)
	if *origin == noTime {
		*origin = t
	}
	if s.clock == nil {
		s.clock = newClock(s.src.Name, len(s.ends), *origin, 0, 0, func(d Defect) { info.Jumps++; s.add(d) })
	}
	dur := nanos(s.pkt.Duration, st.TimeBase)
	order := t
	if s.pkt.DTS != av.NoPTS {
		order = nanos(s.pkt.DTS, st.TimeBase)
	}
	t += s.clock.place(st.Index, order, max(dur, 0))
	s.place(info, t, max(dur, 0))
	if s.sizes && st.Kind == av.KindVideo && s.pkt.Key {
		return s.keyFrame(st, info, t)
	}
	return nil
}

// place notes where a packet lies and a gap before it.
func (s *scanner) place(info *StreamInfo, t, dur int64) {
	end := &s.ends[info.Index]
	if info.Packets == 1 || *end == 0 && info.End == 0 {
		info.Start = time.Duration(t)
	} else if least := int64(200 * time.Millisecond); info.Kind == "audio" && t-*end > least || t-*end > 5*int64(time.Second) {
		if len(info.Gaps) < 1000 {
			info.Gaps = append(info.Gaps, Gap{From: time.Duration(*end), To: time.Duration(t)})
		}
	}
	*end = max(*end, t+dur)
	info.End = time.Duration(*end)
	s.info.Duration = max(s.info.Duration, info.End)
}

// keyFrame decodes a key frame to learn its size.
func (s *scanner) keyFrame(st *av.Stream, info *StreamInfo, t int64) error {
	dec := s.decoders[st.Index]
	if dec == nil {
		var err error
		if dec, err = sessionDecoder(st, s.src.Name, 1); err != nil {
			return nil // not decodable: the container's word stands
		}
		s.decoders[st.Index] = dec
	}
	s.pkt.PTS, s.pkt.DTS = t, t
	ignore := func(error) error { return nil }
	size := func(f *av.Frame) error {
		if n := len(info.Sizes); f.Width > 0 && (n == 0 || info.Sizes[n-1].Width != f.Width || info.Sizes[n-1].Height != f.Height) && n < 10_000 {
			info.Sizes = append(info.Sizes, SizeChange{At: time.Duration(t), Width: f.Width, Height: f.Height})
		}
		return nil
	}
	if err := dec.Decode(s.pkt, s.frame, ignore, size); err != nil {
		return err
	}
	err := dec.Decode(nil, s.frame, ignore, size)
	dec.Flush()
	return err
}

// finishSizes works out how long each size lasted.
func (s *scanner) finishSizes(info *StreamInfo) {
	for i := range info.Sizes {
		until := info.End
		if i+1 < len(info.Sizes) {
			until = info.Sizes[i+1].At
		}
		info.Sizes[i].lasts = until - info.Sizes[i].At
	}
}

// stableSize is the first size that lasts two seconds, or the one that lasts longest.
func stableSize(sizes []SizeChange) (best SizeChange, ok bool) {
	for i, s := range sizes {
		if s.lasts >= 2*time.Second {
			return s, true
		}
		if i == 0 || s.lasts > best.lasts {
			best = s
		}
	}
	return best, len(sizes) > 0
}
