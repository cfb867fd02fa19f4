package main

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/pipeline"
	"rushes/pipeline/stage"
)

// ivfFile is an IVF file of VP8 key frames, of which only the header is there: at milliseconds, with a size.
func ivfFile(frames ...[3]int) []byte {
	out := append([]byte("DKIF\x00\x00\x20\x00VP80"), 0x80, 2, 0x68, 1) // 640x360, which lies
	out = binary.LittleEndian.AppendUint32(out, 1000)
	out = binary.LittleEndian.AppendUint32(out, 1)
	out = binary.LittleEndian.AppendUint64(out, uint64(len(frames)))
	for _, f := range frames {
		data := []byte{0x10, 0, 0, 0x9d, 1, 0x2a, byte(f[1]), byte(f[1] >> 8), byte(f[2]), byte(f[2] >> 8), 0, 0}
		out = binary.LittleEndian.AppendUint32(out, uint32(len(data)))
		out = binary.LittleEndian.AppendUint64(out, uint64(f[0]))
		out = append(out, data...)
	}
	return out
}

// every is a picture each 100 ms from one time to another.
func every(from, to, width, height int) (frames [][3]int) {
	for at := from; at < to; at += 100 {
		frames = append(frames, [3]int{at, width, height})
	}
	return frames
}

// oggPage is a page with one packet (RFC 3533, section 6).
func oggPage(sequence uint32, flags byte, granule int64, packet string) []byte {
	p := append([]byte("OggS"), 0, flags)
	p = binary.LittleEndian.AppendUint64(p, uint64(granule))
	p = binary.LittleEndian.AppendUint32(p, 7)
	p = binary.LittleEndian.AppendUint32(p, sequence)
	p = append(p, 0, 0, 0, 0, 1, byte(len(packet)))
	p = append(p, packet...)
	var sum uint32
	for _, b := range p {
		sum ^= uint32(b) << 24
		for range 8 {
			if sum&(1<<31) != 0 {
				sum = sum<<1 ^ 0x04c11db7
			} else {
				sum <<= 1
			}
		}
	}
	binary.LittleEndian.PutUint32(p[22:], sum)
	return p
}

// oggFile is Opus packets of 20 ms at some milliseconds from the file's beginning.
func oggFile(stretches ...[2]int) []byte {
	out := append(oggPage(0, 2, 0, "OpusHead\x01\x01\x00\x0f\x80\xbb\x00\x00\x00\x00\x00"), oggPage(1, 0, 0, "OpusTags\x00\x00\x00\x00\x00\x00\x00\x00")...)
	n := uint32(2)
	for _, s := range stretches {
		for at := s[0]; at < s[1]; at += 20 {
			out = append(out, oggPage(n, 0, int64(at+20)*48, "\x78speech")...)
			n++
		}
	}
	return out
}

// hostile is a name that would clear the screen, turn the line round, and never end.
const hostile = "\x1b[2J\u202eevil\u009b31m\r\n" + "and a name that is far longer than any column"

// call is a capture of four people and 20 s; started_at is 17:00:00.
func call(t *testing.T) string {
	t.Helper()
	at := func(s float64) string {
		return time.Date(2026, 11, 22, 17, 0, 0, 0, time.UTC).Add(time.Duration(s * float64(time.Second))).Format(time.RFC3339Nano)
	}
	type m = map[string]any
	track := func(id, peer, kind, source, codec, path string, started float64, muted ...m) m {
		return m{"id": id, "peer_id": peer, "kind": kind, "source": source, "codec": codec, "muted": muted,
			"files": []m{{"path": path, "started_at": at(started)}}}
	}
	manifest := m{"version": 1, "source": "sfu", "room_id": "r", "session_id": "s", "started_at": at(0), "stopped_at": at(20),
		"peers": []m{
			{"id": "p1", "name": "Ann", "role": "host", "joined_at": at(0), "left_at": at(20)},
			{"id": "p2", "name": "שרה כהן", "joined_at": at(2), "left_at": at(8)},
			{"id": "p3", "name": hostile, "joined_at": at(4), "left_at": at(18)},
			{"id": "p2", "name": "שרה כהן", "joined_at": at(12), "left_at": at(20)}},
		"tracks": []m{
			track("ann-cam", "p1", "video", "regular", "VP8", "ann.ivf", 1, m{"from": at(10), "to": at(12)}),
			track("ann-mic", "p1", "audio", "regular", "OPUS", "ann.ogg", 1, m{"from": at(5), "to": at(9)}),
			track("ann-screen", "p1", "video", "screen", "VP8", "screen.ivf", 6),
			track("sara-mic", "p2", "audio", "regular", "OPUS", "sara.ogg", 2),
			track("gone", "p3", "video", "regular", "VP8", "gone.ivf", 5),
			track("stray", "p9", "audio", "regular", "OPUS", "stray.ogg", 14)},
		"events": []m{{"at": at(1), "type": "active-speaker", "peer_id": "p1"}, {"at": at(3), "type": "active-speaker", "peer_id": "p2"},
			{"at": at(13), "type": "active-speaker", "peer_id": "p1"}, {"at": at(16), "type": "active-speaker", "peer_id": ""}}}
	text, err := json.Marshal(manifest)
	require.NoError(t, err)
	folder := t.TempDir()
	pictures := append(every(0, 7000, 320, 240), every(10_000, 18_000, 640, 480)...)
	for name, data := range map[string][]byte{
		"capture.json": text, "ann.ivf": ivfFile(pictures...), "ann.ogg": oggFile([2]int{0, 4000}, [2]int{8000, 19_000}),
		"screen.ivf": ivfFile(every(0, 3000, 1280, 720)...), "sara.ogg": oggFile([2]int{0, 6000}), "stray.ogg": oggFile([2]int{0, 2000})} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), data, 0o644))
	}
	return folder
}

// inspected runs rushes inspect as on a terminal of so many columns, 0 for none.
func inspected(t *testing.T, columns int, utf8 bool, args ...string) string {
	t.Helper()
	var stdout, stderr strings.Builder
	code := run(t.Context(), append([]string{"inspect"}, args...), env{stdout: &stdout, stderr: &stderr, columns: columns, utf8: utf8})
	require.Equal(t, pipeline.ExitOK, code, stderr.String())
	require.Empty(t, stderr.String())
	return stdout.String()
}

// TestInspectTracks holds the table, the timeline and the document of an sfu capture to golden files.
func TestInspectTracks(t *testing.T) {
	t.Parallel()
	folder := call(t)
	before := files(t, folder)
	golden(t, "inspect-sfu.txt", masked(inspected(t, 0, true, folder), "/no such folder", folder))
	golden(t, "inspect-sfu-terminal.txt", masked(inspected(t, 100, true, folder), "/no such folder", folder))
	golden(t, "inspect-sfu-ascii.txt", masked(inspected(t, 0, false, "--timeline", folder), "/no such folder", folder))
	document := inspected(t, 100, true, "--json", folder)
	golden(t, "inspect-sfu.json", masked(document, "/no such folder", folder))
	require.Equal(t, before, files(t, folder))

	in := parse[stage.Inspection](t, document)
	require.Nil(t, in.Files)
	require.Len(t, in.Peers, 4, "three listed, and one that only a track names")
	require.Equal(t, []stage.GapInspection{{FromMS: 2000, ToMS: 8000}, {FromMS: 12_000, ToMS: 20_000}}, in.Peers[1].Stays)
	require.Equal(t, []stage.GapInspection{{FromMS: 3000, ToMS: 8000}, {FromMS: 12_000, ToMS: 13_000}}, in.Peers[1].Speaking)
	ann := in.Peers[0]
	require.Equal(t, []stage.GapInspection{{FromMS: 1000, ToMS: 7900}, {FromMS: 12_000, ToMS: 19_000}}, ann.Camera, "neither in its gap nor while muted")
	require.Equal(t, []stage.GapInspection{{FromMS: 5000, ToMS: 9000}}, ann.Muted)
	require.Equal(t, []stage.GapInspection{{FromMS: 6000, ToMS: 9000}}, ann.Screen)
	require.Equal(t, []stage.SizeInspection{{AtMS: 1000, Width: 320, Height: 240}, {AtMS: 11_000, Width: 640, Height: 480}}, in.Tracks[0].Sizes)
	require.Equal(t, []stage.GapInspection{{FromMS: 5000, ToMS: 9000}}, in.Tracks[1].Gaps)
	require.Contains(t, in.Tracks[4].Error, "gone.ivf")
}

// TestInspectTimelineIsSafe looks for anything in the output that a terminal would obey.
func TestInspectTimelineIsSafe(t *testing.T) {
	t.Parallel()
	folder := call(t)
	for _, columns := range []int{1, 30, 80, 200} {
		for _, utf8 := range []bool{true, false} {
			text := inspected(t, columns, utf8, folder)
			require.NotRegexp(t, "[\\x00-\\x09\\x0b-\\x1f\\x7f\u0080-\u009f\u202a-\u202e\u2066\u2067\u200e\u200f]", text)
			_, timeline, ok := strings.Cut(text, "\n\n")
			require.True(t, ok)
			timeline = timeline[strings.LastIndex(timeline, "\n\n"):]
			for line := range strings.Lines(strings.TrimSpace(timeline)) {
				require.LessOrEqual(t, displayWidth(strings.TrimRight(line, "\n")), max(columns, leastBar+3+nameWidth+len(", screen")), "%q", line)
				if !utf8 {
					require.Regexp(t, `\A[ -~]*\n?\z`, line)
				}
			}
		}
	}
	require.Equal(t, strings.Count(cut("שרה", 9), "\u2068"), strings.Count(cut("שרה", 9), "\u2069"))
	require.Equal(t, "⁨שר…⁩", cut("\u202eשרה כהן", 3))
	require.Equal(t, "a�b", cut("a\xffb", 9))
}

// TestInspectStandup reads a real call, in both forms in which it was recorded.
func TestInspectStandup(t *testing.T) {
	t.Parallel()
	folder := filepath.Join("..", "..", "..", "shared", "captures", "standup")
	if _, err := os.Stat(folder); err != nil {
		t.Skipf("no sample captures here: %v", err)
	}
	for _, name := range []string{"capture.json", "capture-rtpdump.json"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := parse[stage.Inspection](t, inspected(t, 0, true, "--json", filepath.Join(folder, name)))
			tracks := map[string]stage.TrackInspection{}
			for _, x := range in.Tracks {
				tracks[x.ID] = x
				require.Equal(t, "sender-reports", x.Mapping, x.ID)
			}
			mic := tracks["alice-mic"]
			require.Len(t, mic.Pieces, 2, "its RTP clock stood still while it was muted")
			require.Len(t, mic.Gaps, 1)
			require.InDelta(t, 4000, mic.Gaps[0].ToMS-mic.Gaps[0].FromMS, 30)
			require.InDelta(t, 39_870, mic.DurationMS, 40)
			require.InDelta(t, 34_420, tracks["dave-mic"].DurationMS, 40)
			require.GreaterOrEqual(t, len(tracks["dave-mic"].Gaps), 10, "DTX")
			cam := tracks["carol-cam"]
			require.Equal(t, [][2]int{{320, 240}, {640, 480}}, [][2]int{{cam.Sizes[0].Width, cam.Sizes[0].Height}, {cam.Sizes[1].Width, cam.Sizes[1].Height}})
			require.InDelta(t, 21_060, cam.Sizes[1].AtMS, 40)
			if name == "capture-rtpdump.json" {
				require.Equal(t, 24, cam.Lost)
				require.Equal(t, 4, cam.Duplicates)
			}
			carol := in.Peers[2]
			require.Equal(t, "carol", carol.ID)
			require.Len(t, carol.Stays, 2)
		})
	}
}

// TestInspectRefuses names what cannot be inspected: a source without readers, and a call of which nothing is left.
func TestInspectRefuses(t *testing.T) {
	t.Parallel()
	live := filepath.Join(t.TempDir(), "capture.json")
	require.NoError(t, os.WriteFile(live, []byte(liveManifest), 0o644))
	requireOneLine(t, rushes(t, "inspect", live), pipeline.ExitBadInput, `"live-stream" captures cannot be read by this version`, "use a beam or an sfu capture")
	folder := call(t)
	for _, name := range files(t, folder) {
		if name != "capture.json" {
			require.NoError(t, os.Remove(filepath.Join(folder, name)))
		}
	}
	requireOneLine(t, rushes(t, "inspect", folder), pipeline.ExitBadInput, "ann.ivf", "ann-cam")
}

// TestLocale tells UTF-8 by the variables in their order.
func TestLocale(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		all, ctype, lang string
		want             bool
	}{{"", "", "", false}, {"", "", "C.UTF-8", true}, {"", "", "de_DE.utf8", true}, {"C", "", "C.UTF-8", false}, {"", "POSIX", "C.UTF-8", false}, {"", "", "de_DE", false}} {
		vars := map[string]string{"LC_ALL": tc.all, "LC_CTYPE": tc.ctype, "LANG": tc.lang}
		require.Equal(t, tc.want, utf8Locale(func(name string) string { return vars[name] }), "%v", vars)
	}
}
