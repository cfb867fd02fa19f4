package capture

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInspectUnit(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	start := []byte{0, 0, 1}
	sps := h264SPS(1918, 1078)
	join := func(parts ...[]byte) (out []byte) {
		for _, p := range parts {
			out = append(out, p...)
		}
		return out
	}
	for _, c := range []struct {
		name, codec   string
		data          []byte
		key           bool
		width, height int
	}{
		{"vp8 key", "VP8", testFrame(r, "VP8", true, 50), true, 642, 362},
		{"vp8 inter", "VP8", testFrame(r, "VP8", false, 50), false, 0, 0},
		{"vp8 without start code", "VP8", make([]byte, 20), false, 0, 0},
		{"vp8 torn", "VP8", testFrame(r, "VP8", true, 50)[:9], false, 0, 0},
		{"vp9 key", "VP9", testFrame(r, "VP9", true, 50), true, 642, 362},
		{"vp9 profile 2, 10 bit", "VP9", join([]byte{0x92, 0x49, 0x83, 0x42}, bitsOf([2]uint32{0, 1}, [2]uint32{1, 3}, [2]uint32{0, 1}, [2]uint32{319, 16}, [2]uint32{239, 16})), true, 320, 240},
		{"vp9 inter", "VP9", testFrame(r, "VP9", false, 50), false, 0, 0},
		{"vp9 shows an old frame", "VP9", []byte{0x88, 0}, false, 0, 0},
		{"vp9 superframe", "VP9", join(testFrame(r, "VP9", true, 20), []byte{0x86, 1, 0xc1, 29, 2, 0xc1}), true, 642, 362},
		{"h264 IDR", "H264", testFrame(r, "H264", true, 50), true, 642, 362},
		{"h264 short start codes, delimiter, SEI", "H264", join(start, []byte{9, 0xf0}, start, sps, start, []byte{0x68, 1}, start, []byte{6, 1, 1, 1, 0x80}, start, []byte{0x65, 0x88, 1}), true, 1918, 1078},
		{"h264 IDR alone", "H264", join(start, []byte{0x65, 0x88}), true, 0, 0},
		{"h264 inter with new parameter sets", "H264", join(start, sps, start, []byte{0x41, 0x9a}), false, 1918, 1078},
		{"h264 torn parameter set", "H264", join(start, sps[:6], start, []byte{0x65, 0x88}), true, 0, 0},
		{"h264 nothing", "H264", []byte{0, 0, 1}, false, 0, 0},
		{"av1 key", "AV1", testFrame(r, "AV1", true, 50), true, 642, 362},
		{"av1 with delimiter and extension", "AV1", join([]byte{0x12, 0}, av1SequenceOBU(1280, 720), []byte{obuFrameHeader<<3 | 4 | 2, 0, 1, 0x10}), true, 1280, 720},
		{"av1 inter", "AV1", testFrame(r, "AV1", false, 50), false, 0, 0},
		{"av1 intra only", "AV1", av1OBU(obuFrame, []byte{0x50}), false, 0, 0},
		{"av1 shows an old frame", "AV1", av1OBU(obuFrameHeader, []byte{0x80}), false, 0, 0},
		{"av1 reduced still picture", "AV1", join(av1OBU(obuSequenceHeader, bitsOf([2]uint32{0, 3}, [2]uint32{3, 2}, [2]uint32{4, 5}, [2]uint32{9, 4}, [2]uint32{8, 4}, [2]uint32{639, 10}, [2]uint32{359, 9})), av1OBU(obuFrame, []byte{0xff})), true, 640, 360},
		{"av1 with timing and decoder model", "AV1", join(av1OBU(obuSequenceHeader, bitsOf([2]uint32{0, 5}, [2]uint32{1, 1}, [2]uint32{1, 32}, [2]uint32{30, 32}, [2]uint32{1, 1}, ue(3),
			[2]uint32{1, 1}, [2]uint32{9, 5}, [2]uint32{1, 32}, [2]uint32{9, 5}, [2]uint32{9, 5}, [2]uint32{1, 1}, [2]uint32{0, 5}, [2]uint32{0, 12}, [2]uint32{8, 5}, [2]uint32{0, 1},
			[2]uint32{1, 1}, [2]uint32{5, 10}, [2]uint32{5, 10}, [2]uint32{0, 1}, [2]uint32{1, 1}, [2]uint32{3, 4}, [2]uint32{10, 4}, [2]uint32{10, 4}, [2]uint32{1919, 11}, [2]uint32{1079, 11})), av1OBU(obuFrame, []byte{0x10})), true, 1920, 1080},
		{"av1 size beyond the end", "AV1", []byte{0x32, 0x7f, 0x10}, false, 0, 0},
		{"sound", "OPUS", []byte{1}, true, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			key, width, height := inspectUnit(c.codec, c.data)
			require.Equal(t, []any{c.key, c.width, c.height}, []any{key, width, height})
		})
	}
}

func TestOpusDuration(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		packet  []byte
		samples int64
		ok      bool
	}{
		{nil, 0, false},
		{[]byte{0 << 3}, 480, true},                // SILK 10 ms
		{[]byte{3 << 3}, 2880, true},               // SILK 60 ms
		{[]byte{3<<3 | 1}, 5760, true},             // two of them
		{[]byte{11<<3 | 2, 1}, 5760, true},         // super wide band
		{[]byte{12 << 3}, 480, true},               // hybrid 10 ms
		{[]byte{15<<3 | 1}, 1920, true},            // hybrid 2 x 20 ms
		{[]byte{16 << 3}, 120, true},               // CELT 2.5 ms
		{[]byte{31 << 3}, 960, true},               // CELT 20 ms
		{[]byte{31<<3 | 3, 6}, 5760, true},         // 6 frames
		{[]byte{31<<3 | 3, 0xc0 | 7}, 6720, false}, // 140 ms
		{[]byte{31<<3 | 3, 0}, 0, false},
		{[]byte{31<<3 | 3}, 0, false},
	} {
		samples, ok := opusDuration(c.packet)
		require.Equal(t, c.ok, ok, "%x", c.packet)
		if ok {
			require.Equal(t, c.samples, samples, "%x", c.packet)
		}
	}
}

func FuzzInspectUnit(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for i, codec := range testCodecs {
		f.Add(byte(i), testFrame(r, codec, true, 20))
		f.Add(byte(i), testFrame(r, codec, false, 20))
	}
	f.Fuzz(func(t *testing.T, codec byte, data []byte) {
		_, width, height := inspectUnit(testCodecs[int(codec)%len(testCodecs)], data)
		require.True(t, width >= 0 && width <= maxPictureSide && height >= 0 && height <= maxPictureSide)
		require.Equal(t, width > 0, height > 0)
		opusDuration(data)
	})
}
