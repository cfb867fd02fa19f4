package transcode

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"rushes/transcode/internal/av"
	"rushes/transcode/mp4"
)

// packetReader gives the packets of a part in the order of its file, io.EOF after the last.
type packetReader interface {
	ReadPacket(ctx context.Context, p *av.Packet) error
	Position() int64 // bytes gone through
	Close() error
}

// openPart opens a part with libav, or, where all of it is copied from a plain fragmented MP4, without: libav's
// demuxer keeps an index of everything that it has read, which grows with the length of the recording.
func (r *run) openPart(ctx context.Context, part *plannedPart) (packetReader, error) {
	if r.copiesAll(part) {
		in, err := openFragmented(ctx, part)
		if !errors.Is(err, mp4.ErrOtherFragments) {
			return in, err
		}
	}
	return av.OpenInput(ctx, part.Source.forward())
}

func (r *run) copiesAll(part *plannedPart) bool {
	if part.video >= 0 {
		if _, ok := r.lanes[av.KindVideo].(*videoCopier); !ok {
			return false
		}
	}
	if part.audio >= 0 {
		if _, ok := r.lanes[av.KindAudio].(*audioCopier); !ok {
			return false
		}
	}
	return true
}

// fragmentedInput reads the used tracks of a fragmented MP4. Its packets show their bytes and do not hold them, which
// is enough for lanes that copy.
type fragmentedInput struct {
	name  string
	in    *mp4.Fragments
	used  [2]int // video, audio
	frame int64  // ticks of a sound frame, 0 = what the file says
}

// openFragmented opens a part, provided that the file says of its streams what libav found.
func openFragmented(ctx context.Context, part *plannedPart) (packetReader, error) {
	in, err := mp4.OpenFragments(ctx, part.Source.R, part.Source.Size)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", part.Source.Name, err)
	}
	f := &fragmentedInput{name: part.Source.Name, in: in, used: [2]int{part.video, part.audio}}
	if len(in.Tracks) != len(part.streams) {
		return nil, fmt.Errorf("read %s: %d tracks: %w", f.name, len(in.Tracks), mp4.ErrOtherFragments)
	}
	for _, i := range f.used {
		if i >= 0 && !sameStream(in.Tracks[i], &part.streams[i]) {
			return nil, fmt.Errorf("read %s: track %d: %w", f.name, i, mp4.ErrOtherFragments)
		}
	}
	if i := part.audio; i >= 0 && part.streams[i].SampleRate == int(in.Tracks[i].Timescale) {
		f.frame = int64(part.streams[i].FrameSize) // recorders stretch the last one before a gap
	}
	f.correct(part)
	return f, nil
}

// correct sets the part's origin: where pictures are presented before they are decoded, as cmf2 files have it, libav
// moves all of them back, and so what it says of their start.
func (f *fragmentedInput) correct(part *plannedPart) {
	if part.video < 0 {
		return
	}
	start, ok := f.in.Start(part.video)
	if !ok {
		return
	}
	part.origin = nanos(start, part.streams[part.video].TimeBase)
	if i := part.audio; i >= 0 && part.streams[i].Start != av.NoPTS {
		part.origin = min(part.origin, nanos(part.streams[i].Start, part.streams[i].TimeBase))
	}
}

func sameStream(t *mp4.MovieTrack, s *av.Stream) bool {
	var config []byte
	switch {
	case t.Video != nil && t.Video.Codec == "avc1" && s.Codec == "h264":
		config = t.Video.Config
	case t.Audio != nil && t.Audio.Codec == "mp4a" && s.Codec == "aac":
		config = t.Audio.Config
	}
	return config != nil && bytes.Equal(config, s.Extradata) && s.TimeBase == av.Rational{Num: 1, Den: int(t.Timescale)}
}

func (f *fragmentedInput) ReadPacket(ctx context.Context, p *av.Packet) error {
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("read %s: %w", f.name, err)
		}
		s, err := f.in.Next(ctx)
		if err != nil {
			return fmt.Errorf("read %s: %w", f.name, err)
		}
		if s.Track != f.used[0] && s.Track != f.used[1] {
			continue
		}
		data, err := f.in.Data(&s)
		if err != nil {
			return fmt.Errorf("read %s: %w", f.name, err)
		}
		p.View(data)
		if s.Track == f.used[1] && f.frame > 0 {
			s.Duration = uint32(f.frame)
		}
		p.Stream, p.PTS, p.DTS, p.Duration = s.Track, s.PTS, s.DTS, int64(s.Duration)
		p.Position, p.Key, p.Corrupt = s.Offset, s.Sync, s.Torn || len(data) < int(s.Size)
		return nil
	}
}

func (f *fragmentedInput) Position() int64 { return f.in.Position() }
func (f *fragmentedInput) Close() error    { return nil }
