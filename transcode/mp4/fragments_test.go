package mp4_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/transcode/mp4"
)

// box puts a box round its parts.
func box(kind string, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(body))), kind...), body...)
}

func words(w ...uint32) []byte {
	var p []byte
	for _, v := range w {
		p = binary.BigEndian.AppendUint32(p, v)
	}
	return p
}

// fragmentedTrak is a sound track whose edit list cuts off priming.
func fragmentedTrak(id uint32) []byte {
	entry := box("mp4a", make([]byte, 6), []byte{0, 1}, make([]byte, 8), []byte{0, 2, 0, 16}, make([]byte, 4), words(48000<<16),
		box("esds", words(0), []byte{3, 22, 0, 0, 0, 4, 17, 0x40, 0x15}, make([]byte, 11), []byte{5, 2, 0x11, 0x90}))
	stbl := box("stbl", box("stsd", words(0, 1), entry), box("stts", words(0, 0)), box("stsc", words(0, 0)), box("stsz", words(0, 0, 0)), box("stco", words(0, 0)))
	return box("trak", box("tkhd", words(3, 0, 0, id), make([]byte, 68)), box("edts", box("elst", words(0, 1, 0, 100, 1<<16))),
		box("mdia", box("mdhd", words(0, 0, 0, 1000, 0, 0)), box("hdlr", words(0, 0), []byte("soun"), make([]byte, 13)), box("minf", stbl)))
}

// fragment is a moof with two runs for each of two tracks, and its mdat.
func fragment(at int, dts uint32) []byte {
	moof := func(first int) []byte {
		var trafs [][]byte
		for id := range uint32(2) {
			off := uint32(first) + id*30
			trafs = append(trafs, box("traf", box("tfhd", words(0x020008, id+1, 10)), box("tfdt", words(0, dts)),
				box("trun", words(0x000301, 2, off, 10, 5, 12, 7)), box("trun", words(0x000a01, 2, off+12, 8, 0, 10, 0xffff_fffc))))
		}
		return box("moof", append([][]byte{box("mfhd", words(0, 1))}, trafs...)...)
	}
	head := moof(0)
	payload := make([]byte, 60)
	for i := range payload {
		payload[i] = byte(at + i)
	}
	return append(moof(len(head)+8), box("mdat", payload)...)
}

func fragmentedFile() []byte {
	trex := func(id uint32) []byte { return box("trex", words(0, id, 1, 20, 0, 0)) }
	file := append(box("ftyp", []byte("iso6"), words(0), []byte("iso6")),
		box("moov", box("mvhd", words(0, 0, 0, 1000, 0), make([]byte, 80)), fragmentedTrak(1), fragmentedTrak(2), box("mvex", trex(1), trex(2)))...)
	file = append(file, fragment(1, 0)...)
	file = append(file, box("free", []byte("between"))...)
	return append(file, fragment(101, 42)...)
}

type readSample struct {
	mp4.FragmentSample
	data string
}

func readFragments(ctx context.Context, p []byte) (all []readSample, err error) {
	f, err := mp4.OpenFragments(ctx, bytes.NewReader(p), int64(len(p)))
	if err != nil {
		return nil, err
	}
	for {
		s, err := f.Next(ctx)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		data, err := f.Data(&s)
		if err != nil {
			return all, err
		}
		all = append(all, readSample{s, string(data)})
	}
}

// TestFragments reads defaults, several runs, negative offsets and an edit list.
func TestFragments(t *testing.T) {
	t.Parallel()
	file := fragmentedFile()
	all, err := readFragments(t.Context(), file)
	require.NoError(t, err)
	require.Len(t, all, 16)
	type row struct {
		track    int
		dts, pts int64
		duration uint32
		data     string
	}
	var got []row
	for _, s := range all[:8] {
		require.True(t, s.Sync)
		require.False(t, s.Torn)
		got = append(got, row{s.Track, s.DTS, s.PTS, s.Duration, s.data})
	}
	bytesFrom := func(first, n int) string {
		p := make([]byte, n)
		for i := range p {
			p[i] = byte(first + i)
		}
		return string(p)
	}
	require.Equal(t, []row{
		{0, -100, -100, 10, bytesFrom(1, 5)}, {0, -90, -90, 12, bytesFrom(6, 7)}, {0, -78, -78, 10, bytesFrom(13, 8)}, {0, -68, -72, 10, bytesFrom(21, 10)},
		{1, -100, -100, 10, bytesFrom(31, 5)}, {1, -90, -90, 12, bytesFrom(36, 7)}, {1, -78, -78, 10, bytesFrom(43, 8)}, {1, -68, -72, 10, bytesFrom(51, 10)},
	}, got)
	require.Equal(t, int64(-58), all[8].DTS)
	f, err := mp4.OpenFragments(t.Context(), bytes.NewReader(file), int64(len(file)))
	require.NoError(t, err)
	start, ok := f.Start(1)
	require.True(t, ok)
	require.Equal(t, int64(-100), start)
}

// TestFragmentsTorn cuts the file off everywhere: what is whole stays, the torn sample is told from it.
func TestFragmentsTorn(t *testing.T) {
	t.Parallel()
	file := fragmentedFile()
	whole, err := readFragments(t.Context(), file)
	require.NoError(t, err)
	for n := range file {
		all, err := readFragments(t.Context(), file[:n])
		if err != nil {
			require.ErrorIs(t, err, mp4.ErrOtherFragments, "%d bytes", n)
			require.LessOrEqual(t, int64(n), whole[0].Offset)
			continue
		}
		for i, s := range all {
			want := whole[i]
			if want.Torn = want.Offset+int64(want.Size) > int64(n); want.Torn {
				want.data = want.data[:int64(n)-want.Offset]
			}
			require.Equal(t, want, s, "%d bytes", n)
		}
		for _, s := range whole[len(all):] {
			moofs := s.Offset >= int64(n) || s.Offset > whole[8].Offset-300 && len(all) == 8
			require.True(t, moofs, "%d bytes: the sample at %d is lost", n, s.Offset)
		}
	}
}

// TestFragmentsOther leaves alone what is not plain.
func TestFragmentsOther(t *testing.T) {
	t.Parallel()
	file := fragmentedFile()
	change := func(from, to string) []byte {
		require.Contains(t, string(file), from)
		return bytes.Replace(bytes.Clone(file), []byte(from), []byte(to), 1)
	}
	for name, p := range map[string][]byte{
		"empty": nil, "text": []byte("a text that is longer than a box's head"), "no moov": change("moov", "free"), "no moof": file[:bytes.Index(file, []byte("moof"))-4],
		"no trex": change("trex", "free"), "no time": change("tfdt", "free"), "no head": change("tfhd", "free"), "unknown box": change("mdat", "what"),
		"odd rate": change("\x00\x00\x00\x64\x00\x01\x00\x00", "\x00\x00\x00\x64\x00\x02\x00\x00"),
		"no size":  change("trun\x00\x00\x03\x01", "trun\x00\x00\x01\x01"), "no offset": change("trun\x00\x00\x03\x01", "trun\x00\x00\x03\x00"),
	} {
		_, err := readFragments(t.Context(), p)
		require.ErrorIs(t, err, mp4.ErrOtherFragments, name)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := readFragments(ctx, file)
	require.ErrorIs(t, err, context.Canceled)
}

// FuzzFragments takes any bytes: there is an end, no panic, and no sample lies outside the file.
func FuzzFragments(f *testing.F) {
	file := fragmentedFile()
	f.Add(file)
	f.Add(file[:len(file)-20])
	f.Add(file[:len(file)/2])
	f.Fuzz(func(t *testing.T, p []byte) {
		all, err := readFragments(t.Context(), p)
		if err != nil {
			require.ErrorIs(t, err, mp4.ErrOtherFragments)
			return
		}
		total := 0
		for _, s := range all {
			require.GreaterOrEqual(t, s.Offset, int64(0))
			require.Equal(t, s.Torn, len(s.data) < int(s.Size))
			require.Equal(t, string(p[s.Offset:s.Offset+int64(len(s.data))]), s.data)
			total += len(s.data)
		}
		require.LessOrEqual(t, total, len(p))
	})
}
