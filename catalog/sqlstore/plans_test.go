package sqlstore_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// query is a statement of the generated code.
type query struct{ name, text string }

// queries reads the statements out of the generated code of a package.
func queries(t *testing.T, folder string) []query {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.sql.go"))
	require.NoError(t, err)
	var found []query
	for _, file := range files {
		code, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile("(?s)const \\w+ = `-- name: (\\w+) :\\w+\n(.*?)`").FindAllStringSubmatch(string(code), -1) {
			found = append(found, query{m[1], m[2]})
		}
	}
	require.Greater(t, len(found), 60)
	return found
}

// TestQueriesUseIndexes: every statement finds its rows in an index, and lists
// come in the index's order. The tables that are never long are named here.
func TestQueriesUseIndexes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "catalog.db")
	openStore(t, path)
	db := rawDB(t, path)
	allowed := map[string][]string{
		"Backfills":          {"SCAN backfills USING INDEX"},
		"CountJobs":          {"SCAN jobs USING COVERING INDEX jobs_open"},
		"CountBackfillItems": {"USE TEMP B-TREE FOR GROUP BY"},
		"DueTickets":         {"SCAN outbox USING INDEX outbox_by_turn"},
		"LatestAssetByKey":   {"USE TEMP B-TREE FOR ORDER BY"},
		"SilentJobs":         {"SCAN jobs USING INDEX jobs_running"},
	}
	for _, q := range queries(t, "internal/sqlitedb") {
		params := map[string]bool{}
		for _, p := range regexp.MustCompile(`\?\d+`).FindAllString(q.text, -1) {
			params[p] = true
		}
		args := make([]any, len(params))
		for i := range args {
			args[i] = "1"
		}
		rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+q.text, args...)
		require.NoError(t, err, q.name)
		for rows.Next() {
			var id, parent, unused int
			var detail string
			require.NoError(t, rows.Scan(&id, &parent, &unused, &detail))
			if !strings.HasPrefix(detail, "SCAN") && !strings.Contains(detail, "TEMP B-TREE") || detail == "SCAN CONSTANT ROW" {
				continue
			}
			fine := false
			for _, prefix := range allowed[q.name] {
				fine = fine || strings.HasPrefix(detail, prefix)
			}
			if !fine {
				t.Errorf("%s: %s", q.name, detail)
			}
		}
		require.NoError(t, rows.Err())
		require.NoError(t, rows.Close())
	}
}
