package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRequiredTools fails for every program of RUSHES_TEST_REQUIRE that is not there, so that where
// the list is set (.ci/run) no test can skip for want of one.
func TestRequiredTools(t *testing.T) {
	t.Parallel()
	for _, name := range strings.FieldsFunc(os.Getenv("RUSHES_TEST_REQUIRE"), func(r rune) bool { return r == ',' || r == ' ' }) {
		require.True(t, isThere(t, name), "RUSHES_TEST_REQUIRE names %q: run make setup", name)
	}
}

// isThere looks for a program where the tests that need it do: Debian has PostgreSQL's servers outside of PATH, and
// scripts of ours fetch versitygw and the browser test's players.
func isThere(t *testing.T, name string) bool {
	t.Helper()
	switch name {
	case "postgres":
		found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
		require.NoError(t, err)
		if len(found) > 0 {
			return true
		}
	case "versitygw", "players": // of the S3 tests and of the browser test
		script := map[string]string{"versitygw": "catalog/blob/blobtest/versitygw.sh", "players": "cmd/rushes/testdata/browser/players.sh"}[name]
		path, err := exec.CommandContext(t.Context(), filepath.Join(repoRoot, script), "--path").Output()
		require.NoError(t, err)
		return strings.TrimSpace(string(path)) != ""
	}
	_, err := exec.LookPath(name)
	return err == nil
}

// TestShellScripts lets bash, and shellcheck where it is installed, read every shell script.
func TestShellScripts(t *testing.T) {
	t.Parallel()
	scripts := shellScripts(t)
	for _, want := range []string{".ci/env", ".ci/run", ".ci/setup", "transcode/internal/av/ffmpeg.sh"} {
		require.Contains(t, scripts, want)
	}
	checkers := [][]string{{"bash", "-n"}}
	if _, err := exec.LookPath("shellcheck"); err == nil {
		checkers = append(checkers, []string{"shellcheck", "--shell=bash", "--severity=warning"})
	}
	for _, checker := range checkers {
		for _, script := range scripts {
			cmd := exec.CommandContext(t.Context(), checker[0], append(checker[1:], script)...)
			cmd.Dir = repoRoot
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s %s:\n%s", checker[0], script, out)
		}
	}
}

// TestPackageList holds every line of .ci/packages to the form that .ci/setup reads.
func TestPackageList(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(repoRoot, ".ci/packages"))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		require.Len(t, fields, 3, "%q", line)
		require.Contains(t, []string{"base", "system", "link", "compile", "test", "image"}, fields[0], "%q", line)
		require.Regexp(t, `^(cmd|pc|c|file|lib):.`, fields[2], "%q", line)
	}
}

// shellScripts finds every script of the repository: named .sh, starting with a bash line, or sourced.
func shellScripts(t *testing.T) []string {
	t.Helper()
	scripts := []string{".ci/env"}
	walkRepository(t, func(path string) {
		file, err := os.Open(filepath.Join(repoRoot, path))
		require.NoError(t, err)
		defer func() { require.NoError(t, file.Close()) }()
		start := make([]byte, 32)
		n, _ := file.Read(start) // an empty file has no first line, and that is all right
		first, _, _ := strings.Cut(string(start[:n]), "\n")
		if strings.HasSuffix(path, ".sh") || strings.HasPrefix(first, "#!") && strings.HasSuffix(first, "sh") {
			scripts = append(scripts, path)
		}
	})
	return scripts
}

// walkRepository calls fn with every file's path below the top folder, leaving out what git and the
// build keep there and what tests read as data.
func walkRepository(t *testing.T, fn func(path string)) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(repoRoot, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(repoRoot, path)
		if err != nil {
			return err
		}
		switch {
		case entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "testdata" || entry.Name() == "node_modules" ||
			rel == "bin" || rel == "demo" || rel == "rushes-data"):
			return filepath.SkipDir
		case entry.Type().IsRegular():
			fn(rel)
		}
		return nil
	}))
}
