package stage_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/fixtures"
	"rushes/pipeline"
)

// failed wants a failed asset with a reason.
func (s *session) failed(id, reason string) {
	s.Helper()
	a := s.asset(id)
	require.Equal(s, catalog.AssetFailed, a.Status)
	require.NotNil(s, a.Error)
	require.Equal(s, "INPUT_ERROR", a.Error.Kind)
	require.Contains(s, a.Error.Message, reason)
	require.Empty(s, a.Path)
}

func (s *session) defect(a catalog.Asset, kind string) {
	s.Helper()
	for _, d := range a.Metadata.Defects {
		if d.Kind == kind {
			return
		}
	}
	require.Fail(s, "defect is not listed", "%s among %v", kind, a.Metadata.Defects)
}

// edit changes text in a file of a capture.
func edit(t *testing.T, dir, file, from, to string) {
	t.Helper()
	path := filepath.Join(dir, file)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(b), from)
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(b), from, to)), 0o644))
}

// TestSFUUnplayable has a camera of which nothing can be shown: it fails with the reason, the microphone is made.
func TestSFUUnplayable(t *testing.T) {
	t.Parallel()
	start := fixtures.Interval{From: 0, To: 2 * time.Second}
	for name, c := range map[string]struct {
		change func(t *fixtures.SFUTrack)
		spoil  func(t *testing.T, dir string)
		reason string
	}{
		"missing": {spoil: func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "tracks/cam.rtpdump")))
		}, reason: "cam.rtpdump"},
		"empty": {spoil: func(t *testing.T, dir string) {
			require.NoError(t, os.Truncate(filepath.Join(dir, "tracks/cam.rtpdump"), 0))
		}, reason: "empty"},
		"words": {spoil: func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "tracks/cam.rtpdump"), []byte("These are words.\n"), 0o644))
		}, reason: "rtpdump"},
		"zeros": {spoil: func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "tracks/cam.rtpdump"), make([]byte, 5000), 0o644))
		}, reason: "rtpdump"},
		"ends before its first key frame": {change: func(t *fixtures.SFUTrack) {
			if t.Codec == "VP8" {
				t.KeyEvery, t.Net.Drop = 0, []fixtures.Interval{start}
			}
		}, reason: "no key frame"},
		"header only": {spoil: func(t *testing.T, dir string) {
			require.NoError(t, os.Truncate(filepath.Join(dir, "tracks/cam.rtpdump"), 60))
		}, reason: "cam.rtpdump"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spoil := func(dir string) {
				if c.spoil != nil {
					c.spoil(t, dir)
				}
			}
			tracks := pair(fixtures.RTPDump, fixtures.RTPDump, 1370*ms, 4*time.Second, c.change)
			s := processSFU(t, fixtures.SFUSpec{Tracks: tracks, Outputs: outputs("track", "stream")}, spoil)
			require.NoError(t, s.err)
			require.Equal(t, 2, s.out.Made)
			require.Equal(t, 1, s.out.Failed)
			require.Equal(t, catalog.JobCompleted, s.out.Job.State)
			s.failed("cam", c.reason)
			s.beeps("mic")
			a, r := s.measure("ann-regular")
			s.clean(a)
			require.Zero(t, r.Video.Count)
			require.NotEmpty(t, r.Beeps)
		})
	}
	t.Run("everything", func(t *testing.T) {
		t.Parallel()
		tracks := pair(fixtures.IVF, fixtures.Ogg, 1370*ms, 2*time.Second, nil)
		s := processSFU(t, fixtures.SFUSpec{Tracks: tracks}, func(dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "tracks/cam.ivf")))
			require.NoError(t, os.Truncate(filepath.Join(dir, "tracks/mic.ogg"), 0))
		})
		require.Equal(t, pipeline.KindBadInput, pipeline.KindOf(s.err))
		require.Equal(t, 2, s.out.Failed)
		require.Zero(t, s.out.Made)
		require.Equal(t, catalog.JobFailed, s.out.Job.State)
	})
}

// TestSFUTorn cuts files in the middle of what they hold.
func TestSFUTorn(t *testing.T) {
	t.Parallel()
	for _, format := range [][2]fixtures.SFUFormat{{fixtures.RTPDump, fixtures.RTPDump}, {fixtures.MJR, fixtures.MJR}, {fixtures.IVF, fixtures.Ogg}, {fixtures.WebMDump, fixtures.MKVDump}} {
		t.Run(fmt.Sprint(format), func(t *testing.T) {
			t.Parallel()
			tracks := pair(format[0], format[1], 1370*ms, 5*time.Second, nil)
			s := processSFU(t, fixtures.SFUSpec{Tracks: tracks}, func(dir string) {
				for i, id := range []string{"cam", "mic"} {
					require.NoError(t, fixtures.Truncate(filepath.Join(dir, "tracks", id+"."+string(format[i])), -1003))
				}
			})
			require.NoError(t, s.err)
			require.Equal(t, 2, s.out.Made)
			for _, id := range []string{"cam", "mic"} {
				a, r := s.measure(id)
				s.clean(a)
				s.defect(a, "truncated")
				require.Empty(t, r.Sequence.Torn)
				require.Empty(t, r.Sequence.Unreadable)
				require.Empty(t, r.Holes)
				require.Greater(t, a.Duration, 3*time.Second)
				require.Less(t, a.Duration, 5*time.Second)
			}
			s.inSync()
		})
	}
}

// TestSFULies has manifests that call things by wrong names: what is in the files is made, the lie is written down.
func TestSFULies(t *testing.T) {
	t.Parallel()
	t.Run("format", func(t *testing.T) {
		t.Parallel()
		tracks := pair(fixtures.RTPDump, fixtures.Ogg, 1370*ms, 4*time.Second, nil)
		s := processSFU(t, fixtures.SFUSpec{Tracks: tracks}, func(dir string) {
			edit(t, dir, "capture.json", `"format": "rtpdump"`, `"format": "webm"`)
			edit(t, dir, "capture.json", `"format": "ogg"`, `"format": "ivf"`)
		})
		require.NoError(t, s.err)
		s.defect(s.pictures("cam"), "wrong-format")
		s.defect(s.beeps("mic"), "wrong-format")
	})
	t.Run("audio labelled video", func(t *testing.T) {
		t.Parallel()
		for _, format := range []fixtures.SFUFormat{fixtures.RTPDump, fixtures.Ogg, fixtures.MJR} {
			tracks := pair(fixtures.IVF, format, 1370*ms, 4*time.Second, nil)
			s := processSFU(t, fixtures.SFUSpec{Tracks: tracks}, func(dir string) {
				edit(t, dir, "capture.json", `"kind": "audio"`, `"kind": "video"`)
			})
			require.NoError(t, s.err)
			s.pictures("cam")
			a := s.beeps("mic")
			s.defect(a, "wrong-kind")
			require.Equal(t, "audio", a.Metadata.TrackType)
		}
	})
	t.Run("audio called VP8", func(t *testing.T) {
		t.Parallel()
		for _, format := range []fixtures.SFUFormat{fixtures.RTPDump, fixtures.Ogg, fixtures.MJR, fixtures.WebMDump} {
			tracks := pair(fixtures.IVF, format, 1370*ms, 4*time.Second, nil)
			s := processSFU(t, fixtures.SFUSpec{Tracks: tracks}, func(dir string) {
				edit(t, dir, "capture.json", `"kind": "audio"`, `"kind": "video"`)
				edit(t, dir, "capture.json", `"codec": "OPUS"`, `"codec": "VP8"`)
				edit(t, dir, "capture.json", `"clock_rate": 48000`, `"clock_rate": 90000`)
			})
			require.NoError(t, s.err)
			s.pictures("cam")
			if format == fixtures.RTPDump { // packets do not say what they are
				s.failed("mic", "")
				continue
			}
			s.defect(s.beeps("mic"), "wrong-kind")
		}
	})
	t.Run("VP9 called VP8", func(t *testing.T) {
		t.Parallel()
		for _, format := range []fixtures.SFUFormat{fixtures.IVF, fixtures.MJR, fixtures.WebMDump} {
			tracks := pair(format, fixtures.Ogg, 1370*ms, 4*time.Second, nil)
			tracks[0].Codec = "VP9"
			s := processSFU(t, fixtures.SFUSpec{Tracks: tracks}, func(dir string) {
				edit(t, dir, "capture.json", `"codec": "VP9"`, `"codec": "VP8"`)
			})
			require.NoError(t, s.err)
			s.defect(s.pictures("cam"), "wrong-codec")
		}
	})
	t.Run("two of three files", func(t *testing.T) {
		t.Parallel()
		tracks := pair(fixtures.RTPDump, fixtures.Ogg, 1370*ms, 9*time.Second, func(t *fixtures.SFUTrack) {
			t.Rotate = []time.Duration{4 * time.Second, 7 * time.Second}
		})
		s := processSFU(t, fixtures.SFUSpec{Tracks: tracks}, func(dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "tracks/mic.1.ogg")))
			require.NoError(t, os.Truncate(filepath.Join(dir, "tracks/cam.1.rtpdump"), 0))
		})
		require.NoError(t, s.err)
		require.Equal(t, 2, s.out.Made)
		s.inSync()
		a, r := s.measure("mic")
		s.defect(a, "missing-file")
		require.InDelta(t, 8770*ms, a.Duration, float64(30*ms))
		require.Empty(t, r.Holes)
		a, _ = s.measure("cam")
		s.defect(a, "empty-file")
		require.InDelta(t, 9*time.Second, a.Duration, float64(70*ms))
	})
}

// TestSFUSourceChange has a sender that goes on with another SSRC and new clocks.
func TestSFUSourceChange(t *testing.T) {
	t.Parallel()
	tracks := pair(fixtures.RTPDump, fixtures.RTPDump, 1370*ms, 9*time.Second, func(t *fixtures.SFUTrack) {
		t.Clock.NewSource = 5370 * ms
	})
	s := processSFU(t, fixtures.SFUSpec{Tracks: tracks}, nil)
	require.NoError(t, s.err)
	s.pictures("cam")
	s.beeps("mic")
	s.inSync()
}

// TestSFULatePackets has packets that come long after what follows them.
func TestSFULatePackets(t *testing.T) {
	t.Parallel()
	tracks := pair(fixtures.RTPDump, fixtures.RTPDump, 1370*ms, 6*time.Second, func(t *fixtures.SFUTrack) {
		t.Net.Duplicate, t.Net.LateDuplicate = 0, 0.3
	})
	s := processSFU(t, fixtures.SFUSpec{Tracks: tracks}, nil)
	require.NoError(t, s.err)
	a := s.pictures("cam")
	require.Positive(t, s.sync(a).Duplicates)
	s.beeps("mic")
}

// TestSFUDied has a recorder that was killed, at clocks that wrap, in every format whose container lost them.
func TestSFUDied(t *testing.T) {
	t.Parallel()
	for _, format := range [][2]fixtures.SFUFormat{{fixtures.IVF, fixtures.Ogg}, {fixtures.AnnexBList, fixtures.OggSum}, {fixtures.RTPDump, fixtures.RTPDump}, {fixtures.MJR, fixtures.MJR}, {fixtures.WebMDump, fixtures.WebMDump}} {
		t.Run(fmt.Sprint(format), func(t *testing.T) {
			t.Parallel()
			mute := fixtures.Interval{From: 6120 * ms, To: 9130 * ms}
			tracks := pair(format[0], format[1], 1370*ms, 14*time.Second, func(t *fixtures.SFUTrack) {
				t.Clock.FirstRTP, t.Clock.FirstSeq, t.Clock.Offset = 0xffff8000, 65530, 3*time.Second
				t.Mutes = []fixtures.SFUMute{{Interval: mute, Stop: true}}
				t.Rotate = []time.Duration{11 * time.Second}
			})
			if format[0] == fixtures.AnnexBList {
				tracks[0].Codec = "H264"
			}
			s := processSFU(t, fixtures.SFUSpec{Tracks: tracks, Died: true}, nil)
			require.NoError(t, s.err)
			s.pictures("cam")
			s.beeps("mic", mute)
			s.inSync()
		})
	}
}
