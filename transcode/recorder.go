package transcode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"rushes/transcode/internal/av"
)

// RecorderSpec says what a Recorder writes.
type RecorderSpec struct {
	Format       string            // libav's muxer: "webm", "matroska", "mp4", "mpegts", "flv", "ogg", …
	MuxerOptions map[string]string // the muxer's own, such as "movflags"
	Video        *RecorderVideo    // nil = no pictures
	Audio        *RecorderAudio    // nil = no sound
}

// RecorderVideo says how a Recorder encodes pictures.
type RecorderVideo struct {
	Encoder   string // libav's encoder: "libx264", "libvpx", "libvpx-vp9"
	FrameRate int    // about, per second
	BitRate   int    // bit/s, 0 = the encoder's default
	KeyEvery  int    // pictures between key frames, 0 = the encoder's default
	InBand    bool   // parameter sets in the stream, so that the size may change in any container
	Options   map[string]string
	FullRange bool
	Matrix    int // ISO/IEC 23091-2, 0 = 1 (BT.709)
}

// RecorderAudio says how a Recorder encodes sound.
type RecorderAudio struct {
	Encoder    string // "aac", "libopus", "vorbis", "flac", "pcm_s16le", …
	SampleRate int    // Hz
	Channels   int    // 1 or 2
	BitRate    int
	Options    map[string]string
}

// integer tells whether the encoder takes 16-bit samples only.
func (a *RecorderAudio) integer() bool {
	switch a.Encoder {
	case "libopus", "flac", "pcm_s16le", "pcm_mulaw", "pcm_alaw":
		return true
	}
	return false
}

// Recorder encodes raw pictures and sound into any container that libav writes. It is what fixtures and
// benchmarks make recordings with; assets are written by Convert. It serves one goroutine at a time.
type Recorder struct {
	spec    RecorderSpec
	out     *av.Output
	video   *av.Encoder
	audio   *av.Encoder
	frame   *av.Frame
	pkt     *av.Packet
	streams [2]int // of video and audio
	begun   bool
	width   int
	height  int
	sound   [][]float32
	heard   bool  // samples is set
	samples int64 // time of the first sample in sound
	sink    func(sound bool, u *Unit) error
}

func videoBase() av.Rational { return av.Rational{Num: 1, Den: videoTimescale} }

// NewRecorder opens a recorder that writes to w. The header is written with the first packet.
func NewRecorder(ctx context.Context, w io.WriterAt, name string, spec RecorderSpec) (r *Recorder, err error) {
	r = &Recorder{spec: spec}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	if r.out, err = av.NewOutput(ctx, w, spec.Format, name); err != nil {
		return r, err
	}
	return r, r.open()
}

// open makes what encoding needs, and the encoder of sound.
func (r *Recorder) open() (err error) {
	if r.frame, err = av.NewFrame(); err != nil {
		return err
	}
	if r.pkt, err = av.NewPacket(); err != nil {
		return err
	}
	if a := r.spec.Audio; a != nil {
		r.sound = make([][]float32, a.Channels)
		format := av.FloatPlanar
		if a.integer() {
			format = av.Int16
		}
		r.audio, err = av.NewEncoder(av.EncoderSpec{Encoder: a.Encoder, TimeBase: av.Rational{Num: 1, Den: a.SampleRate}, SampleRate: a.SampleRate, Channels: a.Channels,
			SampleFormat: format, BitRate: int64(a.BitRate), GlobalHeader: true, Options: a.Options})
	}
	return err
}

// Picture encodes a picture, which begins at PTS. Pictures of another size than the one before begin a new
// run of the encoder. With key set it becomes a key frame.
func (r *Recorder) Picture(p Picture, key bool) error {
	if r.video == nil || p.Width != r.width || p.Height != r.height {
		if err := r.openVideo(p.Width, p.Height); err != nil {
			return err
		}
	}
	if err := r.frame.AllocPicture(p.Width, p.Height, av.YUV420P); err != nil {
		return err
	}
	for i, plane := range [][]byte{p.Y, p.Cb, p.Cr} {
		w, h, stride := p.Width, p.Height, p.StrideY
		if i > 0 {
			w, h, stride = (w+1)/2, (h+1)/2, p.StrideC
		}
		dst, dstStride := r.frame.Plane(i, h)
		for y := range h {
			copy(dst[y*dstStride:y*dstStride+w], plane[y*stride:])
		}
	}
	r.frame.PTS = ticksOf(int64(p.PTS), videoTimescale)
	r.frame.Duration = ticksOf(int64(p.Duration), videoTimescale)
	return r.video.Encode(r.frame, key, r.pkt, func(pkt *av.Packet) error { return r.write(0, pkt, videoBase()) })
}

func (r *Recorder) openVideo(w, h int) error {
	v := r.spec.Video
	again := r.video != nil
	if again {
		if err := r.drain(r.video, 0, videoBase()); err != nil {
			return err
		}
		if err := r.video.Close(); err != nil {
			return err
		}
	}
	color := av.BT709()
	if v.Matrix != 0 {
		color.Matrix = v.Matrix
	}
	if v.FullRange {
		color.Range = 2
	}
	var err error
	r.video, err = av.NewEncoder(av.EncoderSpec{Encoder: v.Encoder, TimeBase: videoBase(), Width: w, Height: h, FrameRate: av.Rational{Num: max(v.FrameRate, 1), Den: 1},
		Color: color, GOP: v.KeyEvery, BitRate: int64(v.BitRate), GlobalHeader: !v.InBand, Options: v.Options})
	r.width, r.height = w, h
	if err != nil || again {
		return err
	}
	return r.begin()
}

// begin writes the header once every stream is known.
func (r *Recorder) begin() (err error) {
	if r.sink != nil || r.begun || r.spec.Video != nil && r.video == nil {
		return nil
	}
	r.begun = true
	if r.video != nil {
		if r.streams[0], err = r.out.AddEncoder(r.video); err != nil {
			return err
		}
	}
	if r.audio != nil {
		if r.streams[1], err = r.out.AddEncoder(r.audio); err != nil {
			return err
		}
	}
	return r.out.Header(r.spec.MuxerOptions)
}

func (r *Recorder) write(kind int, p *av.Packet, tb av.Rational) error {
	if r.sink != nil {
		r.begun = true
		return r.sink(kind == 1, packetUnit(p, tb))
	}
	if err := r.begin(); err != nil {
		return err
	}
	if !r.begun {
		return fmt.Errorf("record: sound was given before the first picture")
	}
	return r.out.Write(r.streams[kind], p, tb)
}

// Sound encodes samples, which follow on those before them; at is where the first of all begins.
func (r *Recorder) Sound(at time.Duration, channels [][]float32) error {
	a := r.spec.Audio
	if !r.heard {
		r.heard, r.samples = true, ticksOf(int64(at), a.SampleRate)
	}
	for i := range r.sound {
		r.sound[i] = append(r.sound[i], channels[i]...)
	}
	n := r.audio.FrameSize()
	if n == 0 {
		n = a.SampleRate / 50
	}
	used := 0
	for len(r.sound[0])-used >= n {
		if err := r.encodeSound(upto(from(r.sound, used), n)); err != nil {
			return err
		}
		used += n
	}
	for i := range r.sound {
		r.sound[i] = r.sound[i][:copy(r.sound[i], r.sound[i][used:])]
	}
	return nil
}

// Skip leaves a hole of d in the sound: what follows is later by that much.
func (r *Recorder) Skip(d time.Duration) error {
	after := r.samples + ticksOf(int64(d), r.spec.Audio.SampleRate)
	if len(r.sound) > 0 {
		after += int64(len(r.sound[0]))
	}
	if err := r.flushSound(); err != nil {
		return err
	}
	r.samples = after // the silence that filled the last frame lies in the hole
	return nil
}

func (r *Recorder) flushSound() error {
	if len(r.sound) == 0 || len(r.sound[0]) == 0 {
		return nil
	}
	n := max(r.audio.FrameSize(), len(r.sound[0]))
	for i := range r.sound {
		r.sound[i] = append(r.sound[i], make([]float32, n-len(r.sound[i]))...)
	}
	err := r.encodeSound(r.sound)
	for i := range r.sound {
		r.sound[i] = r.sound[i][:0]
	}
	return err
}

func (r *Recorder) encodeSound(channels [][]float32) error {
	a := r.spec.Audio
	var err error
	if a.integer() {
		s := make([]int16, len(channels[0])*a.Channels)
		for c, ch := range channels {
			for i, v := range ch {
				s[i*a.Channels+c] = int16(max(min(v, 1), -1) * 32767)
			}
		}
		err = r.frame.SetSound16(a.SampleRate, a.Channels, s)
	} else {
		err = r.frame.SetSound(a.SampleRate, channels)
	}
	if err != nil {
		return err
	}
	r.frame.PTS, r.frame.Duration = r.samples, int64(len(channels[0]))
	r.samples += int64(len(channels[0]))
	return r.audio.Encode(r.frame, false, r.pkt, r.writeSound)
}

func (r *Recorder) writeSound(p *av.Packet) error {
	return r.write(1, p, av.Rational{Num: 1, Den: r.spec.Audio.SampleRate})
}

func (r *Recorder) drain(e *av.Encoder, kind int, tb av.Rational) error {
	return e.Encode(nil, false, r.pkt, func(p *av.Packet) error { return r.write(kind, p, tb) })
}

// Finish encodes what is left and ends the file.
func (r *Recorder) Finish() error {
	if r.video != nil {
		if err := r.drain(r.video, 0, videoBase()); err != nil {
			return err
		}
	}
	if r.audio != nil {
		if err := r.flushSound(); err != nil {
			return err
		}
		if err := r.drain(r.audio, 1, av.Rational{Num: 1, Den: r.spec.Audio.SampleRate}); err != nil {
			return err
		}
	}
	if !r.begun {
		return errors.New("record: nothing was recorded")
	}
	if r.sink != nil {
		return nil
	}
	return r.out.Finish()
}

// Close frees everything. Without Finish the file is left as a killed recorder leaves it. It may be called again.
func (r *Recorder) Close() error {
	return errors.Join(r.video.Close(), r.audio.Close(), r.frame.Close(), r.pkt.Close(), r.out.Close())
}
