package hls_test

import (
	"bytes"
	"testing"

	mp4ff "github.com/Eyevinn/mp4ff/mp4"
	"github.com/stretchr/testify/require"
)

// TestPicturesAreDecodedWhenShownBehindDiscontinuities holds a package whose pictures change to what players make of a
// discontinuity: hls.js goes on with the first decoding time, Shaka Player takes it for the segment's time.
func TestPicturesAreDecodedWhenShownBehindDiscontinuities(t *testing.T) {
	t.Parallel()
	for name, level := range map[string]byte{"changed": 20, "same": 30} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStream(1)
			s.encode(encoder{level: 30, width: 640, offset: 1, bFrames: true}, 0, 3, 0, 10)
			s.encode(encoder{run: 1, level: level, width: 640, offset: 1, bFrames: true}, 0, 3, 3, 30)
			p := produce(t, s, nil)
			require.Len(t, p.t.Joins, 1)
			head, err := mp4ff.DecodeFile(bytes.NewReader(p.tree.files["L0/init.mp4"]))
			require.NoError(t, err)
			scale := float64(head.Moov.Trak.Mdia.Mdhd.Timescale)
			text := string(p.tree.files["L0/index.m3u8"])
			f, err := mp4ff.DecodeFile(bytes.NewReader(p.tree.files["L0/00002.m4s"]))
			require.NoError(t, err)
			traf := f.Segments[0].Fragments[0].Moof.Traf
			if name == "same" {
				require.NotContains(t, text, "#EXT-X-DISCONTINUITY")
				require.NotNil(t, head.Moov.Trak.Edts)
				require.Zero(t, traf.Trun.Version)
				return
			}
			require.Contains(t, text, "#EXT-X-DISCONTINUITY")
			require.Nil(t, head.Moov.Trak.Edts)
			require.InDelta(t, p.t.Joins[0].At.Duration().Seconds(), float64(traf.Tfdt.BaseMediaDecodeTime())/scale, 0.0001)
			require.Zero(t, traf.Trun.Samples[0].CompositionTimeOffset)
			require.EqualValues(t, 1, traf.Trun.Version)
		})
	}
}
