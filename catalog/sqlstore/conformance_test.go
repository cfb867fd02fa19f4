package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/sqlstore"
	"rushes/catalog/storetest"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, newSQLite)
}

func newSQLite(t testing.TB) func(now func() time.Time) storetest.Store {
	path := filepath.Join(t.TempDir(), "catalog.db")
	return func(now func() time.Time) storetest.Store {
		s, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: path, Now: now})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		return s
	}
}

// server is the PostgreSQL server of this package's tests: started when the
// first one asks for it, stopped by TestMain.
var server = sync.OnceValues(func() (*storetest.Postgres, error) { //nolint:gochecknoglobals // one for all tests
	serverAsked.Store(true)
	return storetest.StartPostgres(context.Background())
})

var serverAsked atomic.Bool //nolint:gochecknoglobals // whether server was called

func TestPostgres(t *testing.T) {
	t.Parallel()
	storetest.Run(t, newPostgres)
}

// postgresURL makes a new, empty schema and returns its address.
func postgresURL(t testing.TB) string {
	t.Helper()
	p, err := server()
	if errors.Is(err, storetest.ErrNoPostgres) {
		t.Skip(err)
	}
	require.NoError(t, err)
	schema := fmt.Sprint("t", schemas.Add(1))
	db := openPostgres(t, p.URL(""))
	_, err = db.ExecContext(context.Background(), "CREATE SCHEMA "+schema)
	require.NoError(t, err)
	return p.URL(schema)
}

var schemas atomic.Int64 //nolint:gochecknoglobals // counts the schemas of the one server

func openPostgres(t testing.TB, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func newPostgres(t testing.TB) func(now func() time.Time) storetest.Store {
	address := postgresURL(t)
	return func(now func() time.Time) storetest.Store {
		s, err := sqlstore.Open(t.Context(), sqlstore.Config{URL: catalog.Secret(address), Now: now})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		return s
	}
}
