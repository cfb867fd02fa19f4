package stage_test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/fixtures"
	"rushes/pipeline/capture"
	"rushes/pipeline/stage"
)

func soak() bool { return os.Getenv("RUSHES_SOAK") == "1" }

// TestCompositeSync holds everybody's pictures and sound against the session's clock, with clocks that run fast and
// slow, mutes, losses and somebody who comes back: a picture is the last one that was seen at its frame's time, a beep
// is on its second. RUSHES_SOAK=1 makes it an hour.
func TestCompositeSync(t *testing.T) {
	t.Parallel()
	length := 2 * time.Minute
	if soak() {
		length = time.Hour
	}
	var tracks []fixtures.SFUTrack
	talk := func(i, every int, id string, start, length time.Duration, ppm float64) {
		for k, x := range person(i, start, length) {
			x.ID = id + []string{"-cam", "-mic"}[k]
			x.Script.Silent, x.Script.Tone, x.Script.MarkEvery = false, false, every
			x.Script.Rate = fixtures.Rate{Num: 5, Den: 1}
			x.KeyEvery, x.PLI = 20*time.Second, true
			x.Clock.PPM, x.Net = ppm, fixtures.SFUNet{Loss: 0.005, Reorder: 0.01}
			x.Mutes = []fixtures.SFUMute{{Interval: fixtures.Interval{From: start + length/2, To: start + length/2 + 9*time.Second}, Stop: true}}
			tracks = append(tracks, x)
		}
	}
	talk(1, 2, "fast", 370*ms, length-370*ms, 200)
	talk(2, 5, "slow", 900*ms, length/2, -200)
	talk(2, 5, "back", length/2+7*time.Second, length/2-8*time.Second, -150)
	c := newCall(t, fixtures.SFUSpec{Tracks: tracks, Duration: length, Seed: 21}, nil)
	f := c.compose(t, func(m *capture.Manifest, cfg *stage.Config) {
		o := small(m)
		o.Width, o.Height = 320, 180
		cfg.Chunk = 30 * time.Second
	})
	f.everyFrame(nil)
	n := f.onSeconds(nil)
	require.GreaterOrEqual(t, n, int(length/time.Second)/4)
	worst := time.Duration(0)
	for _, b := range f.report.Beeps {
		if !b.Clipped {
			worst = max(worst, (b.Start - b.Start.Round(time.Second)).Abs())
		}
	}
	t.Logf("%d beeps, the worst %v off; %d frames", n, worst, len(f.report.Shown))
}

// TestCompositeMemory wants a long composite to need no more memory than a short one, in a process of its own.
func TestCompositeMemory(t *testing.T) {
	if !soak() {
		t.Skip("takes minutes: RUSHES_SOAK=1 runs it")
	}
	peak := func(length time.Duration) int64 {
		var tracks []fixtures.SFUTrack
		for i := range 3 {
			for _, x := range person(i, 0, length) {
				x.Script.Rate, x.Script.Width, x.Script.Height, x.KeyEvery = fixtures.Rate{Num: 2, Den: 1}, 64, 48, time.Minute
				tracks = append(tracks, x)
			}
		}
		c := newCall(t, fixtures.SFUSpec{Tracks: tracks}, nil)
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestCompositeTiny$", "-test.v", "-test.timeout", "0")
		cmd.Env = append(os.Environ(), compositeTiny+"="+c.folder)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		m := regexp.MustCompile(`peak (\d+)`).FindSubmatch(out)
		require.NotNil(t, m, "%s", out)
		kb, err := strconv.ParseInt(string(m[1]), 10, 64)
		require.NoError(t, err)
		return kb
	}
	short, long := peak(3*time.Minute), peak(3*time.Hour)
	t.Logf("3 min: %d MB, 3 h: %d MB", short>>10, long>>10)
	require.LessOrEqual(t, float64(long), 1.2*float64(short))
}

const compositeTiny = "RUSHES_TEST_COMPOSITE_TINY" // folder of a capture

// TestCompositeTiny is the process that TestCompositeMemory measures; by itself it does nothing.
func TestCompositeTiny(t *testing.T) {
	folder, ok := os.LookupEnv(compositeTiny)
	if !ok {
		t.Skip("runs inside TestCompositeMemory only")
	}
	c := &call{T: t, folder: folder}
	_, err := c.try(t, func(m *capture.Manifest, _ *stage.Config) {
		o := small(m)
		o.Width, o.Height = 256, 144
	})
	require.NoError(t, err)
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	fmt.Printf("peak %s\n", regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)[1])
}

// TestCompositeOneKey has cameras with a single key frame and small chunks.
func TestCompositeOneKey(t *testing.T) {
	t.Parallel()
	tracks := append(person(0, 0, 20*time.Second), person(1, 0, 20*time.Second)...)
	for i := range tracks {
		tracks[i].KeyEvery = 0
	}
	c := newCall(t, fixtures.SFUSpec{Tracks: tracks}, nil)
	f := c.compose(t, func(_ *capture.Manifest, cfg *stage.Config) {
		cfg.Chunk, cfg.Video.KeyInterval = 2*time.Second, time.Second
	})
	f.everyFrame(nil)
}
