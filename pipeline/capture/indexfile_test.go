package capture

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

// readAccess is what a track's reader gave, with a digest of the bytes.
type readAccess struct {
	Access
	unit Unit
	sum  [sha256.Size]byte
}

func readTrack(t testing.TB, r *TrackReader) (out []readAccess) {
	t.Helper()
	for {
		a, err := r.Next()
		if errors.Is(err, io.EOF) {
			require.NoError(t, r.Close())
			return out
		}
		require.NoError(t, err)
		k := readAccess{Access: *a, unit: *a.Unit, sum: sha256.Sum256(a.Unit.Data)}
		k.Access.Unit, k.unit.Data = nil, nil
		out = append(out, k)
	}
}

func encoded(t testing.TB, ix *Index) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, ix.Encode(&b))
	return b.Bytes()
}

// requireSameIndex stores an index, loads it, and requires that nothing tells the two apart: neither what they say nor
// a single unit that is read by them, from the beginning or from any key unit on.
func requireSameIndex(t *testing.T, c *Capture) (points int) {
	t.Helper()
	fresh, err := BuildIndex(t.Context(), c)
	require.NoError(t, err)
	stored := encoded(t, fresh)
	loaded, err := DecodeIndex(bytes.NewReader(stored), c)
	require.NoError(t, err)
	for _, track := range fresh.Tracks { // empty and none is the same
		if len(track.Config) == 0 {
			track.Config = nil
		}
		if len(track.Gaps) == 0 {
			track.Gaps = nil
		}
	}
	require.Equal(t, fresh, loaded)
	require.Equal(t, stored, encoded(t, loaded))
	for i, track := range fresh.Tracks {
		whole := readTrack(t, c.OpenTrack(track))
		require.Equal(t, whole, readTrack(t, c.OpenTrack(loaded.Tracks[i])))
		starts := []int{-1, 0, 1, track.Units - 1, track.Units, track.Units + 7}
		for _, k := range track.Keys {
			starts = append(starts, k.Unit)
		}
		for n := 200; n < track.Units; n += 517 {
			starts = append(starts, n)
		}
		for _, from := range starts {
			var want []readAccess
			for k := range whole {
				if whole[k].Number >= from {
					want = whole[k:]
					break
				}
			}
			require.Equal(t, want, readTrack(t, c.OpenTrackAt(loaded.Tracks[i], from)), "%s from unit %d", track.Track.ID, from)
		}
		for _, f := range track.Files {
			points += len(f.points)
		}
	}
	return points
}

func opened(t testing.TB, path string) *Capture {
	t.Helper()
	c, err := Open(context.Background(), path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func TestIndexFileReal(t *testing.T) {
	t.Parallel()
	for path, least := range map[string]int{"standup/capture.json": 20, "standup/capture-rtpdump.json": 15, "nine": 20, "janus-2014": 1} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			require.GreaterOrEqual(t, requireSameIndex(t, opened(t, realCapture(t, path))), least)
		})
	}
}

// madeCapture writes a capture of tracks of all sorts: rotated, in formats that the manifest does not name, of which
// a file is missing, torn, lossy, of another kind than said, with times beyond belief, and one with nothing at all.
func madeCapture(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	var times []time.Duration
	for i := range 1500 {
		times = append(times, time.Duration(i)*33*time.Millisecond)
	}
	ivf := ivfWith(times...)
	write("a1.ivf", ivf)
	write("a2.ivf", append(ivfWith(times[:700]...), 1, 2, 3))
	write("far.ivf", ivfWith(append(times[:400:400], 90*24*time.Hour, 0)...))
	video, sound := newStream("VP8", 900, 65000, 0xfff00000), newStream("OPUS", 900, 65000, 0xfff00000)
	write("v.rtpdump", dumpFile(append(video.packets[:500:500], video.packets[520:]...)))
	write("s.rtpdump", dumpFile(append(sound.packets, senderReport(t, 7, 0xfff00000, 3<<62, 600))))
	write("o.mjr", janusFile(`{"t":"a","c":"opus","u":1795370400000000}`, sound.packets))
	ogg := newOgg(7)
	for i := range 900 {
		ogg.packets(0, int64(i+1+i/300*50)*960, opus20(i%40))
	}
	write("m.ogg", ogg.out)
	file, _ := annexBFile()
	write("h.h264", bytes.Repeat(file, 200))
	track := func(id, kind, codec string, rate int, files ...string) string {
		list := ""
		for i, f := range files {
			list += fmt.Sprintf(`,{"path":%q,"started_at":"2026-11-22T10:%02d:00Z","ended_at":"2026-11-22T10:%02d:50Z"}`, f, i, i)
		}
		return fmt.Sprintf(`{"id":%q,"peer_id":"p","stream_id":%q,"kind":%q,"codec":%q,"clock_rate":%d,"files":[%s]}`, id, id, kind, codec, rate, list[1:])
	}
	tracks := track("rotated", "video", "VP8", 90000, "a1.ivf", "gone.ivf", "a2.ivf") + "," + track("far", "video", "VP9", 90000, "far.ivf") + "," +
		track("dump", "video", "VP8", 90000, "v.rtpdump") + "," + track("sound", "audio", "OPUS", 48000, "s.rtpdump") + "," +
		track("kind", "video", "VP8", 90000, "o.mjr") + "," + track("ogg", "audio", "OPUS", 48000, "m.ogg") + "," +
		track("h264", "video", "H264", 90000, "h.h264") + "," + track("none", "video", "VP8", 90000, "gone.ivf")
	write("capture.json", []byte(`{"version":1,"source":"sfu","room_id":"r","session_id":"s","started_at":"2026-11-22T10:00:00Z","stopped_at":"2026-11-22T10:05:00Z",
		"peers":[{"id":"p"}],"tracks":[`+tracks+`]}`))
	return dir
}

func TestIndexFileMade(t *testing.T) {
	t.Parallel()
	dir := madeCapture(t)
	require.GreaterOrEqual(t, requireSameIndex(t, opened(t, dir)), 15)
	// The same index serves a copy elsewhere, with times of its own.
	ix, err := BuildIndex(t.Context(), opened(t, dir))
	require.NoError(t, err)
	other := t.TempDir()
	require.NoError(t, os.CopyFS(other, os.DirFS(dir)))
	_, err = DecodeIndex(bytes.NewReader(encoded(t, ix)), opened(t, other))
	require.NoError(t, err)
}

func TestIndexFileRefused(t *testing.T) {
	t.Parallel()
	dir := madeCapture(t)
	ix, err := BuildIndex(t.Context(), opened(t, dir))
	require.NoError(t, err)
	good := encoded(t, ix)
	for name, change := range map[string]func(dir string, b []byte) []byte{
		"a file has grown": func(dir string, b []byte) []byte {
			data, err := os.ReadFile(filepath.Join(dir, "m.ogg"))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "m.ogg"), append(data, 0), 0o600))
			return b
		},
		"a file is gone": func(dir string, b []byte) []byte {
			require.NoError(t, os.Remove(filepath.Join(dir, "v.rtpdump")))
			return b
		},
		"a file has come": func(dir string, b []byte) []byte {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "gone.ivf"), ivfWith(0), 0o600))
			return b
		},
		"the manifest says other times": func(dir string, b []byte) []byte {
			data, err := os.ReadFile(filepath.Join(dir, "capture.json"))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "capture.json"), bytes.Replace(data, []byte(":50Z"), []byte(":51Z"), 1), 0o600))
			return b
		},
		"another version": func(_ string, b []byte) []byte { b[len(indexMagic)]++; return b },
		"something else":  func(string, []byte) []byte { return []byte("{}") },
		"nothing":         func(string, []byte) []byte { return nil },
		"cut":             func(_ string, b []byte) []byte { return b[:len(b)*2/3] },
		"a flipped bit":   func(_ string, b []byte) []byte { b[len(b)/2] ^= 4; return b },
		"a bomb": func(_ string, b []byte) []byte {
			return packed(b[:len(indexMagic)+1+sha256.Size], make([]byte, maxIndexBytes+1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other := t.TempDir()
			require.NoError(t, os.CopyFS(other, os.DirFS(dir)))
			b := change(other, bytes.Clone(good))
			_, err := DecodeIndex(bytes.NewReader(b), opened(t, other))
			require.ErrorIs(t, err, ErrIndexUnusable)
		})
	}
	_, err = DecodeIndex(bytes.NewReader(good), opened(t, realCapture(t, "nine")))
	require.ErrorIs(t, err, ErrIndexUnusable, "another capture")
	broken := errors.New("the disk is broken")
	_, err = DecodeIndex(io.MultiReader(bytes.NewReader(good[:len(good)/2]), iotest.ErrReader(broken)), opened(t, dir))
	require.ErrorIs(t, err, broken)
	require.NotErrorIs(t, err, ErrIndexUnusable, "another try may help")
}

// packed is a stored index with any body.
func packed(head, body []byte) []byte {
	out := bytes.NewBuffer(bytes.Clone(head))
	z := gzip.NewWriter(out)
	_, _ = z.Write(body)
	_ = z.Close()
	return out.Bytes()
}

// A resume point of an index that lies costs time and nothing else.
func TestOpenTrackAtBadPoint(t *testing.T) {
	t.Parallel()
	c := opened(t, madeCapture(t))
	ix, err := BuildIndex(t.Context(), c)
	require.NoError(t, err)
	for _, track := range ix.Tracks {
		whole := readTrack(t, c.OpenTrack(track))
		for i := range track.Files {
			for k := range track.Files[i].points {
				p := &track.Files[i].points[k]
				p.state = append(p.state[:len(p.state):len(p.state)], 0)
			}
		}
		if n := len(whole); n > 0 {
			require.Equal(t, whole[n-1:], readTrack(t, c.OpenTrackAt(track, whole[n-1].Number)), track.Track.ID)
		}
	}
}

func TestIndexProgress(t *testing.T) {
	t.Parallel()
	for _, path := range []string{madeCapture(t), realCapture(t, "standup", "capture.json")} {
		c := opened(t, path)
		calls, last, total := 0, int64(0), int64(0)
		_, err := BuildIndex(t.Context(), c, WithProgress(func(read, all int64) {
			require.GreaterOrEqual(t, read, last)
			require.GreaterOrEqual(t, all, total)
			require.LessOrEqual(t, read, all)
			calls, last, total = calls+1, read, all
		}))
		require.NoError(t, err)
		_, size, err := c.fingerprint()
		require.NoError(t, err)
		require.GreaterOrEqual(t, total, size)
		require.Equal(t, total, last)
		require.Greater(t, calls, len(c.Manifest.Tracks))
		// Given up wherever it is: at any of the calls.
		for at := 1; at < calls; at += max(calls/7, 1) {
			ctx, cancel := context.WithCancel(t.Context())
			n := 0
			_, err = BuildIndex(ctx, c, WithProgress(func(int64, int64) {
				if n++; n == at {
					cancel()
				}
			}))
			if n > at+2 || err != nil {
				require.ErrorIs(t, err, context.Canceled, "given up at call %d of %d", at, calls)
			}
			cancel()
		}
	}
}

// FuzzIndexFile reads indexes whose body is any bytes, and reads the media by them.
func FuzzIndexFile(f *testing.F) {
	dir := f.TempDir()
	times := make([]time.Duration, 600)
	for i := range times {
		times[i] = time.Duration(i) * 40 * time.Millisecond
	}
	require.NoError(f, os.WriteFile(filepath.Join(dir, "cam.ivf"), ivfWith(times...), 0o600))
	require.NoError(f, os.WriteFile(filepath.Join(dir, "mic.rtpdump"), dumpFile(newStream("OPUS", 300, 1, 2).packets), 0o600))
	require.NoError(f, os.WriteFile(filepath.Join(dir, "capture.json"), []byte(`{"version":1,"source":"sfu","room_id":"r","session_id":"s","started_at":"2026-11-22T10:00:00Z",
		"peers":[{"id":"p"}],"tracks":[{"id":"cam","peer_id":"p","kind":"video","codec":"VP8","clock_rate":90000,"files":[{"path":"cam.ivf"}]},
		{"id":"mic","peer_id":"p","kind":"audio","codec":"OPUS","clock_rate":48000,"files":[{"path":"mic.rtpdump"}]}]}`), 0o600))
	c := opened(f, dir)
	ix, err := BuildIndex(f.Context(), c)
	require.NoError(f, err)
	good := encoded(f, ix)
	head := good[:len(indexMagic)+1+sha256.Size]
	body, err := indexBody(bytes.NewReader(good), ix.print)
	require.NoError(f, err)
	f.Add(body)
	f.Add(body[:len(body)/2])
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := DecodeIndex(bytes.NewReader(packed(head, body)), c)
		if err != nil {
			require.ErrorIs(t, err, ErrIndexUnusable)
			return
		}
		again, err := DecodeIndex(bytes.NewReader(encoded(t, got)), c)
		require.NoError(t, err)
		require.Equal(t, got, again)
		for _, track := range got.Tracks {
			_, _ = track.Rate(), track.Drift()
			for _, from := range []int{0, track.Units / 2, track.Units - 1} {
				r := c.OpenTrackAt(track, from)
				n := 0
				for ; err == nil; n++ {
					_, err = r.Next()
				}
				require.LessOrEqual(t, n, 4096)
				require.NoError(t, r.Close())
				err = nil
			}
		}
	})
}
