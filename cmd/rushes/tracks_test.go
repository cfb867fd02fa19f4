package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/pipeline"
	"rushes/pipeline/capture"
)

// TestTrackFormatFlag holds what the flag makes of the manifest's word.
func TestTrackFormatFlag(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ manifest, flag, want string }{
		{"", "", ""}, {"", "auto", ""}, {"", "mp4", "mp4"}, {"mp4", "", "mp4"}, {"mp4", "auto", ""}, {"mp4", "mp4", "mp4"},
	} {
		c := &capture.Capture{Manifest: &capture.Manifest{Source: capture.SourceSFU, Outputs: capture.DefaultOutputs(capture.SourceSFU)}}
		c.Manifest.Outputs.TrackFormat = tc.manifest
		require.NoError(t, (&outputFlags{TrackFormat: tc.flag}).apply(c))
		require.Equal(t, tc.want, c.Manifest.Outputs.TrackFormat, "%+v", tc)
	}
	requireUsage := func(says string, args ...string) {
		t.Helper()
		got := rushes(t, append([]string{"process", call(t), "--data", t.TempDir()}, args...)...)
		require.Equal(t, pipeline.ExitUsage, got.code, got.stderr)
		require.Contains(t, got.stderr, says)
	}
	requireUsage(`"auto","mp4"`, "--track-format", "webm")
	requireUsage(`"room-composite" cannot be made; a sfu capture gives track, room-composite-legacy, stream, room-vod`, "--assets", "track,room-composite")
}

// TestTrackFormatOfManifest names the field of the manifest that is wrong.
func TestTrackFormatOfManifest(t *testing.T) {
	t.Parallel()
	folder := call(t)
	rename(t, folder, `"version"`, `"outputs":{"track_format":"avi"},"version"`)
	requireOneLine(t, rushes(t, "process", folder, "--data", t.TempDir()), pipeline.ExitBadInput, "outputs.track_format", `"avi"`)
}

// TestAssetsFlag makes tracks and streams of a real call, only those, and as MP4 where that is asked for.
func TestAssetsFlag(t *testing.T) {
	t.Parallel()
	folder := filepath.Join("..", "..", "..", "shared", "captures", "standup")
	text, err := os.ReadFile(filepath.Join(folder, "capture.json"))
	if err != nil {
		t.Skipf("no sample captures here: %v", err)
	}
	var manifest map[string]any
	require.NoError(t, json.Unmarshal(text, &manifest))
	var kept []any
	for _, x := range manifest["tracks"].([]any) { //nolint:forcetypeassert // a test may fail so
		if id, ok := x.(map[string]any)["id"].(string); ok && strings.HasPrefix(id, "carol-") && strings.HasSuffix(id, "-2") {
			kept = append(kept, x)
		}
	}
	require.Len(t, kept, 2)
	manifest["tracks"] = kept
	text, err = json.Marshal(manifest)
	require.NoError(t, err)
	small := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(small, "capture.json"), text, 0o644))
	require.NoError(t, os.CopyFS(filepath.Join(small, "tracks"), os.DirFS(filepath.Join(folder, "tracks"))))
	ends := func(doc document) (ends []string) {
		for _, a := range doc.Assets {
			require.Equal(t, "completed", a.Status)
			ends = append(ends, filepath.Base(a.Path))
		}
		return ends
	}
	require.ElementsMatch(t, []string{"carol-mic-2.webm", "carol-cam-2.webm", "carol-regular.mp4"}, ends(process(t, t.TempDir(), "--assets", "track,stream", small)))
	require.ElementsMatch(t, []string{"carol-mic-2.mp4", "carol-cam-2.mp4"}, ends(process(t, t.TempDir(), "--assets", "track", "--track-format", "mp4", small)))
}
