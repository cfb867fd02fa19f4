package capture_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/pipeline/capture"
)

const layerManifest = `{"version":1,"source":"live-stream","room_id":"r","session_id":"s","started_at":"2026-11-22T17:00:00Z",
	"layers":[{"name":"720p","playlist":"720p/index.m3u8"}],"outputs":{"vod":{"zip":true,"segments":"single-file"}}}`

// TestBeside lists files, and neither folders, links nor what lies elsewhere.
func TestBeside(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "capture.json"), []byte(layerManifest), 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "720p", "more"), 0o755))
	for _, name := range []string{"720p/b.ts", "720p/a.ts", "720p/.part", "720p/more/c.ts", "d.ts"} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte("x"), 0o600))
	}
	require.NoError(t, os.Symlink(filepath.Join(folder, "d.ts"), filepath.Join(folder, "720p", "link.ts")))
	c, err := capture.Open(t.Context(), folder)
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	require.Equal(t, capture.VOD{Zip: true, Segments: capture.SegmentsSingleFile}, c.Manifest.Outputs.VOD)

	names, err := c.Beside("720p/index.m3u8")
	require.NoError(t, err)
	require.Subset(t, names, []string{"720p/a.ts", "720p/b.ts"})
	require.NotContains(t, names, "720p/link.ts")
	require.NotContains(t, names, "720p/more/c.ts")
	require.NotContains(t, names, "720p/more")
	names, err = c.Beside("480p/index.m3u8")
	require.NoError(t, err)
	require.Empty(t, names)
	_, err = c.Beside("../index.m3u8")
	require.Error(t, err)

	require.ErrorContains(t, c.Override([]byte(`{"vod":{"ladder":[360]}}`)), "outputs.vod.ladder")
}
