package transcode

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// childEnv makes the test binary draw one name and end: the system's fonts are looked for once in a process.
const childEnv = "RUSHES_TEST_TYPIST_CHILD"

func TestTypistChild(t *testing.T) {
	if os.Getenv(childEnv) == "" {
		return // it is run by TestSystemFonts
	}
	for range 2 {
		ty, err := newTypist()
		require.NoError(t, err)
		count, _ := ink(ty.label("宏 שלום Ada", 400, 24))
		require.Positive(t, count)
		if len(ty.regular.system.faces) == 0 {
			fmt.Println("no system fonts")
		}
	}
}

// Neither a system without a folder to write to nor one whose cache is damaged keeps a name from being drawn,
// and nothing is said about it on stderr.
func TestSystemFonts(t *testing.T) {
	t.Parallel()
	nowhere := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(nowhere, nil, 0o600))
	damaged := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(damaged, "rushes", "fonts"), 0o700))
	for v := range 12 {
		name := filepath.Join(damaged, "rushes", "fonts", fmt.Sprintf("font_index_v%d.cache", v))
		require.NoError(t, os.WriteFile(name, []byte("\x1f\x8b torn"), 0o600))
	}
	for _, c := range []struct {
		name, cache, temp string
		none              bool
	}{
		{"a cache", t.TempDir(), t.TempDir(), false},
		{"a damaged cache", damaged, t.TempDir(), false},
		{"no cache", nowhere, t.TempDir(), false},
		{"no folder at all", nowhere, nowhere, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTypistChild$")
			cmd.Env = append(os.Environ(), childEnv+"=1", "XDG_CACHE_HOME="+c.cache, "TMPDIR="+c.temp)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			require.NoError(t, cmd.Run(), "%s", &stdout)
			require.Empty(t, stderr.String())
			if c.none {
				require.Contains(t, stdout.String(), "no system fonts")
				return
			}
			left, err := os.ReadDir(c.temp)
			require.NoError(t, err)
			require.Empty(t, left, "temporary folders are taken away")
		})
	}
}
