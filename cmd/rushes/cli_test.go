package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/pipeline"
	"rushes/pipeline/stage"
	"rushes/transcode"
)

// TestHelp holds the help of every subcommand to its golden file.
func TestHelp(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"rushes": {}, "process": {"process"}, "inspect": {"inspect"}, "assets": {"assets"},
		"assets-list": {"assets", "list"}, "assets-show": {"assets", "show"}, "assets-link": {"assets", "link"}, "assets-delete": {"assets", "delete"}, "assets-expire": {"assets", "expire"},
		"keys": {"keys"}, "keys-create": {"keys", "create"}, "keys-list": {"keys", "list"}, "keys-revoke": {"keys", "revoke"}, "enqueue": {"enqueue"}, "jobs": {"jobs"}, "jobs-list": {"jobs", "list"}, "jobs-watch": {"jobs", "watch"},
		"webhooks": {"webhooks"}, "webhooks-list": {"webhooks", "list"}, "webhooks-replay": {"webhooks", "replay"}, "serve": {"serve"}, "worker": {"worker"}, "doctor": {"doctor"}, "demo": {"demo"}, "version": {"version"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := rushes(t, append(args, "--help")...)
			requireSuccess(t, got)
			golden(t, filepath.Join("help", name+".txt"), got.stdout)
			if name == "rushes" {
				require.Equal(t, got, rushes(t), "no arguments ask for help")
			}
		})
	}
}

// TestUsage holds every wrong command line to exit status 2 and one line that names what is wrong.
func TestUsage(t *testing.T) {
	t.Parallel()
	folder, data := copied(t), filepath.Join(t.TempDir(), "data")
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"unknown subcommand": {[]string{"transmogrify"}, "transmogrify"},
		"unknown flag":       {[]string{"process", folder, "--fast"}, "--fast"},
		"no capture":         {[]string{"process"}, "<capture>"},
		"two captures":       {[]string{"process", folder, "another"}, "another"},
		"no subcommand":      {[]string{"assets"}, "list"},
		"no id":              {[]string{"assets", "show"}, "<id>"},
		"quality":            {[]string{"process", folder, "--data", data, "--crf", "52"}, "--crf: 52 is not between 1 and 51"},
		"lossless":           {[]string{"process", folder, "--data", data, "--crf", "0"}, "--crf: 0 is not between 1 and 51"},
		"quality is no text": {[]string{"process", folder, "--data", data, "--crf", "good"}, "--crf"},
		"preset":             {[]string{"process", folder, "--data", data, "--preset", "quick"}, "--preset"},
		"bit rate":           {[]string{"process", folder, "--data", data, "--audio-bitrate", "12"}, "--audio-bitrate: 12 is not between 16000 and 512000"},
		"thumbnails":         {[]string{"process", folder, "--data", data, "--thumbnail-format", "gif"}, "--thumbnail-format"},
		"asset type":         {[]string{"process", folder, "--data", data, "--assets", "track"}, "outputs.assets[0]"},
		"status":             {[]string{"assets", "list", "--data", data, "--status", "lost"}, "lost"},
		"type":               {[]string{"assets", "list", "--data", data, "--type", "gif"}, "gif"},
		"limit":              {[]string{"assets", "list", "--data", data, "--limit", "-1"}, "-1"},
		"after":              {[]string{"assets", "list", "--data", data, "--after", "yesterday"}, "yesterday"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireOneLine(t, rushes(t, tc.args...), pipeline.ExitUsage, tc.want)
			require.Empty(t, files(t, filepath.Join(data, "blobs")))
		})
	}
}

// TestQuality shows that the flags reach the encoder.
func TestQuality(t *testing.T) {
	t.Parallel()
	folder := encoded(t)
	best := process(t, t.TempDir(), folder, "--crf", "1", "--preset", "ultrafast").Assets[0]
	worst := process(t, t.TempDir(), folder, "--crf", "51", "--preset", "ultrafast").Assets[0]
	usual := process(t, t.TempDir(), folder, "--preset", "ultrafast").Assets[0]
	require.Greater(t, best.Size, usual.Size)
	require.Less(t, worst.Size, usual.Size)
}

// TestAssets lists and shows what several runs have made.
func TestAssets(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	var ids []string
	for _, folder := range []string{copied(t), encoded(t), twoParts(t)} {
		ids = append(ids, process(t, data, folder).Assets[0].ID)
	}
	requireOneLine(t, rushes(t, "process", header(t, "other"), "--data", data), pipeline.ExitBadInput)
	list := func(args ...string) (found []string) {
		got := rushes(t, append([]string{"assets", "list", "--json", "--data", data}, args...)...)
		requireSuccess(t, got)
		for _, a := range parse[[]assetJSON](t, got.stdout) {
			found = append(found, a.ID)
		}
		return found
	}
	all := list()
	require.Len(t, all, 4)
	require.True(t, slices.IsSortedFunc(all, func(a, b string) int { return strings.Compare(b, a) }), "newest first: %v", all)
	require.ElementsMatch(t, ids, list("--status", "completed"))
	failed := list("--status", "failed")
	require.Len(t, failed, 1)
	require.NotContains(t, ids, failed[0])
	require.Equal(t, []string{ids[0]}, list("--room", "room-copied"))
	require.Equal(t, []string{ids[2]}, list("--session", "session-parts", "--type", "room-composite"))
	require.Empty(t, list("--room", "nobody's"))
	require.Equal(t, all[:3], list("--limit", "3"))
	require.Equal(t, all[3:], list("--limit", "3", "--after", all[2]))
	require.Empty(t, list("--after", all[3]))

	table := rushes(t, "assets", "list", "--data", data)
	requireSuccess(t, table)
	lines := strings.Split(strings.TrimSpace(table.stdout), "\n")
	require.Len(t, lines, 5)
	require.Contains(t, lines[1+slices.Index(all, failed[0])], "not a media file")
	require.Contains(t, lines[1+slices.Index(all, ids[0])], filepath.Join(data, "blobs"))

	show := rushes(t, "assets", "show", ids[0], "--data", data)
	requireSuccess(t, show)
	require.Equal(t, process(t, data, capturePath(t, data, ids[0])).Assets[0], parse[assetJSON](t, show.stdout))
	requireOneLine(t, rushes(t, "assets", "show", strings.Repeat("0", 24), "--data", data), pipeline.ExitOther, "no asset has the id", "rushes assets list")
}

// capturePath finds the capture that an asset was made of, through its job.
func capturePath(t *testing.T, folder, id string) string {
	t.Helper()
	d, err := openData(t.Context(), folder)
	require.NoError(t, err)
	a, err := d.catalog.AssetByID(t.Context(), id)
	require.NoError(t, err)
	job, err := d.catalog.JobByID(t.Context(), a.JobID)
	require.NoError(t, err)
	require.NoError(t, d.Close())
	return job.CaptureURI
}

// TestInspect holds both forms to golden files, and writes nothing.
func TestInspect(t *testing.T) {
	t.Parallel()
	folder := twoParts(t)
	require.NoError(t, os.Truncate(filepath.Join(folder, "recording-2.mkv"), 0))
	before := files(t, folder)
	got := rushes(t, "inspect", folder)
	requireSuccess(t, got)
	golden(t, "inspect.txt", got.stdout)
	got = rushes(t, "inspect", folder, "--json")
	requireSuccess(t, got)
	golden(t, "inspect.json", masked(got.stdout, "/no such folder", folder))
	in := parse[stage.Inspection](t, got.stdout)
	require.Len(t, in.Files, 2)
	require.Equal(t, before, files(t, folder))
}

// TestDoctor looks at a data folder that can be written, one that is not there yet, and one that cannot be.
func TestDoctor(t *testing.T) {
	t.Parallel()
	b := transcode.BuildInfo()
	data := t.TempDir()
	for _, folder := range []string{data, filepath.Join(data, "new", "folder")} { // the second one must be gone again
		got := rushes(t, "doctor", "--data", folder)
		requireSuccess(t, got)
		for _, want := range []string{b.Version, b.License, "libx264", "vp9", "data folder " + folder + ": written, read and deleted", "blobs: written, read and deleted an object", "catalog (SQLite): opens", "open the object"} {
			require.Contains(t, got.stdout, want)
		}
		require.NotContains(t, got.stdout, "FAIL")
	}
	require.NoDirExists(t, filepath.Join(data, "new"))
	requireNoStrays(t, data)
	file := filepath.Join(data, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	got := rushes(t, "doctor", "--data", file)
	require.Equal(t, pipeline.ExitOther, got.code)
	require.Regexp(t, `(?m)^FAIL  data folder .*: .*not a directory`, got.stdout)
	readOnly := rushes(t, "doctor", "--data", "/proc/rushes-data")
	require.Equal(t, pipeline.ExitOther, readOnly.code)
	require.Regexp(t, `(?m)^FAIL  data folder /proc/rushes-data: `, readOnly.stdout)
}

// TestDataFolder shows what a data folder that cannot be used does to the subcommands that need it.
func TestDataFolder(t *testing.T) {
	t.Parallel()
	folder := copied(t)
	for _, args := range [][]string{{"process", folder}, {"assets", "list"}, {"assets", "show", strings.Repeat("0", 24)}} {
		got := rushes(t, append(args, "--data", "/proc/rushes-data")...)
		requireOneLine(t, got, pipeline.ExitOther, "data folder", "/proc/rushes-data")
		require.Empty(t, got.stdout)
	}
}

// TestVersion prints what the binary is made of.
func TestVersion(t *testing.T) {
	t.Parallel()
	got := rushes(t, "version")
	requireSuccess(t, got)
	require.Regexp(t, `^rushes dev \(go1\.[0-9.]+, libavcodec [0-9.]+\)\n$`, got.stdout)
}

// TestDemo runs what make demo runs.
func TestDemo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "demo")
	got := rushes(t, "demo", "--dir", dir)
	requireSuccess(t, got)
	var want []string
	for line := range strings.Lines(got.stdout) {
		if file, ok := strings.CutPrefix(strings.TrimSpace(line), "open  file://"); ok {
			measure(t, file)
			rel, err := filepath.Rel(filepath.Join(dir, "data", "blobs"), file)
			require.NoError(t, err)
			want = append(want, rel, strings.TrimSuffix(rel, ".mp4")+"-thumb-0-2000.png")
		}
	}
	require.Len(t, want, 8)
	requireNoStrays(t, filepath.Join(dir, "data"), want...)
	requireSuccess(t, rushes(t, "demo", "--dir", dir))
	requireNoStrays(t, filepath.Join(dir, "data"), want...)
}
