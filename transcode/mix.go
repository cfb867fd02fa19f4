package transcode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"rushes/transcode/internal/av"
	"rushes/transcode/mp4"
)

// MixTrack is a track of sound in a mix.
type MixTrack struct {
	TrackInput
	Muted []Interval // of the session: silent whatever the track has there
}

// Mix is the sound of a session: all tracks at unity gain, limited to −1 dBFS, 48 kHz stereo AAC-LC.
type Mix struct {
	Tracks   []MixTrack
	Paused   []Interval    // of the session, cut out
	Duration time.Duration // of the output
	Audio    AudioSettings
}

// MixResult tells what a mix holds.
type MixResult struct {
	mp4.Summary
	Levels  [][]float64 // of every track, in dBFS per 100 ms of output; −∞ is digital silence
	Defects []Defect
}

const levelWindow = outputRate / 10 // samples in one of MixResult.Levels

// MixSound writes the mix as an MP4 of sound only to out. A track that cannot be read or decoded is a defect and
// silent. progress, which may be nil, is called with the output time reached.
func MixSound(ctx context.Context, m Mix, out mp4.File, progress func(time.Duration)) (_ *MixResult, err error) {
	if m.Audio.BitRate == 0 {
		m.Audio.BitRate = 128_000
	}
	r := &mixRun{mix: m, res: &MixResult{}, limit: newLimiter(2), total: ticksOf(int64(m.Duration), outputRate)}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.open(out); err != nil {
		return nil, err
	}
	const block = 4 * levelWindow
	for at := int64(0); at < r.total+limitLookAhead; at += block {
		if err := r.block(ctx, at, int(min(block, r.total+limitLookAhead-at))); err != nil {
			return nil, err
		}
		if progress != nil {
			progress(time.Duration(min(at, r.total)) * time.Second / outputRate)
		}
	}
	if err := r.sink.finish(); err != nil {
		return nil, err
	}
	r.writer.SetEnd(0, r.total)
	for _, s := range r.sources {
		r.res.Levels = append(r.res.Levels, s.levels)
	}
	r.res.Summary, err = r.writer.Close()
	return r.res, err
}

type mixRun struct {
	mix     Mix
	res     *MixResult
	sources []*soundSource
	sink    *aacSink
	writer  *mp4.Writer
	limit   *limiter
	sum     [2][]float32
	skip    int // samples of the limiter's delay still to be left out
	total   int64
}

func (r *mixRun) open(out mp4.File) (err error) {
	r.writer = mp4.NewWriter(out, mp4.Options{})
	r.skip = limitLookAhead
	r.sink, err = newAACSink(outputRate, 2, r.mix.Audio.BitRate, func(pts, duration int64, data []byte) error {
		return r.writer.Write(0, mp4.Sample{Data: data, DTS: pts, PTS: pts, Duration: uint32(duration), Sync: true})
	})
	if err != nil {
		return err
	}
	cuts := newCutter(r.mix.Paused)
	for i := range r.mix.Tracks {
		s, err := newSoundSource(&r.mix.Tracks[i], cuts, r.total)
		if err != nil {
			if !tracksOwn(err) {
				return err
			}
			r.broken(s.in.Name, "its sound is left out", err)
			s.ended = true
		}
		r.sources = append(r.sources, s)
	}
	_, err = r.writer.AddTrack(mp4.Track{Timescale: outputRate, Audio: &mp4.Audio{Codec: "mp4a", Config: r.sink.enc.Extradata(), SampleRate: outputRate, Channels: 2, BitRate: r.mix.Audio.BitRate}})
	return err
}

func (r *mixRun) broken(track, what string, err error) {
	r.res.Defects = append(r.res.Defects, Defect{Kind: DefectUndecodable, File: track, Detail: what + ": " + err.Error()})
}

func (r *mixRun) close() error {
	var errs []error
	if r.sink != nil {
		errs = append(errs, r.sink.close())
	}
	for _, s := range r.sources {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}

// block mixes n samples from one on.
func (r *mixRun) block(ctx context.Context, at int64, n int) error {
	for c := range r.sum {
		if cap(r.sum[c]) < n {
			r.sum[c] = make([]float32, n)
		}
		r.sum[c] = r.sum[c][:n]
		clear(r.sum[c])
	}
	for _, s := range r.sources {
		if err := s.fill(ctx, at+int64(n)); err != nil {
			if ctx.Err() != nil || !tracksOwn(err) {
				return err
			}
			r.broken(s.in.Name, "its sound is left out from here", err)
			s.ended = true
		}
		s.mix(at, r.sum[:])
	}
	r.limit.run(r.sum[:])
	out := from(r.sum[:], min(r.skip, n))
	r.skip -= n - len(out[0])
	return r.sink.add(out)
}

// soundSource decodes one track onto the output's line of samples.
type soundSource struct {
	in     *MixTrack
	units  Units
	cuts   cutter
	dec    *av.Decoder
	pkt    *av.Packet
	frame  *av.Frame
	res    *av.Resampler
	line   soundLine
	wait   []soundPiece // decoded and not mixed yet
	muted  [][2]int64
	ended  bool
	limit  int64 // samples from here on are not wanted
	levels []float64
	cut    int64
	bad    int
	spare  [2][]float32
}

// soundPiece is a stretch of samples on the output's line. Between pieces is silence, however long.
type soundPiece struct {
	start   int64
	samples [2][]float32
}

func (p *soundPiece) end() int64 { return p.start + int64(len(p.samples[0])) }

// longSilence is how many samples of it begin another piece.
const longSilence = outputRate

func newSoundSource(in *MixTrack, cuts cutter, limit int64) (s *soundSource, err error) {
	s = &soundSource{in: in, cuts: cuts, limit: limit, res: av.NewResampler(outputRate, 2)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	s.line = soundLine{jitter: trackGap, rate: outputRate, channels: 2, next: noTime, res: s.res, out: s.keep, gap: func(int64, int64) {}}
	for _, m := range in.Muted {
		from, _ := cuts.at(int64(m.From))
		to, _ := cuts.at(int64(min(m.To, time.Duration(math.MaxInt64/4))))
		s.muted = append(s.muted, [2]int64{ticksOf(from, outputRate), ticksOf(to, outputRate)})
	}
	if s.units, err = in.Open(); err != nil {
		return s, err
	}
	if s.pkt, err = av.NewPacket(); err != nil {
		return s, err
	}
	if s.frame, err = av.NewFrame(); err != nil {
		return s, err
	}
	spec := av.DecoderSpec{Name: in.Name, Stream: -1, Codec: in.Codec, TimeBase: av.Rational{Num: 1, Den: int(time.Second)}, SampleRate: in.SampleRate, Channels: in.Channels, Extradata: in.Config, Threads: 1}
	if in.Codec == "opus" {
		spec.Extradata = opusHead(in.Channels)
	}
	s.dec, err = av.NewDecoder(spec)
	return s, err
}

func (s *soundSource) close() error {
	errs := []error{s.dec.Close(), s.pkt.Close(), s.frame.Close(), s.res.Close()}
	if s.units != nil {
		errs = append(errs, s.units.Close())
		s.units = nil
	}
	return errors.Join(errs...)
}

// fill decodes until the line reaches a sample or the track ends.
func (s *soundSource) fill(ctx context.Context, until int64) error {
	for !s.ended && (s.line.next == noTime || s.line.next < until) {
		if err := ctx.Err(); err != nil {
			return err
		}
		u, err := s.units.Next()
		if errors.Is(err, io.EOF) {
			s.ended = true
			return s.dec.Decode(nil, s.frame, s.refused, s.decoded)
		}
		if err != nil {
			return fmt.Errorf("track %s: %w", s.in.Name, err)
		}
		at, _ := s.cuts.at(int64(u.At))
		if ticksOf(at, outputRate) > s.limit+outputRate { // beyond the output: nothing that follows is wanted
			s.ended = true
			return nil
		}
		if err := s.pkt.SetData(u.Data); err != nil {
			return err
		}
		s.pkt.PTS, s.pkt.DTS, s.pkt.Duration, s.pkt.Key = int64(u.At), int64(u.At), int64(u.Duration), true
		if err := s.dec.Decode(s.pkt, s.frame, s.refused, s.decoded); err != nil {
			return err
		}
	}
	return nil
}

func (s *soundSource) refused(error) error { s.bad++; return nil }

// decoded puts a frame, less what lies in pauses, onto the line.
func (s *soundSource) decoded(f *av.Frame) error {
	channels, err := s.res.Run(f)
	if err != nil || len(channels[0]) == 0 || f.PTS == av.NoPTS {
		return err
	}
	n := len(channels[0])
	for done := 0; done < n; {
		at := f.PTS + int64(done)*int64(time.Second)/outputRate
		k, paused := s.cuts.run(at, n-done)
		if !paused {
			out, _ := s.cuts.at(at)
			s.line.exact = s.line.exact || at-out != s.cut
			s.cut = at - out
			due := ticksOf(out, outputRate)
			if s.line.next != noTime && due-s.line.next > longSilence { // an hour of it need not be held
				s.line.next, s.line.drift, s.line.exact = due, 0, false
			}
			if err := s.line.block(due, upto(from(channels, done), k)); err != nil {
				return err
			}
		}
		done += k
	}
	return nil
}

// keep appends to the samples that wait to be mixed; the line has advanced past them already.
func (s *soundSource) keep(channels [][]float32) error {
	n := int64(len(channels[0]))
	at := s.line.next - n
	if k := len(s.wait); k == 0 || s.wait[k-1].end() != at {
		s.wait = append(s.wait, soundPiece{start: at, samples: s.spare})
		s.spare = [2][]float32{}
	}
	p := &s.wait[len(s.wait)-1]
	for c := range p.samples {
		p.samples[c] = append(p.samples[c], channels[c]...)
	}
	for _, m := range s.muted {
		if lo, hi := max(m[0], at), min(m[1], at+n); lo < hi {
			for c := range p.samples {
				clear(p.samples[c][lo-p.start : hi-p.start])
			}
		}
	}
	return nil
}

// mix adds what lies in a block and forgets it, and measures how loud it is.
func (s *soundSource) mix(at int64, sum [][]float32) {
	n := int64(len(sum[0]))
	for w := at; w < at+n; w += levelWindow {
		s.levels = append(s.levels, s.level(w, min(w+levelWindow, at+n)))
	}
	for i := range s.wait {
		p := &s.wait[i]
		lo, hi := max(p.start, at), min(p.end(), at+n)
		for c := range sum {
			for k := lo; k < hi; k++ {
				sum[c][k-at] += p.samples[c][k-p.start]
			}
		}
	}
	for len(s.wait) > 0 && s.wait[0].end() <= at+n {
		for c := range s.spare {
			s.spare[c] = s.wait[0].samples[c][:0]
		}
		s.wait = s.wait[:copy(s.wait, s.wait[1:])]
	}
	if len(s.wait) > 0 && s.wait[0].start < at+n {
		p := &s.wait[0]
		for c := range p.samples {
			p.samples[c] = p.samples[c][:copy(p.samples[c], p.samples[c][at+n-p.start:])]
		}
		p.start = at + n
	}
}

// level is the mean level of the samples of a window, in dBFS.
func (s *soundSource) level(from, to int64) float64 {
	sum := 0.0
	for i := range s.wait {
		p := &s.wait[i]
		for k := max(p.start, from); k < min(p.end(), to); k++ {
			a, b := float64(p.samples[0][k-p.start]), float64(p.samples[1][k-p.start])
			sum += (a*a + b*b) / 2
		}
	}
	return 10 * math.Log10(sum/levelWindow)
}
