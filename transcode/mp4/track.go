package mp4

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// MovieTimescale is the number of ticks per second of the movie header and of
// edit durations in the files this package writes.
const MovieTimescale = 90000

// Rational is a fraction; with Num or Den zero it means "not known".
type Rational struct{ Num, Den uint32 }

// Color holds the colour description of a video track in the code points of
// ISO/IEC 23091-2, written as a colr box of type nclx.
type Color struct {
	Primaries, Transfer, Matrix uint16
	// FullRange is set when luma uses 0–255 instead of 16–235.
	FullRange bool
}

// Video describes a video track.
type Video struct {
	// Codec is the sample entry: "avc1", "hvc1", "vp09" or "av01".
	Codec string
	// Config is the payload of the codec's configuration box: avcC, hvcC, vpcC
	// (version and flags included) or av1C. The caller must not change it later.
	Config []byte
	// Width and Height are the coded picture's visible size in pixels.
	Width, Height int
	// SAR is the shape of a pixel (pasp); zero means square and writes no box.
	SAR Rational
	// Color is written as colr nclx when it is not nil.
	Color *Color
	// Matrix is the display matrix of tkhd; all zero means identity.
	Matrix [9]int32
}

// Audio describes an audio track.
type Audio struct {
	// Codec is the sample entry: "mp4a".
	Codec string
	// Config is the AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1).
	Config []byte
	// SampleRate is in Hz, Channels is the number of speakers.
	SampleRate, Channels int
	// BitRate is the nominal rate in bit/s, zero if not known. The average is
	// always measured; the nominal rate only raises the declared maximum.
	BitRate int
}

// Track describes a track before its first sample. Exactly one of Video and
// Audio is set.
type Track struct {
	// Timescale is the number of ticks per second of all the track's times.
	Timescale uint32
	Video     *Video
	Audio     *Audio
	// Language is an ISO 639-2/T code of three letters; anything else becomes "und".
	Language string
	// Name goes to the handler box; empty means a plain default.
	Name string
}

// Sample is one access unit. Times are ticks of the track's timescale on the
// movie's presentation line: PTS 0 is the moment the movie starts. A PTS below
// zero is decoded but not presented.
type Sample struct {
	Data []byte
	// DTS must increase strictly within a track and may be negative.
	DTS int64
	// PTS may be smaller than DTS.
	PTS int64
	// Duration counts for the last sample only; the others last until the next
	// DTS. Zero means the same as the sample before.
	Duration uint32
	// Sync marks a sample from which decoding can start.
	Sync bool
}

// videoConfigBox names the configuration box of each video sample entry.
func videoConfigBox(codec string) (string, bool) {
	switch codec {
	case "avc1":
		return "avcC", true
	case "hvc1":
		return "hvcC", true
	case "vp09":
		return "vpcC", true
	case "av01":
		return "av1C", true
	}
	return "", false
}

// maxAudioConfig keeps every esds descriptor's length in one byte.
const maxAudioConfig = 64

func (t *Track) validate() error {
	if t.Timescale == 0 || t.Timescale > math.MaxInt32 {
		return fmt.Errorf("timescale %d is out of range", t.Timescale)
	}
	switch {
	case t.Video != nil && t.Audio != nil:
		return errors.New("both video and audio are set")
	case t.Video != nil:
		return t.Video.validate()
	case t.Audio != nil:
		return t.Audio.validate()
	}
	return errors.New("neither video nor audio is set")
}

func (v *Video) validate() error {
	if _, ok := videoConfigBox(v.Codec); !ok {
		return fmt.Errorf("video codec %q cannot be written", v.Codec)
	}
	if v.Width < 1 || v.Height < 1 || v.Width > math.MaxUint16 || v.Height > math.MaxUint16 {
		return fmt.Errorf("picture size %dx%d is out of range", v.Width, v.Height)
	}
	if len(v.Config) < 4 || len(v.Config) > 1<<20 {
		return fmt.Errorf("%s configuration of %d bytes is out of range", v.Codec, len(v.Config))
	}
	if v.Codec == "avc1" && (len(v.Config) < 7 || v.Config[0] != 1) {
		return errors.New("avc1 configuration is not an AVCDecoderConfigurationRecord")
	}
	return nil
}

func (a *Audio) validate() error {
	if a.Codec != "mp4a" {
		return fmt.Errorf("audio codec %q cannot be written", a.Codec)
	}
	if a.SampleRate < 1 || a.Channels < 1 || a.Channels > math.MaxUint16 {
		return fmt.Errorf("audio of %d Hz and %d channels is out of range", a.SampleRate, a.Channels)
	}
	if len(a.Config) < 2 || len(a.Config) > maxAudioConfig {
		return fmt.Errorf("AudioSpecificConfig of %d bytes is out of range", len(a.Config))
	}
	return nil
}

// ticksToDuration converts ticks without overflow, saturating at the ends of
// time.Duration.
func ticksToDuration(ticks int64, timescale uint32) time.Duration {
	ts := int64(timescale)
	sec, rest := ticks/ts, ticks%ts
	switch {
	case sec > math.MaxInt64/int64(time.Second)-1:
		return math.MaxInt64
	case sec < math.MinInt64/int64(time.Second)+1:
		return math.MinInt64
	}
	return time.Duration(sec)*time.Second + time.Duration(rest*int64(time.Second)/ts)
}

// rescale converts ticks between timescales, rounding to the nearest tick
// (half away from zero). It saturates instead of overflowing.
func rescale(ticks int64, from, to uint32) int64 {
	f, t := int64(from), int64(to)
	whole, rest := ticks/f, ticks%f
	if whole > math.MaxInt64/t-1 {
		return math.MaxInt64
	}
	if whole < math.MinInt64/t+1 {
		return math.MinInt64
	}
	half := f / 2
	if rest < 0 {
		half = -half
	}
	return whole*t + (rest*t+half)/f
}
