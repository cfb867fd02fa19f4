package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadmeDefects wants every kind of defect that the sources know in the README.
func TestReadmeDefects(t *testing.T) {
	t.Parallel()
	var kinds []string
	for _, folder := range []string{"../../pipeline/capture", "../../pipeline/stage", "../../transcode"} {
		for _, name := range files(t, folder) {
			if strings.Contains(name, string(filepath.Separator)) || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(filepath.Join(folder, name))
			require.NoError(t, err)
			kinds = append(kinds, unique(`\bKind: +"([a-z-]+)"`, string(text))...)
			if strings.HasSuffix(folder, "stage") { // elsewhere add takes a manifest's field
				kinds = append(kinds, unique(`\badd\("([a-z-]+)", `, string(text))...)
			}
			kinds = append(kinds, unique(`\bDefect[A-Z]\w*(?: +\w+)? += "([a-z-]+)"`, string(text))...)
		}
	}
	require.Greater(t, len(kinds), 20)
	text, missing := readme(t), []string{}
	for _, kind := range kinds {
		if !strings.Contains(text, "`"+kind+"`") {
			missing = append(missing, kind)
		}
	}
	require.Empty(t, missing)
}

// TestReadmeSync holds the README's table of the sync report against one.
func TestReadmeSync(t *testing.T) {
	t.Parallel()
	text := rushes(t, "process", call(t), "--data", t.TempDir(), "--assets", "track", "--json").stdout
	var doc struct {
		Assets []struct {
			Metadata struct{ Sync []map[string]any }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(text), &doc), "%s", text)
	n := 0
	for _, a := range doc.Assets {
		for _, report := range a.Metadata.Sync {
			n++
			for field := range report {
				require.Contains(t, unique("`([a-z_]+)`", readme(t)), field)
			}
		}
	}
	require.Positive(t, n)
}
