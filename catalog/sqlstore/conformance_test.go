package sqlstore_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
