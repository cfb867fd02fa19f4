package transcode

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"rushes/transcode/internal/av"
	"rushes/transcode/mp4"
)

// Part is one file of a recording.
type Part struct {
	Source Source
	// Start is where the file's first timestamp lies in the session. The part that begins the recording
	// is the output's beginning; others keep their distance from it.
	Start time.Duration
	// Follows says that Start is not known and that the part goes on where the one before it ended.
	Follows bool
}

// Recording is a browser's recording, to be made into one MP4.
type Recording struct {
	Parts  []Part        // in order of time, at least one
	Paused []Interval    // of the session, to be cut out
	Length time.Duration // of the session, 0 = unknown; timestamps far beyond it are not believed
	Video  VideoSettings
	Audio  AudioSettings
	// Rung asks for one lower layer of a ladder in place of all of the recording; nil is all of it.
	Rung *Rung
	// Progress is called from one goroutine, about every hundred packets; nil is fine.
	Progress func(Progress)
}

// Rung is a lower layer of a film: its pictures only, encoded smaller, with the timestamps that they have in the one file
// of the recording.
type Rung struct {
	// Width and Height of the pictures, even.
	Width, Height int
	// Keys are the times, in ascending order, at or after which a picture becomes a key frame. There are no others.
	Keys []time.Duration
}

// VideoSettings say how pictures are encoded where they cannot be copied.
type VideoSettings struct {
	CRF         float64       // x264's constant rate factor, 0–51; zero = 23
	Preset      string        // x264's preset; empty = "veryfast"
	KeyInterval time.Duration // longest time between key frames; zero = 2 s
	Encode      bool          // encode even what could be copied
}

func (v VideoSettings) withDefaults() VideoSettings {
	v.CRF = cmp.Or(v.CRF, 23)
	v.Preset = cmp.Or(v.Preset, "veryfast")
	v.KeyInterval = cmp.Or(v.KeyInterval, 2*time.Second)
	return v
}

// AudioSettings say how sound is encoded where it cannot be copied.
type AudioSettings struct {
	BitRate int // bit/s; zero = 128000
}

// Progress says how far a conversion has come.
type Progress struct {
	Bytes, TotalBytes int64         // of input
	Time              time.Duration // of output, reached so far
}

// Result tells what an MP4 holds and what had to be worked around.
type Result struct {
	mp4.Summary
	Start         time.Duration // of the output's beginning in the session
	Width, Height int           // zero without video
	Video, Audio  bool          // tracks that are there
	VideoCopied   bool
	AudioCopied   bool
	Defects       []Defect
}

// needsEncoding is a lane's word that a track cannot be copied after all.
type needsEncoding struct {
	kind av.Kind
	why  string
}

func (e *needsEncoding) Error() string { return e.kind.String() + " cannot be copied: " + e.why }

// Convert writes a recording as a progressive MP4 to out, which must be empty. H.264 and AAC are copied where
// the time line allows, everything else becomes H.264 High and AAC-LC. An error leaves out in an undefined
// state; it is an *InputError when nothing playable is in the recording. ctx ends it at the next packet.
func Convert(ctx context.Context, rec Recording, out mp4.File) (*Result, error) {
	rec.Video = rec.Video.withDefaults()
	rec.Audio.BitRate = cmp.Or(rec.Audio.BitRate, 128_000)
	p, err := newPlan(ctx, rec)
	if err != nil {
		return nil, err
	}
	for {
		res, err := p.run(ctx, out)
		var again *needsEncoding
		if !errors.As(err, &again) {
			return res, err
		}
		if err := p.giveUpCopying(again); err != nil {
			return nil, err
		}
		if err := out.Truncate(0); err != nil {
			return nil, fmt.Errorf("begin the output again: %w", err)
		}
	}
}

// plan is what was decided about a recording before its packets are read.
type plan struct {
	rec          Recording
	parts        []plannedPart
	feed         *trackFeed // in place of reading the parts' files
	defects      []Defect   // found while planning
	video, audio *trackPlan
	cuts         cutter
	start        int64 // of the output in the session, ns
	zero         int64 // the same less the pauses before it: where the output's time begins
	total        int64 // bytes of all parts
}

type plannedPart struct {
	Part
	origin       int64 // first timestamp of the file, ns
	video, audio int   // stream indices, -1 = none
	streams      []av.Stream
}

// trackPlan is how an output track is made.
type trackPlan struct {
	first  av.Stream // of the first part that has it
	firstN string    // name of that part
	copy   bool
	width  int // encoding only
	height int
	config []byte // first packet's view of AAC
}

func newPlan(ctx context.Context, rec Recording) (*plan, error) {
	p := &plan{rec: rec}
	var firstErr error
	for _, part := range rec.Parts {
		pp, err := p.probePart(ctx, part)
		if err != nil {
			if ctx.Err() != nil || !invalid(err) {
				return nil, err
			}
			firstErr = cmp.Or(firstErr, error(&InputError{File: part.Source.Name, Reason: "not a media file that Rushes can read", Err: err}))
			p.defects = append(p.defects, Defect{Kind: DefectUnreadable, File: part.Source.Name, Detail: err.Error()})
			continue
		}
		if pp.video < 0 && pp.audio < 0 {
			firstErr = cmp.Or(firstErr, noStreams(pp))
			p.defects = append(p.defects, Defect{Kind: DefectUnreadable, File: part.Source.Name, Detail: noStreams(pp).Error()})
			continue
		}
		p.total += part.Source.Size
		p.parts = append(p.parts, pp)
	}
	if len(p.parts) == 0 {
		return nil, firstErr
	}
	p.start = int64(p.parts[0].Start)
	if err := p.decidePauses(ctx); err != nil {
		return nil, err
	}
	p.zero, _ = p.cuts.at(p.start)
	return p, nil
}

func noStreams(pp plannedPart) error {
	for _, s := range pp.streams {
		if s.Kind != av.KindOther && !s.Supported {
			return &InputError{File: pp.Source.Name, Reason: fmt.Sprintf("codec %q is not built in; record VP8, VP9, AV1 or H.264 with Opus, Vorbis, MP3, PCM or AAC", s.Codec)}
		}
	}
	return &InputError{File: pp.Source.Name, Reason: "has neither pictures nor sound"}
}

// probePart opens a file, takes its first usable stream of each kind and adds it to the plan.
func (p *plan) probePart(ctx context.Context, part Part) (pp plannedPart, err error) {
	in, err := av.OpenInput(ctx, part.Source.forward())
	if err != nil {
		return pp, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	pp = plannedPart{Part: part, video: -1, audio: -1, streams: in.Streams(), origin: noTime}
	if p.rec.Rung != nil {
		pp.origin = 0
	}
	for i, s := range pp.streams {
		if p.rec.Rung != nil && s.Kind == av.KindAudio {
			continue
		}
		slot, track := &pp.video, &p.video
		if s.Kind == av.KindAudio {
			slot, track = &pp.audio, &p.audio
		}
		switch {
		case s.Kind == av.KindOther:
			continue
		case !s.Supported && *slot < 0:
			p.defects = append(p.defects, Defect{Kind: DefectExtraStream, File: part.Source.Name, Detail: fmt.Sprintf("codec %q is not built in", s.Codec)})
			continue
		case *slot >= 0:
			p.defects = append(p.defects, Defect{Kind: DefectExtraStream, File: part.Source.Name, Detail: fmt.Sprintf("%v stream %d (%s) is not in the output", s.Kind, i, s.Codec)})
			continue
		case s.Kind == av.KindAudio && s.SampleRate == 0, s.Kind == av.KindVideo && s.Width == 0:
			continue // announced, but not one packet of it is there
		}
		*slot = i
		if s.Start != av.NoPTS && p.rec.Rung == nil {
			if t := nanos(s.Start, s.TimeBase); pp.origin == noTime || t < pp.origin {
				pp.origin = t
			}
		}
		if *track == nil {
			*track = &trackPlan{first: s, firstN: part.Source.Name, copy: s.Codec == "h264" && !p.rec.Video.Encode && p.rec.Rung == nil || s.Codec == "aac"}
		}
	}
	return pp, p.finishPart(ctx, in, &pp)
}

// finishPart looks at the beginning of the file for what libav did not tell.
func (p *plan) finishPart(ctx context.Context, in *av.Input, pp *plannedPart) error {
	wantAAC := pp.audio >= 0 && pp.streams[pp.audio].Codec == "aac" && p.audio.config == nil
	if pp.origin != noTime && !wantAAC || pp.video < 0 && pp.audio < 0 {
		return nil
	}
	pkt, err := av.NewPacket()
	if err != nil {
		return err
	}
	defer pkt.Close()
	for range 500 {
		if err := in.ReadPacket(ctx, pkt); err != nil {
			break // reported when the part is read in earnest
		}
		if pkt.Stream == pp.audio && wantAAC {
			p.audio.config = append([]byte{}, pkt.Data()...)
			wantAAC = false
		}
		s := pp.streams[pkt.Stream]
		t := pkt.PTS
		if t == av.NoPTS {
			t = pkt.DTS
		}
		if pp.origin == noTime && t != av.NoPTS && (pkt.Stream == pp.audio || pkt.Stream == pp.video) {
			pp.origin = nanos(t, s.TimeBase)
		}
		if pp.origin != noTime && !wantAAC {
			break
		}
	}
	if pp.origin == noTime {
		pp.origin = 0
	}
	return ctx.Err()
}

// decidePauses finds out whether the recorder itself left the pauses out of its timestamps: then nothing is
// left to cut. What is nearer to the truth is the one under which the recording is as long as the session says.
func (p *plan) decidePauses(ctx context.Context) error {
	cuts := newCutter(p.rec.Paused)
	if cuts.total() == 0 {
		return nil
	}
	end := int64(0)
	for _, pp := range p.parts {
		sc, err := Scan(ctx, pp.Source, false)
		if err != nil {
			return err
		}
		begin := int64(pp.Start)
		if pp.Follows {
			begin = end
		}
		end = begin + int64(sc.Duration)
	}
	length := int64(p.rec.Length)
	if length > 0 && abs(end-(length-cuts.total())) < abs(end-length) {
		return nil
	}
	p.cuts = cuts
	return nil
}

func abs(n int64) int64 { return max(n, -n) }

// giveUpCopying changes the plan after a lane said that it cannot copy.
func (p *plan) giveUpCopying(e *needsEncoding) error {
	t := p.video
	if e.kind == av.KindAudio {
		t = p.audio
	}
	if !t.copy {
		return fmt.Errorf("convert %s: %w", t.firstN, e)
	}
	t.copy = false
	return nil
}
