package capture

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// realCapture is a path inside the shared sample captures; the test is skipped without them.
func realCapture(t testing.TB, elem ...string) string {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "shared", "captures")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the sample captures are not here")
	}
	return filepath.Join(append([]string{dir}, elem...)...)
}

// heldUnit is a unit that outlives the next call of its reader.
func heldUnit(u *Unit) Unit {
	c := *u
	c.Data = append([]byte(nil), u.Data...)
	return c
}

// drainUnits reads to the end.
func drainUnits(t testing.TB, r UnitReader) []Unit {
	t.Helper()
	var all []Unit
	for {
		u, err := r.Next()
		if errors.Is(err, io.EOF) {
			_, err = r.Next()
			require.ErrorIs(t, err, io.EOF, "the end stays the end")
			require.NoError(t, r.Close())
			return all
		}
		require.NoError(t, err)
		all = append(all, heldUnit(u))
	}
}

func readReal(t testing.TB, path string, cfg ReaderConfig) ([]Unit, ReadStats) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	open := newRTPDumpReader
	if filepath.Ext(path) == ".mjr" {
		open = newMJRReader
	}
	info, err := f.Stat()
	require.NoError(t, err)
	cfg.Name, cfg.Size = filepath.Base(path), info.Size()
	r, err := open(f, cfg)
	require.NoError(t, err)
	units := drainUnits(t, r)
	return units, r.Stats()
}

var (
	opusConfig = ReaderConfig{Kind: KindAudio, Codec: "OPUS", ClockRate: 48000}
	vp8Config  = ReaderConfig{Kind: KindVideo, Codec: "VP8", ClockRate: 90000}
)

func TestRealStandupDumps(t *testing.T) {
	t.Parallel()
	// The table of standup's NOTES.md.
	for _, c := range []struct {
		name                       string
		cfg                        ReaderConfig
		packets, missing, dup, pad int
		span                       int64
		arrival                    time.Duration
	}{
		{"alice-mic", opusConfig, 1795, 0, 0, 1, 35860, 39889 * time.Millisecond},
		{"dave-mic", opusConfig, 1219, 0, 0, 18, 34400, 34399 * time.Millisecond},
		{"carol-mic", opusConfig, 1131, 0, 0, 0, 22600, 22598 * time.Millisecond},
		{"carol-cam", vp8Config, 489, 24, 4, 0, 22434, 22431 * time.Millisecond},
		{"bob-mic", opusConfig, 1776, 0, 0, 1, 35480, 35478 * time.Millisecond},
		{"bob-cam", vp8Config, 1253, 0, 0, 46, 35450, 35429 * time.Millisecond},
		{"carol-mic-2", opusConfig, 499, 0, 0, 1, 9940, 9940 * time.Millisecond},
		{"carol-cam-2", vp8Config, 311, 0, 0, 22, 9800, 9792 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			units, stats := readReal(t, realCapture(t, "standup", "rtp", c.name+".rtpdump"), c.cfg)
			last := units[len(units)-1]
			damaged, keys, lost := 0, 0, 0
			for i, u := range units {
				if u.Damaged {
					damaged++
				}
				if u.Key {
					keys++
				}
				lost += u.Lost
				if i > 0 {
					require.Greater(t, u.Ticks, units[i-1].Ticks)
				}
			}
			t.Logf("%d units, %d keys, %d damaged, %d lost, reports %d, last %d ticks %v, stats %+v", len(units), keys, damaged, lost, len(stats.Reports), last.Ticks, last.Arrival, stats.Defects)
			require.Equal(t, c.missing, stats.Lost)
			require.Equal(t, c.dup, stats.Duplicates)
			require.Equal(t, c.pad, stats.PaddingOnly)
			require.Equal(t, c.packets, stats.Packets)
			require.Zero(t, stats.Reordered+stats.Late+stats.SourceChanges)
			require.Zero(t, stats.TornBytes)
			require.Empty(t, stats.Defects)
			require.Equal(t, 0, damaged*max(0, 1-c.missing), "nothing is damaged where nothing is missing")
			require.InDelta(t, c.span, last.Ticks*1000/int64(c.cfg.ClockRate), 1)
			require.InDelta(t, c.arrival, last.Arrival, float64(2*time.Millisecond))
		})
	}
}

func TestRealJanus(t *testing.T) {
	t.Parallel()
	video, stats := readReal(t, realCapture(t, "janus-2014", "tracks", "rec-sample-video.mjr"), vp8Config)
	t.Logf("%+v", stats)
	require.Len(t, video, 173)
	require.True(t, video[0].Key)
	require.Equal(t, [2]int{640, 480}, [2]int{video[0].Width, video[0].Height})
	require.Negative(t, video[0].Arrival)
	audio, stats := readReal(t, realCapture(t, "janus-2014", "tracks", "rec-sample-audio.mjr"), opusConfig)
	t.Logf("%+v", stats)
	require.Len(t, audio, 529)
}

// TestRealReportsAgree holds what rtpdump files say of time against what the recorder of the same call wrote down.
func TestRealReportsAgree(t *testing.T) {
	t.Parallel()
	c, err := Open(t.Context(), realCapture(t, "standup", "capture.json"))
	require.NoError(t, err)
	for _, track := range c.Manifest.Tracks {
		path := realCapture(t, "standup", "rtp", track.ID+".rtpdump")
		if _, err := os.Stat(path); err != nil {
			continue // left out for its size
		}
		file := track.Files[0]
		_, stats := readReal(t, path, ReaderConfig{Kind: track.Kind, Codec: track.Codec, ClockRate: track.ClockRate})
		require.Equal(t, *file.FirstRTP, *stats.FirstRTP, track.ID)
		require.WithinDuration(t, file.StartedAt.Time, stats.FirstWall, 5*time.Millisecond, track.ID)
		require.Len(t, stats.Reports, len(file.SenderReports), track.ID)
		for i, want := range file.SenderReports {
			got := stats.Reports[i]
			require.Equal(t, want.RTP, uint32(got.Ticks)+*stats.FirstRTP, track.ID)
			require.WithinDuration(t, want.NTP.Time, got.NTP, time.Microsecond, track.ID)
			require.WithinDuration(t, want.ReceivedAt.Time, got.ReceivedAt, 5*time.Millisecond, track.ID)
		}
	}
}
