package hls_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// TestCheckTransportStreams breaks packages of MPEG-TS and of packed audio.
func TestCheckTransportStreams(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tool(t, dir, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=10", "-f", "lavfi", "-i", "sine=1000:d=10:r=44100",
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-c:a", "aac", "source.mp4")
	pictures := []string{"-c", "copy", "-f", "hls", "-hls_time", "2", "-hls_playlist_type", "vod", "-hls_flags", "independent_segments"}
	drop := func(t *testing.T, p pack, name string) {
		text := string(p.memory["index.m3u8"])
		at := strings.Index(text, name)
		from := strings.LastIndex(text[:at], "#EXTINF")
		p.memory["index.m3u8"] = []byte(text[:from] + text[at+len(name)+1:])
	}
	for _, tc := range []struct {
		args []string
		fault
	}{
		{pictures, fault{"", "pictures", func(*testing.T, pack) {}}},
		{pictures, fault{"6M 27M", "segment left out", func(t *testing.T, p pack) { drop(t, p, "index2.ts") }}},
		{pictures, text("", "segment left out and said so", "index.m3u8", "index2.ts", "index2.ts\n#EXT-X-DISCONTINUITY")},
		{pictures, fault{"25M", "torn", func(_ *testing.T, p pack) { p.memory["index1.ts"] = p.memory["index1.ts"][:5000] }}},
		{pictures, fault{"25M", "no tables", func(_ *testing.T, p pack) { p.memory["index1.ts"] = p.memory["index1.ts"][3*188:] }}},
		{append(pictures, "-hls_flags", "independent_segments+split_by_time", "-hls_time", "1.5"), fault{"9S 26M", "not at I-frames", func(*testing.T, pack) {}}},
		{append([]string{"-map", "0:v", "-map", "0:a", "-map", "0:a"}, pictures...), fault{"36M", "two sounds", func(*testing.T, pack) {}}},
		{[]string{"-vn", "-c", "copy", "-f", "segment", "-segment_time", "2", "-segment_format", "adts", "-segment_list_type", "m3u8"}, fault{"5M 25M", "packed audio", func(*testing.T, pack) {}}},
	} {
		t.Run(tc.want+" "+tc.name, func(t *testing.T) {
			t.Parallel()
			here := t.TempDir()
			args := append([]string{"ffmpeg", "-v", "error", "-i", filepath.Join(dir, "source.mp4")}, tc.args...)
			if tc.name == "packed audio" {
				args = append(args, "-segment_list", "index.m3u8", "p%d.aac")
			} else {
				args = append(args, "index.m3u8")
			}
			tool(t, here, args...)
			p := pack{memory{}}
			names, err := filepath.Glob(filepath.Join(here, "*"))
			require.NoError(t, err)
			for _, n := range names {
				p.memory[filepath.Base(n)], err = os.ReadFile(n)
				require.NoError(t, err)
			}
			p.all("VERSION:6", "VERSION:3") // ffmpeg says more than is needed
			tc.wreck(t, p)
			found := findings(t, p.memory, "index.m3u8", false)
			require.Equal(t, tc.want, numbersOf(found), "%v\n%s", found, p.memory["index.m3u8"])
		})
	}
}
