package hls_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/transcode/mp4"
)

// fault is a way to break a package, and all that the check has to say then.
type fault struct {
	want  string // points with severities M and S
	name  string
	wreck func(t *testing.T, p pack)
}

// text is a fault in a playlist or another text.
func text(want, name, file, old, with string) fault {
	return fault{want, name, func(t *testing.T, p pack) { p.sub(t, file, old, with) }}
}

// poked is a fault in a box.
func poked(want, name, file, kind string, at int, with ...byte) fault {
	return fault{want, name, func(t *testing.T, p pack) { p.poke(t, file, kind, at, with...) }}
}

const (
	v0, v1, sound, i0, i1, top = "v0/index.m3u8", "v1/index.m3u8", "a/index.m3u8", "v0/iframes.m3u8", "v1/iframes.m3u8", "master.m3u8"
)

func playlistFaults() []fault {
	return []fault{
		text("1M", "first line", v0, "#EXTM3U", "#EXTM3U8"),
		text("1M", "byte order mark", v0, "#EXTM3U", "\ufeff#EXTM3U"),
		text("1M", "not UTF-8", v0, "#EXTINF:2.000000,", "#EXTINF:2.000000,\xff"),
		text("1M", "tag twice", v0, "#EXT-X-TARGETDURATION:2", "#EXT-X-TARGETDURATION:2\n#EXT-X-TARGETDURATION:2"),
		text("1M", "both kinds", v0, "#EXT-X-MAP", "#EXT-X-SESSION-KEY:METHOD=NONE\n#EXT-X-MAP"),
		text("1M", "attribute list", v0, "DURATION=1.5", "DURATION=1.5,"),
		text("2M", "version too low", v0, "VERSION:6", "VERSION:5"),
		text("2S", "version too high", v0, "VERSION:6", "VERSION:9"),
		{"3M", "target duration too short", func(_ *testing.T, p pack) { p.all("TARGETDURATION:2", "TARGETDURATION:1") }},
		text("3M 4M", "no whole target duration", v0, "TARGETDURATION:2", "TARGETDURATION:2.0"),
		text("3M 4M", "no target duration", v0, "#EXT-X-TARGETDURATION:2\n", ""),
		text("4M", "target durations differ", v1, "TARGETDURATION:2", "TARGETDURATION:3"),
		text("5M", "no end", v0, "#EXT-X-ENDLIST\n", ""),
		text("5M", "type", v0, "TYPE:VOD", "TYPE:EVENT"),
		text("5M", "media sequence", v0, "SEQUENCE:0", "SEQUENCE:7"),
		text("6M 13S", "EXTINF", v1, "#EXTINF:2.000000", "#EXTINF:2.100000"),
		{"7M", "segment missing", func(_ *testing.T, p pack) { delete(p.memory, "a/3.m4s") }},
		{"7M", "playlist missing", func(_ *testing.T, p pack) { delete(p.memory, i0) }},
		text("2S 7M", "no map", v0, "#EXT-X-MAP:URI=\"init.mp4\"\n", ""),
		{"7M", "file cut off", func(_ *testing.T, p pack) {
			p.memory["v1/media.mp4"] = p.memory["v1/media.mp4"][:len(p.memory["v1/media.mp4"])-1]
		}},
		text("7M", "no offset in map", v1, "@0\"", "\""),
		{"8M", "hole in file", func(_ *testing.T, p pack) {
			p.memory["v1/media.mp4"] = append(p.memory["v1/media.mp4"], box("moof")...)
		}},
		{"8M 17M 25M", "overlap in file", func(t *testing.T, p pack) {
			lines := strings.Split(string(p.memory[v1]), "\n")
			at := slices.IndexFunc(lines, func(s string) bool { return strings.HasPrefix(s, "#EXT-X-BYTERANGE:") })
			var n, from int
			_, err := fmt.Sscanf(lines[at], "#EXT-X-BYTERANGE:%d@%d", &n, &from)
			require.NoError(t, err)
			lines[at+3] = fmt.Sprintf("#EXT-X-BYTERANGE:%d@%d", 2*n, from) // the second segment has the first in it
			p.memory[v1] = []byte(strings.Join(lines, "\n"))
		}},
		{"8M", "no offset in the first range", func(t *testing.T, p pack) {
			at := bytes.Index(p.memory["v1/media.mp4"], []byte("moof")) - 4
			p.sub(t, v1, fmt.Sprintf("@%d\nmedia.mp4\n", at), "\nmedia.mp4\n")
		}},
		text("9S", "not said to be independent", v0, "#EXT-X-INDEPENDENT-SEGMENTS\n", ""),
		text("11M", "dates missing", sound, "#EXT-X-PROGRAM-DATE-TIME:"+packTime+"\n", ""),
		text("11M", "dates differ", sound, "T17:00:00.000Z", "T17:00:01.000Z"),
		text("11M", "date goes back", sound, "\n2.m4s", "\n#EXT-X-PROGRAM-DATE-TIME:2026-11-22T16:59:00.000Z\n2.m4s"),
		text("11M", "no date", sound, packTime, "yesterday"),
		text("11S", "date without milliseconds", sound, packTime, "2026-11-22T17:00:00Z"),
		text("11S", "date without zone", sound, packTime, "2026-11-22T17:00:00.000"),
		text("12M", "date ranges differ", v1, "DURATION=1.5", "DURATION=1.6"),
		text("12M", "date range without ID", v1, "ID=\"one\",", ""),
		text("12M", "date range without start", v1, "START-DATE=\"2026-11-22T17:00:01.000Z\",", ""),
		text("12M", "ends before", v1, "DURATION=1.5", "END-DATE=\"2026-11-22T17:00:00.000Z\""),
		text("12M", "end and duration", v1, "DURATION=1.5", "DURATION=1.5,END-DATE=\"2026-11-22T17:00:05.000Z\""),
		text("12M", "one ID twice", v1, packDates, packDates+"#EXT-X-DATERANGE:ID=\"one\",START-DATE=\"2026-11-22T17:00:02.000Z\"\n"),
		{"13M", "sound too short", func(_ *testing.T, p pack) { p.cut(sound, 3) }},
		text("14M", "discontinuity in one playlist", v1, "#EXT-X-PROGRAM", "#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM"),
	}
}

func masterFaults() []fault {
	return []fault{
		text("17M", "peak", top, "BANDWIDTH=", "BANDWIDTH=9"),
		text("17M", "no average", top, "AVERAGE-BANDWIDTH", "X-A"),
		text("17M", "average", top, "AVERAGE-BANDWIDTH=", "AVERAGE-BANDWIDTH=1"),
		text("18M", "sound not in codecs", top, ",mp4a.40.2", ""),
		text("18M", "other codec", top, "avc1.64001e,mp4a", "avc1.64001f,mp4a"),
		text("18M", "more codecs", top, "mp4a.40.2", "mp4a.40.2,ec-3"),
		text("18M", "no codecs", top, "CODECS=\"avc1.64001e,mp4a.40.2\",", ""),
		text("19M 22M 23S", "resolution", top, "RESOLUTION=640x360,FRAME", "RESOLUTION=640x480,FRAME"),
		text("19M", "no resolution", top, "RESOLUTION=640x360,FRAME", "FRAME"),
		text("19M", "frame rate", top, "25.000", "30.000"),
		text("19M", "too fast", top, "25.000", "61.000"),
		text("19M", "no frame rate", top, "FRAME-RATE=25.000,", ""),
		text("17M 18M 20M 23S", "no such group", top, "AUDIO=\"a\"", "AUDIO=\"b\""),
		text("20M", "no language", top, "LANGUAGE=\"en\",", ""),
		text("20M", "no name", top, "NAME=\"Audio\",", ""),
		text("20M", "channels", top, "CHANNELS=\"2\"", "CHANNELS=\"6\""),
		text("20S", "no channels", top, "CHANNELS=\"2\",", ""),
		{"20M", "two defaults", func(t *testing.T, p pack) {
			p.sub(t, top, "#EXT-X-STREAM", "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"Again\",LANGUAGE=\"en\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"a/index.m3u8\"\n#EXT-X-STREAM")
		}},
		{"20M", "groups with other names", func(t *testing.T, p pack) {
			p.sub(t, top, "#EXT-X-STREAM", "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"b\",NAME=\"Other\",LANGUAGE=\"en\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"a/index.m3u8\"\n#EXT-X-STREAM")
		}},
		text("21M", "captions", top, ",CLOSED-CAPTIONS=NONE", ""),
		text("22M", "I-frames without codecs", top, "CODECS=\"avc1.64001e\",", ""),
		{"22M", "no I-frames", func(_ *testing.T, p pack) {
			p.memory[top] = bytes.ReplaceAll(p.memory[top], []byte("#EXT-X-I-FRAME"), []byte("##"))
		}},
		text("17M 18M 23S", "other sound", top, ",AUDIO=\"a\"", ""),
		text("2M 37M", "not I-frames only", i0, "#EXT-X-I-FRAMES-ONLY\n", ""),
		{"37M", "range too short", func(t *testing.T, p pack) { p.ranges(t, i0, func(n, at int) (int, int) { return n - 1, at }) }},
		{"37M", "range with init", func(t *testing.T, p pack) { p.ranges(t, i1, func(n, at int) (int, int) { return n, 0 }) }},
		text("38M", "EXTINF of an I-frame", i0, "2.000000,\n", "2.100000,\n"),
		{"38M", "I-frames do not last", func(_ *testing.T, p pack) { p.cut(i0, 4) }},
		{"39M", "no picture", func(_ *testing.T, p pack) { p.memory["storyboard/1.jpg"][0] = 0 }},
		text("39M", "tiles", "storyboard/index.m3u8", "LAYOUT=5x1", "LAYOUT=4x1"),
		text("39M", "no tiles", "storyboard/index.m3u8", "#EXT-X-TILES", "##"),
		text("39M", "not images only", "storyboard/index.m3u8", "#EXT-X-IMAGES-ONLY\n", ""),
		text("39M", "tile outside", "storyboard/storyboard.vtt", "128,0,32,18", "130,0,32,18"),
		text("39M", "images without resolution", top, "RESOLUTION=32x18,", ""),
		text("40M", "no header", "s/2.vtt", "WEBVTT", "WEBTTV"),
		text("40M", "map", "s/2.vtt", "MPEGTS:0", "MPEGTS:900000"),
		text("40M", "cue not repeated", "s/3.vtt", "long", "short"),
		{"40M", "texts too short", func(_ *testing.T, p pack) { p.cut("s/index.m3u8", 3) }},
	}
}

// ranges changes the first byte range of a playlist.
func (p pack) ranges(t *testing.T, file string, change func(n, at int) (int, int)) {
	t.Helper()
	_, rest, _ := strings.Cut(string(p.memory[file]), "#EXT-X-BYTERANGE:")
	old, _, _ := strings.Cut(rest, "\n")
	var n, at int
	_, err := fmt.Sscanf(old, "%d@%d", &n, &at)
	require.NoError(t, err)
	n, at = change(n, at)
	p.sub(t, file, ":"+old+"\n", fmt.Sprintf(":%d@%d\n", n, at))
}

// header replaces an init segment by one of this package's making.
func (p pack) header(t *testing.T, file string, skip int64, change func(*mp4.Track)) {
	t.Helper()
	tr := mp4.Track{Timescale: vScale, Video: &mp4.Video{Codec: "avc1", Config: avcC(30), Width: 640, Height: 360}}
	if change != nil {
		change(&tr)
	}
	head, err := mp4.FragmentHeader(tr, skip)
	require.NoError(t, err)
	p.memory[file] = head
}

func mediaFaults() []fault {
	return []fault{
		{"9M 26M 37M", "no IDR picture", func(_ *testing.T, p pack) {
			at := bytes.Index(p.memory["v0/2.m4s"], []byte("\x65v0."))
			p.memory["v0/2.m4s"][at] = 0x41
		}},
		poked("9M 26M 37M", "not marked as sync", "v0/2.m4s", "trun", 12, 1, 1),
		{"9M 26M 37M", "no parameter sets", func(t *testing.T, p pack) {
			p.header(t, "v0/init.mp4", 0, func(tr *mp4.Track) { tr.Video.Config = append(tr.Video.Config[:8+25:8+25], 0) })
		}},
		{"15M 18M", "level changes", func(t *testing.T, p pack) {
			p.header(t, "v0/init-2.mp4", 0, func(tr *mp4.Track) { tr.Video.Config = avcC(40) })
			p.sub(t, v0, "2.m4s\n", "2.m4s\n#EXT-X-MAP:URI=\"init-2.mp4\"\n")
		}},
		{"24M 24S", "brands", func(_ *testing.T, p pack) {
			p.memory["v0/init.mp4"] = bytes.ReplaceAll(bytes.ReplaceAll(p.memory["v0/init.mp4"], []byte("iso6"), []byte("iso4")), []byte("cmfc"), []byte("isom"))
		}},
		{"24S", "cmfc", func(_ *testing.T, p pack) {
			p.memory["v0/init.mp4"] = bytes.ReplaceAll(p.memory["v0/init.mp4"], []byte("cmfc"), []byte("isom"))
		}},
		poked("24M", "mvhd lasts", "v0/init.mp4", "mvhd", 16, 0, 0, 0, 9),
		poked("24M", "tkhd lasts", "v0/init.mp4", "tkhd", 20, 0, 0, 0, 9),
		poked("24M", "no mvex", "v0/init.mp4", "mvex", -4, 'f', 'r', 'e', 'e'),
		poked("24M", "trex of another track", "v0/init.mp4", "trex", 4, 0, 0, 0, 7),
		poked("24M", "samples in moov", "v0/init.mp4", "stsz", 8, 0, 0, 0, 1),
		poked("25M", "base data offset", "v0/2.m4s", "tfhd", 1, 0),
		poked("25M", "no tfdt", "v0/2.m4s", "tfdt", -4, 'f', 'r', 'e', 'e'),
		poked("25M", "sizes", "a/2.m4s", "trun", 19, 1),
		{"25M", "data offset", func(_ *testing.T, p pack) {
			at := bytes.Index(p.memory["a/2.m4s"], []byte("trun"))
			p.memory["a/2.m4s"][at+4+11]++
		}},
		{"25M", "torn", func(_ *testing.T, p pack) { p.memory["a/2.m4s"] = p.memory["a/2.m4s"][:300] }},
		{"25M", "empty", func(_ *testing.T, p pack) { p.memory["a/2.m4s"] = nil }},
		{"25S", "two fragments", func(_ *testing.T, p pack) {
			var samples [][]byte
			for i := range 94 {
				samples = append(samples, payload(fmt.Sprintf("a.%d", 375+i), true, 60))
			}
			p.memory["a/5.m4s"] = slices.Concat(fragmentOf(5, 375*1024, 1024, samples[:47], false), fragmentOf(6, (375+47)*1024, 1024, samples[47:], false))
		}},
		poked("27M", "decoding times", "v0/5.m4s", "tfdt", 11, 1),
		{"30S", "boundaries", nil},
		{"32M", "empty edit", func(t *testing.T, p pack) {
			p.header(t, "v0/init.mp4", 1, nil)
			at := bytes.Index(p.memory["v0/init.mp4"], []byte("elst"))
			version := p.memory["v0/init.mp4"][at+4]
			for i := range 4 + 4*int(version) {
				p.memory["v0/init.mp4"][at+16+4*int(version)+i] = 0xff
			}
		}},
		{"32M", "edit lasts", func(t *testing.T, p pack) {
			p.header(t, "v0/init.mp4", 1, nil)
			p.poke(t, "v0/init.mp4", "elst", 11, 9)
		}},
		poked("34M", "negative tfdt", "v0/5.m4s", "tfdt", 4, 0xff, 0xff, 0xff, 0xff, 0xff),
		poked("34M", "negative offset in version 0", "v0/5.m4s", "trun", 16+8*49+4, 0xff, 0xff, 0xfe, 0),
		{"18M 35S", "avc3", func(_ *testing.T, p pack) {
			p.memory["v0/init.mp4"] = bytes.ReplaceAll(p.memory["v0/init.mp4"], []byte("avc1"), []byte("avc3"))
		}},
		{"36M", "two sounds", func(_ *testing.T, p pack) {
			trak := firstOf(p.memory["a/init.mp4"], "trak")
			other := bytes.Clone(trak)
			other[bytes.Index(other, []byte("tkhd"))+4+15] = 2
			trex := firstOf(p.memory["a/init.mp4"], "trex")
			second := bytes.Clone(trex)
			second[15] = 2
			ftyp, mvhd := firstOf(p.memory["a/init.mp4"], "ftyp"), firstOf(p.memory["a/init.mp4"], "mvhd")
			p.memory["a/init.mp4"] = slices.Concat(ftyp, box("moov", mvhd, trak, other, box("mvex", trex, second)))
		}},
	}
}

// firstOf cuts the first box of a kind out.
func firstOf(p []byte, kind string) []byte {
	at := bytes.Index(p, []byte(kind)) - 4
	return p[at : at+int(p[at+2])<<8+int(p[at+3])]
}

// cut takes all but the first n segments out of a playlist.
func (p pack) cut(file string, n int) {
	parts := strings.SplitAfter(string(p.memory[file]), "#EXTINF")
	p.memory[file] = []byte(strings.TrimSuffix(strings.Join(parts[:n+1], ""), "#EXTINF") + "#EXT-X-ENDLIST\n")
}

func TestCheckFindsEachFault(t *testing.T) {
	t.Parallel()
	for _, f := range slices.Concat(playlistFaults(), masterFaults(), mediaFaults()) {
		t.Run(f.want+" "+f.name, func(t *testing.T) {
			t.Parallel()
			p := goodPack(t)
			if f.wreck == nil {
				p = goodPack(t, 60, 40, 50, 50, 50)
			} else {
				f.wreck(t, p)
			}
			found := findings(t, p.memory, top, false)
			require.Equal(t, f.want, numbersOf(found), "%v", found)
			require.NotEmpty(t, found[0].File)
		})
	}
}
