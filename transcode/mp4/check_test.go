package mp4

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	mp4ff "github.com/Eyevinn/mp4ff/mp4"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite golden files")

func written(t testing.TB, s scene) []byte {
	t.Helper()
	f := &memFile{}
	w := NewWriter(f, Options{})
	writeInterleaved(t, w, s)
	_, err := w.Close()
	require.NoError(t, err)
	return f.b
}

// TestGoldenTree compares the boxes of a small call as mp4ff, an independent
// reader, sees them.
func TestGoldenTree(t *testing.T) {
	t.Parallel()
	s := call(1)
	for i := range s.samples[0] { // the camera joins a third of a second later
		s.samples[0][i].DTS += 5120
		s.samples[0][i].PTS += 5120
	}
	file, err := mp4ff.DecodeFile(bytes.NewReader(written(t, s)))
	require.NoError(t, err)
	var got bytes.Buffer
	require.NoError(t, file.Info(&got, "all:1", "", "  "))
	golden := filepath.Join("testdata", "call.golden")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, got.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), got.String())
}

// find returns where the n-th box of a kind begins.
func find(t *testing.T, b []byte, kind string, n int) int {
	t.Helper()
	at := -1
	for range n + 1 {
		i := bytes.Index(b[at+1:], []byte(kind))
		require.GreaterOrEqual(t, i, 0, kind)
		at += i + 1
	}
	return at - 4
}

func add32(b []byte, at, delta int) {
	binary.BigEndian.PutUint32(b[at:], uint32(int(binary.BigEndian.Uint32(b[at:]))+delta))
}

func TestCheckFindsFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		number  int
		detail  string
		scene   func(s *scene)
		corrupt func(t *testing.T, b []byte) []byte
	}{
		{name: "moov last", number: 41, detail: "moov comes after mdat", corrupt: moovLast},
		{name: "brand", number: 41, detail: "neither isom nor mp42", corrupt: func(_ *testing.T, b []byte) []byte {
			copy(b[8:], "qt  ")
			return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("isom"), []byte("qt  ")), []byte("mp42"), []byte("qt  "))
		}},
		{name: "no ftyp", number: 41, detail: "begin with ftyp", corrupt: func(_ *testing.T, b []byte) []byte { copy(b[4:], "free"); return b }},
		{name: "mdhd duration", number: 42, detail: "mdhd", corrupt: bump("mdhd", 0, 24, 1)},
		{name: "tkhd duration", number: 42, detail: "tkhd lasts", corrupt: bump("tkhd", 0, 28, 5)},
		{name: "mvhd duration", number: 42, detail: "mvhd lasts", corrupt: bump("mvhd", 0, 24, 5)},
		{name: "stts count", number: 42, detail: "stts has", corrupt: bump("stts", 1, 16, 1)},
		{name: "ctts count", number: 42, detail: "ctts has", corrupt: bump("ctts", 0, 16, 1)},
		{name: "stsc count", number: 42, detail: "the chunks hold", corrupt: bump("stsc", 0, 20, 1)},
		{name: "stsc order", number: 42, detail: "stsc entry", corrupt: bump("stsc", 0, 16, 1)},
		{name: "offset outside mdat", number: 42, detail: "not inside mdat", corrupt: bump("stco", 0, 16, -200)},
		{name: "offset outside the file", number: 42, detail: "outside the file", corrupt: bump("stco", 0, 16, 1<<30)},
		{name: "overlap", number: 42, detail: "overlaps", corrupt: bump("stco", 1, 16, -8)},
		{name: "IDR not in stss", number: 43, detail: "not in stss", corrupt: bump("stss", 0, 20, 1)},
		{name: "stss without IDR", number: 43, detail: "no IDR", corrupt: bump("stss", 0, 20, 1)},
		{name: "torn NAL unit", number: 43, detail: "whole NAL units", corrupt: func(t *testing.T, b []byte) []byte {
			b[find(t, b, "mdat", 0)+8+3]++
			return b
		}},
		{name: "ctts version", number: 43, detail: "version 1 has no negative", corrupt: func(t *testing.T, b []byte) []byte {
			b[find(t, b, "ctts", 0)+8] = 1
			return b
		}},
		{name: "negative ctts in version 0", number: 43, detail: "version 0 has negative", scene: func(s *scene) { s.samples[0][5].PTS -= 2048 },
			corrupt: func(t *testing.T, b []byte) []byte { b[find(t, b, "ctts", 0)+8] = 0; return b }},
		{name: "first composition time not edited away", number: 44, detail: "before the first sample", corrupt: bump("elst", 0, 20, -512)},
		{name: "edit longer than media", number: 44, detail: "longer than the media", corrupt: bump("elst", 1, 16, 9000)},
		{name: "edit after the media", number: 44, detail: "after the media's end", corrupt: bump("elst", 1, 20, 1<<24)},
		{name: "rate", number: 44, detail: "rate", corrupt: bump("elst", 0, 24, 1<<16)},
		{name: "coarse movie timescale", number: 45, detail: "too coarse", corrupt: bump("mvhd", 0, 20, 600-MovieTimescale)},
		{name: "empty edit late", number: 45, detail: "not at the start", scene: func(s *scene) { s.shift(0, 5120) }, corrupt: swapEdits},
		{name: "tracks one after the other", number: 46, detail: "ahead", scene: func(s *scene) { s.shift(1, 0) }, corrupt: nil},
		{name: "no roll", number: 47, detail: "roll", corrupt: func(t *testing.T, b []byte) []byte { copy(b[find(t, b, "sgpd", 0)+4:], "free"); return b }},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := call(4)
			if tc.scene != nil {
				tc.scene(&s)
			}
			var b []byte
			if tc.corrupt == nil {
				b = sequential(t, s)
			} else {
				b = tc.corrupt(t, written(t, s))
			}
			findings, err := Check(bytes.NewReader(b), int64(len(b)))
			require.NoError(t, err)
			for _, f := range findings {
				if f.Number == tc.number && strings.Contains(f.Detail, tc.detail) {
					return
				}
			}
			t.Fatalf("no finding %d %q in %v", tc.number, tc.detail, findings)
		})
	}
}

func (s *scene) shift(track int, ticks int64) {
	for i := range s.samples[track] {
		s.samples[track][i].DTS += ticks
		s.samples[track][i].PTS += ticks
	}
}

// bump adds to a 32-bit field at an offset in the n-th box of a kind.
func bump(kind string, n, at, delta int) func(*testing.T, []byte) []byte {
	return func(t *testing.T, b []byte) []byte {
		add32(b, find(t, b, kind, n)+at, delta)
		return b
	}
}

func swapEdits(t *testing.T, b []byte) []byte {
	e := b[find(t, b, "elst", 0)+16:][:24]
	copy(e, append(bytes.Clone(e[12:]), e[:12]...))
	return b
}

// moovLast swaps moov and mdat and corrects the chunk offsets.
func moovLast(t *testing.T, b []byte) []byte {
	moov, mdat := find(t, b, "moov", 0), find(t, b, "mdat", 0)
	for n := range 2 {
		stco := find(t, b, "stco", n)
		for i := range int(binary.BigEndian.Uint32(b[stco+12:])) {
			add32(b, stco+16+4*i, moov-mdat)
		}
	}
	return append(append(bytes.Clone(b[:moov]), b[mdat:]...), b[moov:mdat]...)
}

// sequential writes one track after the other with a buffer that is too small
// to bring them together.
func sequential(t *testing.T, s scene) []byte {
	t.Helper()
	f := &memFile{}
	w := NewWriter(f, Options{BufferBytes: 1000})
	for i := range s.tracks {
		_, err := w.AddTrack(s.tracks[i])
		require.NoError(t, err)
	}
	for i, list := range s.samples {
		for _, smp := range list {
			require.NoError(t, w.Write(i, smp))
		}
	}
	_, err := w.Close()
	require.NoError(t, err)
	return f.b
}

// TestInterleavesADelayedEncoder lets audio come two seconds late.
func TestInterleavesADelayedEncoder(t *testing.T) {
	t.Parallel()
	s := call(20)
	f := &memFile{}
	w := NewWriter(f, Options{Forecast: func() (int64, int64) { return 1, 3 }, BufferBytes: 60000})
	writeTracks(t, w)
	audio := 0
	for i, smp := range s.samples[0] {
		require.NoError(t, w.Write(0, smp))
		for ; audio < (i-60)*48000/1024/30; audio++ {
			require.NoError(t, w.Write(1, s.samples[1][audio]))
		}
	}
	for ; audio < len(s.samples[1]); audio++ {
		require.NoError(t, w.Write(1, s.samples[1][audio]))
	}
	sum, err := w.Close()
	require.NoError(t, err)
	requireSame(t, f, sum.Size, s)
	requireClean(t, f, sum.Size)
}

func FuzzCheck(f *testing.F) {
	small := call(1)
	small.samples[0], small.samples[1] = small.samples[0][:4], small.samples[1][:6]
	good := written(f, small)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte("\x00\x00\x00\x08moov"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		findings, err := Check(r, int64(len(b)))
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(findings), 7*perNumber, fmt.Sprint(findings))
		m, err := Read(r, int64(len(b)))
		require.NoError(t, err)
		for _, track := range m.Tracks {
			for s, err := range track.Samples() {
				if err == nil {
					require.LessOrEqual(t, s.Offset+int64(s.Size), int64(len(b)))
				}
			}
		}
	})
}
