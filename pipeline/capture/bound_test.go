package capture

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ivfWith gives an IVF file of tiny VP8 key frames at the given times, in a timebase of milliseconds.
func ivfWith(times ...time.Duration) []byte {
	header := append([]byte("DKIF"), 0, 0, 32, 0)
	header = append(header, "VP80"...)
	header = binary.LittleEndian.AppendUint16(header, 16)
	header = binary.LittleEndian.AppendUint16(header, 16)
	header = binary.LittleEndian.AppendUint32(header, 1000)
	header = binary.LittleEndian.AppendUint32(header, 1)
	header = append(header, make([]byte, 8)...)
	frame := []byte{0x10, 0, 0, 0x9d, 0x01, 0x2a, 16, 0, 16, 0, 0, 0}
	for _, at := range times {
		header = binary.LittleEndian.AppendUint32(header, uint32(len(frame)))
		header = binary.LittleEndian.AppendUint64(header, uint64(at.Milliseconds()))
		header = append(header, frame...)
	}
	return header
}

// A timestamp years ahead must not make anybody fill years: it is left out, with a defect, whether the session's end
// is known or not.
func TestBoundLeavesOutTheUnbelievable(t *testing.T) {
	t.Parallel()
	const years = 3 * 365 * 24 * time.Hour
	for name, stopped := range map[string]string{"stopped": `"stopped_at":"2026-11-22T10:00:10Z",`, "killed": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "cam.ivf"), ivfWith(0, time.Second, 2*time.Second, years, years+time.Second), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "capture.json"), []byte(`{"version":1,"source":"sfu","room_id":"r","session_id":"s",
				"started_at":"2026-11-22T10:00:00Z",`+stopped+`"peers":[{"id":"p"}],
				"tracks":[{"id":"cam","peer_id":"p","kind":"video","codec":"VP8","clock_rate":90000,
				"files":[{"path":"cam.ivf","format":"ivf","started_at":"2026-11-22T10:00:00Z"}]}]}`), 0o600))
			c, err := Open(t.Context(), dir)
			require.NoError(t, err)
			defer func() { require.NoError(t, c.Close()) }()
			ix, err := BuildIndex(t.Context(), c)
			require.NoError(t, err)
			track := ix.Tracks[0]
			require.InDelta(t, 2*time.Second, track.End, float64(1100*time.Millisecond))
			require.Len(t, track.Keys, 3)
			require.Equal(t, DefectTimestamps, track.Defects[len(track.Defects)-1].Kind)
			r := c.OpenTrack(track)
			units := 0
			for {
				a, err := r.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				require.NoError(t, err)
				require.LessOrEqual(t, a.At, 2*time.Second)
				units++
			}
			require.Equal(t, 3, units)
			require.NoError(t, r.Close())
		})
	}
}
