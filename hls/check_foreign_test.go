package hls_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/hls"
)

// tool runs a program of the system, or skips when it is not there.
func tool(t *testing.T, dir string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(args[0]); err != nil {
		t.Skip(args[0] + " is not installed")
	}
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// TestCheckForeignPackages lists all that packages of ffmpeg break, and nothing else may be found: version 7 where 6
// is enough (2), no EXT-X-INDEPENDENT-SEGMENTS unless asked for (9), no cmfc (24), sound and pictures in one file and
// one moof (24, 25), an empty edit of no length before the real one (32). Its multivariant playlist has no
// AVERAGE-BANDWIDTH (17), CODECS (18), FRAME-RATE (19), CHANNELS (20) and no I-frame playlists (22).
func TestCheckForeignPackages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tool(t, dir, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=30:d=9", "-f", "lavfi", "-i", "sine=1000:d=9:r=48000",
		"-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "60", "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-c:a", "aac", "-movflags", "+faststart", "source.mp4")
	for name, tc := range map[string]struct {
		args []string
		top  string
		want string
	}{
		"ts":        {[]string{"x/index.m3u8"}, "index.m3u8", "9S"},
		"fmp4":      {[]string{"-hls_segment_type", "fmp4", "x/index.m3u8"}, "index.m3u8", "2S 9S 24S 25S 32M"},
		"single":    {[]string{"-hls_segment_type", "fmp4", "-hls_flags", "single_file", "x/index.m3u8"}, "index.m3u8", "2S 9S 24S 25S 32M"},
		"ts single": {[]string{"-hls_flags", "single_file", "x/index.m3u8"}, "index.m3u8", "9S"},
		"demuxed": {[]string{"-map", "0:v", "-map", "0:a", "-hls_segment_type", "fmp4", "-hls_flags", "independent_segments", "-master_pl_name", "master.m3u8",
			"-var_stream_map", "v:0,agroup:a a:0,agroup:a,language:en,default:yes", "x/s%v/index.m3u8"}, "x/master.m3u8", "2S 17M 18M 19M 20S 22M 24S 32M"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			here := t.TempDir()
			require.NoError(t, os.Mkdir(filepath.Join(here, "x"), 0o755))
			tool(t, here, append([]string{"ffmpeg", "-v", "error", "-i", filepath.Join(dir, "source.mp4"), "-c", "copy", "-f", "hls", "-hls_time", "2", "-hls_playlist_type", "vod"}, tc.args...)...)
			src, err := hls.NewCheckFolder(filepath.Join(here, "x"))
			require.NoError(t, err)
			defer func() { require.NoError(t, src.Close()) }()
			found, err := hls.Check(t.Context(), src, filepath.Base(tc.top), hls.CheckOptions{})
			require.NoError(t, err)
			for _, f := range found {
				t.Log(f)
			}
			require.Equal(t, tc.want, numbersOf(withoutPractice(found)), "%v", found)
		})
	}
	src, err := hls.NewCheckFolder(dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, src.Close()) }()
	found, err := hls.Check(t.Context(), src, "source.mp4", hls.CheckOptions{})
	require.NoError(t, err)
	require.Empty(t, withoutPractice(found))
}
