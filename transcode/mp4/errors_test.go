package mp4

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAddTrackRefuses(t *testing.T) {
	t.Parallel()
	video, audio := videoTrack(), audioTrack()
	both := video
	both.Audio = audio.Audio
	with := func(change func(v *Video)) Track {
		v := *video.Video
		change(&v)
		return Track{Timescale: 1000, Video: &v}
	}
	for name, track := range map[string]Track{
		"timescale 0 is out of range":         {Video: video.Video},
		"both video and audio":                both,
		"neither video nor audio":             {Timescale: 1},
		`"vp8" cannot be written`:             with(func(v *Video) { v.Codec = "vp8" }),
		"picture size 0x360":                  with(func(v *Video) { v.Width = 0 }),
		"not an AVCDecoderConfigurationRecor": with(func(v *Video) { v.Config = []byte{0, 0, 0, 1, 0x67, 1, 2, 3} }),
		"AudioSpecificConfig of 0 bytes":      {Timescale: 1, Audio: &Audio{Codec: "mp4a", SampleRate: 1, Channels: 1}},
	} {
		_, err := NewWriter(&memFile{}, Options{}).AddTrack(track)
		require.ErrorContains(t, err, name)
	}
}

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	w := NewWriter(&memFile{}, Options{})
	_, err := w.Close()
	require.ErrorIs(t, err, ErrNoSamples)
	w = NewWriter(&memFile{}, Options{})
	_, err = w.AddTrack(videoTrack())
	require.NoError(t, err)
	require.ErrorContains(t, w.Write(1, Sample{}), "track 1 does not exist")
	require.NoError(t, w.Write(0, Sample{Data: picture(9, true, 1), DTS: 5, PTS: 5}))
	require.ErrorContains(t, w.Write(0, Sample{DTS: 5, PTS: 5}), "DTS 5 does not follow 5")
	require.ErrorContains(t, w.Write(0, Sample{DTS: 6, PTS: 1 << 40}), "too far")
	require.ErrorContains(t, w.Write(0, Sample{DTS: 1 << 40, PTS: 1 << 40}), "too far")
	require.ErrorContains(t, w.DropTail(0, 2), "cannot drop")
	_, err = w.AddTrack(audioTrack())
	require.ErrorContains(t, err, "after the first sample")
}

// fullDisk fails after some bytes.
type fullDisk struct {
	memFile
	left int
}

var errFull = errors.New("no space left")

func (f *fullDisk) WriteAt(p []byte, off int64) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errFull
	}
	return f.memFile.WriteAt(p, off)
}

// TestFullDisk lets every write fail once: the error must come out, and stay.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := call(2)
	for left := 0; left < 30000; left += 100 {
		f := &fullDisk{left: left}
		w := NewWriter(f, Options{BufferBytes: 5000})
		w.payload, w.placed = 500, true // too small, so that the media is moved too
		writeTracks(t, w)
		var err error
		for i := 0; i < 60 && err == nil; i++ {
			if err = w.Write(0, s.samples[0][i]); err == nil {
				err = w.Write(1, s.samples[1][i])
			}
		}
		if err == nil {
			_, err = w.Close()
		}
		require.ErrorIs(t, err, errFull)
		_, err = w.Close()
		require.ErrorIs(t, err, errFull)
		require.ErrorIs(t, w.Write(0, s.samples[0][59]), errFull)
	}
}
