package stage_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/fixtures"
)

// screenplay is a short script whose start is not on a full second.
func screenplay(start, length time.Duration) fixtures.Script {
	return fixtures.Script{Start: start, Duration: length, Rate: fixtures.Rate{Num: 15, Den: 1}, Width: 192, Height: 108, Channels: 1, Identity: 7}
}

// pair is one peer's camera and microphone, which begins a little later. change sees both.
func pair(video, audio fixtures.SFUFormat, start, length time.Duration, change func(t *fixtures.SFUTrack)) []fixtures.SFUTrack {
	tracks := []fixtures.SFUTrack{
		{ID: "cam", Peer: "ann", Codec: "VP8", Format: video, Script: screenplay(start, length), KeyEvery: 2 * time.Second},
		{ID: "mic", Peer: "ann", Codec: "OPUS", Format: audio, Script: screenplay(start+230*ms, length-230*ms)},
	}
	for i := range tracks {
		if change != nil {
			change(&tracks[i])
		}
	}
	return tracks
}

// inSync wants the same peer's sound and pictures to be as near to each other as to the clock.
func (s *session) inSync() {
	s.Helper()
	cam, pictures := s.measure("cam")
	mic, sound := s.measure("mic")
	shift := time.Duration(mic.Metadata.OffsetMS-cam.Metadata.OffsetMS) * ms
	for i := range sound.Beeps {
		sound.Beeps[i].Start += shift
	}
	offsets := fixtures.AVOffsetsByCode(pictures.Frames, sound.Beeps)
	require.NotEmpty(s, offsets)
	for _, o := range offsets {
		// Codes tell the session's second; a beep is late by what it and its picture are off together.
		require.InDelta(s, 0, o.Offset, float64(nearEnough), "at %v", o.At)
	}
}

// TestSFUFormats makes track assets of every dump format and codec.
func TestSFUFormats(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		video string
		fv    fixtures.SFUFormat
		audio string
		fa    fixtures.SFUFormat
	}{
		{"VP8", fixtures.RTPDump, "OPUS", fixtures.RTPDump},
		{"VP9", fixtures.RTPDump, "PCMU", fixtures.RTPDump},
		{"H264", fixtures.RTPDump, "PCMA", fixtures.RTPDump},
		{"VP8", fixtures.MJR, "OPUS", fixtures.MJR},
		{"VP9", fixtures.MJR, "OPUS", fixtures.MJR},
		{"H264", fixtures.MJR, "PCMU", fixtures.MJR},
		{"VP8", fixtures.MJROld, "OPUS", fixtures.MJROld},
		{"VP8", fixtures.IVF, "OPUS", fixtures.Ogg},
		{"VP9", fixtures.IVF, "OPUS", fixtures.OggSum},
		{"VP8", fixtures.IVFDefault, "OPUS", fixtures.Ogg},
		{"H264", fixtures.AnnexBList, "OPUS", fixtures.Ogg},
		{"H264", fixtures.AnnexB, "OPUS", fixtures.Ogg},
		{"VP8", fixtures.WebMDump, "OPUS", fixtures.WebMDump},
		{"VP9", fixtures.WebMDump, "OPUS", fixtures.MKVDump},
		{"H264", fixtures.MKVDump, "OPUS", fixtures.MKVDump},
		{"H264", fixtures.MP4Dump, "OPUS", fixtures.MP4Dump},
		{"H264", fixtures.TSDump, "OPUS", fixtures.TSDump},
	} {
		t.Run(fmt.Sprintf("%s %s, %s %s", c.video, c.fv, c.audio, c.fa), func(t *testing.T) {
			t.Parallel()
			tracks := pair(c.fv, c.fa, 1370*ms, 4500*ms, nil)
			tracks[0].Codec, tracks[1].Codec = c.video, c.audio
			s := processSFU(t, fixtures.SFUSpec{Tracks: tracks}, nil)
			require.NoError(t, s.err)
			require.Equal(t, 2, s.out.Made)
			switch c.fv {
			case fixtures.AnnexB:
				s.coarse = 80 * ms // a picture's length
			case fixtures.IVFDefault:
				s.coarse = 30 * ms // the writer's step
			}
			a := s.pictures("cam")
			s.coarse = 0
			if c.fv == fixtures.AnnexB {
				require.Contains(t, fmt.Sprint(a.Metadata.Defects), "no-timestamps")
			} else if c.fv != fixtures.IVFDefault {
				require.Empty(t, a.Metadata.Defects)
			}
			s.beeps("mic")
			if c.fv != fixtures.AnnexB {
				s.inSync()
			}
		})
	}
}

// TestSFUNetwork loses, doubles, swaps and delays packets.
func TestSFUNetwork(t *testing.T) {
	t.Parallel()
	wrap := fixtures.SFUClock{FirstRTP: 0xfffff000, FirstSeq: 65500}
	for name, c := range map[string]struct {
		length time.Duration
		change func(t *fixtures.SFUTrack)
	}{
		"loss with PLI": {10 * time.Second, func(t *fixtures.SFUTrack) { t.Net.Loss, t.PLI = 0.03, true }},
		"loss of a burst": {6 * time.Second, func(t *fixtures.SFUTrack) {
			t.Net.Drop = []fixtures.Interval{{From: 3200 * ms, To: 3400 * ms}}
		}},
		"reordering":  {5 * time.Second, func(t *fixtures.SFUTrack) { t.Net.Reorder = 0.1 }},
		"duplicates":  {5 * time.Second, func(t *fixtures.SFUTrack) { t.Net.Duplicate, t.Net.LateDuplicate = 0.1, 0.05 }},
		"padding":     {5 * time.Second, func(t *fixtures.SFUTrack) { t.Net.Padding = 0.5 }},
		"wraps":       {5 * time.Second, func(t *fixtures.SFUTrack) { t.Clock = wrap }},
		"jitter":      {8 * time.Second, func(t *fixtures.SFUTrack) { t.Net.Jitter = 40 * ms }},
		"jam":         {8 * time.Second, func(t *fixtures.SFUTrack) { t.Net.Jams = []fixtures.Interval{{From: 4 * time.Second, To: 4600 * ms}} }},
		"hour off":    {8 * time.Second, func(t *fixtures.SFUTrack) { t.Clock.Offset = time.Hour }},
		"hour behind": {8 * time.Second, func(t *fixtures.SFUTrack) { t.Clock.Offset = -time.Hour }},
		"half second": {8 * time.Second, func(t *fixtures.SFUTrack) { t.Clock.Offset = 500 * ms }},
		"outlier":     {24 * time.Second, func(t *fixtures.SFUTrack) { t.Clock.Outlier = true }},
		"no reports":  {6 * time.Second, func(t *fixtures.SFUTrack) { t.NoReports = true }},
		"everything bad": {12 * time.Second, func(t *fixtures.SFUTrack) {
			t.Clock, t.PLI = wrap, true
			t.Net = fixtures.SFUNet{Loss: 0.02, Reorder: 0.05, Duplicate: 0.05, LateDuplicate: 0.02, Padding: 0.1, Jitter: 30 * ms}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tracks := pair(fixtures.RTPDump, fixtures.RTPDump, 1370*ms, c.length, c.change)
			s := processSFU(t, fixtures.SFUSpec{Tracks: tracks, Seed: 11}, nil)
			require.NoError(t, s.err)
			require.Equal(t, 2, s.out.Made)
			a := s.pictures("cam")
			truth := s.truth.Track("cam")
			require.Equal(t, truth.Lost, s.sync(a).PacketsLost)
			if truth.Lost == 0 {
				require.Empty(t, s.sync(a).Dropped)
				require.Empty(t, a.Metadata.Defects)
			}
			s.beeps("mic")
			s.inSync()
		})
	}
}

// TestSFULossOfCodecs loses packets of every codec: nothing is shown that follows a loss, nothing else is held out.
func TestSFULossOfCodecs(t *testing.T) {
	t.Parallel()
	for _, codec := range []string{"VP8", "VP9", "H264"} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			tracks := pair(fixtures.MJR, fixtures.MJR, 1370*ms, 9*time.Second, func(t *fixtures.SFUTrack) {
				t.Net.Loss, t.PLI = 0.03, true
				t.Script.Width, t.Script.Height = 480, 270 // several packets a picture
			})
			tracks[0].Codec = codec
			s := processSFU(t, fixtures.SFUSpec{Tracks: tracks, Seed: 21}, nil)
			require.NoError(t, s.err)
			a := s.pictures("cam")
			require.Positive(t, s.truth.Track("cam").Lost)
			s.defect(a, "lost-packets")
			s.inSync()
		})
	}
}

// TestSFUOneKind has a peer of whom only the microphone sent reports: both tracks are laid on the clock in the same
// way, whichever that is.
func TestSFUOneKind(t *testing.T) {
	t.Parallel()
	for _, format := range [][2]fixtures.SFUFormat{{fixtures.RTPDump, fixtures.RTPDump}, {fixtures.IVF, fixtures.Ogg}, {fixtures.IVF, fixtures.RTPDump}} {
		for _, offset := range []time.Duration{0, time.Hour} {
			t.Run(fmt.Sprint(format, offset), func(t *testing.T) {
				t.Parallel()
				tracks := pair(format[0], format[1], 1370*ms, 8*time.Second, func(t *fixtures.SFUTrack) { t.Clock.Offset = offset })
				tracks[0].NoReports = true
				s := processSFU(t, fixtures.SFUSpec{Tracks: tracks}, nil)
				require.NoError(t, s.err)
				s.pictures("cam")
				s.beeps("mic")
				s.inSync()
				require.NotEqual(t, "sender-reports", s.sync(s.asset("mic")).Mapping)
			})
		}
	}
}

// TestSFULossyFiles has recorders that write frames and tell of no packets: VP8 itself must show what is broken.
func TestSFULossyFiles(t *testing.T) {
	t.Parallel()
	for _, seed := range []uint64{1, 2, 3} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			tracks := pair(fixtures.IVF, fixtures.Ogg, 1370*ms, 12*time.Second, func(t *fixtures.SFUTrack) { t.Net.Loss, t.PLI = 0.02, true })
			s := processSFU(t, fixtures.SFUSpec{Tracks: tracks, Seed: seed}, nil)
			require.NoError(t, s.err)
			_, r := s.measure("cam")
			// A picture that was lost whole leaves no more than a pause, which senders make too: what follows shows that it
			// was none, but not always with the first picture.
			require.LessOrEqual(t, len(r.Sequence.Torn)+len(r.Sequence.Unreadable), 2)
			require.Positive(t, s.truth.Track("cam").Lost)
			require.Greater(t, len(r.Frames), len(s.truth.Track("cam").Decodable())*2/3)
			s.beeps("mic")
			s.inSync()
		})
	}
}

// TestSFUMutes mutes in both ways; a browser's RTP clock of sound stands still in one of them.
func TestSFUMutes(t *testing.T) {
	t.Parallel()
	mute := fixtures.Interval{From: 5120 * ms, To: 9130 * ms}
	for _, format := range [][2]fixtures.SFUFormat{{fixtures.RTPDump, fixtures.RTPDump}, {fixtures.IVF, fixtures.Ogg}, {fixtures.IVF, fixtures.OggSum}, {fixtures.MJR, fixtures.MJR}} {
		for _, c := range []struct {
			name            string
			stop, noReports bool
			mute            fixtures.Interval
		}{
			{"disabled", false, false, mute},
			{"stopped", true, false, mute},
			{"stopped without reports", true, true, mute},
			{"stopped for long", true, false, fixtures.Interval{From: 5120 * ms, To: 35300 * ms}},
		} {
			if c.noReports && format[0] == fixtures.IVF && format[1] == fixtures.Ogg {
				continue // nothing in such files says where
			}
			t.Run(fmt.Sprint(c.name, " ", format), func(t *testing.T) {
				t.Parallel()
				tracks := pair(format[0], format[1], 1370*ms, c.mute.To+6*time.Second, func(t *fixtures.SFUTrack) {
					t.Mutes, t.NoReports = []fixtures.SFUMute{{Interval: c.mute, Stop: c.stop}}, c.noReports
				})
				s := processSFU(t, fixtures.SFUSpec{Tracks: tracks, Seed: 5}, nil)
				require.NoError(t, s.err)
				a := s.pictures("cam")
				require.Empty(t, a.Metadata.Defects)
				s.beeps("mic", c.mute)
				s.inSync()
			})
		}
	}
}

// TestSFUSilence leaves packets out where nothing is said.
func TestSFUSilence(t *testing.T) {
	t.Parallel()
	for _, format := range []fixtures.SFUFormat{fixtures.RTPDump, fixtures.Ogg, fixtures.MJR} {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			script := screenplay(1370*ms, 12*time.Second)
			script.MarkEvery = 3
			tracks := []fixtures.SFUTrack{{ID: "mic", Peer: "ann", Codec: "OPUS", Format: format, Script: script, DTX: true}}
			s := processSFU(t, fixtures.SFUSpec{Tracks: tracks}, nil)
			require.NoError(t, s.err)
			a, r := s.measure("mic")
			s.clean(a)
			require.Less(t, len(s.truth.Track("mic").Units), 400)
			require.Empty(t, r.Holes)
			require.InDelta(t, 12*time.Second, a.Duration, float64(40*ms))
			require.Len(t, r.Beeps, 4)
			for i, b := range r.Beeps {
				s.near(a, time.Duration(3*i+3)*time.Second, b.Start+time.Duration(a.Metadata.OffsetMS)*ms)
			}
			require.Greater(t, s.sync(a).SilenceMS, int64(4000))
		})
	}
}

// TestSFURejoin has a peer that comes back with new tracks under the same id, and one that shares a screen.
func TestSFURejoin(t *testing.T) {
	t.Parallel()
	tracks := pair(fixtures.RTPDump, fixtures.RTPDump, 1370*ms, 4*time.Second, nil)
	again := pair(fixtures.RTPDump, fixtures.RTPDump, 8210*ms, 4*time.Second, nil)
	again[0].ID, again[1].ID = "cam-2", "mic-2"
	screen := fixtures.SFUTrack{ID: "screen", Peer: "bob", Stream: "bob-screen", Source: "screen", Codec: "VP9", Format: fixtures.RTPDump, Script: screenplay(2520*ms, 5*time.Second)}
	screen.Script.Sizes = []fixtures.SizeChange{{At: 2 * time.Second, Width: 256, Height: 144}}
	s := processSFU(t, fixtures.SFUSpec{Tracks: append(append(tracks, again...), screen), Outputs: outputs("track", "stream")}, nil)
	require.NoError(t, s.err)
	require.Equal(t, 7, s.out.Made, "%v", s.out.Assets)
	for _, id := range []string{"cam", "cam-2"} {
		s.pictures(id)
	}
	for _, id := range []string{"mic", "mic-2"} {
		s.beeps(id)
	}
	s.pictures("screen")
	_, r := s.measure("screen")
	require.Len(t, r.Sizes, 2)
	require.Equal(t, 256, r.Sizes[1].Width)

	a, _ := s.stream("ann-regular", "cam", "mic")
	require.Equal(t, "regular", a.Metadata.StreamType)
	require.InDelta(t, 8210*ms+4*time.Second-1370*ms, a.Duration, float64(80*ms))
	shared := s.asset("bob-screen")
	require.Equal(t, "screen", shared.Metadata.StreamType)
	require.InDelta(t, 5*time.Second, shared.Duration, float64(80*ms))
}

// TestSFURotation has a recorder that begins another file in the middle.
func TestSFURotation(t *testing.T) {
	t.Parallel()
	for _, format := range [][2]fixtures.SFUFormat{{fixtures.RTPDump, fixtures.RTPDump}, {fixtures.IVF, fixtures.Ogg}, {fixtures.MJR, fixtures.MJR}} {
		t.Run(fmt.Sprint(format), func(t *testing.T) {
			t.Parallel()
			tracks := pair(format[0], format[1], 1370*ms, 10*time.Second, func(t *fixtures.SFUTrack) {
				t.Rotate = []time.Duration{6500 * ms}
			})
			s := processSFU(t, fixtures.SFUSpec{Tracks: tracks}, nil)
			require.NoError(t, s.err)
			s.pictures("cam")
			s.beeps("mic")
			s.inSync()
		})
	}
}

// TestSFUSizes changes the picture's size inside a file.
func TestSFUSizes(t *testing.T) {
	t.Parallel()
	for _, codec := range []string{"VP8", "VP9", "H264"} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			tracks := pair(fixtures.RTPDump, fixtures.RTPDump, 1370*ms, 5*time.Second, func(t *fixtures.SFUTrack) {
				t.Script.Sizes = []fixtures.SizeChange{{At: 1500 * ms, Width: 320, Height: 180}}
			})
			tracks[0].Codec = codec
			s := processSFU(t, fixtures.SFUSpec{Tracks: tracks}, nil)
			require.NoError(t, s.err)
			a := s.pictures("cam")
			require.Equal(t, 320, a.Metadata.Resolution.Width)
			s.inSync()
		})
	}
}

// TestSFUMP4 encodes tracks on request, and makes streams with a late start.
func TestSFUMP4(t *testing.T) {
	t.Parallel()
	for _, codec := range []string{"VP8", "H264"} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			out := outputs("track", "stream")
			out["track_format"] = "mp4"
			tracks := pair(fixtures.RTPDump, fixtures.RTPDump, 1370*ms, 8*time.Second, func(t *fixtures.SFUTrack) {
				t.Net.Loss, t.PLI = 0.02, true
				t.Mutes = []fixtures.SFUMute{{Interval: fixtures.Interval{From: 4100 * ms, To: 6200 * ms}, Stop: true}}
			})
			tracks[0].Codec = codec
			tracks[1].Script = screenplay(2730*ms, 6640*ms) // late
			s := processSFU(t, fixtures.SFUSpec{Tracks: tracks, Seed: 2, Outputs: out}, nil)
			require.NoError(t, s.err)
			require.Equal(t, 3, s.out.Made)
			a, r := s.stream("ann-regular", "cam", "mic")
			require.InDelta(t, 0, r.Video.First, float64(ms))
			require.InDelta(t, 1360*ms, r.Sound.First-r.Video.First, float64(60*ms))
			require.InDelta(t, 8*time.Second, a.Duration, float64(90*ms))
			for _, id := range []string{"cam", "mic"} {
				a, r := s.measure(id)
				s.clean(a)
				require.Contains(t, a.Path, ".mp4")
				require.Empty(t, r.Holes)
				require.InDelta(t, s.truth.Track(id).Begin, time.Duration(a.Metadata.OffsetMS)*ms, float64(nearEnough))
			}
			s.inSync()
		})
	}
}
