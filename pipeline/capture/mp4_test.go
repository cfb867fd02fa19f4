package capture

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMP4LikeFFmpeg(t *testing.T) {
	t.Parallel()
	both := append([]string{"-f", "lavfi", "-i", "sine=duration=1:sample_rate=48000"}, x264("bframes=2", "-c:a", "aac")...)
	fragmented := []string{"-movflags", "frag_keyframe+empty_moov+default_base_moof"}
	for _, c := range []struct {
		name, codec string
		args        []string
	}{
		{"progressive h264 and aac", "H264", both},
		{"progressive aac", "AAC", both},
		{"faststart", "H264", append(both[:len(both):len(both)], "-movflags", "faststart")},
		{"fragmented h264", "H264", append(both[:len(both):len(both)], fragmented...)},
		{"fragmented aac", "AAC", append(both[:len(both):len(both)], fragmented...)},
		{"fragmented, plain offsets", "AAC", append(both[:len(both):len(both)], "-movflags", "frag_keyframe+empty_moov")},
		{"fragments behind samples", "H264", append(both[:len(both):len(both)], "-movflags", "frag_keyframe")},
		{"vp9", "VP9", append(testPicture[:len(testPicture):len(testPicture)], "-c:v", "libvpx-vp9", "-g", "20", "-deadline", "realtime")},
		{"opus", "OPUS", []string{"-f", "lavfi", "-i", "sine=duration=1", "-c:a", "libopus"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path, cfg, stream := ffmpeg(t, "a.mp4", c.args...), videoConfig(c.codec), "v:0"
			if c.codec == "OPUS" || c.codec == "AAC" {
				cfg, stream = audioConfig(c.codec), "a:0"
			}
			units, r := readFile(t, FormatMP4, path, cfg)
			want := probe(t, path, stream)
			if c.codec == "H264" {
				requireLengths(t, want, units)
			}
			requireProbed(t, want, units, cfg.ClockRate, 100*time.Microsecond)
			require.Empty(t, r.Stats().Defects)
			require.Zero(t, r.Stats().TornBytes)
			require.NotEmpty(t, r.(*MP4Reader).Config())
			require.InDelta(t, want[0].pts, r.(*MP4Reader).Offset().Seconds(), 0.001, "the edit list moves the start")
		})
	}
}

func TestMP4Torn(t *testing.T) {
	t.Parallel()
	path := ffmpeg(t, "a.mp4", x264("bframes=0", "-movflags", "frag_every_frame+empty_moov+default_base_moof", "-frames:v", "4")...)
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	whole, _, err := readBytes(FormatMP4, file, videoConfig("H264"))
	require.NoError(t, err)
	require.Len(t, whole, 4)
	last := 0
	for cut := range file {
		units, stats, err := readBytes(FormatMP4, file[:cut], videoConfig("H264"))
		if err != nil {
			var bad *InputError
			require.ErrorAs(t, err, &bad)
			continue
		}
		require.GreaterOrEqual(t, len(units), last, "more of the file gives no less")
		last = len(units)
		for i, u := range units {
			require.Equal(t, whole[i].data, u.data, "cut at %d", cut)
		}
		require.Less(t, stats.TornBytes, int64(cut))
	}
	require.Equal(t, 4, last, "the index behind the last fragment is not needed")
}

func FuzzMP4(f *testing.F) {
	for _, movflags := range []string{"faststart", "frag_keyframe+empty_moov"} {
		path := ffmpeg(f, "a.mp4", "-f", "lavfi", "-i", "testsrc=size=16x16:rate=5:duration=1", "-c:v", "libx264", "-preset", "ultrafast", "-movflags", movflags)
		file, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzReader(t, FormatMP4, data, videoConfig("H264"))
	})
}
