package main_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var updateDepguard = flag.Bool("update-depguard", false, "write the depguard rules of .golangci.yml anew")

// TestDepguardMirrorsImportTable holds the depguard rules of .golangci.yml, which show a forbidden
// import in the editor, against the import table, from which they are generated.
func TestDepguardMirrorsImportTable(t *testing.T) {
	t.Parallel()
	const (
		config = repoRoot + "/.golangci.yml"
		begin  = "        # generated from the import table: begin\n"
		end    = "        # generated from the import table: end\n"
	)
	table := loadImportTable(t)
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(text), begin)
	require.True(t, ok, "%s: no line %q", config, begin)
	have, tail, ok := strings.Cut(rest, end)
	require.True(t, ok, "%s: no line %q", config, end)

	want := table.depguard()
	if *updateDepguard {
		require.NoError(t, os.WriteFile(config, []byte(head+begin+want+end+tail), 0o644))
		return
	}
	require.Equal(t, want, have, "run: go test ./cmd/rushes -run Depguard -update-depguard")
}

// depguard writes the table as rules for golangci-lint's depguard. In its lax mode the longer of two
// matching prefixes decides, and $ ends a prefix.
func (table *importTable) depguard() string {
	var b strings.Builder
	for _, row := range table.rows {
		if row.any {
			continue
		}
		dir := strings.TrimPrefix(row.path, modulePath+"/")
		for _, test := range []bool{false, true} {
			table.depguardRule(&b, row, dir, test)
		}
	}
	for _, module := range table.doorKeys {
		if module == "C" { // depguard does not see cgo; the import table's test does
			continue
		}
		door := strings.TrimPrefix(table.doors[module], modulePath+"/")
		fmt.Fprintf(&b, "        only-%s:\n          files: [\"!**/%s/*.go\"]\n", strings.NewReplacer("/", "-", ".", "-").Replace(module), door)
		b.WriteString("          deny:\n")
		for _, path := range []string{module + "$", module + "/"} { // not its neighbours: asynq, asynqmon
			fmt.Fprintf(&b, "            - {pkg: %s, desc: \"only %s imports it\"}\n", path, door)
		}
	}
	return b.String()
}

func (table *importTable) depguardRule(b *strings.Builder, row importRow, dir string, test bool) {
	name, allowed := strings.ReplaceAll(dir, "/", "-"), row.imports
	files := fmt.Sprintf(`"**/%s/*.go", "!$test"`, dir)
	if test {
		name, files = name+"-tests", fmt.Sprintf(`"**/%s/*_test.go"`, dir)
		allowed = sortedSet(row.imports, []string{row.path}, table.testOnly)
	}
	fmt.Fprintf(b, "        %s:\n          list-mode: lax\n          files: [%s]\n", name, files)
	if len(allowed) > 0 {
		fmt.Fprintf(b, "          allow: [%s$]\n", strings.Join(allowed, "$, "))
	}
	fmt.Fprintf(b, "          deny: [{pkg: %s/, desc: \"not in the import table, cmd/rushes/%s\"}]\n", modulePath, importFile)
}
