package capture

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// requireResumes reads a file that is marked before every unit, goes on from the marks, and requires that what comes
// is the same. It says how many key units there are and how many of them had a mark. Of many marks it tries some.
func requireResumes(t require.TestingT, format Format, data []byte, cfg ReaderConfig) (keys, marked int) {
	r, err := NewReader(format, bytes.NewReader(data), cfg)
	if err != nil {
		return 0, 0
	}
	m, ok := resumerOf(r)
	require.True(t, ok)
	var units []readUnit
	var states [][]byte
	for {
		p := &packer{b: []byte{}}
		if !m.mark(p) {
			p.b = nil
		}
		var u *Unit
		if u, err = r.Next(); err != nil {
			break
		}
		units = append(units, readUnit{Unit: *u, data: append([]byte{}, u.Data...)})
		units[len(units)-1].Data = nil
		states = append(states, p.b)
		if u.Key {
			keys++
			if p.b != nil {
				marked++
			}
		}
	}
	require.NoError(t, r.Close())
	const most = 12
	step := max(len(states)/most, 1)
	for i, state := range states {
		if state == nil || i%step != 0 && (!units[i].Key || cfg.Kind == KindAudio) {
			continue
		}
		cfg.point = state
		again, err := NewReader(format, bytes.NewReader(data), cfg)
		require.NoError(t, err, "unit %d", i)
		tail, _ := readAll(again)
		require.NoError(t, again.Close())
		require.Equal(t, len(units)-i, len(tail), "from unit %d", i)
		for k := range tail {
			tail[k].data = append([]byte{}, tail[k].data...) // empty is nil or not, by whether the buffer was used before
			require.Equal(t, units[i+k], tail[k], "unit %d from unit %d", i+k, i)
		}
	}
	return keys, marked
}

func TestResumeContainers(t *testing.T) {
	t.Parallel()
	picture := x264("bframes=0:keyint=10", "-c:a", "libopus")
	both := append([]string{"-f", "lavfi", "-i", "sine=duration=1:sample_rate=48000"}, picture...)
	vp8 := []string{"-f", "lavfi", "-i", "sine=duration=4:sample_rate=48000", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=4", "-c:v", "libvpx", "-g", "10", "-c:a", "libopus"}
	more := func(args []string, with ...string) []string { return append(args[:len(args):len(args)], with...) }
	for _, c := range []struct {
		out  string
		cfg  ReaderConfig
		args []string
	}{
		{"a.ivf", videoConfig("VP8"), more(vp8[4:8], "-c:v", "libvpx", "-g", "10")},
		{"a.webm", videoConfig("VP8"), vp8},
		{"a.webm", audioConfig("OPUS"), vp8},
		{"a.mkv", videoConfig("H264"), both},
		{"progressive.mp4", videoConfig("H264"), both},
		{"progressive.mp4", audioConfig("OPUS"), both},
		{"fragmented.mp4", videoConfig("H264"), more(both, "-movflags", "frag_keyframe+empty_moov+default_base_moof")},
		{"fragmented.mp4", audioConfig("OPUS"), more(both, "-movflags", "frag_keyframe+empty_moov")},
		{"behind.mp4", videoConfig("H264"), more(both, "-movflags", "frag_keyframe")},
		{"a.ts", videoConfig("H264"), more(both, "-c:a", "aac")},
		{"wrapped.ts", videoConfig("H264"), more(both, "-output_ts_offset", "95442.8")},
		{"a.h264", videoConfig("H264"), picture},
		{"slices.h264", videoConfig("H264"), x264("bframes=2:keyint=10:slices=3")},
		{"a.ogg", audioConfig("OPUS"), []string{"-f", "lavfi", "-i", "sine=duration=4:sample_rate=48000", "-c:a", "libopus", "-page_duration", "60000"}},
	} {
		t.Run(c.out+" "+c.cfg.Codec, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(ffmpeg(t, c.out, c.args...))
			require.NoError(t, err)
			if strings.HasSuffix(c.out, ".h264") {
				c.cfg.Length = 1e9
			}
			keys, marked := requireResumes(t, "", data, c.cfg)
			require.Greater(t, keys, 1)
			if strings.HasSuffix(c.out, ".ts") {
				marked++ // nothing is known before the first
			}
			if c.out == "a.ogg" {
				require.Greater(t, marked, keys/5, "at the beginning of every page")
			} else {
				require.Equal(t, keys, marked)
			}
			// A hole in the middle: what is remembered across it must be the same too.
			hole := slices.Concat(data[:len(data)/2], data[len(data)/2+333:])
			requireResumes(t, "", hole, c.cfg)
			requireResumes(t, "", data[:len(data)*3/4], c.cfg)
		})
	}
}

func TestResumeFramesList(t *testing.T) {
	t.Parallel()
	file, sizes := annexBFile()
	for name, lines := range map[string]int{"whole": len(sizes), "short": len(sizes) - 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var list strings.Builder
			list.WriteString("# rtp bytes\n")
			for i, n := range sizes[:lines] {
				fmt.Fprintf(&list, "%d %d\n", uint32(0xfffff000)+uint32(3000*i), n)
			}
			read := func(point []byte) UnitReader {
				cfg := videoConfig("H264")
				cfg.Frames, cfg.point = strings.NewReader(list.String()), point
				r, err := NewReader(FormatH264, bytes.NewReader(file), cfg)
				require.NoError(t, err)
				return r
			}
			r := read(nil)
			whole, err := readAll(read(nil))
			require.NoError(t, err)
			require.Len(t, whole, len(sizes))
			for i := range whole {
				p := &packer{}
				require.True(t, r.(resumer).mark(p))
				tail, err := readAll(read(p.b))
				require.NoError(t, err)
				require.Equal(t, whole[i:], tail)
				_, err = r.Next()
				require.NoError(t, err)
			}
		})
	}
}

// TestResumeRTP goes on at every unit of dumps to which everything happened that happens to packets.
func TestResumeRTP(t *testing.T) {
	t.Parallel()
	for _, codec := range testCodecs {
		for _, janus := range []bool{false, true} {
			t.Run(codec+map[bool]string{true: " mjr"}[janus], func(t *testing.T) {
				t.Parallel()
				rapid.Check(t, func(t *rapid.T) {
					s := newSizedStream(codec, rapid.IntRange(5, 60).Draw(t, "frames"), rapid.Uint16().Draw(t, "seq"), rapid.Uint32().Draw(t, "ts"), 3000, 600)
					packets := spoiled(t, s.packets)
					file := dumpFile(packets)
					if janus {
						file = janusFile(map[Kind]string{KindAudio: `{"t":"a"}`, KindVideo: `{"t":"v"}`}[s.cfg.Kind], packets)
					}
					keys, marked := requireResumes(t, "", file, s.cfg)
					require.GreaterOrEqual(t, marked, keys-1)
				})
			})
		}
	}
}

// spoiled loses, doubles and delays packets, pads, changes the source, and puts others between.
func spoiled(t *rapid.T, packets []sent) []sent {
	out := slices.Clone(packets)
	for i := range out {
		if i > len(out)*2/3 && len(out)%3 == 0 {
			out[i].SSRC, out[i].SequenceNumber = 8, out[i].SequenceNumber+5000
		}
	}
	for range rapid.IntRange(0, 12).Draw(t, "troubles") {
		i := rapid.IntRange(0, len(out)-1).Draw(t, "where")
		p := out[i]
		switch rapid.IntRange(0, 6).Draw(t, "what") {
		case 0:
			out = slices.Delete(out, i, min(i+rapid.IntRange(1, 8).Draw(t, "lost"), len(out)-1))
		case 1:
			out = slices.Insert(out, i, p)
		case 2:
			to := min(i+rapid.IntRange(1, 30).Draw(t, "late"), len(out)-1)
			out = slices.Insert(slices.Delete(out, i, i+1), to, p)
		case 3:
			p.payload, p.pad = nil, 20
			out = slices.Insert(out, i, p)
		case 4:
			p.PayloadType = 97
			out = slices.Insert(out, i, p)
		case 5:
			stray := sent{Header: rtp.Header{PayloadType: 96, SSRC: 99, SequenceNumber: 7}, payload: []byte{1, 2, 3}, at: p.at}
			out = slices.Insert(out, i, stray)
		case 6:
			for k := i; k < len(out); k++ {
				out[k].at += 1500
			}
		}
	}
	return out
}

func TestResumeRealFiles(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"standup/*/*", "nine/tracks/p[03]*", "janus-2014/tracks/*", "beam-*/recording.*"} {
		paths, err := filepath.Glob(realCapture(t, pattern))
		require.NoError(t, err)
		require.NotEmpty(t, paths)
		for _, path := range paths {
			t.Run(path[strings.Index(path, "captures"):], func(t *testing.T) {
				t.Parallel()
				data, err := os.ReadFile(path)
				require.NoError(t, err)
				for _, cfg := range []ReaderConfig{vp8Config, opusConfig} {
					keys, marked := requireResumes(t, "", data, cfg)
					switch filepath.Ext(path) {
					case ".ts":
					case ".ogg": // at the beginning of a page, which may last a second
						require.GreaterOrEqual(t, marked, keys/60)
					default:
						require.GreaterOrEqual(t, marked, keys*9/10-1)
					}
				}
			})
		}
	}
}

// FuzzResume gives readers states of any bytes: they end, whatever comes.
func FuzzResume(f *testing.F) {
	ivf, _ := makeIVF("VP80", 1, 90000, ivfFrame{0, vp8Key(16, 16)}, ivfFrame{3000, vp8Key(16, 16)})
	dump := newStream("H264", 8, 65534, 0xffffff00)
	ogg := newOgg(7)
	ogg.packets(0, 960, opus20(10))
	ogg.packets(0, 1920, opus20(12))
	annexB, _ := annexBFile()
	files := []struct {
		data []byte
		cfg  ReaderConfig
	}{{ivf, videoConfig("VP8")}, {dumpFile(dump.packets), dump.cfg}, {ogg.out, audioConfig("OPUS")}, {annexB, videoConfig("H264")}}
	for i, file := range files {
		r, err := NewReader("", bytes.NewReader(file.data), file.cfg)
		require.NoError(f, err)
		for range 2 {
			_, err = r.Next()
			require.NoError(f, err)
			p := &packer{}
			r.(resumer).mark(p)
			f.Add(byte(i), p.b)
		}
	}
	f.Fuzz(func(t *testing.T, which byte, state []byte) {
		file := files[int(which)%len(files)]
		file.cfg.point = state
		r, err := NewReader("", bytes.NewReader(file.data), file.cfg)
		if err != nil {
			return
		}
		units, _ := readAll(r)
		require.LessOrEqual(t, len(units), len(file.data))
		require.NoError(t, r.Close())
	})
}
