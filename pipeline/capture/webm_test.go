package capture

import (
	"bytes"
	"crypto/md5" //nolint:gosec // FFmpeg's framemd5 is what is compared with
	"encoding/binary"
	"encoding/hex"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// element writes an EBML element with an eight byte size.
func element(id uint32, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	return append(binary.BigEndian.AppendUint64(ebmlID(id), 1<<56|uint64(len(body))), body...)
}

func ebmlID(id uint32) []byte {
	return bytes.TrimLeft(binary.BigEndian.AppendUint32(nil, id), "\x00")
}

// unknownSize begins an element of unknown size.
func unknownSize(id uint32) []byte {
	return append(ebmlID(id), 0x01, 255, 255, 255, 255, 255, 255, 255)
}

func number(id uint32, v uint64) []byte { return element(id, binary.BigEndian.AppendUint64(nil, v)) }

func simpleBlock(track byte, relative int16, flags byte, data ...byte) []byte {
	return element(idSimpleBlock, []byte{0x80 | track}, binary.BigEndian.AppendUint16(nil, uint16(relative)), []byte{flags}, data)
}

// webmStart writes everything before the first cluster: VP8 is track 1, Opus track 2.
func webmStart(more ...[]byte) []byte {
	video := element(idTrackEntry, append([][]byte{number(idTrackNumber, 1), number(idTrackType, 1), element(idCodecID, []byte("V_VP8"))}, more...)...)
	audio := element(idTrackEntry, number(idTrackNumber, 2), number(idTrackType, 2), element(idCodecID, []byte("A_OPUS")), element(idCodecPrivate, opusHead()))
	return bytes.Join([][]byte{
		element(idEBML, number(0x4286, 1)), unknownSize(idSegment), element(idVoid, make([]byte, 9)),
		element(idInfo, number(idTimestampScale, 1_000_000)), element(idTracks, video, audio),
	}, nil)
}

func TestWebMBlocks(t *testing.T) {
	t.Parallel()
	key, file := vp8Key(320, 240), webmStart()
	var ends []int
	add := func(counts bool, parts ...[]byte) {
		file = append(file, bytes.Join(parts, nil)...)
		if counts {
			ends = append(ends, len(file))
		}
	}
	add(false, unknownSize(idCluster), number(idTimestamp, 1000))
	add(true, simpleBlock(1, 0, 0x80, key...))
	add(false, simpleBlock(2, 3, 0x80, opus20(4)...))
	add(true, simpleBlock(1, 33, 0, vp8Inter...))
	add(false, element(0x4F00, []byte("something unknown")))
	add(true, element(idBlockGroup, element(idBlock, []byte{0x81, 0, 66, 0}, vp8Inter), number(idReferenceBlock, 1)))
	body := bytes.Join([][]byte{number(idTimestamp, 2000), simpleBlock(1, -10, 0, vp8Inter...)}, nil)
	add(true, element(idCluster, body))
	add(true, unknownSize(idCluster), number(idTimestamp, 3000), simpleBlock(1, 0, 0x80, vp8Key(640, 480)...))
	add(false, element(idCues, make([]byte, 30)))

	units, stats, err := readBytes(FormatWebM, file, videoConfig("VP8"))
	require.NoError(t, err)
	require.Empty(t, stats.Defects)
	require.Equal(t, []int64{0, 33 * 90, 66 * 90, 990 * 90, 2000 * 90}, unitTicks(units))
	require.Equal(t, key, units[0].data)
	require.True(t, units[0].Key)
	require.False(t, units[1].Key)
	require.Equal(t, 640, units[4].Width)
	requireTorn(t, FormatWebM, file, videoConfig("VP8"), ends)

	r, err := NewReader(FormatMKV, bytes.NewReader(file), audioConfig("OPUS"))
	require.NoError(t, err)
	sound, err := readAll(r)
	require.NoError(t, err)
	require.Len(t, sound, 1)
	require.Equal(t, opus20(4), sound[0].data)
	require.EqualValues(t, 960, sound[0].Duration)
	require.Equal(t, 1003*time.Millisecond, r.(*WebMReader).Offset())
	require.Equal(t, opusHead(), r.(*WebMReader).Config())
	require.Empty(t, r.Stats().Defects, "webm and mkv are one format")

	// A block in the first cluster whose size is destroyed costs that cluster's rest.
	broken := bytes.Clone(file)
	broken[ends[0]+1] = 0
	units, stats, err = readBytes(FormatWebM, broken, videoConfig("VP8"))
	require.NoError(t, err)
	require.Equal(t, []int64{0, 990 * 90, 2000 * 90}, unitTicks(units))
	require.Equal(t, DefectCorruptData, stats.Defects[0].Kind)
	require.Zero(t, stats.TornBytes)
}

func TestWebMLacing(t *testing.T) {
	t.Parallel()
	a, b, c := opus20(2), opus20(300), opus20(6)
	xiph := append([]byte{2, byte(len(a)), 255, byte(len(b) - 255)}, bytes.Join([][]byte{a, b, c}, nil)...)
	ebml := binary.BigEndian.AppendUint16([]byte{2, 0x80 | byte(len(a))}, uint16(0x4000|(len(b)-len(a)+8191)))
	ebml = append(ebml, bytes.Join([][]byte{a, b, c}, nil)...)
	fixed := append([]byte{1}, append(bytes.Clone(a), a...)...)
	file := bytes.Join([][]byte{webmStart(), unknownSize(idCluster), number(idTimestamp, 0),
		simpleBlock(2, 0, 0x82, xiph...), simpleBlock(2, 60, 0x86, ebml...), simpleBlock(2, 120, 0x84, fixed...)}, nil)
	units, stats, err := readBytes(FormatWebM, file, audioConfig("OPUS"))
	require.NoError(t, err)
	require.Empty(t, stats.Defects)
	require.Equal(t, []int64{0, 960, 1920, 2880, 3840, 4800, 5760, 6720}, unitTicks(units))
	for i, want := range [][]byte{a, b, c, a, b, c, a, a} {
		require.Equal(t, want, units[i].data, "frame %d", i)
	}
}

func TestWebMStrippedHeader(t *testing.T) {
	t.Parallel()
	strip := element(idContentEncodings, element(idContentEncoding, element(idContentCompression,
		number(idContentCompAlgo, 3), element(idContentCompSettings, []byte{0x10, 2}))))
	file := bytes.Join([][]byte{webmStart(strip), unknownSize(idCluster), number(idTimestamp, 0), simpleBlock(1, 0, 0x80, vp8Key(320, 240)[2:]...)}, nil)
	units, _, err := readBytes(FormatWebM, file, videoConfig("VP8"))
	require.NoError(t, err)
	require.Equal(t, vp8Key(320, 240), units[0].data)
	require.True(t, units[0].Key)

	var bad *InputError
	zlib := element(idContentEncodings, element(idContentEncoding, element(idContentCompression, number(idContentCompAlgo, 0))))
	_, _, err = readBytes(FormatWebM, webmStart(zlib), videoConfig("VP8"))
	require.ErrorAs(t, err, &bad)
}

// withoutSets turns Annex B into H.264 with lengths, leaving out parameter sets when asked to.
func withLengths(data []byte, sets bool) []byte {
	var out []byte
	for _, nalu := range bytes.Split(data, []byte{0, 0, 0, 1})[1:] {
		if sets || nalu[0]&31 != naluSPS && nalu[0]&31 != naluPPS {
			out = append(binary.BigEndian.AppendUint32(out, uint32(len(nalu))), nalu...)
		}
	}
	return out
}

// requireLengths compares H.264 that a reader gave with packets that FFmpeg copied.
func requireLengths(t *testing.T, want []probed, got []readUnit) {
	t.Helper()
	for i := range got {
		plain := withLengths(got[i].data, false)
		sum := md5.Sum(plain) //nolint:gosec // see above
		require.Equal(t, want[i].md5, hex.EncodeToString(sum[:]), "payload of unit %d", i)
		got[i].data = plain
		if got[i].Key {
			require.NotZero(t, got[i].Width, "the parameter sets come with the key picture")
		}
	}
}

func TestWebMLikeFFmpeg(t *testing.T) {
	t.Parallel()
	tone := []string{"-f", "lavfi", "-i", "sine=duration=1"}
	for _, c := range []struct {
		name, out, codec string
		args             []string
	}{
		{"vp8", "a.webm", "VP8", append(testPicture[:len(testPicture):len(testPicture)], "-c:v", "libvpx", "-g", "20", "-auto-alt-ref", "0")},
		{"vp9", "a.webm", "VP9", append(testPicture[:len(testPicture):len(testPicture)], "-c:v", "libvpx-vp9", "-g", "20", "-deadline", "realtime")},
		{"vp8 live", "a.webm", "VP8", append(testPicture[:len(testPicture):len(testPicture)], "-c:v", "libvpx", "-live", "1", "-cluster_time_limit", "300")},
		{"h264", "a.mkv", "H264", x264("bframes=2:slices=2")},
		{"av1", "a.mkv", "AV1", append(testPicture[:len(testPicture):len(testPicture)], "-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime", "-g", "20")},
		{"opus", "a.webm", "OPUS", append(tone[:len(tone):len(tone)], "-c:a", "libopus")},
		{"aac", "a.mkv", "AAC", append(tone[:len(tone):len(tone)], "-c:a", "aac", "-ar", "48000")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path, cfg, stream := ffmpeg(t, c.out, c.args...), videoConfig(c.codec), "v:0"
			if c.codec == "OPUS" || c.codec == "AAC" {
				cfg, stream = audioConfig(c.codec), "a:0"
			}
			units, r := readFile(t, FormatWebM, path, cfg)
			want := probe(t, path, stream)
			if c.codec == "H264" {
				requireLengths(t, want, units)
			}
			requireProbed(t, want, units, cfg.ClockRate, 1100*time.Microsecond)
			require.Empty(t, r.Stats().Defects)
			require.Zero(t, r.Stats().TornBytes)
		})
	}
}

func TestWebMRecorder(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"beam-vp8", "beam-pause"} {
		t.Run(dir, func(t *testing.T) {
			t.Parallel()
			path := sample(t, dir, "recording.webm")
			for _, cfg := range []ReaderConfig{videoConfig(""), audioConfig("OPUS")} {
				units, r := readFile(t, FormatWebM, path, cfg)
				require.Empty(t, r.Stats().Defects)
				want := probe(t, path, string(cfg.Kind[0])+":0")
				// FFmpeg gives the piece of a torn block too.
				require.GreaterOrEqual(t, len(want), len(units))
				require.LessOrEqual(t, len(want), len(units)+1)
				requireProbed(t, want[:len(units)], units, cfg.ClockRate, 1100*time.Microsecond)
				t.Logf("%s %s: %d units, torn %d bytes, offset %v", dir, cfg.Kind, len(units), r.Stats().TornBytes, r.(*WebMReader).Offset())
			}
		})
	}
}

func FuzzWebM(f *testing.F) {
	file := bytes.Join([][]byte{webmStart(), unknownSize(idCluster), number(idTimestamp, 7), simpleBlock(1, 0, 0x80, vp8Key(320, 240)...),
		simpleBlock(2, 1, 0x82, 1, 2, 0x78, 1, 0x78, 2), element(idBlockGroup, element(idBlock, []byte{0x81, 0, 66, 6, 1, 0x81, 7, 7}))}, nil)
	f.Add(file, true)
	f.Add(file, false)
	f.Fuzz(func(t *testing.T, data []byte, video bool) {
		cfg := audioConfig("OPUS")
		if video {
			cfg = videoConfig("VP8")
		}
		fuzzReader(t, FormatWebM, append([]byte{0x1A, 0x45, 0xDF, 0xA3}, data...), cfg)
	})
}

func BenchmarkWebM(b *testing.B) {
	file := webmStart()
	for c := range 1000 {
		file = append(append(file, unknownSize(idCluster)...), number(idTimestamp, uint64(1000*c))...)
		for i := range 30 {
			file = append(file, simpleBlock(1, int16(33*i), 0, bytes.Repeat(vp8Inter, 300)...)...)
			file = append(file, simpleBlock(2, int16(33*i), 0, opus20(100)...)...)
		}
	}
	benchReader(b, FormatWebM, file, videoConfig("VP8"))
}
