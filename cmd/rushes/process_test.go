package main

import (
	"bytes"
	"encoding/json"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/fixtures"
	"rushes/pipeline"
)

// document is the JSON of process, as a customer's program reads it.
type document struct {
	Job struct {
		ID       string `json:"id"`
		State    string `json:"state"`
		Stage    string `json:"stage"`
		Progress int    `json:"progress"`
		Attempts int    `json:"attempts"`
	} `json:"job"`
	Assets []assetJSON `json:"assets"`
}

type assetJSON struct {
	ID         string   `json:"id"`
	RoomID     string   `json:"room_id"`
	Path       string   `json:"path"`
	Size       int64    `json:"size"`
	Status     string   `json:"status"`
	CreatedAt  string   `json:"created_at"`
	Thumbnails []string `json:"thumbnails"`
	Metadata   struct {
		Resolution    *struct{ Width, Height int }  `json:"resolution"`
		DurationMS    int64                         `json:"duration_ms"`
		OffsetMS      int64                         `json:"offset_ms"`
		ThumbnailNote string                        `json:"thumbnail_note"`
		Defects       []struct{ Kind, File string } `json:"defects"`
	} `json:"metadata"`
	File string `json:"file"`
}

// parse reads a JSON document and nothing beside it.
func parse[T any](t *testing.T, text string) (v T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	require.NoError(t, d.Decode(&v), "%s", text)
	require.False(t, d.More())
	return v
}

// process runs rushes process --json to success.
func process(t *testing.T, data string, args ...string) document {
	t.Helper()
	got := rushes(t, append([]string{"process", "--json", "--data", data}, args...)...)
	requireSuccess(t, got)
	return parse[document](t, got.stdout)
}

// TestProcessJSON holds the document to the shape of the API: all fields, in a golden file.
func TestProcessJSON(t *testing.T) {
	t.Parallel()
	folder, data := copied(t), filepath.Join(t.TempDir(), "data")
	got := rushes(t, "process", folder, "--data", data, "--json")
	requireSuccess(t, got)
	golden(t, "process.json", masked(got.stdout, data, folder))
	a := parse[document](t, got.stdout).Assets[0]
	require.Equal(t, filepath.Join(data, "blobs", a.Path), a.File)
	info, err := os.Stat(a.File)
	require.NoError(t, err)
	require.Equal(t, info.Size(), a.Size)
	requireNoStrays(t, data, append(a.Thumbnails, a.Path)...)
}

// TestProcessTable holds the table for people.
func TestProcessTable(t *testing.T) {
	t.Parallel()
	folder, data := copied(t), t.TempDir()
	got := rushes(t, "process", folder, "--data", data)
	requireSuccess(t, got)
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	require.Len(t, lines, 2)
	require.Regexp(t, `^ID +TYPE +STATUS +DURATION +PICTURE +SIZE +FILE$`, lines[0])
	require.Regexp(t, `^[0-9a-f]{24}  room-composite  completed  3\.[0-9]+s +320x180  [0-9.]+ KiB  /.+\.mp4$`, lines[1])
}

// TestAgain shows that a second run finds what the first one made, wherever the capture is named from.
func TestAgain(t *testing.T) {
	t.Parallel()
	folder, data := encoded(t), t.TempDir()
	first := process(t, data, folder)
	before, err := os.Stat(first.Assets[0].File)
	require.NoError(t, err)
	moved := folder + "-moved"
	require.NoError(t, os.Rename(folder, moved))
	second := process(t, data, moved)
	require.Equal(t, first.Assets, second.Assets)
	require.Equal(t, first.Job.ID, second.Job.ID)
	require.Equal(t, 2, second.Job.Attempts)
	require.Equal(t, "completed", second.Job.State)
	require.Equal(t, 1000, second.Job.Progress)
	after, err := os.Stat(first.Assets[0].File)
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after) && before.ModTime().Equal(after.ModTime()), "the asset was written again")
	requireNoStrays(t, data, append(first.Assets[0].Thumbnails, first.Assets[0].Path)...)

	require.NoError(t, os.Remove(first.Assets[0].File))
	require.Equal(t, first.Assets, process(t, data, moved).Assets, "lost bytes are made again under the same id")
	measure(t, first.Assets[0].File)
}

// TestFailureThenSuccess shows that a failed asset is tried again and keeps its id.
func TestFailureThenSuccess(t *testing.T) {
	t.Parallel()
	folder, data := copied(t), t.TempDir()
	media := filepath.Join(folder, "recording.mp4")
	require.NoError(t, os.Rename(media, media+".away"))
	got := rushes(t, "process", folder, "--data", data, "--json")
	requireOneLine(t, got, pipeline.ExitBadInput, "recording.mp4: the file is not there")
	failed := parse[document](t, got.stdout)
	require.Equal(t, "failed", failed.Job.State)
	require.Equal(t, "failed", failed.Assets[0].Status)
	require.Empty(t, failed.Assets[0].File)
	require.NoError(t, os.Rename(media+".away", media))
	doc := process(t, data, folder)
	require.Equal(t, "completed", doc.Assets[0].Status)
	require.Equal(t, failed.Assets[0].ID, doc.Assets[0].ID)
	require.Empty(t, doc.Assets[0].Metadata.Defects)
}

// TestSamePlace gives two captures one room and one millisecond: each keeps its bytes.
func TestSamePlace(t *testing.T) {
	t.Parallel()
	one, other, data := copied(t), copied(t), t.TempDir()
	rename(t, other, "session-copied", "session-other")
	a, b := process(t, data, one).Assets[0], process(t, data, other).Assets[0]
	require.Equal(t, a.RoomID, b.RoomID)
	require.NotEqual(t, a.ID, b.ID)
	require.NotEqual(t, a.Path, b.Path)
	requireNoStrays(t, data, append(append(a.Thumbnails, b.Thumbnails...), a.Path, b.Path)...)
	require.Equal(t, a, process(t, data, one).Assets[0])
	require.Equal(t, b, process(t, data, other).Assets[0])
}

// rename changes a text in a capture's manifest.
func rename(t *testing.T, folder, from, to string) {
	t.Helper()
	path := filepath.Join(folder, "capture.json")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(text), from)
	require.NoError(t, os.WriteFile(path, bytes.Replace(text, []byte(from), []byte(to), 1), 0o644))
}

// TestNames takes a capture by its folder, its manifest, a manifest of another name and a link: one asset. Its
// media file alone is another capture.
func TestNames(t *testing.T) {
	t.Parallel()
	folder, data := copied(t), t.TempDir()
	want := process(t, data, folder).Assets
	require.Equal(t, want, process(t, data, filepath.Join(folder, "capture.json")).Assets)
	require.NoError(t, os.Rename(filepath.Join(folder, "capture.json"), filepath.Join(folder, "other name.json")))
	require.Equal(t, want, process(t, data, filepath.Join(folder, "other name.json")).Assets)
	require.NoError(t, os.Symlink(folder, folder+"-link"))
	require.Equal(t, want, process(t, data, filepath.Join(folder+"-link", "other name.json")).Assets)

	file := filepath.Join(folder, "recording.mp4")
	plain := process(t, data, file).Assets[0]
	require.NotEqual(t, want[0].ID, plain.ID)
	require.Equal(t, "recording", plain.RoomID)
	require.Equal(t, want[0].Metadata.DurationMS, plain.Metadata.DurationMS)
	require.NoError(t, os.Rename(file, filepath.Join(folder, "renamed.mp4")))
	require.Equal(t, plain, process(t, data, filepath.Join(folder, "renamed.mp4")).Assets[0])
}

// TestOneKind takes recordings without sound and without pictures: assets both.
func TestOneKind(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]fixtures.RecordSpec{"webm": fixtures.WebMVP8(), "mp4": fixtures.FragmentedMP4()} {
		t.Run(name+" video only", func(t *testing.T) {
			t.Parallel()
			spec := spec
			spec.Audio = nil
			a := process(t, t.TempDir(), beam(t, fixtures.BeamSpec{Script: script(3 * time.Second), Record: spec})).Assets[0]
			r := measure(t, a.File)
			require.EqualValues(t, 45, r.Video.Count)
			require.Zero(t, r.Sound.Count)
			require.Len(t, a.Thumbnails, 1)
		})
		t.Run(name+" audio only", func(t *testing.T) {
			t.Parallel()
			spec := spec
			spec.Video = nil
			a := process(t, t.TempDir(), beam(t, fixtures.BeamSpec{Script: script(3 * time.Second), Record: spec})).Assets[0]
			r, err := fixtures.Measure(t.Context(), a.File, fixtures.MeterConfig{NoCodes: true})
			require.NoError(t, err)
			require.Zero(t, r.Video.Count)
			require.Len(t, r.Beeps, 3)
			require.Empty(t, a.Thumbnails)
			require.Nil(t, a.Metadata.Resolution)
			require.Contains(t, a.Metadata.ThumbnailNote, "audio only")
		})
	}
}

// TestThumbnails asks for stills in every way.
func TestThumbnails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		outputs string
		args    []string
		want    []string // ends of the keys
		format  string
		width   int
	}{
		"default":   {`{}`, nil, []string{"-thumb-0-2000.png"}, "png", 320},
		"several":   {`{"thumbnails": {"offsets": [0, 1.5, 60], "width": 160, "height": 90}}`, nil, []string{"-thumb-0-0.png", "-thumb-1-1500.png", "-thumb-2-60000.png"}, "png", 160},
		"JPEG":      {`{}`, []string{"--thumbnail-format", "jpeg"}, []string{"-thumb-0-2000.jpg"}, "jpeg", 320},
		"disabled":  {`{"thumbnails": {"enabled": false}}`, nil, nil, "", 0},
		"no offset": {`{"thumbnails": {"offsets": []}}`, nil, nil, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder, data := copied(t), t.TempDir()
			rename(t, folder, `"version"`, `"outputs": `+tc.outputs+`, "version"`)
			a := process(t, data, append(tc.args, folder)...).Assets[0]
			require.Len(t, a.Thumbnails, len(tc.want))
			for i, key := range a.Thumbnails {
				require.Equal(t, strings.TrimSuffix(a.Path, ".mp4")+tc.want[i], key)
				f, err := os.Open(filepath.Join(data, "blobs", key))
				require.NoError(t, err)
				cfg, format, err := image.DecodeConfig(f)
				require.NoError(t, err)
				require.NoError(t, f.Close())
				require.Equal(t, tc.format, format)
				require.Equal(t, tc.width, cfg.Width)
			}
			requireNoStrays(t, data, append(a.Thumbnails, a.Path)...)
		})
	}
}
