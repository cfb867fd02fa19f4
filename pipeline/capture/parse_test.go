package capture

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	beamHead = `"version":1,"source":"beam","room_id":"r","session_id":"s","started_at":"2026-11-22T17:00:00Z"`
	sfuHead  = `"version":1,"source":"sfu","room_id":"r","session_id":"s","started_at":"2026-11-22T17:00:00Z"`
	liveHead = `"version":1,"source":"live-stream","room_id":"r","session_id":"s","started_at":"2026-11-22T17:00:00Z"`
	oneFile  = `,"files":[{"path":"a.webm"}]`
	oneTrack = `,"peers":[{"id":"p"}],"tracks":[{"id":"t","peer_id":"p","kind":"video","codec":"VP8","files":[{"path":"t.ivf","started_at":"2026-11-22T17:00:00Z"}]}]`
)

// fields returns the fields that an error of Parse or Open names.
func fields(t *testing.T, err error) []string {
	t.Helper()
	var joined interface{ Unwrap() []error }
	list := []error{err}
	if errors.As(err, &joined) {
		list = joined.Unwrap()
	}
	var names []string
	for _, e := range list {
		var in *InputError
		require.ErrorAs(t, e, &in)
		require.True(t, in.BadInput())
		require.NotContains(t, in.Error(), "\n")
		names = append(names, in.Field)
	}
	return names
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, manifest string
		field, says    string
	}{
		{"empty", " \n", "", "the manifest is empty"},
		{"not JSON", "RIFF....", "", "is not JSON: line 1, column 1"},
		{"torn", `{"version":1,` + "\n" + `"source":"be`, "", "line 2"},
		{"a list", `[1]`, "", "holds a JSON array"},
		{"no version", `{"source":"beam"}`, "version", "missing"},
		{"unknown version", `{"version":2,"source":"beam","width":"new meaning"}`, "version", "2 is not a version we know"},
		{"text version", `{"version":"1","source":"beam"}`, "version", `"1" is not a version`},
		{"no source", `{"version":1}`, "source", "missing"},
		{"unknown source", `{"version":1,"source":"zoom"}`, "source", `"zoom" is not a source we know; use "beam"`},
		{"no started_at", `{"version":1,"source":"beam"` + oneFile + `}`, "started_at", "missing"},
		{"not a time", `{` + beamHead + oneFile + `,"stopped_at":"yesterday"}`, "stopped_at", `"yesterday" is not an RFC 3339 time`},
		{"a number as time", `{` + beamHead + oneFile + `,"stopped_at":12}`, "stopped_at", "12"},
		{"year", `{` + beamHead + oneFile + `,"stopped_at":"9999-12-31T23:59:59-23:00"}`, "stopped_at", "outside 1970 to 2199"},
		{"stop before start", `{` + beamHead + oneFile + `,"stopped_at":"2026-11-22T16:59:59Z"}`, "stopped_at", "before started_at"},
		{"pause backwards", `{` + beamHead + oneFile + `,"paused":[{"from":"2026-11-22T17:00:05Z","to":"2026-11-22T17:00:05Z"}]}`, "paused[0]", "not before"},
		{"pause without from", `{` + beamHead + oneFile + `,"paused":[{"to":"2026-11-22T17:00:05Z"}]}`, "paused[0].from", "missing"},
		{"no files", `{` + beamHead + `}`, "files", "missing"},
		{"no path", `{` + beamHead + `,"files":[{"path":"a"},{}]}`, "files[1].path", "missing"},
		{"dotdot", `{` + beamHead + `,"files":[{"path":"a/../../b.webm"}]}`, "files[0].path", "leaves the capture"},
		{"absolute", `{` + beamHead + `,"files":[{"path":"/etc/passwd"}]}`, "files[0].path", "absolute"},
		{"scheme", `{` + beamHead + `,"files":[{"path":"http://h/a.webm"}]}`, "files[0].path", "address"},
		{"data scheme", `{` + beamHead + `,"files":[{"path":"concat:a|b"}]}`, "files[0].path", "address"},
		{"backslash", `{` + beamHead + `,"files":[{"path":"..\\a.webm"}]}`, "files[0].path", "backslash"},
		{"nul", `{` + beamHead + `,"files":[{"path":"a\u0000.webm"}]}`, "files[0].path", "control character"},
		{"newline", `{` + beamHead + `,"files":[{"path":"a\n.webm"}]}`, "files[0].path", "control character"},
		{"folder", `{` + beamHead + `,"files":[{"path":"a/"}]}`, "files[0].path", "folder"},
		{"dot", `{` + beamHead + `,"files":[{"path":"./a"}]}`, "files[0].path", "'.' element"},
		{"negative width", `{` + beamHead + oneFile + `,"width":-1}`, "width", "negative"},
		{"text for a number", `{` + beamHead + `,"files":[{"path":"a"},{"path":"b","width":"wide"}]}`, "files[1].width", "want a whole number"},
		{"number for a list", `{` + beamHead + `,"files":7}`, "files", "want a list"},
		{"list entry", `{` + beamHead + `,"files":[{"path":"a"},3]}`, "files[1]", "want an object"},
		{"no tracks", `{` + sfuHead + `}`, "tracks", "missing"},
		{"no kind", `{` + sfuHead + `,"tracks":[{"id":"t","peer_id":"p"}]}`, "tracks[0].kind", "missing"},
		{"kind", `{` + sfuHead + `,"tracks":[{"id":"t","peer_id":"p","kind":"data"}]}`, "tracks[0].kind", `"data" is not a kind`},
		{"track id", `{` + sfuHead + `,"tracks":[{"peer_id":"p","kind":"audio"}]}`, "tracks[0].id", "missing"},
		{"peer id", `{` + sfuHead + oneTrack[:9] + `[{}]` + oneTrack[21:] + `}`, "peers[0].id", "missing"},
		{"track twice", `{` + sfuHead + `,"tracks":[{"id":"t","peer_id":"p","kind":"audio"},{"id":"t","peer_id":"p","kind":"audio"}]}`, "tracks[1].id", "also the id of tracks[0]"},
		{"clock rate", `{` + sfuHead + `,"tracks":[{"id":"t","peer_id":"p","kind":"audio","clock_rate":-5}]}`, "tracks[0].clock_rate", "negative"},
		{"frames", `{` + sfuHead + `,"tracks":[{"id":"t","peer_id":"p","kind":"video","files":[{"path":"a.h264","frames":"../f"}]}]}`, "tracks[0].files[0].frames", "leaves"},
		{"first_rtp", `{` + sfuHead + `,"tracks":[{"id":"t","peer_id":"p","kind":"video","files":[{"path":"a","first_rtp":-1}]}]}`, "tracks[0].files[0].first_rtp", "0 to 4294967295"},
		{"no layers", `{` + liveHead + `}`, "layers", "missing"},
		{"layer twice", `{` + liveHead + `,"layers":[{"name":"a"},{"name":"a"}]}`, "layers[1].name", "also the name of layers[0]"},
		{"playlist", `{` + liveHead + `,"layers":[{"playlist":"/a.m3u8"}]}`, "layers[0].playlist", "absolute"},
		{"segment", `{` + liveHead + `,"layers":[{"segments":[{"path":"s.ts"},{"path":"../s.ts"}]}]}`, "layers[0].segments[1].path", "leaves"},
		{"map", `{` + liveHead + `,"layers":[{"segments":[{"path":"a/b/s.m4s","map":"../init.mp4"}]}]}`, "layers[0].segments[0].map", "leaves"},
		{"duration", `{` + liveHead + `,"layers":[{"segments":[{"path":"s.ts","duration":-2}]}]}`, "layers[0].segments[0].duration", "negative"},
		{"long duration", `{` + liveHead + `,"layers":[{"segments":[{"path":"s.ts","duration":1e99}]}]}`, "layers[0].segments[0].duration", "1e99 is not"},
		{"asset", `{` + beamHead + oneFile + `,"outputs":{"assets":["room-composite","track"]}}`, "outputs.assets[1]", "a beam capture gives room-composite"},
		{"track format", `{` + sfuHead + oneTrack + `,"outputs":{"track_format":"webm"}}`, "outputs.track_format", `"webm" is not a format of tracks; use mp4, or leave it out`},
		{"layout", `{` + sfuHead + oneTrack + `,"outputs":{"composition":{"layout":"circle"}}}`, "outputs.composition.layout", "circle"},
		{"odd width", `{` + sfuHead + oneTrack + `,"outputs":{"composition":{"width":641}}}`, "outputs.composition.width", "641"},
		{"small", `{` + sfuHead + oneTrack + `,"outputs":{"composition":{"height":142}}}`, "outputs.composition.height", "142"},
		{"wide", `{` + sfuHead + oneTrack + `,"outputs":{"composition":{"width":3842}}}`, "outputs.composition.width", "3842"},
		{"fps", `{` + sfuHead + oneTrack + `,"outputs":{"composition":{"fps":0}}}`, "outputs.composition.fps", "0"},
		{"background", `{` + sfuHead + oneTrack + `,"outputs":{"composition":{"background":"red"}}}`, "outputs.composition.background", "red"},
		{"role", `{` + sfuHead + oneTrack + `,"outputs":{"composition":{"roles":["host",""]}}}`, "outputs.composition.roles[1]", "empty"},
		{"no regions", `{` + sfuHead + oneTrack + `,"outputs":{"composition":{"layout":"regions"}}}`, "outputs.composition.regions", "missing"},
		{"region outside", `{` + sfuHead + oneTrack + `,"outputs":{"composition":{"regions":[{"x":1000,"width":400,"height":2,"show":"rest"}]}}}`, "outputs.composition.regions[0]", "not inside"},
		{"region show", `{` + sfuHead + oneTrack + `,"outputs":{"composition":{"regions":[{"width":400,"height":2,"show":"peer:"}]}}}`, "outputs.composition.regions[0].show", "nothing to show"},
		{"thumbnail size", `{` + beamHead + oneFile + `,"outputs":{"thumbnails":{"height":5000}}}`, "outputs.thumbnails.height", "5000"},
		{"thumbnail offset", `{` + beamHead + oneFile + `,"outputs":{"thumbnails":{"offsets":[1,-1]}}}`, "outputs.thumbnails.offsets[1]", "negative"},
		{"thumbnail text", `{` + beamHead + oneFile + `,"outputs":{"thumbnails":{"offsets":["two"]}}}`, "outputs.thumbnails.offsets[0]", "two"},
		{"deep", strings.Repeat("[", 1<<20), "", "nested deeper"},
		{"deep in an unknown field", `{"version":1,"x":` + strings.Repeat(`{"a":`, 100) + `1` + strings.Repeat("}", 101), "", "nested deeper"},
		{"many", `{` + sfuHead + `,"tracks":[{}` + strings.Repeat(",{}", maxElements) + `]}`, "", "more than 500000 list entries"},
		{"many tracks", `{` + sfuHead + `,"tracks":[{}` + strings.Repeat(",{}", maxTracks) + `]}`, "tracks", "at most 20000"},
		{"large", strings.Repeat(" ", maxManifestBytes) + "{}", "", "larger than 64 MiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := Parse("call/capture.json", []byte(tt.manifest))
			require.Error(t, err)
			require.Equal(t, []string{tt.field}, fields(t, err), "%v", err)
			require.ErrorContains(t, err, tt.says)
			require.True(t, strings.HasPrefix(err.Error(), "call/capture.json: "), err.Error())
		})
	}
}

func TestParseReportsAllProblems(t *testing.T) {
	t.Parallel()
	_, _, err := Parse("m", []byte(`{"version":1,"source":"beam","width":-1,"files":[{"path":"/a"},{"path":"../b"}]}`))
	require.Equal(t, []string{"started_at", "width", "files[0].path", "files[1].path"}, fields(t, err))

	var many []string
	for range 100 {
		many = append(many, `{"path":"/a"}`)
	}
	_, _, err = Parse("m", []byte(`{`+beamHead+`,"files":[`+strings.Join(many, ",")+`]}`))
	require.Len(t, fields(t, err), maxProblems+1)
	require.ErrorContains(t, err, "and 80 more problems")
}

func TestParseTolerates(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, manifest string
		kinds          []DefectKind
	}{
		{"unknown fields and another source's lists", `{` + beamHead + oneFile + `,"tracks":[{"files":[{"path":"/etc/passwd"}]}],"x":{"y":[1]}}`, nil},
		{"byte order mark", "\ufeff{" + beamHead + oneFile + `}`, nil},
		{"no room", `{"version":1,"source":"beam","started_at":"2026-11-22T17:00:00Z"` + oneFile + `}`, []DefectKind{DefectMissingField, DefectMissingField}},
		{"unknown format", `{` + sfuHead + `,"peers":[{"id":"p"}],"tracks":[{"id":"t","peer_id":"p","kind":"video","files":[{"path":"a.xyz","started_at":"2026-11-22T17:00:00Z"}]}]}`, []DefectKind{DefectUnknownFormat}},
		{"peer unknown", strings.Replace(`{`+sfuHead+oneTrack+`}`, `"peers":[{"id":"p"}],`, "", 1), []DefectKind{DefectUnknownPeer}},
		{"left before joined", strings.Replace(`{`+sfuHead+oneTrack+`}`, `{"id":"p"}`, `{"id":"p","left_at":"2026-11-22T16:00:00Z"}`, 1), []DefectKind{DefectBadTime}},
		{"mute backwards", strings.Replace(`{`+sfuHead+oneTrack+`}`, `"kind"`, `"muted":[{"from":"2026-11-22T17:00:09Z","to":"2026-11-22T17:00:01Z"}],"kind"`, 1), []DefectKind{DefectBadTime}},
		{"bad NTP", strings.Replace(`{`+sfuHead+oneTrack+`}`, `"path"`, `"sender_reports":[{"rtp":1,"ntp":"x"},{"rtp":1,"ntp":"1900-01-01T00:00:00Z"}],"path"`, 1), []DefectKind{DefectBadTime}},
		{"no files", `{` + sfuHead + `,"peers":[{"id":"p"}],"tracks":[{"id":"t","peer_id":"p","kind":"audio"}]}`, []DefectKind{DefectNoFiles}},
		{"h264 without frames", `{` + sfuHead + `,"peers":[{"id":"p"}],"tracks":[{"id":"t","peer_id":"p","kind":"video","files":[{"path":"a.h264","started_at":"2026-11-22T17:00:00Z"}]}]}`, []DefectKind{DefectNoTimestamps}},
		{"event without a time", `{` + sfuHead + oneTrack + `,"events":[{"type":"pin","at":"x"},{"type":"dance","at":"y"}]}`, []DefectKind{DefectBadTime}},
		{"pause without any end", `{` + beamHead + oneFile + `,"paused":[{"from":"2026-11-22T17:00:05Z"}]}`, []DefectKind{DefectBadTime}},
		{"bare layer", `{` + liveHead + `,"layers":[{"name":"a"}]}`, []DefectKind{DefectNoFiles}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, defects, err := Parse("m", []byte(tt.manifest))
			require.NoError(t, err)
			var kinds []DefectKind
			for _, d := range defects {
				kinds = append(kinds, d.Kind)
			}
			require.Equal(t, tt.kinds, kinds, "%v", defects)
		})
	}
}

func TestParseFillsIn(t *testing.T) {
	t.Parallel()
	m, _, err := Parse("m", []byte(`{`+sfuHead+oneTrack+`,"outputs":{"track_format":"mp4","composition":{"height":480,"names":false},"thumbnails":{"offsets":[5,2.5,5]}}}`))
	require.NoError(t, err)
	require.Equal(t, []string{AssetTrack, AssetRoomCompositeLegacy}, m.Outputs.Assets)
	require.Equal(t, TrackFormatMP4, m.Outputs.TrackFormat)
	require.Equal(t, Composition{Layout: "auto", Width: 1280, Height: 480, FPS: 30, Background: "#000000"}, m.Outputs.Composition)
	require.Equal(t, []Seconds{{Duration: 2500 * time.Millisecond}, {Duration: 5 * time.Second}}, m.Outputs.Thumbnails.Offsets)
	require.True(t, m.Outputs.Thumbnails.Enabled)
	tr := m.Tracks[0]
	require.Equal(t, "p-regular", tr.StreamID)
	require.Equal(t, 90000, tr.ClockRate)
	require.Equal(t, FormatIVF, tr.Files[0].Format)
	require.False(t, tr.Screen())
	require.Equal(t, m.StartedAt, m.Peers[0].JoinedAt)

	m, _, err = Parse("m", []byte(`{`+liveHead+`,"layers":[{"segments":[{"path":"v/s.m4s","map":"init.mp4","duration":2.002,"program_date_time":"2026-11-22T18:38:26.098+0100"}]}],"outputs":{"thumbnails":{"offsets":[]}}}`))
	require.NoError(t, err)
	s := m.Layers[0].Segments[0]
	require.Equal(t, "v/init.mp4", s.MapPath())
	require.Equal(t, 2002*time.Millisecond, s.Duration.Duration)
	require.Equal(t, "2026-11-22T17:38:26.098Z", s.ProgramDateTime.Format(time.RFC3339Nano))
	require.Empty(t, m.Outputs.Thumbnails.Offsets)
	require.Equal(t, []string{AssetRoomVOD, AssetRoomComposite}, m.Outputs.Assets)
}

func TestSecondsMarshal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "2": 2 * time.Second, "2.5": 2500 * time.Millisecond, "0.000000001": 1,
		"604800": maxSeconds, "10": 10 * time.Second, "604799.999999999": maxSeconds - 1,
	} {
		var s Seconds
		require.NoError(t, json.Unmarshal([]byte(text), &s))
		require.Equal(t, want, s.Duration)
		back, err := json.Marshal(s)
		require.NoError(t, err)
		require.Equal(t, text, string(back))
	}
	back, err := json.Marshal(Seconds{Duration: -1500 * time.Millisecond})
	require.NoError(t, err)
	require.Equal(t, "-1.5", string(back))
}

func TestFileNamesThatArePaths(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"a", "tracks/cam.ivf", "17:42:10.webm", "é/宏.webm", "a b.webm", "..a/b..", "dir/x:y"} {
		require.Empty(t, CheckPath(p), p)
	}
	for _, p := range []string{"", "C:/a", "c:a", "file:a", "a//b", "a/./b", ".", "..", "a/..", "\x7f", "a\u0085b", "\xff", strings.Repeat("a", 256), strings.Repeat("a/", 2100) + "b"} {
		require.NotEmpty(t, CheckPath(p), p)
	}
}

// FuzzManifest: whatever is thrown at the parser it answers with bad input, or
// with a manifest whose paths are safe and that says the same after a round trip.
func FuzzManifest(f *testing.F) {
	for _, seed := range []string{
		`{` + beamHead + oneFile + `,"paused":[{"from":"2026-11-22T17:00:05Z","to":"2026-11-22T17:00:06.123456789+01:00"}]}`,
		`{` + sfuHead + oneTrack + `,"events":[{"at":"2026-11-22T17:00:05Z","type":"pin","peer_id":"p"}]}`,
		`{` + liveHead + `,"layers":[{"segments":[{"path":"v/s.m4s","map":"init.mp4","duration":2.002,"program_date_time":"2026-11-22T18:38:26.098+0100"}]}]}`,
		`{` + beamHead + `,"files":[{"path":"../a"}]}`,
		`{"version":3,"source":"beam"}`, `[[[[`, `{"version":1,"source":"beam","started_at":"2026-11-22T17:00:00Z","files":[{"path":"a"}],"outputs":{"thumbnails":{"offsets":[0.1,1e3]}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, _, err := Parse("m", data)
		if err != nil {
			fields(t, err)
			return
		}
		for r := range m.refs() {
			require.Empty(t, CheckPath(r.path), "%s", r.field)
		}
		require.NotEmpty(t, m.RoomID)
		NewTimeline(m.StartedAt.Time, m.StoppedAt.Time, m.Paused)
		once, err := json.Marshal(m)
		require.NoError(t, err)
		again, _, err := Parse("m", once)
		require.NoError(t, err, "%s", once)
		twice, err := json.Marshal(again)
		require.NoError(t, err)
		require.Equal(t, string(once), string(twice))
		require.Equal(t, manifestKey(m), manifestKey(again))
	})
}

func ExampleInputError() {
	_, _, err := Parse("call/capture.json", []byte(`{"version":7,"source":"beam"}`))
	fmt.Println(err)
	// Output: call/capture.json: version: 7 is not a version we know; this Rushes reads version 1; use a newer Rushes or write version 1
}
