package capture

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// opusHead is OpusHead as Pion writes it: stereo, pre-skip 3840.
func opusHead() []byte {
	return append([]byte("OpusHead"), 1, 2, 0x00, 0x0f, 0x80, 0xbb, 0, 0, 0, 0, 0)
}

// opus20 is an Opus packet of 20 ms (CELT, fullband, one frame) with n more bytes.
func opus20(n int) []byte {
	return append([]byte{0x78}, bytes.Repeat([]byte{byte(n), 0x5a}, n/2+1)...)
}

// oggWriter builds a stream page by page.
type oggWriter struct {
	serial, sequence uint32
	out              []byte
}

// page adds a page with the given lacing; flags are those of RFC 3533.
func (w *oggWriter) page(flags byte, granule int64, lacing []byte, body []byte) {
	p := append([]byte("OggS"), 0, flags)
	p = binary.LittleEndian.AppendUint64(p, uint64(granule))
	p = binary.LittleEndian.AppendUint32(p, w.serial)
	p = binary.LittleEndian.AppendUint32(p, w.sequence)
	p = append(p, 0, 0, 0, 0, byte(len(lacing)))
	p = append(append(p, lacing...), body...)
	binary.LittleEndian.PutUint32(p[22:], oggSum(p))
	w.sequence++
	w.out = append(w.out, p...)
}

func (w *oggWriter) packets(flags byte, granule int64, packets ...[]byte) {
	var lacing, body []byte
	for _, p := range packets {
		lacing = append(lacing, bytes.Repeat([]byte{255}, len(p)/255)...)
		lacing = append(lacing, byte(len(p)%255))
		body = append(body, p...)
	}
	w.page(flags, granule, lacing, body)
}

func newOgg(serial uint32) *oggWriter {
	w := &oggWriter{serial: serial}
	w.packets(2, 0, opusHead())
	w.packets(0, 0, []byte("OpusTags\x00\x00\x00\x00\x00\x00\x00\x00"))
	return w
}

func TestOggSum(t *testing.T) {
	t.Parallel()
	// The check value of CRC-32/MPEG-2 starts with all ones; the same table without them, over nine bytes.
	require.EqualValues(t, 0x0376e6e7, crcUpdate(0xffffffff, []byte("123456789")))
}

func TestOggGranules(t *testing.T) {
	t.Parallel()
	p := opus20(10)
	for _, c := range []struct {
		name       string
		write      func(w *oggWriter)
		want       []int64
		start      bool
		continuous bool
	}{
		{"normal", func(w *oggWriter) {
			w.packets(0, 1920, p, p)
			w.packets(0, 3840, p, p)
		}, []int64{0, 960, 1920, 2880}, false, true},
		{"normal with a hole", func(w *oggWriter) {
			w.packets(0, 960, p)
			w.packets(0, 960+48000, p)
		}, []int64{0, 48000}, false, false},
		{"normal, begun late", func(w *oggWriter) {
			w.packets(0, 100960, p)
			w.packets(4, 101920-100, p)
		}, []int64{0, 960}, false, true},
		{"one page, cut at the end", func(w *oggWriter) {
			w.packets(4, 1800, p, p)
		}, []int64{0, 960}, false, true},
		{"pion v3", func(w *oggWriter) {
			w.packets(0, 1, p)
			w.packets(0, 961, p)
			w.packets(0, 961+19200, p)
		}, []int64{0, 960, 960 + 19200}, true, false},
		{"pion v3, a packet from before", func(w *oggWriter) {
			w.packets(0, 1, p)
			w.packets(0, 1+1<<32-960, p)
			w.packets(0, 1+1<<32+960, p)
		}, []int64{0, -960, 960}, true, false},
		{"no granule", func(w *oggWriter) {
			w.packets(0, 960, p)
			w.packets(0, -1, p)
		}, []int64{0, 960}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newOgg(7)
			c.write(w)
			r, err := NewReader(FormatOgg, bytes.NewReader(w.out), audioConfig("OPUS"))
			require.NoError(t, err)
			units, err := readAll(r)
			require.NoError(t, err)
			require.Equal(t, c.want, unitTicks(units))
			ogg := r.(*OggReader)
			require.Equal(t, c.start, ogg.StartGranules())
			require.Equal(t, c.continuous, ogg.Continuous())
			require.Equal(t, 3840, ogg.PreSkip())
			for _, u := range units {
				require.EqualValues(t, 960, u.Duration)
				require.Equal(t, p, u.data)
				require.True(t, u.Key)
			}
		})
	}
}

func TestOggPacketsAcrossPages(t *testing.T) {
	t.Parallel()
	w := newOgg(7)
	long := opus20(700)
	w.page(0, 960, []byte{byte(len(opus20(4))), 255, 255}, append(opus20(4), long[:510]...))
	rest := long[510:]
	w.page(1, 1920, []byte{byte(len(rest))}, rest)
	w.packets(0, 2880, opus20(8))
	units, stats, err := readBytes(FormatOgg, w.out, audioConfig("OPUS"))
	require.NoError(t, err)
	require.Len(t, units, 3)
	require.Equal(t, long, units[1].data)
	require.Equal(t, []int64{0, 960, 1920}, unitTicks(units))
	require.Empty(t, stats.Defects)

	// The page with the beginning lost: its rest must not come out as a packet.
	at := bytes.Index(w.out, opus20(4))
	w.out[at+3] ^= 1
	units, stats, err = readBytes(FormatOgg, w.out, audioConfig("OPUS"))
	require.NoError(t, err)
	require.Len(t, units, 1)
	require.Equal(t, opus20(8), units[0].data)
	require.Equal(t, 1, units[0].Lost)
	require.Equal(t, DefectCorruptData, stats.Defects[0].Kind)
}

func TestOggOtherStreams(t *testing.T) {
	t.Parallel()
	w, other := newOgg(7), newOgg(8)
	theora := &oggWriter{serial: 9}
	theora.packets(2, 0, []byte("\x80theora..."))
	out := append(bytes.Clone(theora.out), w.out...)
	out = append(out, other.out...)
	w.out, other.out, theora.out = nil, nil, nil
	for i := range 5 {
		w.packets(0, int64(960*(i+1)), opus20(2*i))
		other.packets(0, int64(960*(i+1)), opus20(100+2*i))
		theora.packets(0, int64(i), opus20(50))
	}
	out = append(append(append(out, theora.out...), other.out...), w.out...)
	units, _, err := readBytes(FormatOgg, out, audioConfig("OPUS"))
	require.NoError(t, err)
	require.Len(t, units, 5)
	for i, u := range units {
		require.Equal(t, opus20(2*i), u.data)
	}

	var bad *InputError
	_, _, err = readBytes(FormatOgg, theora.out, audioConfig("OPUS"))
	require.NoError(t, err, "without its first page nothing says that it is not Opus")
	theora = &oggWriter{serial: 9}
	theora.packets(2, 0, []byte("\x80theora..."))
	_, _, err = readBytes(FormatOgg, theora.out, audioConfig("OPUS"))
	require.ErrorAs(t, err, &bad)
}

func TestOggChain(t *testing.T) {
	t.Parallel()
	w := newOgg(7)
	w.packets(0, 960, opus20(2))
	w.packets(4, 1920, opus20(4))
	next := newOgg(8)
	next.packets(0, 960, opus20(6))
	next.packets(4, 1920, opus20(8))
	units, _, err := readBytes(FormatOgg, append(w.out, next.out...), audioConfig("OPUS"))
	require.NoError(t, err)
	require.Equal(t, []int64{0, 960, 1920, 2880}, unitTicks(units))
}

func TestOggTorn(t *testing.T) {
	t.Parallel()
	w := newOgg(7)
	var ends []int
	for i := range 4 {
		w.packets(0, int64(960*i+1), opus20(20*i))
		ends = append(ends, len(w.out))
	}
	requireTorn(t, FormatOgg, w.out, audioConfig("OPUS"), ends)
	_, stats, err := readBytes(FormatOgg, w.out[:len(w.out)-1], audioConfig("OPUS"))
	require.NoError(t, err)
	require.EqualValues(t, ends[3]-ends[2]-1, stats.TornBytes)
	require.Empty(t, stats.Defects)
}

func TestOggStandup(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path       string
		units      int
		last       int64 // ms
		start      bool
		continuous bool
	}{
		{"tracks/alice-mic.ogg", 1793, 35840, true, true},
		{"tracks/bob-mic.ogg", 1774, 35460, true, true},
		{"tracks/carol-mic.ogg", 1131, 22600, true, true},
		{"tracks/carol-mic-2.ogg", 475, 9480, true, true},
		{"tracks/dave-mic.ogg", 1201, 34400, true, false},
		{"alt/alice-mic.v4.ogg", 1793, 35840, false, true},
		{"alt/bob-mic.v4.ogg", 1774, 35460, false, true},
		{"alt/dave-mic.v4.ogg", 1201, 24000, false, true},
	} {
		t.Run(c.path, func(t *testing.T) {
			t.Parallel()
			units, r := readFile(t, FormatOgg, sample(t, "standup", c.path), audioConfig("OPUS"))
			ogg := r.(*OggReader)
			require.Equal(t, c.units, len(units))
			require.Equal(t, 48*c.last, units[len(units)-1].Ticks)
			require.Equal(t, c.start, ogg.StartGranules())
			require.Equal(t, c.continuous, ogg.Continuous())
			require.Empty(t, r.Stats().Defects)
			require.Zero(t, r.Stats().Lost)
		})
	}
}

func FuzzOgg(f *testing.F) {
	w := newOgg(7)
	w.packets(0, 1, opus20(4))
	w.packets(4, 961, opus20(6), opus20(300))
	f.Add(w.out, false)
	f.Add(w.out[:60], true)
	f.Fuzz(func(t *testing.T, data []byte, repair bool) {
		if repair { // else the checksum keeps the fuzzer outside
			data = bytes.Clone(data)
			for at := 0; at+oggHeaderBytes <= len(data) && string(data[at:at+4]) == "OggS"; {
				size := oggHeaderBytes + int(data[at+26])
				if at+size > len(data) {
					break
				}
				for _, lace := range data[at+oggHeaderBytes : at+size] {
					size += int(lace)
				}
				if at+size > len(data) {
					break
				}
				binary.LittleEndian.PutUint32(data[at+22:], oggSum(data[at:at+size]))
				at += size
			}
		}
		fuzzReader(t, FormatOgg, data, audioConfig("OPUS"))
	})
}

func BenchmarkOgg(b *testing.B) {
	w := newOgg(7)
	for i := range 200000 {
		w.packets(0, int64(960*i+1), opus20(120))
	}
	benchReader(b, FormatOgg, w.out, audioConfig("OPUS"))
}
