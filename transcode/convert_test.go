package transcode_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/fixtures"
)

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// kinds are the recorders that Rushes is held against.
func kinds() map[string]fixtures.RecordSpec {
	return map[string]fixtures.RecordSpec{
		"webm vp8 opus": fixtures.WebMVP8(), "webm vp9 opus": fixtures.WebMVP9(),
		"mkv h264 aac": fixtures.Matroska("aac"), "mkv h264 opus": fixtures.Matroska("libopus"),
		"mp4 h264 aac": fixtures.FragmentedMP4(), "flv h264 aac": fixtures.FLV(), "ts h264 aac": fixtures.MPEGTS(),
		"mkv h264 pcm": fixtures.Matroska("pcm_s16le"), "mkv h264 vorbis": fixtures.Matroska("vorbis"), "mkv h264 flac": fixtures.Matroska("flac"),
		"mkv b-frames": fixtures.Matroska("aac").BFrames(2), "mp4 b-frames": fixtures.FragmentedMP4().BFrames(2), "ts b-frames": fixtures.MPEGTS().BFrames(2),
	}
}

// copied tells what of a kind is H.264 and AAC.
func copied(kind string) (video, audio bool) {
	return !strings.Contains(kind, "vp"), strings.Contains(kind, "aac") || strings.Contains(kind, "b-frames")
}

// stories are what happens in a recording; every kind of recorder tells each of them.
func stories() map[string]func(*fixtures.Script) {
	return map[string]func(*fixtures.Script){
		"plain":      func(*fixtures.Script) {},
		"sound late": func(s *fixtures.Script) { s.AudioGaps = []fixtures.Interval{{From: 0, To: ms(730)}} },
		"picture late": func(s *fixtures.Script) {
			s.VideoGaps = []fixtures.Interval{{From: 0, To: ms(620)}}
		},
		"uneven": func(s *fixtures.Script) {
			s.FrameTime = func(n int) int64 { return int64(n)*3600 + int64(n*n%7)*450 }
		},
		"no sound for a while": func(s *fixtures.Script) { s.AudioGaps = []fixtures.Interval{{From: ms(1250), To: ms(2410)}} },
		"nothing for a while": func(s *fixtures.Script) {
			s.AudioGaps = []fixtures.Interval{{From: ms(1250), To: ms(2410)}}
			s.VideoGaps = s.AudioGaps
		},
	}
}

// TestConvertStories converts every story of every recorder and compares what is seen and heard, and when, with
// the source.
func TestConvertStories(t *testing.T) {
	t.Parallel()
	for kind, spec := range kinds() {
		for story, tell := range stories() {
			t.Run(kind+"/"+story, func(t *testing.T) {
				t.Parallel()
				s := small(3.5)
				tell(&s)
				path := record(t, s, spec)
				src := measure(t, path)
				out, res, r := converted(t, recording(t, path))
				same(t, src, r, expect{})
				video, audio := copied(kind)
				require.Equal(t, video, res.VideoCopied)
				require.Equal(t, audio, res.AudioCopied)
				if video && audio && (story == "plain" || story == "uneven") {
					ref := path
					if spec.Format == "mpegts" {
						ref = filepath.Join(t.TempDir(), "ref.mp4")
						commandLine(t, "-i", path, "-c", "copy", ref)
					}
					require.Equal(t, streamHash(t, ref), streamHash(t, out))
				}
			})
		}
	}
}
