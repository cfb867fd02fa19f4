package transcode_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/transcode"
	"rushes/transcode/mp4"
)

// transportStream lets ffmpeg encode a segment.
func transportStream(t testing.TB, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	args = append([]string{"-v", "error"}, append(args, "-threads", "1", "-f", "mpegts", "-")...)
	out, err := exec.CommandContext(t.Context(), "ffmpeg", args...).Output()
	require.NoError(t, err)
	return out
}

func segmentArgs(more ...string) []string {
	return append([]string{"-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=1", "-f", "lavfi", "-i", "sine=sample_rate=44100:duration=1",
		"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-b_strategy", "0", "-pix_fmt", "yuv420p", "-c:a", "aac"}, more...)
}

// TestDemuxPayload holds the bytes of all units against what ffmpeg makes of the same streams.
func TestDemuxPayload(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"plain":               segmentArgs(),
		"slices":              segmentArgs("-x264-params", "slices=4"),
		"fields":              segmentArgs("-flags", "+ilme+ildct", "-x264-params", "interlaced=1"),
		"large pictures":      segmentArgs("-vf", "scale=960:540,noise=alls=100:allf=t", "-qp", "18"),
		"without delimiters":  segmentArgs("-bsf:v", "filter_units=remove_types=9"),
		"one frame to a PES":  segmentArgs("-muxdelay", "0", "-pes_payload_size", "1"),
		"many frames to PES":  segmentArgs("-pes_payload_size", "6000"),
		"PES of known length": segmentArgs("-omit_video_pes_length", "0"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := transportStream(t, args...)
			tracks, units := demux(t, name, data)
			require.Len(t, tracks, 2)
			require.NotNil(t, tracks[0].Video)
			pictures, frames := 0, 0
			var nals, raw []byte
			for _, u := range units {
				require.False(t, u.Torn)
				if u.Track == 1 {
					frames++
					raw = append(raw, u.data...)
					continue
				}
				pictures++
				for p := u.data; len(p) > 0; {
					n := int(p[0])<<24 | int(p[1])<<16 | int(p[2])<<8 | int(p[3])
					nals = append(append(nals, 0, 0, 1), p[4:4+n]...)
					p = p[4+n:]
				}
			}
			require.Equal(t, 25, pictures)
			wantFrames := bytes.Buffer{}
			adts := remux(t, data, "0:a", "adts")
			for p, n := adts, 0; len(p) > 7; p = p[n:] {
				n = int(p[3]&3)<<11 | int(p[4])<<3 | int(p[5])>>5
				wantFrames.Write(p[7:n])
				frames--
			}
			require.Zero(t, frames)
			require.True(t, bytes.Equal(wantFrames.Bytes(), raw), "frames of sound")
			require.Equal(t, slicesOf(remux(t, data, "0:v", "h264")), slicesOf(nals), "NAL units")
		})
	}
}

// remux copies a stream of a segment into another form.
func remux(t *testing.T, data []byte, stream, format string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "segment.ts")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-probesize", "100M", "-i", file, "-map", stream, "-c", "copy", "-f", format, "-").Output()
	require.NoError(t, err)
	return out
}

// slicesOf lists the slices and messages of a stream in Annex B form.
func slicesOf(p []byte) (out []string) {
	for i, u := range bytes.Split(p, []byte{0, 0, 1}) {
		u = bytes.TrimRight(u, "\x00")
		if i == 0 || len(u) == 0 || u[0]&31 >= 7 {
			continue
		}
		out = append(out, fmt.Sprintf("%d %d %x", u[0]&31, len(u), u[max(len(u)-8, 0):]))
	}
	return out
}

// TestDemuxTorn cuts a segment at many places: what is given as whole is whole, and nothing that is whole is lost.
func TestDemuxTorn(t *testing.T) {
	t.Parallel()
	data := transportStream(t, segmentArgs()...)
	_, whole := demux(t, "whole", data)
	byTrack := map[int][]demuxed{}
	for _, u := range whole {
		byTrack[u.Track] = append(byTrack[u.Track], u)
	}
	for cut := len(data) - 188; cut > 20_000; cut -= 9_499 {
		for _, size := range []int{cut, cut / 188 * 188} {
			_, units, err := tryDemux(t.Context(), "torn", data[:size])
			require.NoError(t, err)
			seen := map[int]int{}
			for _, u := range units {
				n := seen[u.Track]
				seen[u.Track]++
				want := byTrack[u.Track][n]
				require.Equal(t, want.PTS, u.PTS)
				if !u.Torn {
					require.True(t, bytes.Equal(want.data, u.data), "cut at %d: unit %d of track %d", size, n, u.Track)
				} else {
					require.False(t, bytes.Equal(want.data, u.data), "cut at %d: unit %d of track %d is whole", size, n, u.Track)
				}
			}
		}
	}
}

// TestDemuxWrap lets timestamps wrap in the middle of a segment.
func TestDemuxWrap(t *testing.T) {
	t.Parallel()
	plain := transportStream(t, segmentArgs("-output_ts_offset", "10")...)
	_, want := demux(t, "plain", plain)
	_, got := demux(t, "wrapped", transportStream(t, segmentArgs("-output_ts_offset", fmt.Sprint(float64(1<<33)/90000-1.9))...))
	require.Len(t, got, len(want))
	for i := range want {
		require.InDelta(t, want[i].PTS-want[0].PTS, got[i].PTS-got[0].PTS, 1)
		require.InDelta(t, want[i].DTS-want[0].DTS, got[i].DTS-got[0].DTS, 1)
	}
}

// TestDemuxStreams shows which tracks a segment has.
func TestDemuxStreams(t *testing.T) {
	t.Parallel()
	video := []string{"-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25:duration=1"}
	sound := []string{"-f", "lavfi", "-i", "sine=sample_rate=48000:duration=1", "-ac", "2"}
	for name, tc := range map[string]struct {
		args  []string
		check func(t *testing.T, tracks []mp4.Track, units []demuxed)
	}{
		"pictures only": {append(video, "-c:v", "libx264", "-preset", "ultrafast"), func(t *testing.T, tracks []mp4.Track, units []demuxed) {
			require.Len(t, tracks, 1)
			require.Equal(t, "avc1", tracks[0].Video.Codec)
			require.Len(t, units, 25)
			require.True(t, units[0].Sync)
		}},
		"sound only": {append(sound, "-c:a", "aac"), func(t *testing.T, tracks []mp4.Track, units []demuxed) {
			require.Len(t, tracks, 1)
			require.Equal(t, 2, tracks[0].Audio.Channels)
			require.Equal(t, []byte{0x11, 0x90}, tracks[0].Audio.Config)
			require.Greater(t, len(units), 45)
		}},
		"MP3": {append(sound, "-c:a", "libmp3lame"), func(t *testing.T, tracks []mp4.Track, units []demuxed) {
			require.Len(t, tracks, 1)
			require.NotEqual(t, "mp4a", tracks[0].Audio.Codec)
			require.Empty(t, units)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tracks, units := demux(t, name, transportStream(t, tc.args...))
			tc.check(t, tracks, units)
		})
	}
}

// TestDemuxNonsense refuses what is no segment.
func TestDemuxNonsense(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"nothing": nil, "words": bytes.Repeat([]byte("These are words. "), 1000), "sync bytes": bytes.Repeat([]byte("G"), 18800),
		"empty packets": bytes.Repeat(append([]byte{0x47, 0x1f, 0xff, 0x10}, make([]byte, 184)...), 100),
	} {
		_, _, err := tryDemux(t.Context(), name, data)
		var bad *transcode.InputError
		require.ErrorAs(t, err, &bad, name)
	}
}

// FuzzDemux wants no panic, no endless reading, and samples that hold together, of any bytes.
func FuzzDemux(f *testing.F) {
	data := transportStream(f, "-f", "lavfi", "-i", "testsrc2=size=32x32:rate=5:duration=1", "-c:v", "libx264", "-preset", "ultrafast")
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Add([]byte("G"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tracks, units, err := tryDemux(t.Context(), "fuzz", data)
		if err != nil {
			return
		}
		for _, u := range units {
			require.Less(t, u.Track, len(tracks))
			if tracks[u.Track].Video == nil {
				continue
			}
			for p := u.data; len(p) > 0; {
				require.GreaterOrEqual(t, len(p), 4)
				n := int(p[0])<<24 | int(p[1])<<16 | int(p[2])<<8 | int(p[3])
				require.LessOrEqual(t, n, len(p)-4)
				p = p[4+n:]
			}
		}
	})
}
