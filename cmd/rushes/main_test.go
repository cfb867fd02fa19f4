package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"rushes/fixtures"
	"rushes/pipeline"
	"rushes/transcode"
)

// childVariable makes the test binary behave as rushes itself.
const childVariable = "RUSHES_TEST_MAIN_CHILD"

var update = flag.Bool("update", false, "write the golden files")

// noHandles lets the tests fail when a libav handle is left open.
type noHandles struct{ *testing.M }

func (m noHandles) Run() int {
	code := m.M.Run()
	if n := transcode.Handles(); n != 0 {
		fmt.Fprintf(os.Stderr, "%d libav handles are still open\n", n)
		return max(code, 1)
	}
	return code
}

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		misbehave()
		main()
	}
	goleak.VerifyTestMain(noHandles{m})
}

// outcome is what a run of the command line left.
type outcome struct {
	code           int
	stdout, stderr string
}

// rushes runs the command line in this process, without a terminal.
func rushes(t *testing.T, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, env{stdout: &stdout, stderr: &stderr})
	return outcome{code, stdout.String(), stderr.String()}
}

// child gives a process of its own for the command line.
func child(ctx context.Context, t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), childVariable+"=1")
	return cmd
}

// requireSuccess wants exit status 0 and not a word on standard error.
func requireSuccess(t *testing.T, got outcome) {
	t.Helper()
	require.Equal(t, pipeline.ExitOK, got.code, "stderr: %s\nstdout: %s", got.stderr, got.stdout)
	require.Empty(t, got.stderr)
}

// requireOneLine wants the exit status and one line on standard error that holds all of the texts.
func requireOneLine(t *testing.T, got outcome, code int, texts ...string) {
	t.Helper()
	require.Equal(t, code, got.code, "stderr: %s\nstdout: %s", got.stderr, got.stdout)
	require.Regexp(t, `\Arushes: [^\n]+\n\z`, got.stderr)
	for _, text := range texts {
		require.Contains(t, got.stderr, text)
	}
}

// script is a short talk.
func script(length time.Duration) fixtures.Script {
	return fixtures.Script{Duration: length, Identity: 5, Rate: fixtures.Rate{Num: 15, Den: 1}}
}

// beam makes a capture and returns its folder.
func beam(t *testing.T, spec fixtures.BeamSpec) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "capture")
	require.NoError(t, fixtures.Beam(t.Context(), folder, spec))
	return folder
}

// copied is a capture that is copied, encoded one whose tracks must be encoded.
func copied(t *testing.T) string {
	t.Helper()
	return beam(t, fixtures.BeamSpec{Script: script(3 * time.Second), Record: fixtures.FragmentedMP4(), Room: "copied"})
}

func encoded(t *testing.T) string {
	t.Helper()
	return beam(t, fixtures.BeamSpec{Script: script(3 * time.Second), Record: fixtures.WebMVP8(), Room: "encoded"})
}

// twoParts is a capture of two files of a second and a half each.
func twoParts(t *testing.T) string {
	t.Helper()
	half := 1500 * time.Millisecond
	return beam(t, fixtures.BeamSpec{Script: script(2 * half), Record: fixtures.Matroska("libopus"), Room: "parts",
		Parts: []fixtures.BeamPart{{Interval: fixtures.Interval{To: half}}, {Interval: fixtures.Interval{From: half, To: 2 * half}}}})
}

// files lists the regular files below a folder, by their paths relative to it; what is not there has none.
func files(t *testing.T, folder string) []string {
	t.Helper()
	var found []string
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if os.IsNotExist(err) && path == folder {
			return filepath.SkipAll
		}
		if err == nil && !entry.IsDir() {
			rel, rerr := filepath.Rel(folder, path)
			found, err = append(found, rel), rerr
		}
		return err
	}))
	return found
}

// requireNoStrays wants nothing in a data folder but the catalog, and in blobs exactly want.
func requireNoStrays(t *testing.T, data string, want ...string) {
	t.Helper()
	require.ElementsMatch(t, want, files(t, filepath.Join(data, "blobs")))
	require.Empty(t, files(t, filepath.Join(data, "scratch")))
	for _, name := range files(t, data) {
		ok := strings.HasPrefix(name, "catalog.db") || strings.HasPrefix(name, "blobs"+string(filepath.Separator))
		require.True(t, ok, "%s is a stray file", name)
	}
}

// golden compares text with a file of testdata, or writes it with -update.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), text)
}

// masked replaces what differs from run to run: ids, folders, keys, sizes, times of the clock on the wall.
func masked(text, data, folder string) string {
	for _, m := range []struct{ from, to string }{
		{regexp.QuoteMeta(data), "DATA"},
		{regexp.QuoteMeta(folder), "CAPTURE"},
		{`"capture_key": "[0-9a-f]{64}"`, `"capture_key": "KEY"`},
		{`\b[0-9a-f]{24}\b`, "ID"},
		{`"(created_at|updated_at|heartbeat_at|run_at|finished_at)": "20[0-9T:.-]+Z"`, `"$1": "TIME"`},
		{`"(size|bytes)": [0-9]+`, `"$1": 1`},
	} {
		text = regexp.MustCompile(m.from).ReplaceAllString(text, m.to)
	}
	return text
}
