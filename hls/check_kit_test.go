package hls_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"image/jpeg"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/hls"
	"rushes/transcode/mp4"
)

// checkable is a package in memory.
type checkable struct{ memory }

func (checkable) Resolve(base, uri string) (string, error) {
	return path.Join(path.Dir(base), uri), nil
}

// findings checks a package and lists what is found, without what is mere practice.
func findings(t testing.TB, files map[string][]byte, name string, practice bool) []hls.Finding {
	t.Helper()
	out, err := hls.Check(context.Background(), checkable{files}, name, hls.CheckOptions{})
	require.NoError(t, err)
	if !practice {
		out = withoutPractice(out)
	}
	return out
}

func withoutPractice(list []hls.Finding) []hls.Finding {
	return slices.DeleteFunc(slices.Clone(list), func(f hls.Finding) bool { return f.Severity == mp4.Practice })
}

// numbersOf lists the points found with their severities, each once.
func numbersOf(list []hls.Finding) string {
	var out []string
	for _, f := range list {
		if s := fmt.Sprintf("%d%c", f.Number, f.Severity); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return strings.Join(out, " ")
}

// pack is a correct package, made without the packager, that tests break.
type pack struct{ memory }

// sub replaces text in a file, which must have it.
func (p pack) sub(t testing.TB, file, old, with string) {
	t.Helper()
	require.Contains(t, string(p.memory[file]), old, file)
	p.memory[file] = []byte(strings.Replace(string(p.memory[file]), old, with, 1))
}

// all replaces text in all playlists.
func (p pack) all(old, with string) {
	for name, data := range p.memory {
		if strings.HasSuffix(name, ".m3u8") {
			p.memory[name] = []byte(strings.ReplaceAll(string(data), old, with))
		}
	}
}

// poke writes bytes behind the n-th box type in a file.
func (p pack) poke(t testing.TB, file, kind string, at int, with ...byte) {
	t.Helper()
	i := bytes.Index(p.memory[file], []byte(kind))
	require.Positive(t, i, "%s has no %s", file, kind)
	copy(p.memory[file][i+4+at:], with)
}

func box(kind string, parts ...[]byte) []byte {
	body := slices.Concat(parts...)
	out := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	return append(append(out, kind...), body...)
}

func words(v ...uint32) (out []byte) {
	for _, x := range v {
		out = binary.BigEndian.AppendUint32(out, x)
	}
	return out
}

// fragmentOf makes a fragment of samples of equal duration.
func fragmentOf(sequence uint32, base uint64, duration uint32, samples [][]byte, video bool) []byte {
	flags, rest := uint32(0x02000000), uint32(0x02000000)
	if video {
		rest = 0x01010000
	}
	table := words(0xa05, uint32(len(samples)), 0, flags)
	for _, s := range samples {
		table = append(table, words(uint32(len(s)), 0)...)
	}
	build := func(offset uint32) []byte {
		copy(table[8:], words(offset))
		return box("moof", box("mfhd", words(0, sequence)), box("traf",
			box("tfhd", words(0x020028, 1, duration, rest)),
			box("tfdt", words(1<<24, uint32(base>>32), uint32(base))),
			box("trun", table)))
	}
	head := build(0)
	return append(build(uint32(len(head)+8)), box("mdat", samples...)...)
}

const packTime = "2026-11-22T17:00:00.000Z"

func packHead(tags string) string {
	return "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n" + tags
}

// goodPack makes a package: v0 in separate files, v1 in one file, shared sound, I-frames, pictures, texts. cuts are the
// pictures per segment of v1.
func goodPack(t testing.TB, cuts ...int) pack {
	t.Helper()
	if cuts == nil {
		cuts = []int{50, 50, 50, 50, 50}
	}
	p := pack{memory{}}
	peaks, averages := map[string]int{}, map[string]int{}
	p.video(t, "v0", []int{50, 50, 50, 50, 50}, false, peaks, averages)
	p.video(t, "v1", cuts, true, peaks, averages)
	p.sound(t, peaks, averages)
	master := "#EXTM3U\n#EXT-X-VERSION:6\n" +
		"#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"Audio\",LANGUAGE=\"en\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"a/index.m3u8\"\n" +
		"#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"English\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=YES,URI=\"s/index.m3u8\"\n"
	for i, v := range []string{"v0", "v1"} {
		master += fmt.Sprintf("#EXT-X-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,CODECS=\"avc1.64001%x,mp4a.40.2\",RESOLUTION=640x360,FRAME-RATE=25.000,AUDIO=\"a\",SUBTITLES=\"s\",CLOSED-CAPTIONS=NONE\n%s/index.m3u8\n",
			peaks[v]+peaks["a"]+8, averages[v]+averages["a"]+8, 14+i, v)
		master += fmt.Sprintf("#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,CODECS=\"avc1.64001%x\",RESOLUTION=640x360,URI=\"%s/iframes.m3u8\"\n",
			peaks["i"+v]+8, averages["i"+v]+8, 14+i, v)
	}
	master += "#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=1000,CODECS=\"jpeg\",RESOLUTION=32x18,URI=\"storyboard/index.m3u8\"\n"
	p.memory["master.m3u8"] = []byte(master)
	p.texts(t)
	return p
}

// packDates names a moment that both media playlists of pictures know.
const packDates = "#EXT-X-DATERANGE:ID=\"one\",START-DATE=\"2026-11-22T17:00:01.000Z\",DURATION=1.5\n"

// meter adds up the rates of a playlist.
type meter struct{ most, bytes, ms int }

func (m *meter) add(n, ms int) {
	m.bytes, m.ms = m.bytes+n, m.ms+ms
	m.most = max(m.most, n*8000/ms)
}

func (p pack) video(t testing.TB, dir string, cuts []int, joint bool, peaks, averages map[string]int) {
	t.Helper()
	level := byte(30)
	if joint {
		level = 31
	}
	head, err := mp4.FragmentHeader(mp4.Track{Timescale: vScale, Video: &mp4.Video{Codec: "avc1", Config: avcC(level), Width: 640, Height: 360}}, 0)
	require.NoError(t, err)
	p.memory[dir+"/init.mp4"] = head
	media, keys := packHead("#EXT-X-INDEPENDENT-SEGMENTS\n"+packDates), strings.Replace(packHead("#EXT-X-I-FRAMES-ONLY\n"+packDates), "VERSION:6", "VERSION:5", 1)
	mapped := "#EXT-X-MAP:URI=\"init.mp4\"\n"
	if joint {
		mapped = fmt.Sprintf("#EXT-X-MAP:URI=\"media.mp4\",BYTERANGE=\"%d@0\"\n", len(head))
		delete(p.memory, dir+"/init.mp4")
	}
	date := "#EXT-X-PROGRAM-DATE-TIME:" + packTime + "\n"
	media, keys = media+mapped+date, keys+mapped+date
	file := bytes.Clone(head)
	at := 0
	var all, first meter
	for n, count := range cuts {
		var samples [][]byte
		for i := range count {
			samples = append(samples, payload(fmt.Sprintf("%s.%d", dir, at+i), i == 0, 200))
		}
		data := fragmentOf(uint32(n+1), uint64(at)*frameTick, frameTick, samples, true)
		end := bytes.Index(data, []byte("mdat")) + 4 + len(samples[0])
		offset, name := 0, fmt.Sprintf("%d.m4s", n+1)
		inf := fmt.Sprintf("#EXTINF:%.6f,\n", float64(count)/fps)
		if joint {
			offset, name = len(file), "media.mp4"
			file = append(file, data...)
			media += fmt.Sprintf("%s#EXT-X-BYTERANGE:%d@%d\n%s\n", inf, len(data), offset, name)
		} else {
			p.memory[dir+"/"+name] = data
			media += inf + name + "\n"
		}
		keys += fmt.Sprintf("%s#EXT-X-BYTERANGE:%d@%d\n%s\n", inf, end, offset, name)
		all.add(len(data), count*40)
		first.add(end, count*40)
		at += count
	}
	if joint {
		p.memory[dir+"/media.mp4"] = file
	}
	p.memory[dir+"/index.m3u8"], p.memory[dir+"/iframes.m3u8"] = []byte(media+"#EXT-X-ENDLIST\n"), []byte(keys+"#EXT-X-ENDLIST\n")
	peaks[dir], averages[dir] = all.most, all.bytes*8000/all.ms
	peaks["i"+dir], averages["i"+dir] = first.most, first.bytes*8000/first.ms
}

func (p pack) sound(t testing.TB, peaks, averages map[string]int) {
	t.Helper()
	head, err := mp4.FragmentHeader(mp4.Track{Timescale: aScale, Audio: &mp4.Audio{Codec: "mp4a", Config: asc, SampleRate: aScale, Channels: 2}}, 0)
	require.NoError(t, err)
	p.memory["a/init.mp4"] = head
	text := packHead("#EXT-X-INDEPENDENT-SEGMENTS\n") + "#EXT-X-MAP:URI=\"init.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:" + packTime + "\n"
	var all meter
	for n := range 5 {
		from, to := (n*96000+1023)/1024, ((n+1)*96000+1023)/1024
		var samples [][]byte
		for i := from; i < to; i++ {
			samples = append(samples, payload(fmt.Sprintf("a.%d", i), true, 60))
		}
		data := fragmentOf(uint32(n+1), uint64(from)*1024, 1024, samples, false)
		p.memory[fmt.Sprintf("a/%d.m4s", n+1)] = data
		text += fmt.Sprintf("#EXTINF:%.6f,\n%d.m4s\n", float64((to-from)*1024)/aScale, n+1)
		all.add(len(data), (to-from)*1024*1000/aScale)
	}
	p.memory["a/index.m3u8"] = []byte(text + "#EXT-X-ENDLIST\n")
	peaks["a"], averages["a"] = all.most, all.bytes*8000/all.ms
}

// texts adds subtitles and a storyboard.
func (p pack) texts(t testing.TB) {
	t.Helper()
	subs := strings.Replace(packHead(""), "VERSION:6", "VERSION:3", 1)
	for n := range 5 {
		cues := fmt.Sprintf("\n00:%02d.000 --> 00:%02d.500\nhere %d\n", 2*n, 2*n, n)
		if n == 1 || n == 2 { // goes on across the border
			cues += "\n00:03.000 --> 00:05.000\nlong\n"
		}
		p.memory[fmt.Sprintf("s/%d.vtt", n+1)] = []byte("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n" + cues)
		subs += fmt.Sprintf("#EXTINF:2.000000,\n%d.vtt\n", n+1)
	}
	p.memory["s/index.m3u8"] = []byte(subs + "#EXT-X-ENDLIST\n")
	var sheet bytes.Buffer
	require.NoError(t, jpeg.Encode(&sheet, image.NewGray(image.Rect(0, 0, 160, 18)), nil))
	p.memory["storyboard/1.jpg"] = sheet.Bytes()
	p.memory["storyboard/index.m3u8"] = []byte("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-IMAGES-ONLY\n" +
		"#EXTINF:10.000,\n#EXT-X-TILES:RESOLUTION=32x18,LAYOUT=5x1,DURATION=2.0\n1.jpg\n#EXT-X-ENDLIST\n")
	vtt := "WEBVTT\n"
	for n := range 5 {
		vtt += fmt.Sprintf("\n00:%02d.000 --> 00:%02d.000\n1.jpg#xywh=%d,0,32,18\n", 2*n, 2*n+2, 32*n)
	}
	p.memory["storyboard/storyboard.vtt"] = []byte(vtt)
}
