package capture

import (
	"bytes"
	"crypto/md5" //nolint:gosec // FFmpeg's framemd5 is what is compared with
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ffmpeg runs the command line tool in a fresh folder and returns the path of its output; the test is skipped
// without the tool or the encoder.
func ffmpeg(t testing.TB, out string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("there is no ffmpeg command")
	}
	path := filepath.Join(t.TempDir(), out)
	cmd := exec.Command("ffmpeg", append(append([]string{"-v", "error", "-y"}, args...), path)...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("ffmpeg cannot make the file: %v: %s", err, text)
	}
	return path
}

// probed is one packet as FFmpeg sees it.
type probed struct {
	pts  float64 // seconds
	key  bool
	size int
	md5  string
}

// probe reads the packets of one stream with ffprobe, through bitstream filters if given.
func probe(t testing.TB, path, stream string, filters ...string) []probed {
	t.Helper()
	args := []string{"-v", "error", "-i", path, "-map", "0:" + stream, "-c", "copy"}
	args = append(args, filters...)
	args = append(args, "-fps_mode", "passthrough", "-copyts", "-f", "framemd5", "-")
	text, err := exec.Command("ffmpeg", args...).Output()
	require.NoError(t, err)
	var out []probed
	scale := 1.0
	for line := range strings.Lines(string(text)) {
		if tb, ok := strings.CutPrefix(line, "#tb 0: "); ok {
			num, den, _ := strings.Cut(strings.TrimSpace(tb), "/")
			n, _ := strconv.ParseFloat(num, 64)
			d, _ := strconv.ParseFloat(den, 64)
			scale = n / d
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, ",")
		pts, err := strconv.ParseFloat(strings.TrimSpace(f[2]), 64)
		require.NoError(t, err)
		size, err := strconv.Atoi(strings.TrimSpace(f[4]))
		require.NoError(t, err)
		out = append(out, probed{pts: pts * scale, size: size, md5: strings.TrimSpace(f[5])})
	}
	flags, err := exec.Command("ffprobe", "-v", "error", "-select_streams", stream, "-show_entries", "packet=flags", "-of", "csv=p=0", path).Output()
	require.NoError(t, err)
	i := 0
	for line := range strings.Lines(string(flags)) {
		if line = strings.TrimSpace(line); line == "" {
			continue // side data
		}
		if i < len(out) { // FFmpeg marks only some frames of sound
			out[i].key = line[0] == 'K' || stream[0] == 'a'
		}
		i++
	}
	return out
}

// requireProbed compares what a reader gave with what FFmpeg says: payload, times within a tolerance, keys.
func requireProbed(t testing.TB, want []probed, got []readUnit, rate int, tolerance time.Duration) {
	t.Helper()
	require.Equal(t, len(want), len(got), "number of units")
	for i := range got {
		sum := md5.Sum(got[i].data) //nolint:gosec // see above
		require.Equal(t, want[i].size, len(got[i].data), "size of unit %d", i)
		require.Equal(t, want[i].md5, hex.EncodeToString(sum[:]), "payload of unit %d", i)
		require.Equal(t, want[i].key, got[i].Key, "key of unit %d", i)
		if tolerance >= 0 {
			require.InDelta(t, want[i].pts-want[0].pts, float64(got[i].Ticks)/float64(rate), tolerance.Seconds(), "time of unit %d", i)
		}
	}
}

var testPicture = []string{"-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=1"}

func x264(options string, more ...string) []string {
	return append(append(append([]string{}, testPicture...), "-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "20", "-x264-params", options), more...)
}

func TestAnnexBLikeFFmpeg(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, options string }{
		{"plain", "bframes=0"},
		{"slices", "slices=4:bframes=2"},
		{"delimiters", "aud=1:slices=3"},
		{"repeated sets and hrd", "repeat-headers=1:nal-hrd=vbr:vbv-maxrate=500:vbv-bufsize=500"},
		{"frames of fields together", "interlaced=1:slices=2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := ffmpeg(t, "cam.h264", x264(c.options)...)
			cfg := videoConfig("H264")
			cfg.Length = time.Second
			units, r := readFile(t, FormatH264, path, cfg)
			requireProbed(t, probe(t, path, "v:0"), units, 90000, -1)
			for i, u := range units {
				require.EqualValues(t, 3600*i, u.Ticks)
			}
			require.Equal(t, [2]int{160, 120}, [2]int{units[0].Width, units[0].Height})
			require.Len(t, r.Stats().Defects, 1)
			require.Equal(t, DefectNoTimestamps, r.Stats().Defects[0].Kind)
		})
	}
}

// annexBFile makes a tiny stream of three pictures: SPS PPS IDR, a picture of two slices, AUD and a picture.
func annexBFile() (file []byte, sizes []int) {
	nalu := func(b ...byte) []byte { return append([]byte{0, 0, 0, 1}, b...) }
	first := bytes.Join([][]byte{
		nalu(0x67, 0x42, 0xc0, 0x0a, 0xda, 0x0f, 0x0a, 0x68, 0x40, 0, 0, 3, 0, 0x40, 0, 0, 0x0c, 0xa3, 0xc4, 0x89, 0xe0),
		nalu(0x68, 0xce, 0x0f, 0x2c, 0x80), nalu(0x65, 0x88, 0x84, 1, 2, 3, 4, 5),
	}, nil)
	second := append(nalu(0x41, 0x9a, 0x22, 1, 2, 3, 4, 5), nalu(0x41, 0x46, 0x88, 0x88, 2, 3, 4, 5)...)
	third := append(nalu(0x09, 0xf0), nalu(0x41, 0x9a, 0x42, 1, 2, 3, 9, 9)...)
	return bytes.Join([][]byte{first, second, third}, nil), []int{len(first), len(second), len(third)}
}

func TestAnnexBFramesList(t *testing.T) {
	t.Parallel()
	file, sizes := annexBFile()
	list := func(rtp []uint32, sizes ...int) string {
		var b strings.Builder
		for i, s := range sizes {
			fmt.Fprintf(&b, "%d %d\n", rtp[i], s)
		}
		return b.String()
	}
	wrapping := []uint32{1<<32 - 3000, 0, 6000, 9000}
	for _, c := range []struct {
		name   string
		list   string
		want   []int64
		defect bool
	}{
		{"fits and wraps", list(wrapping, sizes...), []int64{0, 3000, 9000}, false},
		{"list too short", list(wrapping, sizes[0], sizes[1]), []int64{0, 3000, 6000}, true},
		{"list too long", list(wrapping, sizes[0], sizes[1], sizes[2], 10), []int64{0, 3000, 9000}, true},
		{"lengths wrong, times used", list(wrapping, sizes[0], sizes[1]-1, sizes[2]), []int64{0, 3000, 9000}, true},
		{"last length too large", list(wrapping, sizes[0], sizes[1], sizes[2]+1), []int64{0, 3000}, true},
		{"no numbers", "1000 " + strconv.Itoa(sizes[0]) + "\nfour 5\n", []int64{0, 3000, 6000}, true},
		{"empty", "", []int64{0, 3000, 6000}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := videoConfig("H264")
			cfg.Frames = strings.NewReader(c.list)
			units, stats, err := readBytes(FormatH264, file, cfg)
			require.NoError(t, err)
			require.Equal(t, c.want, unitTicks(units))
			at := 0
			for i, u := range units {
				require.Equal(t, file[at:at+sizes[i]], u.data)
				at += sizes[i]
			}
			if c.defect {
				require.Equal(t, DefectFramesMismatch, stats.Defects[0].Kind)
			} else {
				require.Empty(t, stats.Defects)
			}
		})
	}
}

func TestAnnexBTorn(t *testing.T) {
	t.Parallel()
	file, sizes := annexBFile()
	whole, _, err := readBytes(FormatH264, file, videoConfig("H264"))
	require.NoError(t, err)
	require.Equal(t, []int64{0, 3000, 6000}, unitTicks(whole))
	for cut := range file {
		units, _, _ := readBytes(FormatH264, file[:cut], videoConfig("H264"))
		at := 0
		for i, size := range sizes {
			if at += size; at > cut {
				break
			}
			// A piece of the next start code may hang on to the last unit.
			require.True(t, bytes.HasPrefix(units[i].data, whole[i].data), "cut at %d", cut)
		}
	}
	units, stats, err := readBytes(FormatH264, append([]byte{0, 0, 1, 9, 0xf0, 7, 7}, file...), videoConfig("H264"))
	require.NoError(t, err)
	require.Len(t, units, 3)
	require.Len(t, stats.Defects, 1)
}

func FuzzAnnexB(f *testing.F) {
	file, sizes := annexBFile()
	f.Add(file, "")
	f.Add(file, fmt.Sprintf("0 %d\n3000 %d\n", sizes[0], sizes[1]))
	f.Fuzz(func(t *testing.T, data []byte, list string) {
		cfg := videoConfig("H264")
		if list != "" {
			cfg.Frames = strings.NewReader(list)
		} else {
			cfg.Length = time.Second
		}
		fuzzReader(t, FormatH264, append([]byte{0, 0, 1}, data...), cfg)
	})
}

func BenchmarkAnnexB(b *testing.B) {
	path := ffmpeg(b, "cam.h264", x264("bframes=0:bitrate=4000")...)
	one, err := os.ReadFile(path)
	require.NoError(b, err)
	benchReader(b, FormatH264, bytes.Repeat(one, 1+(32<<20)/len(one)), videoConfig("H264"))
}
