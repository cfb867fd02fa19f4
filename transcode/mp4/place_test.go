package mp4

import (
	"bytes"
	"io"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestReservation(t *testing.T) {
	t.Parallel()
	s := call(20)
	var input int64
	for _, list := range s.samples {
		for _, smp := range list {
			input += int64(len(smp.Data))
		}
	}
	tests := []struct {
		name     string
		forecast func() (int64, int64)
		buffer   int
		moved    bool
		free     bool
	}{
		{"all buffered, exact", nil, 0, false, false},
		{"unknown total", func() (int64, int64) { return 5000, 0 }, 4000, false, true},
		{"nothing consumed yet", func() (int64, int64) { return 0, input }, 4000, false, true},
		{"no forecast", nil, 4000, false, true},
		{"right", func() (int64, int64) { return 4000, input }, 4000, false, true},
		{"far too large", func() (int64, int64) { return 4000, 100 * input }, 4000, false, true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := &memFile{b: []byte("left over from before")}
			w := NewWriter(f, Options{Forecast: tc.forecast, BufferBytes: tc.buffer})
			writeInterleaved(t, w, s)
			sum, err := w.Close()
			require.NoError(t, err)
			require.Equal(t, tc.moved, sum.MoovMoved)
			m, err := Read(f, sum.Size)
			require.NoError(t, err)
			var kinds []string
			for _, b := range m.top {
				kinds = append(kinds, b.kind)
			}
			want := []string{"ftyp", "moov", "mdat"}
			if tc.free {
				want = []string{"ftyp", "moov", "free", "mdat"}
			}
			require.Equal(t, want, kinds)
			requireSame(t, f, sum.Size, s)
			requireClean(t, f, sum.Size)
			_, err = w.Close()
			require.ErrorIs(t, err, ErrClosed)
		})
	}
}

// TestReservationTooSmall drives every gap between the moov and the media,
// among them those too narrow for a free box.
func TestReservationTooSmall(t *testing.T) {
	t.Parallel()
	s := call(4)
	plain := &memFile{}
	w := NewWriter(plain, Options{})
	writeInterleaved(t, w, s)
	_, err := w.Close()
	require.NoError(t, err)
	exact := w.payload
	for gap := int64(-300); gap <= 16; gap++ {
		f := &memFile{}
		w := NewWriter(f, Options{})
		w.payload, w.placed = exact+gap, true
		writeInterleaved(t, w, s)
		sum, err := w.Close()
		require.NoError(t, err)
		require.Equal(t, gap < 0 || gap > 0 && gap < 8, sum.MoovMoved, "gap %d", gap)
		requireSame(t, f, sum.Size, s)
		requireClean(t, f, sum.Size)
		if gap < 0 {
			require.Equal(t, plain.b, f.b, "a moved file equals one laid out exactly")
		}
	}
}

// sparseFile remembers what is not zero; a block of zeros costs nothing.
type sparseFile struct {
	blocks map[int64][]byte
	size   int64
}

const sparseBlock = 4096

func (s *sparseFile) WriteAt(p []byte, off int64) (int, error) {
	for n := 0; n < len(p); {
		at := off + int64(n)
		in := at % sparseBlock
		part := p[n:min(len(p), n+int(sparseBlock-in))]
		b, ok := s.blocks[at/sparseBlock]
		if !ok && nonZero(part) {
			b = make([]byte, sparseBlock)
			s.blocks[at/sparseBlock] = b
		}
		if b != nil {
			copy(b[in:], part)
		}
		n += len(part)
	}
	s.size = max(s.size, off+int64(len(p)))
	return len(p), nil
}

var zeros [sparseBlock]byte

func nonZero(p []byte) bool { return !bytes.Equal(p, zeros[:len(p)]) }

func (s *sparseFile) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) && off+int64(n) < s.size {
		at := off + int64(n)
		in := at % sparseBlock
		part := p[n:min(len(p), n+int(sparseBlock-in))]
		clear(part)
		if b := s.blocks[at/sparseBlock]; b != nil {
			copy(part, b[in:])
		}
		n += len(part)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (s *sparseFile) Truncate(size int64) error { s.size = size; return nil }

func TestBeyondFourGiB(t *testing.T) {
	t.Parallel()
	const sample = 16 << 20
	data := make([]byte, sample)
	data[0], data[1], data[2], data[3], data[4] = 0, 0xff, 0xff, 0xfc, 0x65 // one IDR that fills the sample
	for _, tc := range []struct {
		name  string
		count int64
		wide  bool
		large bool
	}{
		{"just below", 255, false, false},
		{"last chunk still below, mdat beyond", 256, false, true},
		{"beyond", 258, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := &sparseFile{blocks: map[int64][]byte{}}
			w := NewWriter(f, Options{Forecast: func() (int64, int64) { return sample, tc.count * sample }})
			_, err := w.AddTrack(videoTrack())
			require.NoError(t, err)
			for i := range tc.count {
				require.NoError(t, w.Write(0, Sample{Data: data, DTS: i * 15360, PTS: i * 15360, Sync: true, Duration: 15360}))
			}
			sum, err := w.Close()
			require.NoError(t, err)
			require.False(t, sum.MoovMoved)
			m, err := Read(f, sum.Size)
			require.NoError(t, err)
			require.Equal(t, tc.wide, m.Tracks[0].stco.width == 8)
			mdat := m.top[len(m.top)-1]
			require.Equal(t, "mdat", mdat.kind)
			require.Equal(t, tc.large, mdat.body-mdat.off == 16)
			require.Equal(t, tc.count*sample, mdat.bodySize())
			requireClean(t, f, sum.Size)
		})
	}
}

// nullFile takes anything and keeps nothing but the size.
type nullFile struct{ size int64 }

func (n *nullFile) ReadAt([]byte, int64) (int, error) { return 0, io.EOF }
func (n *nullFile) WriteAt(p []byte, off int64) (int, error) {
	n.size = max(n.size, off+int64(len(p)))
	return len(p), nil
}
func (n *nullFile) Truncate(int64) error { return nil }

// TestTwelveHoursOfMemory writes the worst case for the tables, twelve hours of
// jittery 30 fps video with B-frames and AAC, and looks at the live heap.
func TestTwelveHoursOfMemory(t *testing.T) {
	f := &nullFile{}
	w := NewWriter(f, Options{BufferBytes: 1 << 20, Forecast: func() (int64, int64) { return 1, 4000 }})
	writeTracks(t, w)
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	frame, packet := make([]byte, 700), make([]byte, 300)
	audio := int64(0)
	for i := range int64(12 * 3600 * 30) {
		size := 200 + i*7919%500
		require.NoError(t, w.Write(0, Sample{Data: frame[:size], DTS: i*512 + i*31%40, PTS: i*512 + i%3*512, Sync: i%60 == 0}))
		for ; audio*1024*30 < i*48000; audio++ {
			require.NoError(t, w.Write(1, Sample{Data: packet[:200+audio%100], DTS: audio * 1024, PTS: audio * 1024, Sync: true}))
		}
	}
	require.Less(t, heap()-before, int64(30<<20), "samples in memory")
	var m1, m2 runtime.MemStats
	runtime.ReadMemStats(&m1)
	sum, err := w.Close()
	require.NoError(t, err)
	runtime.ReadMemStats(&m2)
	require.Less(t, int64(m2.TotalAlloc-m1.TotalAlloc), int64(1<<20), "the moov is streamed, not built")
	require.Equal(t, 12*3600*30, sum.Tracks[0].Samples)
	require.InDelta(t, 12*time.Hour, sum.Duration, float64(time.Second))
}

func writeTracks(t *testing.T, w *Writer) {
	t.Helper()
	for _, track := range []Track{videoTrack(), audioTrack()} {
		_, err := w.AddTrack(track)
		require.NoError(t, err)
	}
}

func TestWriteAllocatesNothingPerSample(t *testing.T) {
	w := NewWriter(&nullFile{}, Options{BufferBytes: 1 << 20})
	writeTracks(t, w)
	frame := make([]byte, 9000)
	i := int64(0)
	step := func() {
		for k := range 2 {
			if err := w.Write(k, Sample{Data: frame, DTS: i * 512, PTS: i * 512, Sync: true}); err != nil {
				t.Fatal(err)
			}
		}
		i++
	}
	for range 20000 {
		step()
	}
	require.Less(t, testing.AllocsPerRun(20000, step), 0.5)
}

func TestRescaleSaturates(t *testing.T) {
	t.Parallel()
	require.Equal(t, int64(math.MaxInt64), rescale(math.MaxInt64, 1, 90000))
	require.Equal(t, int64(2), rescale(1, 48000, 90000))
	require.Equal(t, int64(-2), rescale(-1, 48000, 90000))
}
