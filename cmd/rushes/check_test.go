package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/pipeline"
)

// TestCheck holds the findings, the output and the exit status of the check of small packages and a movie.
func TestCheck(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	dir := t.TempDir()
	for _, args := range [][]string{
		{"-f", "lavfi", "-i", "testsrc2=s=160x90:r=25:d=4", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "50", "-movflags", "+faststart", "movie.mp4"},
		{"-i", "movie.mp4", "-c", "copy", "-f", "hls", "-hls_time", "2", "-hls_playlist_type", "vod", "-hls_flags", "independent_segments", "package.m3u8"},
	} {
		cmd := exec.CommandContext(t.Context(), "ffmpeg", append([]string{"-v", "error"}, args...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "package.m3u8"))
	require.NoError(t, err)
	text = []byte(strings.Replace(string(text), "VERSION:6", "VERSION:3", 1)) // ffmpeg says more than is needed
	require.NoError(t, os.WriteFile(filepath.Join(dir, "package.m3u8"), text, 0o600))
	broken := filepath.Join(dir, "broken.m3u8")
	require.NoError(t, os.WriteFile(broken, []byte(strings.Replace(string(text), "#EXT-X-ENDLIST", "", 1)), 0o600))
	requireSuccess(t, rushes(t, "check", filepath.Join(dir, "package.m3u8")))
	requireSuccess(t, rushes(t, "check", filepath.Join(dir, "movie.mp4"), "--severity", "must"))

	got := rushes(t, "check", broken)
	require.Equal(t, outcome{pipeline.ExitOther, "5 M broken.m3u8: there is no EXT-X-ENDLIST\n", ""}, got)
	got = rushes(t, "check", broken, "--json")
	require.Equal(t, pipeline.ExitOther, got.code)
	var out struct {
		Clean    bool
		Findings []struct {
			Number                 int
			Severity, File, Detail string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &out))
	require.False(t, out.Clean)
	require.Len(t, out.Findings, 1)
	require.Equal(t, 5, out.Findings[0].Number)
	require.Equal(t, "M", out.Findings[0].Severity)

	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer server.Close()
	requireSuccess(t, rushes(t, "check", server.URL+"/package.m3u8"))
	require.Equal(t, pipeline.ExitOther, rushes(t, "check", server.URL+"/broken.m3u8").code)
	requireOneLine(t, rushes(t, "check", server.URL+"/none.m3u8"), pipeline.ExitBadInput, "404")
	requireOneLine(t, rushes(t, "check", dir), pipeline.ExitBadInput, "2 playlists")
	requireOneLine(t, rushes(t, "check", filepath.Join(dir, "none")), pipeline.ExitBadInput, "none")
	requireOneLine(t, rushes(t, "check", "ftp://example.org/x"), pipeline.ExitBadInput, "http")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x.zip"), []byte("PK"), 0o600))
	requireOneLine(t, rushes(t, "check", filepath.Join(dir, "x.zip")), pipeline.ExitBadInput, "zip")
	require.Equal(t, pipeline.ExitUsage, rushes(t, "check", dir, "--severity", "some").code)
}

// TestCheckHelp holds the help to its golden file.
func TestCheckHelp(t *testing.T) {
	t.Parallel()
	got := rushes(t, "check", "--help")
	requireSuccess(t, got)
	golden(t, filepath.Join("help", "check.txt"), got.stdout)
}
