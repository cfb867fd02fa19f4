package capture

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTSLikeFFmpeg(t *testing.T) {
	t.Parallel()
	both := append([]string{"-f", "lavfi", "-i", "sine=duration=1:sample_rate=48000"}, x264("bframes=2", "-c:a", "aac")...)
	for _, c := range []struct {
		name, codec string
		args        []string
	}{
		{"h264", "H264", both},
		{"h264 wraps", "H264", append(both[:len(both):len(both)], "-output_ts_offset", "95442.8")},
		{"opus", "OPUS", []string{"-f", "lavfi", "-i", "sine=duration=1", "-c:a", "libopus"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path, cfg, stream := ffmpeg(t, "a.ts", c.args...), videoConfig(c.codec), "v:0"
			if c.codec == "OPUS" {
				cfg, stream = audioConfig(c.codec), "a:0"
			}
			units, r := readFile(t, FormatTS, path, cfg)
			requireProbed(t, probe(t, path, stream), units, cfg.ClockRate, 20*time.Microsecond)
			require.Empty(t, r.Stats().Defects)
			require.Zero(t, r.Stats().TornBytes)
			require.Zero(t, r.Stats().Lost)
			for _, u := range units {
				require.False(t, u.Damaged)
			}
		})
	}
	t.Run("aac", func(t *testing.T) {
		t.Parallel()
		path := ffmpeg(t, "a.ts", both...)
		units, r := readFile(t, FormatTS, path, audioConfig("AAC"))
		want := probe(t, path, "a:0")
		require.Equal(t, len(want), len(units))
		for i, u := range units {
			require.Equal(t, want[i].size-7, len(u.data), "without the ADTS header")
			require.EqualValues(t, 1024, u.Duration)
			require.InDelta(t, 1024*i, u.Ticks, 1)
		}
		require.Equal(t, []byte{0x11, 0x88}, r.(*TSReader).Config(), "AAC-LC, 48 kHz, mono")
	})
}

func TestTSRecorder(t *testing.T) {
	t.Parallel()
	path := sample(t, "beam-x11-ts", "recording.ts")
	video, r := readFile(t, FormatTS, path, videoConfig("H264"))
	want := probe(t, path, "v:0")
	require.InDelta(t, len(want), len(video), 1)
	n := min(len(want), len(video)) - 1
	requireProbed(t, want[:n], video[:n], 90000, 20*time.Microsecond)
	require.EqualValues(t, 1572864%188, r.Stats().TornBytes)
	require.True(t, video[len(video)-1].Damaged, "the file is cut off inside the last picture")
	sound, _ := readFile(t, FormatTS, path, audioConfig("AAC"))
	require.NotEmpty(t, sound)
	for i := 1; i < len(sound); i++ {
		require.InDelta(t, 1024, sound[i].Ticks-sound[i-1].Ticks, 3)
	}
}

func TestTSTorn(t *testing.T) {
	t.Parallel()
	path := ffmpeg(t, "a.ts", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=0.2", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency")
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	whole, _, err := readBytes(FormatTS, file, videoConfig("H264"))
	require.NoError(t, err)
	require.Len(t, whole, 5)
	for cut := range file {
		units, _, err := readBytes(FormatTS, file[:cut], videoConfig("H264"))
		if err != nil {
			var bad *InputError
			require.ErrorAs(t, err, &bad)
			continue
		}
		for i := range max(len(units)-1, 0) { // the last one is what there is of it
			require.Equal(t, whole[i].data, units[i].data, "cut at %d", cut)
		}
	}
	// A packet lost, and foreign bytes between packets.
	broken := append(append(append([]byte{}, file[:188*6]...), "some foreign bytes"...), file[188*7:]...)
	units, stats, err := readBytes(FormatTS, broken, videoConfig("H264"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(units), 4)
	require.Equal(t, 1, stats.Lost)
	require.Equal(t, DefectCorruptData, stats.Defects[0].Kind)
	require.Equal(t, whole[4].data, units[len(units)-1].data)
}

func FuzzTS(f *testing.F) {
	for _, args := range [][]string{
		{"-f", "lavfi", "-i", "testsrc=size=16x16:rate=5:duration=1", "-c:v", "libx264", "-preset", "ultrafast"},
		{"-f", "lavfi", "-i", "sine=duration=0.1", "-c:a", "aac"},
	} {
		file, err := os.ReadFile(ffmpeg(f, "a.ts", args...))
		require.NoError(f, err)
		f.Add(file[:min(len(file), 188*12)])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzReader(t, FormatTS, data, videoConfig("H264"))
		fuzzReader(t, FormatTS, data, audioConfig("AAC"))
	})
}
