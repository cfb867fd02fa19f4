package mp4

import (
	"bytes"
	"testing"

	mp4ff "github.com/Eyevinn/mp4ff/mp4"
	"github.com/stretchr/testify/require"
)

func TestFragmentHeader(t *testing.T) {
	t.Parallel()
	tracks := map[string]Track{
		"video": {Timescale: 90000, Video: &Video{Codec: "avc1", Config: []byte{1, 0x4d, 0x40, 0x1e, 0xff, 0xe0, 0}, Width: 640, Height: 360, SAR: Rational{Num: 4, Den: 3}}},
		"audio": {Timescale: 48000, Audio: &Audio{Codec: "mp4a", Config: []byte{0x11, 0x90}, SampleRate: 48000, Channels: 2}},
	}
	for name, track := range tracks {
		for _, skip := range []int64{0, 1024} {
			p, err := FragmentHeader(track, skip)
			require.NoError(t, err, name)
			f, err := mp4ff.DecodeFile(bytes.NewReader(p))
			require.NoError(t, err, name)
			require.NotNil(t, f.Init, name)
			require.Contains(t, f.Ftyp.CompatibleBrands(), "cmfc")
			require.Equal(t, "iso6", f.Ftyp.MajorBrand())
			moov := f.Init.Moov
			require.Zero(t, moov.Mvhd.Duration)
			require.Zero(t, moov.Trak.Tkhd.Duration)
			require.Zero(t, moov.Trak.Mdia.Mdhd.Duration)
			require.Equal(t, track.Timescale, moov.Trak.Mdia.Mdhd.Timescale)
			require.Len(t, moov.Mvex.Trexs, 1)
			if skip == 0 {
				require.Nil(t, moov.Trak.Edts)
			} else {
				require.Len(t, moov.Trak.Edts.Elst, 1)
				require.Equal(t, []mp4ff.ElstEntry{{MediaTime: skip, MediaRateInteger: 1}}, moov.Trak.Edts.Elst[0].Entries)
			}
		}
	}
	_, err := FragmentHeader(Track{Timescale: 1}, 0)
	require.Error(t, err)
	_, err = FragmentHeader(tracks["audio"], -1)
	require.Error(t, err)
}
