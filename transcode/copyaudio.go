package transcode

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"time"

	"rushes/transcode/internal/av"
	"rushes/transcode/mp4"
)

const aacFrame = 1024 // samples in an AAC-LC frame

// audioCopier puts AAC frames into the output as they are. Frames follow each other without a gap on the
// output's time line; where the source has one, silent frames fill it.
type audioCopier struct {
	r        *run
	config   []byte
	adts     bool
	track    int
	rate     int   // timescale: samples per second of the output
	frame    int64 // ticks in a frame (twice as many where SBR doubles the rate)
	channels int
	part     int
	run      int     // of the last unit
	cut      int64   // what pauses took from its time
	exact    bool    // the next frame goes where its timestamp says: the time line was cut before it
	next     int64   // ticks at which the next frame is due, noTime before the first
	drift    float64 // how far the source's timestamps are from next, a slow mean, in ticks
	count    int
	silence  []byte
	filled   int64 // ticks of silence put in
}

func newAudioCopier(r *run) (*audioCopier, error) {
	s := r.audio.first
	if s.Channels < 1 || s.Channels > 8 {
		return nil, &needsEncoding{av.KindAudio, fmt.Sprintf("%d channels", s.Channels)}
	}
	config, adts, err := aacConfig(s.Extradata, r.audio.config)
	if err != nil {
		return nil, &needsEncoding{av.KindAudio, err.Error()}
	}
	c := &audioCopier{r: r, config: config, adts: adts, rate: s.SampleRate, channels: s.Channels, next: noTime, part: -1, frame: aacFrame}
	if s.FrameSize > 0 {
		c.frame = int64(s.FrameSize)
	}
	if core := aacCoreRate(config); core > 0 && core*2 == s.SampleRate {
		c.frame = 2 * aacFrame
	}
	c.track, err = r.mux.w.AddTrack(mp4.Track{Timescale: uint32(c.rate), Audio: &mp4.Audio{Codec: "mp4a", Config: config, SampleRate: c.rate, Channels: c.channels}})
	return c, err
}

// aacCoreRate is the sampling frequency that an AudioSpecificConfig begins with, 0 where it is given in full
// (ISO/IEC 14496-3, 1.6.2.1).
func aacCoreRate(config []byte) int {
	rates := [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}
	index := int(config[0]&7)<<1 | int(config[1])>>7
	if index < len(rates) {
		return rates[index]
	}
	return 0
}

func (c *audioCopier) unit(ctx context.Context, u *unit) error {
	if err := c.check(u); err != nil {
		return err
	}
	middle := u.pts + c.frame*int64(time.Second)/int64(c.rate)/2 // a frame belongs to where its middle is
	at, paused := c.r.cuts.at(middle)
	if paused {
		return nil
	}
	c.exact = c.exact || u.run != c.run || middle-at != c.cut
	c.run, c.cut = u.run, middle-at
	data := u.pkt.Data()
	if c.adts {
		var whole bool
		if data, whole = adtsPayload(data); !whole {
			c.damaged(u)
			return nil
		}
	} else if u.pkt.Corrupt {
		c.damaged(u)
		return nil
	}
	due := ticksOf(at-c.r.zero, c.rate) - c.frame/2
	keep, err := c.align(due)
	if err != nil || !keep {
		return err
	}
	return c.write(data)
}

func (c *audioCopier) damaged(u *unit) {
	c.r.defects.add(Defect{Kind: DefectDamaged, File: c.r.parts[u.part].Source.Name, Detail: fmt.Sprintf("incomplete sound frame at %v", show(u.pts-c.r.zero))})
}

func (c *audioCopier) check(u *unit) error {
	if u.part != c.part {
		c.part = u.part
		s := u.stream
		if c.count > 0 && (s.Codec != "aac" || !bytes.Equal(s.Extradata, c.r.audio.first.Extradata) || s.SampleRate != c.rate || s.Channels != c.channels) {
			return &needsEncoding{av.KindAudio, "the parts are encoded in different ways"}
		}
	}
	if extra := u.pkt.NewExtradata(); extra != nil && !bytes.Equal(extra, c.config) {
		return &needsEncoding{av.KindAudio, "the encoder's settings change"}
	}
	return nil
}

// align compares where a frame should lie with where the next one is due. Jitter of the container's timestamps
// is ignored, a lasting difference is taken up in the duration of one frame, a gap is filled with silence and a
// frame that comes twice is dropped. Where the time line was cut, nothing is jitter: the frame lies where it should,
// and what is less than half a frame is taken up at once.
func (c *audioCopier) align(due int64) (keep bool, err error) {
	if c.next == noTime {
		c.next, c.exact = due, false
	}
	off := due - c.next
	hard := c.frame + int64(c.rate)/50
	switch {
	case c.exact && off < -c.frame/2:
		return false, nil
	case c.exact:
		c.exact, c.drift = false, 0
		if off > c.frame/2 {
			return true, c.fill(due)
		}
		c.next = due
	case off > hard:
		if err := c.fill(due); err != nil {
			return false, err
		}
		c.drift = 0
	case off < -hard:
		return false, nil
	default:
		c.drift += (float64(off) - c.drift) / 16
		if math.Abs(c.drift) > float64(c.rate)/100 {
			c.next += int64(c.drift)
			c.drift = 0
		}
	}
	return true, nil
}

// fill puts silent frames into a gap, as many as come nearest to its length. What is left, half a frame at most,
// is spread over all of them, so that no two frames are far enough apart for a player to hear or mend it.
func (c *audioCopier) fill(due int64) error {
	if c.silence == nil {
		s, err := silentAAC(c.config, c.rate, c.channels, c.frame)
		if err != nil {
			return &needsEncoding{av.KindAudio, "a gap needs silence: " + err.Error()}
		}
		c.silence = s
	}
	from := c.next
	n := max((due-from+c.frame/2)/c.frame, 1)
	for i := range n {
		c.next = from + (due-from)*i/n
		if err := c.write(c.silence); err != nil {
			return err
		}
	}
	c.filled += due - from
	if due-from <= c.frame+int64(c.rate)/50 {
		c.next = due
		return nil
	}
	c.r.defects.add(Defect{Kind: DefectGap, File: c.r.parts[c.part].Source.Name, Detail: fmt.Sprintf("no sound for %v at %v; silence put in",
		show((due-from)*int64(time.Second)/int64(c.rate)), show(from*int64(time.Second)/int64(c.rate)))})
	c.next = due
	return nil
}

func (c *audioCopier) write(data []byte) error {
	s := mp4.Sample{DTS: c.next, PTS: c.next, Duration: uint32(c.frame), Sync: true}
	c.next += c.frame
	c.count++
	return c.r.mux.write(c.track, s, s.PTS*int64(time.Second)/int64(c.rate), data)
}

// silentAAC encodes silence in the form that config describes and gives a frame from its middle.
func silentAAC(config []byte, rate, channels int, frame int64) ([]byte, error) {
	if config[0]>>3 != 2 || frame != aacFrame || channels > 2 {
		return nil, fmt.Errorf("only for AAC-LC with one or two channels")
	}
	var last []byte
	err := encodeSilence(rate, channels, 6, func(own, data []byte) error {
		if len(own) < 2 || own[0] != config[0] || own[1]&^7 != config[1]&^7 {
			return fmt.Errorf("the encoder's configuration is another")
		}
		last = append(last[:0], data...)
		return nil
	})
	return last, err
}

func (c *audioCopier) finish(context.Context) error { return nil }
func (c *audioCopier) close() error                 { return nil }

func (c *audioCopier) describe(res *Result) {
	res.Audio, res.AudioCopied = c.count > 0, c.count > 0
}
