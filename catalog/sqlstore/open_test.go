package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/sqlstore"
)

func TestOpenFromNothingAndAgain(t *testing.T) {
	t.Parallel()
	// A path that could be taken for options, an escape and a fragment.
	path := filepath.Join(t.TempDir(), "a ?mode=memory&x%41#y", "catalog.db")
	require.NoError(t, os.Mkdir(filepath.Dir(path), 0o755))
	var id string
	for i := range 3 {
		s, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: path})
		require.NoError(t, err)
		j := beginJob(t, s, "c")
		require.Equal(t, i+1, j.Attempts)
		if i == 0 {
			id = j.ID
		}
		require.Equal(t, id, j.ID)
		require.NoError(t, s.Close())
	}
	require.FileExists(t, path)

	db := rawDB(t, path)
	var mode, check string
	require.NoError(t, db.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&mode))
	require.Equal(t, "wal", mode)
	require.NoError(t, db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&check))
	require.Equal(t, "ok", check)
}

func TestOpenAnEmptyFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "catalog.db")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	s := openStore(t, path)
	beginJob(t, s, "c")
}

func TestOpenAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "catalog.db")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: path})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := begin(t.Context(), s, "c"); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 9, beginJob(t, openStore(t, path), "c").Attempts)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	_, err := sqlstore.Open(t.Context(), sqlstore.Config{})
	require.Error(t, err)
	_, err = sqlstore.Open(t.Context(), sqlstore.Config{Path: filepath.Join(folder, "none", "catalog.db")})
	require.ErrorIs(t, err, os.ErrNotExist)

	path := filepath.Join(folder, "letter.txt")
	require.NoError(t, os.WriteFile(path, []byte("Dear catalog, this is long enough to be no database at all. Yours, a letter."), 0o600))
	_, err = sqlstore.Open(t.Context(), sqlstore.Config{Path: path})
	require.ErrorContains(t, err, path)
	require.ErrorContains(t, err, "not a database")
}

func TestOpenRefusesANewerSchema(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "catalog.db")
	require.NoError(t, openStore(t, path).Close())
	_, err := rawDB(t, path).ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)")
	require.NoError(t, err)
	_, err = sqlstore.Open(t.Context(), sqlstore.Config{Path: path})
	require.ErrorContains(t, err, "999")
	require.ErrorContains(t, err, "newer")
}

func TestOpenStopsWaitingForTheLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "catalog.db")
	unlock := holdLock(t, path+".lock")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := sqlstore.Open(ctx, sqlstore.Config{Path: path})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	unlock()
	openStore(t, path)
}

func TestOpenPostgres(t *testing.T) {
	t.Parallel()
	address := postgresURL(t)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			s, err := sqlstore.Open(t.Context(), target(address))
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := begin(t.Context(), s, "c"); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := openTarget(t, address)
	j := beginJob(t, s, "c")
	require.Equal(t, 7, j.Attempts)
	require.WithinDuration(t, time.Now(), j.CreatedAt, time.Minute)
	_, err := openPostgres(t, address).ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, true)")
	require.NoError(t, err)
	_, err = sqlstore.Open(t.Context(), target(address))
	require.ErrorContains(t, err, "999")
	require.ErrorContains(t, err, "newer")
}

// TestOpenHidesThePassword: whatever is wrong with the address, no error shows
// the password in it.
func TestOpenHidesThePassword(t *testing.T) {
	t.Parallel()
	const password = "s3cr3t-w0rd"
	for _, address := range []string{
		"postgres://rushes:" + password + "@127.0.0.1:1/db?sslmode=disable",
		"postgres://rushes:" + password + "@127.0.0.1:port/db",
		"postgres://rushes:" + password + "@[::1/db",
		"postgres://rushes:" + password + "@127.0.0.1:1/db?connect_timeout=never",
		"postgres://127.0.0.1:1/db?sslmode=disable&password=" + password,
		"host=127.0.0.1 port=1 sslmode=disable password=" + password,
		"mysql://rushes:" + password + "@h/db", password,
	} {
		cfg := sqlstore.Config{URL: catalog.Secret(address)}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_, err := sqlstore.Open(ctx, cfg)
		cancel()
		require.Error(t, err)
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, cfg, cfg), password)
	}
	_, err := sqlstore.Open(t.Context(), sqlstore.Config{URL: "postgres:///x", Path: "y"})
	require.ErrorContains(t, err, "both")
}

func rawDB(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}
