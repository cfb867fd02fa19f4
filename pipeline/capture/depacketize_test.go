package capture

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"
)

// TestVP9SpatialLayers: the layer frames of one picture become one superframe, which a lost layer breaks.
func TestVP9SpatialLayers(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	var packets []sent
	var want [][]byte
	seq := uint16(65530)
	for i := range 20 {
		var picture []byte
		var sizes []uint32
		for layer := range 3 {
			frame := testFrame(r, "VP9", i == 0 && layer == 0, 100)
			half := len(frame) / 2
			for part, media := range [][]byte{frame[:half], frame[half:]} {
				// I, L and in flexible mode no TL0PICIDX; S and D of the layer.
				head := []byte{0x80 | 0x20 | 0x10, byte(i), byte(layer<<1 | min(layer, 1))}
				if part == 0 {
					head[0] |= 0x08
				} else {
					head[0] |= 0x04
				}
				if i == 0 && layer == 0 && part == 0 { // the scalability structure says three sizes
					head[0] |= 0x02
					head = append(head, 2<<5|0x10, 0, 160, 0, 90, 1, 64, 0, 180, 2, 128, 1, 104)
				}
				packets = append(packets, sent{Header: rtp.Header{PayloadType: 98, SSRC: 7, SequenceNumber: seq, Timestamp: uint32(i * 3000),
					Marker: layer == 2 && part == 1}, payload: append(head, media...), at: uint32(i * 33)})
				seq++
			}
			picture = append(picture, frame...)
			sizes = append(sizes, uint32(len(frame)))
		}
		picture = append(picture, 0xda)
		for _, n := range sizes {
			picture = binary.LittleEndian.AppendUint32(picture, n)
		}
		want = append(want, append(picture, 0xda))
	}
	cfg := ReaderConfig{Kind: KindVideo, Codec: "VP9", ClockRate: 90000}
	units := drainUnits(t, openDump(t, dumpFile(packets), cfg))
	require.Len(t, units, 20)
	for i, u := range units {
		require.Equal(t, want[i], u.Data)
		require.False(t, u.Damaged)
		require.Equal(t, i == 0, u.Key)
	}
	require.Equal(t, [2]int{640, 360}, [2]int{units[0].Width, units[0].Height}, "the size is the top layer's")
	for lost := 6; lost < 12; lost++ { // all packets of the second picture in turn
		left := append(append([]sent(nil), packets[:lost]...), packets[lost+1:]...)
		units := drainUnits(t, openDump(t, dumpFile(left), cfg))
		require.Len(t, units, 20)
		for i, u := range units {
			require.Equal(t, i == 1, u.Damaged, "packet %d, picture %d", lost, i)
		}
	}
}

func TestH264Packets(t *testing.T) {
	t.Parallel()
	sps := h264SPS(640, 360)
	stap := []byte{24}
	for _, n := range [][]byte{sps, {0x68, 1, 2}} {
		stap = append(binary.BigEndian.AppendUint16(stap, uint16(len(n))), n...)
	}
	annexB := func(nalus ...[]byte) (out []byte) {
		for _, n := range nalus {
			out = append(append(out, 0, 0, 0, 1), n...)
		}
		return out
	}
	fu := func(flags byte, media ...byte) []byte { return append([]byte{0x7c, flags | 5}, media...) }
	for _, c := range []struct {
		name     string
		payloads [][]byte // nil: a lost packet
		want     []byte
		begins   bool
		broken   bool
	}{
		{"aggregated, then fragments", [][]byte{stap, fu(0x80, 0x88, 1), fu(0, 2), fu(0x40, 3)}, annexB(sps, []byte{0x68, 1, 2}, []byte{0x65, 0x88, 1, 2, 3}), true, false},
		{"a fragment missing", [][]byte{stap, fu(0x80, 0x88, 1), nil, fu(0x40, 3)}, annexB(sps, []byte{0x68, 1, 2}), true, true},
		{"the end missing", [][]byte{stap, fu(0x80, 0x88, 1), fu(0, 2)}, annexB(sps, []byte{0x68, 1, 2}), true, true},
		{"no fragment begins", [][]byte{fu(0, 1), fu(0x40, 2)}, nil, false, true},
		{"a slice after a broken one", [][]byte{fu(0x80, 0x88, 1), {0x65, 0x40, 9}}, annexB([]byte{0x65, 0x40, 9}), true, true},
		{"a later slice first", [][]byte{{0x41, 0x40, 9}}, annexB([]byte{0x41, 0x40, 9}), false, false},
		{"interleaved packets", [][]byte{{29, 1, 2, 3}}, nil, false, true},
		{"aggregate too short", [][]byte{{24, 0, 9, 1, 2}}, nil, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, err := newDepacketizer("H264")
			require.NoError(t, err)
			require.Equal(t, c.begins, d.begins(c.payloads[0]))
			var unit []byte
			broken := false
			for _, p := range c.payloads {
				if p == nil {
					d.gap()
					continue
				}
				unit, err = d.push(unit, p)
				broken = broken || err != nil
			}
			unit, err = d.finish(unit)
			require.Equal(t, c.broken, broken || err != nil)
			require.True(t, bytes.Equal(c.want, unit), "%x", unit)
			require.False(t, d.begins([]byte{0x65, 0x88}) && len(c.want) > 20, "an IDR picture without the parameter sets that came before")
		})
	}
}

func FuzzDepacketize(f *testing.F) {
	for i, codec := range testCodecs {
		for _, p := range newStream(codec, 2, 0, 0).packets {
			f.Add(byte(i), p.payload, p.payload)
		}
	}
	f.Add(byte(3), []byte{0x10, 0x32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, []byte{0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, codec byte, a, b []byte) {
		d, err := newDepacketizer(testCodecs[int(codec)%len(testCodecs)])
		require.NoError(t, err)
		var unit []byte
		for _, p := range [][]byte{a, b, a} {
			d.begins(p)
			unit, _ = d.push(unit, p)
		}
		d.gap()
		unit, _ = d.push(unit, b)
		unit, _ = d.finish(unit)
		require.LessOrEqual(t, len(unit), 4*(len(a)+len(b))*3+64)
	})
}
