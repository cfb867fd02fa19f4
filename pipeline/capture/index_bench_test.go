package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// hourOf writes a capture of one camera that repeats the first one of "nine" for an hour; lossy leaves a picture out,
// so that all of it has to be looked into.
func hourOf(b *testing.B, lossy bool) string {
	b.Helper()
	minute, err := os.ReadFile(realCapture(b, "nine", "tracks", "p0-cam.ivf"))
	require.NoError(b, err)
	dir := b.TempDir()
	f, err := os.Create(filepath.Join(dir, "cam.ivf"))
	require.NoError(b, err)
	_, err = f.Write(minute[:ivfHeaderBytes])
	require.NoError(b, err)
	last, step := uint64(0), uint64(0)
	for at := ivfHeaderBytes; at < len(minute); at += ivfFrameHeaderBytes + int(binary.LittleEndian.Uint32(minute[at:])) {
		pts := binary.LittleEndian.Uint64(minute[at+4:])
		last, step = pts, pts-last
	}
	ticks := last + step // a minute follows on the one before as its pictures do
	for k := range uint64(60) {
		body := bytes.Clone(minute[ivfHeaderBytes:])
		for at, n := 0, 0; at < len(body); n++ {
			pts := binary.LittleEndian.Uint64(body[at+4:])
			binary.LittleEndian.PutUint64(body[at+4:], pts+k*ticks)
			size := ivfFrameHeaderBytes + int(binary.LittleEndian.Uint32(body[at:]))
			if lossy && k == 30 && n == 100 {
				body = append(body[:at], body[at+size:]...)
				continue
			}
			at += size
		}
		_, err = f.Write(body)
		require.NoError(b, err)
	}
	require.NoError(b, f.Close())
	require.NoError(b, os.WriteFile(filepath.Join(dir, "capture.json"), []byte(`{"version":1,"source":"sfu","room_id":"r","session_id":"s","started_at":"2026-11-22T10:00:00Z",
		"peers":[{"id":"p"}],"tracks":[{"id":"cam","peer_id":"p","kind":"video","codec":"VP8","clock_rate":90000,"files":[{"path":"cam.ivf"}]}]}`), 0o600))
	return dir
}

// BenchmarkIndex measures what a process pays before it can read a track in the middle: building the index or loading
// it, and coming to the last key frame from the beginning or by the index.
func BenchmarkIndex(b *testing.B) {
	for _, in := range []struct {
		name string
		path func(b *testing.B) string
	}{
		{"nine", func(b *testing.B) string { return realCapture(b, "nine") }},
		{"hour", func(b *testing.B) string { return hourOf(b, false) }},
		{"lossy hour", func(b *testing.B) string { return hourOf(b, true) }},
	} {
		b.Run(in.name, func(b *testing.B) {
			c := opened(b, in.path(b))
			ix, err := BuildIndex(b.Context(), c)
			require.NoError(b, err)
			_, size, err := c.fingerprint()
			require.NoError(b, err)
			stored := encoded(b, ix)
			b.Run("build", func(b *testing.B) {
				b.SetBytes(size)
				for b.Loop() {
					_, err := BuildIndex(b.Context(), c)
					require.NoError(b, err)
				}
			})
			b.Run("load", func(b *testing.B) {
				b.ReportMetric(float64(len(stored)), "index-bytes")
				for b.Loop() {
					_, err := DecodeIndex(bytes.NewReader(stored), c)
					require.NoError(b, err)
				}
			})
			track := ix.Tracks[0]
			for _, t := range ix.Tracks {
				if len(t.Keys) > len(track.Keys) {
					track = t
				}
			}
			last := track.Keys[len(track.Keys)-1].Unit
			first := func(r *TrackReader) {
				for {
					u, err := r.Next()
					if errors.Is(err, io.EOF) {
						b.Fatal("it is not there")
					}
					require.NoError(b, err)
					if u.Number == last {
						require.NoError(b, r.Close())
						return
					}
				}
			}
			b.Run("last key, from the beginning", func(b *testing.B) {
				for b.Loop() {
					first(c.OpenTrack(track))
				}
			})
			b.Run("last key, by the index", func(b *testing.B) {
				for b.Loop() {
					first(c.OpenTrackAt(track, last))
				}
			})
		})
	}
}
