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

// sample returns the path of a file of the real captures, skipping the test when they are not there.
func sample(t testing.TB, parts ...string) string {
	t.Helper()
	root := filepath.Join("..", "..", "..", "shared", "captures")
	if _, err := os.Stat(root); err != nil {
		t.Skip("the real captures are not beside this checkout")
	}
	return filepath.Join(append([]string{root}, parts...)...)
}

// readUnit is a unit kept beyond the reader's next call.
type readUnit struct {
	Unit
	data []byte
}

// readAll reads everything a reader gives, and the error that ended it if it was not the end.
func readAll(r UnitReader) ([]readUnit, error) {
	var out []readUnit
	for {
		u, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, readUnit{Unit: *u, data: bytes.Clone(u.Data)})
		out[len(out)-1].Data = nil
	}
}

// readBytes reads a whole file that lies in memory.
func readBytes(format Format, data []byte, cfg ReaderConfig) ([]readUnit, ReadStats, error) {
	r, err := NewReader(format, bytes.NewReader(data), cfg)
	if err != nil {
		return nil, ReadStats{}, err
	}
	units, err := readAll(r)
	stats := r.Stats()
	return units, stats, errors.Join(err, r.Close())
}

func readFile(t testing.TB, format Format, path string, cfg ReaderConfig) ([]readUnit, UnitReader) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	cfg.Name = filepath.Base(path)
	r, err := NewReader(format, f, cfg)
	require.NoError(t, err)
	units, err := readAll(r)
	require.NoError(t, err)
	return units, r
}

// requireTorn cuts a file at every byte and requires that what comes out is the beginning of the whole, and that it
// is all of it that ends before the cut: ends[i] is the byte behind unit i.
func requireTorn(t *testing.T, format Format, data []byte, cfg ReaderConfig, ends []int) {
	t.Helper()
	whole, _, err := readBytes(format, data, cfg)
	require.NoError(t, err)
	require.Len(t, whole, len(ends))
	for cut := range data {
		units, _, err := readBytes(format, data[:cut], cfg)
		var bad *InputError
		if err != nil {
			require.ErrorAs(t, err, &bad, "cut at %d", cut)
		}
		complete := 0
		for complete < len(ends) && ends[complete] <= cut {
			complete++
		}
		require.GreaterOrEqual(t, len(units), complete, "cut at %d", cut)
		for i := range complete {
			require.Equal(t, whole[i].data, units[i].data, "unit %d, cut at %d", i, cut)
			require.Equal(t, whole[i].Ticks, units[i].Ticks, "unit %d, cut at %d", i, cut)
		}
	}
}

// videoConfig is the usual configuration of a picture track.
func videoConfig(codec string) ReaderConfig {
	return ReaderConfig{Name: "cam", Kind: KindVideo, Codec: codec, ClockRate: 90000}
}

// audioConfig is the usual configuration of a sound track.
func audioConfig(codec string) ReaderConfig {
	return ReaderConfig{Name: "mic", Kind: KindAudio, Codec: codec, ClockRate: 48000}
}

type ivfFrame struct {
	pts  uint64
	data []byte
}

// makeIVF writes a file, and where each frame ends.
func makeIVF(fourCC string, num, den uint32, frames ...ivfFrame) (file []byte, ends []int) {
	file = append(file, "DKIF\x00\x00\x20\x00"+fourCC...)
	file = append(file, 0x80, 2, 0xe0, 1)
	file = binary.LittleEndian.AppendUint32(file, den)
	file = binary.LittleEndian.AppendUint32(file, num)
	file = append(file, 0xff, 0xff, 0, 0, 0, 0, 0, 0) // the frame count lies
	for _, f := range frames {
		file = binary.LittleEndian.AppendUint32(file, uint32(len(f.data)))
		file = binary.LittleEndian.AppendUint64(file, f.pts)
		file = append(file, f.data...)
		ends = append(ends, len(file))
	}
	return file, ends
}

func vp8Key(width, height uint16) []byte {
	b := []byte{0x10, 2, 0, 0x9d, 1, 0x2a}
	b = binary.LittleEndian.AppendUint16(b, width)
	b = binary.LittleEndian.AppendUint16(b, height)
	return append(b, 1, 2, 3, 4)
}

var vp8Inter = []byte{0x31, 2, 0, 9, 9, 9}

func TestIVFTicks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		num, den uint32
		pts      []uint64
		want     []int64
	}{
		{"pion default: thirtieths", 1, 30, []uint64{0, 1, 3}, []int64{0, 3000, 9000}},
		{"rtp time", 1, 90000, []uint64{500, 3500, 9500}, []int64{0, 3000, 9000}},
		{"milliseconds", 1, 1000, []uint64{0, 33, 67}, []int64{0, 2970, 6030}},
		{"fields swapped", 90000, 1, []uint64{0, 3000}, []int64{0, 3000}},
		{"fields zero", 0, 0, []uint64{0, 1}, []int64{0, 3000}},
		{"scale zero", 0, 1000, []uint64{0, 100}, []int64{0, 9000}},
		{"ntsc", 1001, 30000, []uint64{0, 1, 2}, []int64{0, 3003, 6006}},
		{"a packet before the first", 1, 90000, []uint64{0, 1<<32 - 5220, 3000}, []int64{0, -5220, 3000}},
		{"rtp time wraps", 1, 90000, []uint64{1<<32 - 1000, 2000, 5000}, []int64{0, 3000, 6000}},
		{"64 bits of rtp time", 1, 90000, []uint64{1 << 33, 1<<33 + 3000}, []int64{0, 3000}},
		{"absurd", 1, 30, []uint64{0, 1 << 62, 1}, []int64{0, maxTicks, 3000}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var frames []ivfFrame
			for _, pts := range c.pts {
				frames = append(frames, ivfFrame{pts, vp8Inter})
			}
			file, _ := makeIVF("VP80", c.num, c.den, frames...)
			units, _, err := readBytes(FormatIVF, file, videoConfig("VP8"))
			require.NoError(t, err)
			require.Equal(t, c.want, unitTicks(units))
		})
	}
}

func TestIVFFrames(t *testing.T) {
	t.Parallel()
	file, ends := makeIVF("VP80", 1, 1000, ivfFrame{7, vp8Key(320, 240)}, ivfFrame{40, vp8Inter}, ivfFrame{50, nil}, ivfFrame{73, vp8Key(640, 480)})
	units, stats, err := readBytes(FormatIVF, file, videoConfig("VP8"))
	require.NoError(t, err)
	require.Len(t, units, 3)
	require.Equal(t, vp8Key(320, 240), units[0].data)
	require.True(t, units[0].Key)
	require.Equal(t, [2]int{320, 240}, [2]int{units[0].Width, units[0].Height})
	require.False(t, units[1].Key)
	require.Equal(t, [2]int{640, 480}, [2]int{units[2].Width, units[2].Height})
	require.Equal(t, 4, stats.Packets)
	require.Len(t, stats.Defects, 1, "the empty frame")

	requireTorn(t, FormatIVF, file, videoConfig("VP8"), []int{ends[0], ends[1], ends[3]})

	_, stats, err = readBytes(FormatIVF, file[:len(file)-1], videoConfig("VP8"))
	require.NoError(t, err)
	require.EqualValues(t, len(vp8Key(0, 0))+12-1, stats.TornBytes)

	binary.LittleEndian.PutUint32(file[ends[0]:], 1<<31)
	units, stats, err = readBytes(FormatIVF, file, videoConfig("VP8"))
	require.NoError(t, err)
	require.Len(t, units, 1)
	require.EqualValues(t, len(file)-ends[0], stats.TornBytes)
	require.Equal(t, DefectOversizedUnit, stats.Defects[0].Kind)
}

func TestIVFNamedWrong(t *testing.T) {
	t.Parallel()
	file, _ := makeIVF("VP90", 1, 1000, ivfFrame{0, vp8Inter})
	_, stats, err := readBytes(FormatOgg, file, videoConfig("VP8"))
	require.NoError(t, err)
	kinds := []DefectKind{}
	for _, d := range stats.Defects {
		kinds = append(kinds, d.Kind)
	}
	require.ElementsMatch(t, []DefectKind{DefectWrongFormat, DefectWrongCodec}, kinds)

	var bad *InputError
	_, _, err = readBytes(FormatIVF, file, audioConfig("OPUS"))
	require.ErrorAs(t, err, &bad)
	_, _, err = readBytes(FormatIVF, []byte("what is this?"), videoConfig("VP8"))
	require.ErrorAs(t, err, &bad)
	require.Contains(t, err.Error(), "cam: is not ivf")
}

func TestIVFStandup(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path  string
		units int
		last  int64
	}{
		{"tracks/alice-cam.ivf", 595, 3568950},
		{"tracks/bob-cam.ivf", 696, 3190500},
		{"tracks/carol-cam.ivf", 240, 2019060},
		{"tracks/carol-cam-2.ivf", 141, 840060},
		{"alt/bob-cam.default.ivf", 696, 3543000},
	} {
		t.Run(c.path, func(t *testing.T) {
			t.Parallel()
			units, r := readFile(t, FormatIVF, sample(t, "standup", c.path), videoConfig("VP8"))
			require.True(t, units[0].Key)
			require.Zero(t, units[0].Ticks)
			require.InDelta(t, c.last, units[len(units)-1].Ticks, 900)
			require.Equal(t, c.units, len(units))
			require.Zero(t, r.Stats().TornBytes)
		})
	}
}

func FuzzIVF(f *testing.F) {
	file, _ := makeIVF("VP80", 1, 30, ivfFrame{0, vp8Key(320, 240)}, ivfFrame{1, vp8Inter})
	f.Add(file)
	file, _ = makeIVF("AV01", 1, 90000, ivfFrame{0, []byte{0x12, 0, 0x0a, 1, 0, 0x30, 1}}, ivfFrame{1, []byte{0x12, 0, 0x30, 1, 0}})
	f.Add(file)
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzReader(t, FormatIVF, data, videoConfig(""))
	})
}

// fuzzReader requires what holds for every input: units lie inside the file, there are no more of them than bytes,
// the only errors are about the input.
func fuzzReader(t *testing.T, format Format, data []byte, cfg ReaderConfig) {
	t.Helper()
	r, err := NewReader(format, bytes.NewReader(data), cfg)
	var bad *InputError
	if err != nil {
		require.ErrorAs(t, err, &bad)
		return
	}
	for n := 0; ; n++ {
		u, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			require.ErrorAs(t, err, &bad)
			break
		}
		require.NotEmpty(t, u.Data)
		require.LessOrEqual(t, n, len(data)*256+256)
		require.LessOrEqual(t, len(r.Stats().Defects), 16)
	}
	require.NoError(t, r.Close())
	requireResumes(t, format, data, cfg)
}

// benchReader measures how fast a file of about 64 MiB is read.
func benchReader(b *testing.B, format Format, data []byte, cfg ReaderConfig) {
	b.Helper()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := NewReader(format, bytes.NewReader(data), cfg)
		require.NoError(b, err)
		n := 0
		for {
			if _, err := r.Next(); err != nil {
				break
			}
			n++
		}
		require.NotZero(b, n)
	}
	b.ReportMetric(float64(len(data))*float64(b.N)/1e6/b.Elapsed().Seconds(), "MB/s")
}

func BenchmarkIVF(b *testing.B) {
	var frames []ivfFrame
	for i := range 20000 {
		frames = append(frames, ivfFrame{uint64(i), bytes.Repeat([]byte{0x31, 7}, 1600)})
	}
	file, _ := makeIVF("VP80", 1, 30, frames...)
	benchReader(b, FormatIVF, file, videoConfig("VP8"))
}

func unitTicks(units []readUnit) []int64 {
	out := []int64{}
	for _, u := range units {
		out = append(out, u.Ticks)
	}
	return out
}
