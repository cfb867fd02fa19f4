package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"rushes/fixtures"
	"rushes/pipeline"
)

// badInput is one capture of which nothing can be made.
type badInput struct {
	make func(t *testing.T, dir string) string // gives the argument
	want []string                              // parts of the only line: who is to blame, and what to do
}

// given writes files into the folder and gives the first one's path. An empty name is the folder.
func given(name string, texts map[string]string) func(*testing.T, string) string {
	return func(t *testing.T, dir string) string {
		t.Helper()
		for n, text := range texts {
			require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, n)), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, n), []byte(text), 0o644))
		}
		return filepath.Join(dir, name)
	}
}

// manifest is a capture with one file of the given path, which as media.
func manifest(path string) func(*testing.T, string) string {
	return given("", map[string]string{"capture.json": `{"version": 1, "source": "beam", "room_id": "r", "session_id": "s",
		"started_at": "2026-11-22T17:00:00Z", "files": [{"path": "` + path + `", "format": "webm"}]}`})
}

// ffmpeg makes a file with the ffmpeg command line.
func ffmpeg(name string, args ...string) func(*testing.T, string) string {
	return func(t *testing.T, dir string) string {
		t.Helper()
		tool, err := exec.LookPath("ffmpeg")
		if err != nil {
			t.Skip("ffmpeg is not there: make setup")
		}
		path := filepath.Join(dir, name)
		args := append([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc=s=64x64:d=1:r=10"}, args...)
		out, err := exec.CommandContext(t.Context(), tool, append(args, path)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		return path
	}
}

func badInputs() map[string]badInput {
	const readable = "give a recording as WebM, Matroska, MP4, FLV or MPEG-TS"
	const whatToGive = "give a folder with capture.json, a manifest (.json) or a media file"
	valid := `"source": "beam", "room_id": "r", "session_id": "s", "started_at": "2026-11-22T17:00:00Z", "files": [{"path": "a.webm"}]`
	return map[string]badInput{
		"nothing there":        {given("talk.webm", nil), []string{"talk.webm: does not exist", whatToGive}},
		"not a media file":     {given("talk.webm", map[string]string{"talk.webm": "These are words, and no film.\n"}), []string{"talk.webm: not a media file that Rushes can read", readable}},
		"a picture":            {ffmpeg("still.jpg", "-frames:v", "1"), []string{"still.jpg: ", readable}},
		"empty file":           {given("talk.webm", map[string]string{"talk.webm": ""}), []string{"talk.webm: the file is empty", whatToGive}},
		"no manifest":          {given("", map[string]string{"talk.webm": "x"}), []string{"folder has no capture.json", whatToGive}},
		"folder called json":   {given("a.json", map[string]string{"a.json/talk.webm": "x"}), []string{"a.json: folder has no capture.json", whatToGive}},
		"manifest is no JSON":  {given("", map[string]string{"capture.json": "version: 1"}), []string{"capture.json: "}},
		"unknown version":      {given("", map[string]string{"capture.json": `{"version": 7, ` + valid + `}`}), []string{"capture.json: version: ", "7"}},
		"unknown source":       {given("", map[string]string{"capture.json": `{"version": 1, "source": "fax"}`}), []string{"capture.json: source: ", "fax"}},
		"nothing of a stream":  {given("", map[string]string{"capture.json": liveManifest}), []string{"layers: no layer has a segment that can be read", "put the segments beside the manifest"}},
		"unknown asset":        {given("", map[string]string{"capture.json": `{"version": 1, "outputs": {"assets": ["gif"]}, ` + valid + `}`}), []string{"outputs.assets", "gif"}},
		"parent folder":        {manifest("../talk.webm"), []string{"files[0].path", "'..' leaves the capture", "stays inside the capture"}},
		"absolute path":        {manifest("/etc/passwd"), []string{"files[0].path", "absolute path", "stays inside the capture"}},
		"address":              {manifest("https://example.org/talk.webm"), []string{"files[0].path", "address instead of a path", "stays inside the capture"}},
		"link that leaves":     {link, []string{"files[0].path", "a link leads outside the capture", "put the file itself into the capture's folder"}},
		"file is missing":      {manifest("talk.webm"), []string{"talk.webm: the file is not there", "put it beside the manifest"}},
		"pipe":                 {pipe("talk.webm"), []string{"talk.webm: neither a file nor a folder", whatToGive}},
		"pipe as manifest":     {pipe("talk.json"), []string{"talk.json: neither a file nor a folder", whatToGive}},
		"pipe in the capture":  {pipeInside, []string{"talk.webm", "not a regular file"}},
		"codec not built in":   {ffmpeg("talk.mkv", "-c:v", "mpeg2video"), []string{"talk.mkv: codec \"mpeg2video\" is not built in", "record VP8, VP9, AV1 or H.264"}},
		"another such codec":   {ffmpeg("talk.mov", "-c:v", "prores"), []string{"talk.mov: codec \"prores\" is not built in", "record VP8"}},
		"format not built in":  {ffmpeg("talk.avi", "-c:v", "mpeg4"), []string{"talk.avi: not a media file that Rushes can read", readable}},
		"nothing but a header": {header, []string{"recording.webm", readable}},
	}
}

const liveManifest = `{"version": 1, "source": "live-stream", "room_id": "r", "session_id": "s", "started_at": "2026-11-22T17:00:00Z",
	"layers": [{"name": "720p", "width": 1280, "height": 720, "bandwidth": 2112000, "playlist": "720p/index.m3u8"}]}`

func link(t *testing.T, dir string) string {
	t.Helper()
	outside := filepath.Join(t.TempDir(), "secret.webm")
	require.NoError(t, os.WriteFile(outside, []byte("secret"), 0o644))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "talk.webm")))
	return manifest("talk.webm")(t, dir)
}

func pipe(name string) func(*testing.T, string) string {
	return func(t *testing.T, dir string) string {
		t.Helper()
		require.NoError(t, unix.Mkfifo(filepath.Join(dir, name), 0o644))
		return filepath.Join(dir, name)
	}
}

func pipeInside(t *testing.T, dir string) string {
	t.Helper()
	pipe("talk.webm")(t, dir)
	return manifest("talk.webm")(t, dir)
}

// header leaves of a recording what comes before its first cluster.
func header(t *testing.T, _ string) string {
	t.Helper()
	folder := beam(t, fixtures.BeamSpec{Script: script(time.Second), Record: fixtures.WebMVP8(), Room: "header"})
	require.NoError(t, fixtures.Truncate(filepath.Join(folder, "recording.webm"), 300))
	return folder
}

// TestBadInput holds every input that nothing can be made of to one line, exit status 3 and no trace.
func TestBadInput(t *testing.T) {
	t.Parallel()
	for name, tc := range badInputs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			capture, data := tc.make(t, t.TempDir()), filepath.Join(t.TempDir(), "data")
			before := files(t, capture)
			for _, args := range [][]string{{}, {"--json"}} {
				got := rushes(t, append([]string{"process", capture, "--data", data}, args...)...)
				requireOneLine(t, got, pipeline.ExitBadInput, tc.want...)
				requireNoStrays(t, data)
			}
			require.Equal(t, before, files(t, capture))
			got := rushes(t, "inspect", capture)
			switch name {
			case "unmade source", "unknown asset": // nothing is to be made
			case "codec not built in", "another such codec":
				requireSuccess(t, got)
				require.Contains(t, got.stdout, "64x64, not built in")
			default:
				requireOneLine(t, got, pipeline.ExitBadInput)
			}
		})
	}
}

// TestUnreadable asks as a user who may not read. Root may read everything.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	folder, data := copied(t), filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.Chmod(filepath.Join(folder, "recording.mp4"), 0))
	requireOneLine(t, rushes(t, "process", folder, "--data", data), pipeline.ExitBadInput, "recording.mp4: the file may not be read", "give the user")
	requireOneLine(t, rushes(t, "process", filepath.Join(folder, "recording.mp4"), "--data", data), pipeline.ExitBadInput, "recording.mp4: may not be read")
	requireNoStrays(t, data)
}

// TestDefects takes away or spoils one of two files: the other one becomes an asset that says what is wrong.
func TestDefects(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spoil func(path string) error
		kinds []string
	}{
		"missing": {os.Remove, []string{"missing-file"}},
		"empty":   {func(path string) error { return os.Truncate(path, 0) }, []string{"empty-file"}},
		"corrupt": {func(path string) error { return os.WriteFile(path, []byte("These are words.\n"), 0o644) }, []string{"unreadable"}},
		"pipe": {func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return unix.Mkfifo(path, 0o644)
		}, []string{"unreadable-file"}},
	} {
		for _, part := range []string{"recording-1.mkv", "recording-2.mkv"} {
			t.Run(name+" "+part, func(t *testing.T) {
				t.Parallel()
				folder, data := twoParts(t), t.TempDir()
				require.NoError(t, tc.spoil(filepath.Join(folder, part)))
				doc := process(t, data, folder)
				require.Equal(t, "completed", doc.Job.State)
				require.Len(t, doc.Assets, 1)
				a := doc.Assets[0]
				require.Equal(t, "completed", a.Status)
				require.InDelta(t, 1500, a.Metadata.DurationMS, 70)
				var kinds []string
				for _, d := range a.Metadata.Defects {
					require.Contains(t, d.File, part)
					kinds = append(kinds, d.Kind)
				}
				require.Equal(t, tc.kinds, kinds)
				r := measure(t, a.File)
				require.Empty(t, r.Sequence.Missing)
				require.InDelta(t, 22, r.Video.Count, 1)
				want := int64(0)
				if part == "recording-1.mkv" {
					want = 1500
				}
				require.Equal(t, want, a.Metadata.OffsetMS)
			})
		}
	}
}

// measure reads the truth back from an asset.
func measure(t *testing.T, file string) fixtures.Report {
	t.Helper()
	r, err := fixtures.Measure(t.Context(), file, fixtures.MeterConfig{})
	require.NoError(t, err)
	require.Empty(t, r.Sequence.Unreadable)
	require.Empty(t, r.Sequence.Torn)
	require.Empty(t, r.Sequence.NoCode)
	require.Empty(t, r.Sequence.Repeated)
	require.Less(t, r.Duration, time.Minute)
	return r
}
