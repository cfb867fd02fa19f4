package transcode

import (
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/transcode/mp4"
)

// pcm is a track of PCM (mu-law) packets of 20 ms, made when they are asked for.
type pcm struct {
	units  func(n int) (at time.Duration, ok bool)
	level  float64
	n      int
	unit   Unit
	closed int
}

func (p *pcm) Next() (*Unit, error) {
	at, ok := p.units(p.n)
	if !ok {
		return nil, io.EOF
	}
	data := make([]byte, 160)
	for i := range data {
		v := p.level * math.Sin(2*math.Pi*400*float64(p.n*160+i)/8000)
		data[i] = muLaw(int(v * 32767))
	}
	p.n++
	p.unit = Unit{Data: data, At: at, Duration: 20 * time.Millisecond, Key: true}
	return &p.unit, nil
}

func (p *pcm) Close() error { p.closed++; return nil }

// muLaw is ITU-T G.711.
func muLaw(v int) byte {
	sign := byte(0)
	if v < 0 {
		v, sign = -v, 0x80
	}
	v = min(v, 32635) + 132
	exponent := 7
	for mask := 0x4000; exponent > 0 && v&mask == 0; mask >>= 1 {
		exponent--
	}
	return ^(sign | byte(exponent<<4) | byte(v>>(exponent+3)&15))
}

func pcmTrack(name string, level float64, units func(n int) (time.Duration, bool)) MixTrack {
	return MixTrack{TrackInput: TrackInput{Name: name, Codec: "pcm_mulaw", SampleRate: 8000, Channels: 1,
		Open: func() (Units, error) { return &pcm{units: units, level: level}, nil }}}
}

func steady(length time.Duration) func(n int) (time.Duration, bool) {
	return func(n int) (time.Duration, bool) {
		at := time.Duration(n) * 20 * time.Millisecond
		return at, at < length
	}
}

// mixed makes a mix and decodes it.
func mixed(t *testing.T, m Mix) (left []float32, r *MixResult) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "mix.mp4"))
	require.NoError(t, err)
	defer f.Close()
	r, err = MixSound(t.Context(), m, f, nil)
	require.NoError(t, err)
	findings, err := mp4.Check(f, r.Size)
	require.NoError(t, err)
	for _, x := range findings {
		require.NotEqual(t, mp4.Must, x.Severity, "%v", x)
	}
	src, err := FileSource("mix", f)
	require.NoError(t, err)
	_, err = Decode(t.Context(), src, Sink{Sound: func(s Sound) error { left = append(left, s.Channels[0]...); return nil }})
	require.NoError(t, err)
	return left, r
}

func peakOf(samples []float32) (peak float64) {
	for _, v := range samples {
		peak = max(peak, math.Abs(float64(v)))
	}
	return 20 * math.Log10(peak)
}

func rmsOf(samples []float32) float64 {
	sum := 0.0
	for _, v := range samples {
		sum += float64(v) * float64(v)
	}
	return 10 * math.Log10(sum/float64(len(samples)))
}

// TestMixLimits sums loud tracks, which must stay below −1 dBFS, and quiet ones, which must stay what they are.
func TestMixLimits(t *testing.T) {
	t.Parallel()
	loud := Mix{Duration: 3 * time.Second}
	for range 5 {
		loud.Tracks = append(loud.Tracks, pcmTrack("loud", 0.9, steady(3*time.Second)))
	}
	out, _ := mixed(t, loud)
	require.Less(t, peakOf(out), -1+0.3)
	require.Greater(t, rmsOf(out[48_000:2*48_000]), -6.0, "it is turned down too far")
	quiet := Mix{Duration: 3 * time.Second, Tracks: []MixTrack{pcmTrack("a", 0.2, steady(3*time.Second)), pcmTrack("b", 0.3, steady(3*time.Second))}}
	out, r := mixed(t, quiet)
	require.InDelta(t, 20*math.Log10(0.5/math.Sqrt2), rmsOf(out[48_000:2*48_000]), 0.1)
	require.InDelta(t, 3*48_000, len(out), 1024, "whole frames")
	require.Len(t, r.Levels, 2)
	require.InDelta(t, 20*math.Log10(0.3/math.Sqrt2), r.Levels[1][12], 0.3)
}

// TestLimiter holds the limiter alone: no sample above the ceiling, no jump of the gain before a peak, and what is
// below the ceiling unchanged.
func TestLimiter(t *testing.T) {
	t.Parallel()
	l := newLimiter(1)
	in := make([]float32, 48_000)
	for i := range in {
		in[i] = float32(0.5 * math.Sin(float64(i)/20))
		if i > 20_000 && i < 20_400 || i%7919 == 0 && i > 30_000 {
			in[i] *= 6
		}
	}
	out := append([]float32(nil), in...)
	l.run([][]float32{out})
	for i := limitLookAhead; i < len(out); i++ {
		require.LessOrEqual(t, math.Abs(float64(out[i])), l.ceiling+1e-6, "sample %d", i)
		if i < 19_000 {
			require.Equal(t, in[i-limitLookAhead], out[i], "sample %d", i)
		}
	}
}

// TestMixGaps has an hour without packets, one far ahead, and a track that cannot be opened: none fills the memory or
// runs for ever.
func TestMixGaps(t *testing.T) {
	t.Parallel()
	gap := pcmTrack("gap", 0.3, func(n int) (time.Duration, bool) {
		at := time.Duration(n) * 20 * time.Millisecond
		if n >= 50 {
			at += time.Hour
		}
		return at, n < 100
	})
	ahead := pcmTrack("ahead", 0.3, func(n int) (time.Duration, bool) {
		return time.Duration(n) * 20 * time.Millisecond * 50_000_000, true
	})
	broken := MixTrack{TrackInput: TrackInput{Name: "broken", Codec: "no-such-codec", SampleRate: 48_000, Channels: 1, Open: func() (Units, error) { return &pcm{units: steady(0)}, nil }}}
	f, err := os.Create(filepath.Join(t.TempDir(), "mix.mp4"))
	require.NoError(t, err)
	defer f.Close()
	most := 0
	s, err := newSoundSource(&gap, newCutter(nil), ticksOf(int64(time.Hour+2*time.Second), outputRate))
	require.NoError(t, err)
	for at := int64(0); at < 3602*outputRate; at += 4 * levelWindow {
		require.NoError(t, s.fill(t.Context(), at+4*levelWindow))
		held := 0
		for _, p := range s.wait {
			held += len(p.samples[0])
		}
		most = max(most, held)
		s.mix(at, [][]float32{make([]float32, 4*levelWindow), make([]float32, 4*levelWindow)})
	}
	require.NoError(t, s.close())
	require.Less(t, most, outputRate, "samples held")
	require.InDelta(t, 20*math.Log10(0.3/math.Sqrt2), s.levels[5], 0.5)
	require.InDelta(t, 20*math.Log10(0.3/math.Sqrt2), s.levels[36_000+15], 0.5)
	require.True(t, math.IsInf(s.levels[18_000], -1))
	out, r := mixed(t, Mix{Duration: 2 * time.Second, Tracks: []MixTrack{gap, ahead, broken}})
	require.InDelta(t, 2*48_000, len(out), 1024, "whole frames")
	require.Len(t, r.Defects, 1)
	require.Equal(t, "broken", r.Defects[0].File)
	require.Less(t, peakOf(out[60_000:]), -60.0)
}
