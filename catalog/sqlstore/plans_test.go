package sqlstore_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/sqlstore"
)

// query is a statement of the generated code.
type query struct{ name, text string }

// queries reads the statements out of the generated code.
func queries(t *testing.T) []query {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("internal", "sqlc", "*.sql.go"))
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

// args returns an argument for each parameter of the query.
func (q query) args() []any {
	params := map[string]bool{}
	for _, p := range regexp.MustCompile(`\$\d+`).FindAllString(q.text, -1) {
		params[p] = true
	}
	args := make([]any, len(params))
	for i := range args {
		args[i] = "1"
	}
	return args
}

// TestSQLitePlans: every statement is understood, finds its rows in an index,
// and lists come in the index's order. What is not so is named here.
func TestSQLitePlans(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "catalog.db")
	openStore(t, path)
	db := rawDB(t, path)
	allowed := map[string]string{
		"AssetTypesOfCapture": "USE TEMP B-TREE FOR DISTINCT", // a capture has a page of assets
		"AssetsOfCapture":     "USE TEMP B-TREE FOR ORDER BY",
		"Keys":                "SCAN access_keys USING INDEX", // there are few
		"Backfills":           "SCAN backfills USING INDEX",   // there are few
		"CountJobs":           "SCAN jobs USING COVERING INDEX jobs_open",
		"CountBackfillItems":  "USE TEMP B-TREE FOR GROUP BY",
		"DueTickets":          "SCAN outbox USING INDEX outbox_by_turn",
		"LatestAssetByKey":    "USE TEMP B-TREE FOR ORDER BY", // of the versions of one
		"SilentJobs":          "SCAN jobs USING INDEX jobs_running",
	}
	leads := regexp.MustCompile(`(\w+) = \$\d+ AND`)
	for _, q := range queries(t) {
		plan := explain(t, db, "EXPLAIN QUERY PLAN "+q.text, q.args(), 4)
		if strings.HasPrefix(q.name, "List") { // all that leads a list is looked up in its index
			for _, lead := range leads.FindAllStringSubmatch(q.text, -1) {
				require.Regexp(t, `USING INDEX \w+ \(.*\b`+lead[1]+`=\?`, plan[0], q.name)
			}
		}
		for _, line := range plan {
			if !strings.HasPrefix(line, "SCAN") && !strings.Contains(line, "TEMP B-TREE") || line == "SCAN CONSTANT ROW" {
				continue
			}
			if prefix, ok := allowed[q.name]; !ok || !strings.HasPrefix(line, prefix) {
				t.Errorf("%s: %s", q.name, line)
			}
		}
	}
}

// TestPostgresPlans: every statement is understood and can be answered without
// reading a whole table or, for lists, sorting it. (Whether the server chooses
// so depends on how much there is: see BenchmarkLists.)
func TestPostgresPlans(t *testing.T) {
	t.Parallel()
	address := postgresURL(t)
	s, err := sqlstore.Open(t.Context(), sqlstore.Config{URL: catalog.Secret(address)})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	db := openPostgres(t, address+"&enable_seqscan=off&enable_sort=off&enable_bitmapscan=off")
	sorts := []string{"AssetTypesOfCapture", "AssetsOfCapture", "Keys", "Backfills", "CountJobs", "CountBackfillItems", "LatestAssetByKey"}
	for _, q := range queries(t) {
		for _, line := range explain(t, db, "EXPLAIN "+q.text, q.args(), 1) {
			if strings.Contains(line, "Seq Scan") && q.name != "Backfills" || strings.Contains(line, "Sort  (") && !slices.Contains(sorts, q.name) {
				t.Errorf("%s: %s", q.name, line)
			}
		}
	}
}

// explain returns the last column of a plan of that many columns.
func explain(t *testing.T, db *sql.DB, statement string, args []any, columns int) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), statement, args...)
	require.NoError(t, err, statement)
	var plan []string
	for rows.Next() {
		row := make([]any, columns)
		for i := range row {
			row[i] = new(string)
		}
		require.NoError(t, rows.Scan(row...))
		plan = append(plan, *row[columns-1].(*string)) //nolint:forcetypeassert // made above
	}
	require.NoError(t, rows.Err())
	require.NoError(t, rows.Close())
	return plan
}
