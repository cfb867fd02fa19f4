package mp4

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestEdits holds the edit lists against the conventions of checks 44 and 45.
func TestEdits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		dts, pts int64 // of the first of 100 samples of 1024 ticks at 48 kHz
		end      int64
		edits    []Edit
		start    time.Duration
		duration time.Duration
		leftOut  bool
	}{
		{name: "plain needs no edit list", duration: 102400 * time.Second / 48000},
		{name: "ffmpeg's AAC priming", dts: -1024, pts: -1024, edits: []Edit{{190080, 1024, 1 << 16}}, duration: 101376 * time.Second / 48000},
		{name: "Apple's AAC priming and padding", dts: -2112, pts: -2112, end: 96000, edits: []Edit{{180000, 2112, 1 << 16}}, duration: 2 * time.Second},
		{name: "B-frames as libav times them", dts: -2048, edits: []Edit{{192000, 2048, 1 << 16}}, duration: 102400 * time.Second / 48000},
		{name: "B-frames timed from zero, one frame late", pts: 480, edits: []Edit{{900, -1, 1 << 16}, {192000, 480, 1 << 16}}, start: 10 * time.Millisecond, duration: 102400 * time.Second / 48000},
		{name: "late start", dts: 4800, pts: 4800, edits: []Edit{{9000, -1, 1 << 16}, {192000, 0, 1 << 16}}, start: 100 * time.Millisecond, duration: 102400 * time.Second / 48000},
		{name: "decoded after presented", dts: 480, edits: nil, duration: 102400 * time.Second / 48000},
		{name: "end beyond the media", end: 1 << 30, duration: 102400 * time.Second / 48000},
		{name: "all before the start", dts: -200000, pts: -200000, leftOut: true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := &memFile{}
			w := NewWriter(f, Options{})
			_, err := w.AddTrack(audioTrack())
			require.NoError(t, err)
			for i := range int64(100) {
				require.NoError(t, w.Write(0, Sample{Data: []byte{1}, DTS: tc.dts + i*1024, PTS: tc.pts + i*1024, Duration: 1024, Sync: true}))
			}
			if tc.end != 0 {
				w.SetEnd(0, tc.end)
			}
			sum, err := w.Close()
			if tc.leftOut {
				require.ErrorIs(t, err, ErrNoSamples)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.start, sum.Tracks[0].Start)
			require.Equal(t, tc.duration, sum.Tracks[0].Duration)
			m, err := Read(f, sum.Size)
			require.NoError(t, err)
			require.Equal(t, tc.edits, m.Tracks[0].Edits)
			require.True(t, m.Tracks[0].Roll)
			requireClean(t, f, sum.Size)
		})
	}
}
