package capture

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMJRHeaders(t *testing.T) {
	t.Parallel()
	s := newStream("VP8", 3, 1, 0)
	for _, c := range []struct {
		name, head, want string
	}{
		{"data channel", `{"t":"d","s":1,"u":2}`, "data channel"},
		{"unknown type", `{"t":"x"}`, `unknown type "x"`},
		{"no type", `{}`, `unknown type ""`},
		{"not JSON", `{"t":`, "not JSON"},
		{"encrypted", `{"t":"v","c":"vp8","e":true}`, "encrypted end to end"},
		{"codec not read", `{"t":"v","c":"h265"}`, `codec "H265" cannot be read`},
		{"multi-channel", `{"t":"a","c":"multiopus"}`, "multi-channel"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := newMJRReader(bytes.NewReader(janusFile(c.head, s.packets)), s.cfg)
			var bad *InputError
			require.ErrorAs(t, err, &bad)
			require.ErrorContains(t, err, c.want)
		})
	}
	for _, file := range []string{"", "M", "MEETECHO", "MJR00002\x00\x10{", "DKIF0000", "MEETECHO\x00\x05other"} {
		_, err := newMJRReader(bytes.NewReader([]byte(file)), s.cfg)
		var bad *InputError
		require.ErrorAs(t, err, &bad, "%q", file)
	}
}

func TestMJRKnowsBetterThanTheManifest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, codec, head string
		cfg               ReaderConfig
		kind              DefectKind
	}{
		{"VP9 called VP8", "VP9", `{"t":"v","c":"vp9"}`, vp8Config, DefectWrongCodec},
		{"PCMU called Opus", "PCMU", `{"t":"a","c":"pcmu"}`, opusConfig, DefectWrongCodec},
		{"sound called video", "OPUS", `{"t":"a","c":"opus"}`, vp8Config, DefectWrongKind},
		{"sound called video, old", "OPUS", "audio", vp8Config, DefectWrongKind},
		{"video called sound, old", "VP8", "video", opusConfig, DefectWrongKind},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStream(c.codec, 30, 1, 0)
			r := openDump(t, janusFile(c.head, s.packets), c.cfg)
			s.check(t, drainUnits(t, r), nil)
			require.Len(t, r.Stats().Defects, 1)
			require.Equal(t, c.kind, r.Stats().Defects[0].Kind)
			kind, codec, rate := r.(interface{ Media() (Kind, string, int) }).Media()
			require.Equal(t, s.cfg, ReaderConfig{Kind: kind, Codec: codec, ClockRate: rate})
		})
	}
}

func TestMJRTimes(t *testing.T) {
	t.Parallel()
	s := newStream("VP8", 20, 1, 0)
	r := openDump(t, janusFile(`{"t":"v","s":1700000000000000,"x":{"1":"y"},"f":"a=b"}`, s.packets), s.cfg)
	drainUnits(t, r)
	require.Equal(t, time.Unix(1_700_000_000, 0).UTC(), r.Stats().FirstWall, "created, where the first frame is not told")
	old := openDump(t, janusFile("video", s.packets), s.cfg)
	units := drainUnits(t, old)
	s.check(t, units, nil)
	require.Negative(t, units[3].Arrival)
	require.True(t, old.Stats().FirstWall.IsZero())
	// Version 1 has the JSON and not yet the times.
	file := janusFile("video", s.packets)[15:]
	file = append([]byte("MJR00001\x00\x13{\"t\":\"v\",\"c\":\"vp8\"}"), file...)
	first := openDump(t, file, s.cfg)
	s.check(t, drainUnits(t, first), nil)
}

func TestMJRUnwrapsRED(t *testing.T) {
	t.Parallel()
	s := newStream("OPUS", 40, 1, 0)
	came := make([]sent, len(s.packets))
	for i, p := range s.packets {
		red := []byte{111}
		if i > 0 { // the packet before, once more
			before := s.packets[i-1].payload
			red = append([]byte{0x80 | 111, 960 >> 6, byte(960&63<<2 | len(before)>>8), byte(len(before))}, red...)
			red = append(red, before...)
		}
		p.PayloadType, p.payload = 63, append(red, p.payload...)
		came[i] = p
	}
	r := openDump(t, janusFile(`{"t":"a","c":"opus","or":63}`, came), s.cfg)
	s.check(t, drainUnits(t, r), nil)
	for _, short := range [][]byte{nil, {0x80}, {0xef, 0, 3, 255, 111, 1}} {
		_, _, err := redPrimary(short)
		require.Error(t, err)
	}
}

func FuzzMJR(f *testing.F) {
	for i, codec := range testCodecs {
		s := newStream(codec, 3, 65534, 0xffffff00)
		kind := "video"
		if s.cfg.Kind == KindAudio {
			kind = "audio"
		}
		f.Add(byte(i), janusFile(kind, s.packets))
		f.Add(byte(i), janusFile(`{"t":"`+kind[:1]+`","u":5,"or":63}`, s.packets))
	}
	f.Fuzz(func(t *testing.T, codec byte, file []byte) {
		fuzzDump(t, newMJRReader, codec, file)
	})
}
