package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/stretchr/testify/require"
)

// sent is one packet on its way into a dump.
type sent struct {
	rtp.Header
	payload []byte
	raw     []byte // instead of all above, such as RTCP
	pad     int
	at      uint32 // ms of the dump's clock
	frame   int    // number of the frame that it belongs to
}

func (s sent) bytes() []byte {
	if s.raw != nil {
		return s.raw
	}
	h := s.Header
	h.Version = 2
	h.Padding = s.pad > 0
	b, err := h.Marshal()
	if err != nil {
		panic(err)
	}
	b = append(b, s.payload...)
	if s.pad > 0 {
		b = append(b, make([]byte, s.pad-1)...)
		b = append(b, byte(s.pad))
	}
	return b
}

// dumpFile writes packets as an rtpdump file.
func dumpFile(packets []sent) []byte {
	out := []byte("#!rtpplay1.0 127.0.0.1/5004\n")
	out = binary.BigEndian.AppendUint32(out, 1_700_000_000)
	out = binary.BigEndian.AppendUint32(out, 250_000)
	out = append(out, make([]byte, 8)...)
	for _, p := range packets {
		b := p.bytes()
		plen := len(b)
		if isRTCP(b) {
			plen = 0
		}
		out = binary.BigEndian.AppendUint16(out, uint16(8+len(b)))
		out = binary.BigEndian.AppendUint16(out, uint16(plen))
		out = binary.BigEndian.AppendUint32(out, p.at)
		out = append(out, b...)
	}
	return out
}

// janusFile writes packets as an mjr file of version 2, or of the old kind when head is "audio" or "video".
func janusFile(head string, packets []sent) []byte {
	mark := mjrVersion2
	old := head == "audio" || head == "video"
	if old {
		mark = mjrOld
	}
	out := binary.BigEndian.AppendUint16([]byte(mark), uint16(len(head)))
	out = append(out, head...)
	for _, p := range packets {
		b := p.bytes()
		if old {
			out = append(out, mjrOld...)
		} else {
			out = binary.BigEndian.AppendUint32(append(out, mjrFrame2...), p.at)
		}
		out = append(binary.BigEndian.AppendUint16(out, uint16(len(b))), b...)
	}
	return out
}

func openDump(t testing.TB, file []byte, cfg ReaderConfig) UnitReader {
	t.Helper()
	cfg.Name, cfg.Size = "dump", int64(len(file))
	open := newMJRReader
	if bytes.HasPrefix(file, []byte("#!")) {
		open = newRTPDumpReader
	}
	r, err := open(bytes.NewReader(file), cfg)
	require.NoError(t, err)
	return r
}

// bitsOf writes "value:width" pairs, most significant bit first.
func bitsOf(pairs ...[2]uint32) []byte {
	var out []byte
	n := 0
	for _, p := range pairs {
		for i := int(p[1]) - 1; i >= 0; i-- {
			if n%8 == 0 {
				out = append(out, 0)
			}
			out[n/8] |= byte(p[0]>>i&1) << (7 - n%8)
			n++
		}
	}
	return out
}

// ue is an Exp-Golomb code.
func ue(v uint32) [2]uint32 {
	w := uint32(0)
	for x := v + 1; x > 1; x >>= 1 {
		w++
	}
	return [2]uint32{v + 1, 2*w + 1}
}

// noise is n bytes without zeros, so that no start code is in it.
func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(1 + r.IntN(255))
	}
	return b
}

func h264SPS(width, height uint32) []byte {
	return append([]byte{0x67, 66, 0xc0, 30}, bitsOf(ue(0), ue(0), ue(2), ue(1), [2]uint32{0, 1}, ue((width+15)/16-1), ue((height+15)/16-1),
		[2]uint32{1, 1}, [2]uint32{1, 1}, [2]uint32{1, 1}, ue(0), ue(((width+15)/16*16-width)/2), ue(0), ue(((height+15)/16*16-height)/2), [2]uint32{0, 1}, [2]uint32{1, 1})...)
}

func av1OBU(kind byte, body []byte) []byte {
	return append(binary.AppendUvarint([]byte{kind<<3 | 2}, uint64(len(body))), body...)
}

func av1SequenceOBU(width, height uint32) []byte {
	return av1OBU(obuSequenceHeader, bitsOf([2]uint32{0, 5}, [2]uint32{0, 1}, [2]uint32{0, 1}, [2]uint32{0, 5}, [2]uint32{0, 12}, [2]uint32{4, 5},
		[2]uint32{13, 4}, [2]uint32{13, 4}, [2]uint32{width - 1, 14}, [2]uint32{height - 1, 14}, [2]uint32{0, 15}))
}

// testFrame makes an access unit of about n bytes that looks like one of the codec.
func testFrame(r *rand.Rand, codec string, key bool, n int) []byte {
	const width, height = 642, 362
	var out []byte
	switch codec {
	case "VP8":
		out = []byte{0x11, 1, 1}
		if key {
			out = []byte{0x10, 1, 1, 0x9d, 1, 0x2a, width & 255, width>>8 | 0x40, height & 255, height >> 8}
		}
	case "VP9":
		out = []byte{0x86}
		if key {
			out = append([]byte{0x82, 0x49, 0x83, 0x42}, bitsOf([2]uint32{1, 3}, [2]uint32{0, 1}, [2]uint32{width - 1, 16}, [2]uint32{height - 1, 16}, [2]uint32{1, 4})...)
		}
	case "H264":
		code := []byte{0, 0, 0, 1}
		if key {
			out = append(append(out, code...), h264SPS(width, height)...)
			out = append(append(out, code...), 0x68, 0xce, 0x3c, 0x80)
			out = append(append(out, code...), 0x65, 0x88)
		} else {
			out = append(append(out, code...), 0x41, 0x9a)
		}
	case "AV1":
		head := byte(0x30)
		if key {
			out, head = av1SequenceOBU(width, height), 0x10
		}
		return append(out, av1OBU(obuFrame, append([]byte{head}, noise(r, n)...))...)
	case "OPUS":
		return append([]byte{0x78}, noise(r, n%400)...) // 20 ms
	default:
		return noise(r, 160)
	}
	return append(out, noise(r, n)...)
}

// stream is what a sender sends, before anything goes wrong.
type stream struct {
	codec   string
	cfg     ReaderConfig
	frames  [][]byte
	ticks   []int64
	packets []sent
}

func payloaderOf(codec string) rtp.Payloader {
	switch codec {
	case "VP8":
		return &codecs.VP8Payloader{EnablePictureID: true}
	case "VP9":
		return &codecs.VP9Payloader{}
	case "H264":
		return &codecs.H264Payloader{}
	case "AV1":
		return &codecs.AV1Payloader{}
	case "OPUS":
		return &codecs.OpusPayloader{}
	}
	return &codecs.G711Payloader{}
}

var testCodecs = []string{"VP8", "VP9", "H264", "AV1", "OPUS", "PCMU"}

// newStream sends n frames, a key frame every 10, from the given sequence number and timestamp on.
func newStream(codec string, n int, seq uint16, ts uint32) *stream {
	return newSizedStream(codec, n, seq, ts, 4000, 1200)
}

// newSizedStream is newStream with frames below size and payloads up to mtu bytes.
func newSizedStream(codec string, n int, seq uint16, ts uint32, size int, mtu uint16) *stream {
	r := rand.New(rand.NewPCG(uint64(n), uint64(seq)))
	s := &stream{codec: codec, cfg: ReaderConfig{Kind: KindVideo, Codec: codec, ClockRate: 90000}}
	step := uint32(3000)
	switch codec {
	case "OPUS":
		s.cfg.Kind, s.cfg.ClockRate, step = KindAudio, 48000, 960
	case "PCMU":
		s.cfg.Kind, s.cfg.ClockRate, step = KindAudio, 8000, 160
	}
	pay := payloaderOf(codec)
	for i := range n {
		frame := testFrame(r, codec, i%10 == 0, 20+r.IntN(size))
		s.frames = append(s.frames, frame)
		s.ticks = append(s.ticks, int64(i)*int64(step))
		payloads := pay.Payload(mtu, frame)
		for j, p := range payloads {
			s.packets = append(s.packets, sent{Header: rtp.Header{PayloadType: 96, SSRC: 7, SequenceNumber: seq, Timestamp: ts + uint32(i)*step,
				Marker: j == len(payloads)-1}, payload: p, at: uint32(500 + i*20), frame: i})
			seq++
		}
	}
	return s
}

// check holds units against what was sent: a frame whose packets all came is there, whole and at its time; what is
// not whole is marked or absent. missing are the frames of which packets are missing.
func (s *stream) check(t require.TestingT, units []Unit, missing map[int]bool) {
	at := map[int64]*Unit{}
	for i := range units {
		u := &units[i]
		require.NotContains(t, at, u.Ticks, "two units at %d", u.Ticks)
		at[u.Ticks] = u
		if i > 0 {
			require.Greater(t, u.Ticks, units[i-1].Ticks)
		}
	}
	for i, frame := range s.frames {
		u := at[s.ticks[i]]
		delete(at, s.ticks[i])
		if missing[i] {
			if u != nil {
				require.True(t, u.Damaged, "frame %d lacks packets", i)
			}
			continue
		}
		require.NotNil(t, u, "frame %d", i)
		require.False(t, u.Damaged, "frame %d", i)
		require.Equal(t, frame, u.Data, "frame %d", i)
		if s.cfg.Kind == KindVideo {
			require.Equal(t, i%10 == 0, u.Key, "frame %d", i)
			if u.Key {
				require.Equal(t, "642x362", fmt.Sprintf("%dx%d", u.Width, u.Height))
			}
		}
	}
	require.Empty(t, at, "units that nobody sent")
}
