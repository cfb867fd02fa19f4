package hls

import (
	"bytes"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/transcode/mp4"
)

// TestSilentFrames lets ffmpeg decode the frames that fill holes.
func TestSilentFrames(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	for channels, config := range map[int][]byte{1: {0x11, 0x88}, 2: {0x11, 0x90}} {
		frame := silentFrame(&mp4.Audio{Codec: "mp4a", Config: config, SampleRate: 48000, Channels: channels})
		require.NotEmpty(t, frame)
		var adts bytes.Buffer
		for range 50 {
			size := 7 + len(frame)
			adts.Write([]byte{0xff, 0xf1, 0x4c, byte(channels<<6) | byte(size>>11), byte(size >> 3), byte(size<<5) | 0x1f, 0xfc})
			adts.Write(frame)
		}
		cmd := exec.Command("ffmpeg", "-v", "warning", "-f", "aac", "-i", "-", "-f", "s16le", "-")
		cmd.Stdin = &adts
		var complaint bytes.Buffer
		cmd.Stderr = &complaint
		pcm, err := cmd.Output()
		require.NoError(t, err)
		require.Empty(t, complaint.String())
		require.Len(t, pcm, 50*1024*2*channels)
		for _, b := range pcm {
			require.Zero(t, b)
		}
	}
	require.Nil(t, silentFrame(&mp4.Audio{Config: []byte{0x2b, 0x92}, Channels: 2}), "HE-AAC")
}
