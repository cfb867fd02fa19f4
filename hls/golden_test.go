package hls_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/hls"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGoldenPlaylists holds the playlists of a stream with a restart, a change of size, a long hole of one layer and a
// pause against files that a person has read.
func TestGoldenPlaylists(t *testing.T) {
	t.Parallel()
	s := newStream(2)
	for l := range 2 {
		s.encode(encoder{layer: l, level: byte(30 - l), width: 640 >> l, offset: 1}, 0, 14, 0, 10)
		s.encode(encoder{layer: l, run: 1, level: 20, width: 320 >> l, offset: 1}, 0, 6, 14, 44)
	}
	s.dump.Layers[1].Segments = append(s.dump.Layers[1].Segments[:2], s.dump.Layers[1].Segments[9:]...)
	s.dump.Paused = []hls.Interval{{From: epoch.Add(50 * time.Second), To: epoch.Add(52 * time.Second)}}
	for name, single := range map[string]bool{"files": false, "ranges": true} {
		p := produce(t, s, func(o *hls.PackageOptions) { o.SingleFile = single })
		var text strings.Builder
		for _, n := range p.tree.order {
			if strings.HasSuffix(n, ".m3u8") {
				text.WriteString("==== " + n + "\n" + string(p.tree.files[n]))
			}
		}
		for _, d := range p.res.Defects {
			text.WriteString("defect: " + d.String() + "\n")
		}
		golden := filepath.Join("testdata", "playlists-"+name+".txt")
		if *update {
			require.NoError(t, os.MkdirAll("testdata", 0o750))
			require.NoError(t, os.WriteFile(golden, []byte(text.String()), 0o600))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		require.Equal(t, string(want), text.String())
	}
}
