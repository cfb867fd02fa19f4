package mp4

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// memFile is a File in memory.
type memFile struct{ b []byte }

func (m *memFile) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(m.b).ReadAt(p, off)
}

func (m *memFile) WriteAt(p []byte, off int64) (int, error) {
	if end := int(off) + len(p); end > len(m.b) {
		m.b = append(m.b, make([]byte, end-len(m.b))...)
	}
	return copy(m.b[off:], p), nil
}

func (m *memFile) Truncate(size int64) error {
	if int(size) <= len(m.b) {
		m.b = m.b[:size]
	} else {
		m.b = append(m.b, make([]byte, int(size)-len(m.b))...)
	}
	return nil
}

// avcConfig is an AVCDecoderConfigurationRecord with 4-byte NAL lengths.
var avcConfig = []byte{1, 66, 0xc0, 30, 0xff, 0xe1, 0, 4, 0x67, 66, 0xc0, 30, 1, 0, 2, 0x68, 0xce}

func videoTrack() Track {
	return Track{Timescale: 15360, Language: "deu", Name: "Camera", Video: &Video{
		Codec: "avc1", Config: avcConfig, Width: 640, Height: 360,
		SAR: Rational{4, 3}, Color: &Color{Primaries: 1, Transfer: 1, Matrix: 1},
	}}
}

func audioTrack() Track {
	return Track{Timescale: 48000, Audio: &Audio{Codec: "mp4a", Config: []byte{0x11, 0x90}, SampleRate: 48000, Channels: 2, BitRate: 128000}}
}

// picture is one NAL unit of n bytes that says whether it is an IDR.
func picture(n int, sync bool, seed byte) []byte {
	n = max(n, 6)
	b := bytes.Repeat([]byte{seed}, n)
	b[0], b[1], b[2], b[3] = byte((n-4)>>24), byte((n-4)>>16), byte((n-4)>>8), byte(n-4)
	b[4] = 0x41
	if sync {
		b[4] = 0x65
	}
	return b
}

// scene is what a property test writes.
type scene struct {
	tracks  []Track
	samples [][]Sample
}

func drawScene(t *rapid.T) scene {
	var s scene
	for i := range rapid.IntRange(1, 3).Draw(t, "tracks") {
		track, video := audioTrack(), i == 0
		if video {
			track = videoTrack()
		}
		n := rapid.IntRange(0, 80).Draw(t, "samples")
		if i == 0 {
			n++
		}
		dts := rapid.Int64Range(-20000, 20000).Draw(t, "start")
		var list []Sample
		for k := range n {
			size, sync, cts := rapid.IntRange(1, 300).Draw(t, "size"), true, int64(0)
			var data []byte
			if video {
				sync = k == 0 || rapid.IntRange(0, 9).Draw(t, "sync") == 0
				cts = rapid.Int64Range(-3, 6).Draw(t, "cts") * 256
				data = picture(size, sync, byte(k))
			} else {
				data = bytes.Repeat([]byte{byte(k)}, size)
			}
			step := int64(1024)
			if rapid.IntRange(0, 3).Draw(t, "vfr") == 0 {
				step = rapid.Int64Range(1, 9000).Draw(t, "step")
			}
			list = append(list, Sample{Data: data, DTS: dts, PTS: dts + cts, Sync: sync, Duration: uint32(step)})
			dts += step
		}
		s.tracks, s.samples = append(s.tracks, track), append(s.samples, list)
	}
	return s
}

// writeInterleaved writes the samples of all tracks in decoding order.
func writeInterleaved(t require.TestingT, w *Writer, s scene) {
	for i := range s.tracks {
		n, err := w.AddTrack(s.tracks[i])
		require.NoError(t, err)
		require.Equal(t, i, n)
	}
	next := make([]int, len(s.samples))
	for k := 0; ; k++ {
		due, at := -1, time.Duration(0)
		for i, list := range s.samples {
			if next[i] == len(list) {
				continue
			}
			if d := ticksToDuration(list[next[i]].DTS, s.tracks[i].Timescale); due < 0 || d < at {
				due, at = i, d
			}
		}
		if due < 0 {
			return
		}
		smp := s.samples[due][next[due]]
		next[due]++
		if k%2 == 0 {
			require.NoError(t, w.Write(due, smp))
			continue
		}
		data := smp.Data
		smp.Data = nil
		require.NoError(t, w.WriteV(due, smp, data[:len(data)/2], data[len(data)/2:]))
	}
}

// presented reports whether a track has anything after the movie's start.
func presented(list []Sample) bool {
	best, end := int64(-1<<62), int64(0)
	for i, s := range list {
		d := int64(s.Duration)
		if i+1 < len(list) {
			d = list[i+1].DTS - s.DTS
		}
		if s.PTS > best {
			best, end = s.PTS, s.PTS+d
		}
	}
	return len(list) > 0 && end > 0
}

// requireSame reads the file back and compares it with the scene. Times may be
// off by the rounding of the empty edit.
func requireSame(t require.TestingT, f io.ReaderAt, size int64, s scene) {
	m, err := Read(f, size)
	require.NoError(t, err)
	i := 0
	for k, list := range s.samples {
		if !presented(list) {
			continue
		}
		got := m.Tracks[i]
		i++
		requireTrack(t, s.tracks[k], got)
		n := 0
		var shift int64
		for smp, err := range got.Samples() {
			require.NoError(t, err)
			want := list[n]
			if n == 0 {
				shift = smp.PTS - want.PTS
				require.LessOrEqual(t, max(shift, -shift), int64(1), "start of track %d", k)
			}
			require.Equal(t, want.PTS, smp.PTS-shift, "PTS of sample %d", n)
			require.Equal(t, want.Sync, smp.Sync)
			data := make([]byte, smp.Size)
			require.NoError(t, readFull(f, data, smp.Offset))
			require.Equal(t, want.Data, data, "bytes of sample %d", n)
			if n+1 < len(list) {
				require.Equal(t, list[n+1].DTS-want.DTS, int64(smp.Duration))
			}
			n++
		}
		require.Equal(t, len(list), n)
	}
	require.Len(t, m.Tracks, i)
}

func requireTrack(t require.TestingT, want Track, got *MovieTrack) {
	require.Equal(t, want.Timescale, got.Timescale)
	if want.Video != nil {
		v := *got.Video
		if want.Video.Matrix == [9]int32{} {
			v.Matrix = [9]int32{}
		}
		require.Equal(t, *want.Video, v)
		return
	}
	require.Equal(t, want.Audio.Config, got.Audio.Config)
	require.Equal(t, want.Audio.SampleRate, got.Audio.SampleRate)
	require.Equal(t, want.Audio.Channels, got.Audio.Channels)
}

// requireClean runs Check and leaves out the numbers given.
func requireClean(t require.TestingT, f io.ReaderAt, size int64, except ...int) {
	findings, err := Check(f, size)
	require.NoError(t, err)
	findings = slices.DeleteFunc(findings, func(f Finding) bool { return slices.Contains(except, f.Number) })
	require.Empty(t, findings, fmt.Sprint(findings))
}

// call is n seconds of regular video (30 fps, one B-frame) and audio (primed).
func call(seconds int) scene {
	s := scene{tracks: []Track{videoTrack(), audioTrack()}, samples: make([][]Sample, 2)}
	for i := range int64(seconds * 30) {
		pts := i * 512
		if i > 0 && i%60 > 0 {
			pts += []int64{512, -512}[i%2]
		}
		s.samples[0] = append(s.samples[0], Sample{Data: picture(400+int(i%7), i%60 == 0, byte(i)), DTS: i*512 - 512, PTS: pts, Duration: 512, Sync: i%60 == 0})
	}
	for i := range int64(seconds * 48000 / 1024) {
		s.samples[1] = append(s.samples[1], Sample{Data: bytes.Repeat([]byte{byte(i)}, 90+int(i%5)), DTS: i*1024 - 1024, PTS: i*1024 - 1024, Duration: 1024, Sync: true})
	}
	return s
}

func TestRapidRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := drawScene(t)
		f := &memFile{}
		w := NewWriter(f, Options{
			BufferBytes: rapid.SampledFrom([]int{1, 2000, 0}).Draw(t, "buffer"),
			Forecast:    func() (int64, int64) { return 1, rapid.Int64Range(0, 20).Draw(t, "total") },
		})
		writeInterleaved(t, w, s)
		sum, err := w.Close()
		some := slices.ContainsFunc(s.samples, presented)
		if !some {
			require.ErrorIs(t, err, ErrNoSamples)
			return
		}
		require.NoError(t, err)
		require.Equal(t, int64(len(f.b)), sum.Size)
		requireSame(t, f, sum.Size, s)
		// Random times put tracks far from each other: 46 is for regular ones.
		requireClean(t, f, sum.Size, 46)
	})
}

func TestRapidDropTail(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := drawScene(t)
		f := &memFile{}
		w := NewWriter(f, Options{BufferBytes: rapid.SampledFrom([]int{1, 3000, 0}).Draw(t, "buffer")})
		writeInterleaved(t, w, s)
		for i := range s.samples {
			refs := w.TailSamples(i, 0)
			for k, ref := range refs {
				want := s.samples[i][len(s.samples[i])-len(refs)+k]
				data, err := w.ReadSample(ref)
				require.NoError(t, err)
				require.Equal(t, want.Data, data)
				require.Equal(t, want.PTS, ref.PTS)
				require.Equal(t, k == 0 || want.Sync && s.tracks[i].Video == nil, ref.Sync)
			}
			n := rapid.IntRange(0, len(s.samples[i])).Draw(t, "drop")
			require.NoError(t, w.DropTail(i, n))
			s.samples[i] = slices.Clone(s.samples[i][:len(s.samples[i])-n])
			if left := len(s.samples[i]); n > 0 && left > 0 {
				last := &s.samples[i][left-1]
				dts := last.DTS + int64(last.Duration)
				again := Sample{Data: picture(77, false, 7), DTS: dts, PTS: dts, Duration: 512}
				again.Sync = s.tracks[i].Video == nil
				require.NoError(t, w.Write(i, again))
				s.samples[i] = append(s.samples[i], again)
			}
		}
		sum, err := w.Close()
		if !slices.ContainsFunc(s.samples, presented) {
			require.ErrorIs(t, err, ErrNoSamples)
			return
		}
		require.NoError(t, err)
		requireSame(t, f, sum.Size, s)
		requireClean(t, f, sum.Size, 46)
	})
}
