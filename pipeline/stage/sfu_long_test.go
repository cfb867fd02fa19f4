package stage_test

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/fixtures"
)

// TestSFULong holds clocks that run 200 ppm fast and slow, with a mute of 30 s and 3 % loss, against every beep.
// RUSHES_SOAK=1 makes it an hour.
func TestSFULong(t *testing.T) {
	t.Parallel()
	length := 200 * time.Second
	if os.Getenv("RUSHES_SOAK") == "1" {
		length = time.Hour
	}
	var tracks []fixtures.SFUTrack
	for i, ppm := range []float64{200, -200} {
		for _, codec := range []string{"VP8", "OPUS"} {
			script := screenplay(time.Duration(1370+i*700)*ms, length)
			script.Rate, script.Width, script.Height = fixtures.Rate{Num: 5, Den: 1}, 128, 72
			script.Identity = i
			peer := []string{"fast", "slow"}[i]
			t := fixtures.SFUTrack{ID: peer + "-cam", Peer: peer, Codec: codec, Format: fixtures.RTPDump, Script: script, KeyEvery: time.Minute, PLI: true,
				Clock: fixtures.SFUClock{PPM: ppm}, Net: fixtures.SFUNet{Loss: 0.03, Reorder: 0.01}}
			mute := fixtures.Interval{From: length / 2, To: length/2 + 30*time.Second}
			t.Mutes = []fixtures.SFUMute{{Interval: mute, Stop: true}}
			if codec == "OPUS" {
				t.ID = peer + "-mic"
			}
			tracks = append(tracks, t)
		}
	}
	mute := tracks[0].Mutes[0].Interval
	s := processSFU(t, fixtures.SFUSpec{Tracks: tracks, Seed: 8}, nil)
	require.NoError(t, s.err)
	require.Equal(t, 4, s.out.Made)
	for i, peer := range []string{"fast", "slow"} {
		cam := s.pictures(peer + "-cam")
		mic := s.beeps(peer+"-mic", mute)
		for _, a := range []string{"-cam", "-mic"} {
			drift := s.sync(s.asset(peer + a)).DriftPPM
			require.InDelta(t, []float64{-200, 200}[i], drift, 12, peer+a)
			t.Logf("%s%s: drift %.1f ppm, residual %.2f ms, lost %d", peer, a, drift, s.sync(s.asset(peer+a)).ResidualMS, s.sync(s.asset(peer+a)).PacketsLost)
		}
		_, pictures := s.measure(peer + "-cam")
		_, sound := s.measure(peer + "-mic")
		for k := range sound.Beeps {
			sound.Beeps[k].Start += time.Duration(mic.Metadata.OffsetMS-cam.Metadata.OffsetMS) * ms
		}
		worst, sum := time.Duration(0), time.Duration(0)
		offsets := fixtures.AVOffsetsByCode(pictures.Frames, sound.Beeps)
		var all []time.Duration
		for _, o := range offsets {
			worst, sum = max(worst, o.Offset.Abs()), sum+o.Offset
			all = append(all, o.Offset)
		}
		require.NotEmpty(t, all)
		slices.Sort(all)
		require.LessOrEqual(t, worst, nearEnough)
		truth := s.truth.Track(peer + "-mic")
		t.Logf("%s: %d beeps, A/V offset %v to %v, mean %v; sound %v of %v, pictures %v, %d of %d packets of sound lost", peer, len(all), all[0], all[len(all)-1],
			sum/time.Duration(len(all)), mic.Duration, truth.End-truth.Begin, cam.Duration, truth.Lost, truth.Packets)
	}
}
