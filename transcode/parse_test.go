package transcode

import (
	"bytes"
	"testing"

	"github.com/Eyevinn/mp4ff/avc"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A baseline SPS and PPS as x264 writes them for 320x180.
var (
	someSPS = []byte{0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x06, 0x7e, 0x7c, 0x05, 0xa8, 0x08, 0x08, 0x0a, 0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x79, 0x1e, 0x28, 0x55, 0x70}
	somePPS = []byte{0x68, 0xce, 0x3c, 0x80}
)

func annexB(units ...[]byte) []byte {
	var b []byte
	for _, u := range units {
		b = append(append(b, 0, 0, 0, 1), u...)
	}
	return b
}

func TestSplitAnnexB(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		in   []byte
		want [][]byte
	}{
		"nothing":        {nil, nil},
		"no start code":  {[]byte{1, 2, 3}, nil},
		"only codes":     {[]byte{0, 0, 1, 0, 0, 0, 1}, nil},
		"three and four": {[]byte{0, 0, 1, 9, 0, 0, 0, 1, 7, 8}, [][]byte{{9}, {7, 8}}},
		"zeros behind":   {[]byte{0, 0, 1, 9, 0, 0, 0, 0, 0, 1, 7, 0, 0}, [][]byte{{9}, {7}}},
		"bytes before":   {[]byte{5, 5, 0, 0, 1, 9}, [][]byte{{9}}},
		"code at end":    {[]byte{0, 0, 1, 9, 0, 0, 1}, [][]byte{{9}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, splitAnnexB(nil, tc.in))
		})
	}
}

// TestSplitForms writes the same units in both forms and gets the same back.
func TestSplitForms(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		units := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) []byte {
			// No start code inside, as emulation prevention sees to, and no zero at the end.
			u := rapid.SliceOfN(rapid.ByteRange(1, 255), 1, 60).Draw(t, "unit")
			return u
		}), 1, 6).Draw(t, "units")
		size := rapid.SampledFrom([]int{1, 2, 3, 4}).Draw(t, "length size")
		var prefixed []byte
		for _, u := range units {
			for i := size - 1; i >= 0; i-- {
				prefixed = append(prefixed, byte(len(u)>>(8*i)))
			}
			prefixed = append(prefixed, u...)
		}
		got, err := splitLengths(nil, prefixed, size)
		if err != nil {
			t.Fatal(err)
		}
		other := splitAnnexB(nil, annexB(units...))
		if len(got) != len(units) || len(other) != len(units) {
			t.Fatalf("%d and %d units instead of %d", len(got), len(other), len(units))
		}
		for i, u := range units {
			if !bytes.Equal(u, got[i]) || !bytes.Equal(u, other[i]) {
				t.Fatalf("unit %d: %x and %x instead of %x", i, got[i], other[i], u)
			}
		}
	})
}

func FuzzSplit(f *testing.F) {
	f.Add(annexB(someSPS, somePPS), 4)
	f.Add([]byte{0, 0, 0, 2, 9, 9, 0, 0}, 4)
	f.Add([]byte{0, 0, 1}, 1)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		total := 0
		for _, u := range splitAnnexB(nil, data) {
			require.NotEmpty(t, u)
			require.NotContains(t, string(u), "\x00\x00\x01")
			total += len(u)
		}
		require.LessOrEqual(t, total, len(data))
		units, _ := splitLengths(nil, data, 1+int(uint(size)%4))
		for _, u := range units {
			require.NotEmpty(t, u)
		}
	})
}

func FuzzNewAVCConfig(f *testing.F) {
	f.Add(annexB(someSPS, somePPS))
	if c, err := newAVCConfig(annexB(someSPS, somePPS)); err == nil {
		f.Add(c.record)
	}
	f.Add([]byte{1, 0x42, 0xc0, 0x0d, 0xff, 0xe1, 0, 0})
	f.Add([]byte{1, 0x64, 0, 0x0d, 0xff, 0xe1, 0, 1, 0x67, 1, 0, 1, 0x68})
	f.Add(annexB([]byte{0x67}, []byte{0x68}))
	f.Add(annexB([]byte{0x67, 0x64, 0, 0x0d, 0xff}, []byte{0x68}))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := newAVCConfig(data)
		if err != nil {
			return
		}
		require.NotEmpty(t, c.sps)
		require.NotEmpty(t, c.pps)
		for _, u := range append(c.sps, c.pps...) {
			if len(u) > 0 {
				c.has(u)
			}
		}
		_, _ = avc.ParseSPSNALUnit(c.sps[0], false) // as describe does
		if c.lengthSize == 0 {
			again, err := newAVCConfig(c.record)
			require.NoError(t, err)
			require.Equal(t, c.record, again.record)
		}
	})
}

func FuzzAAC(f *testing.F) {
	f.Add([]byte(nil), []byte{0xff, 0xf1, 0x4c, 0x80, 0x01, 0x3f, 0xfc, 1, 2})
	f.Add([]byte{0x11, 0x90}, []byte(nil))
	f.Add([]byte{0x13}, []byte{0xff, 0xf0})
	f.Fuzz(func(t *testing.T, extra, packet []byte) {
		if payload, ok := adtsPayload(packet); ok {
			require.Less(t, len(payload), len(packet))
		}
		config, adts, err := aacConfig(extra, packet)
		if err != nil {
			return
		}
		require.GreaterOrEqual(t, len(config), 2)
		require.Equal(t, adts, len(extra) == 0)
		aacCoreRate(config)
	})
}

func TestAACConfig(t *testing.T) {
	t.Parallel()
	// ADTS of AAC-LC, 48 kHz, two channels, a frame of 9 bytes.
	packet := []byte{0xff, 0xf1, 0x4c, 0x80, 0x01, 0x3f, 0xfc, 1, 2}
	payload, ok := adtsPayload(packet)
	require.True(t, ok)
	require.Equal(t, []byte{1, 2}, payload)
	config, adts, err := aacConfig(nil, packet)
	require.NoError(t, err)
	require.True(t, adts)
	require.Equal(t, []byte{0x11, 0x90}, config)
	require.Equal(t, 48000, aacCoreRate(config))
	_, ok = adtsPayload(packet[:8])
	require.False(t, ok, "cut off")
	_, _, err = aacConfig([]byte{0x11}, nil)
	require.Error(t, err)
}
