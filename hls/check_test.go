package hls_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/hls"
)

// plainRuns is twoRuns with pictures of the size that their parameter sets say.
func plainRuns() *stream {
	s := newStream(2)
	for l := range 2 {
		e := encoder{layer: l, level: byte(30 - l), width: 640, offset: 1.4, late: -0.021, bFrames: true}
		s.encode(e, 0, 4, 0, 10)
		e.run = 1
		s.encode(e, 0, 5, 4, 22.5)
	}
	return s
}

func TestCheckOwnPackages(t *testing.T) {
	t.Parallel()
	for name, single := range map[string]bool{"files": false, "ranges": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := produce(t, plainRuns(), func(o *hls.PackageOptions) { o.SingleFile = single })
			require.Empty(t, findings(t, p.tree.files, "master.m3u8", false))
		})
	}
}

func TestCheckGoodPack(t *testing.T) {
	t.Parallel()
	require.Empty(t, findings(t, goodPack(t).memory, "master.m3u8", true))
}
