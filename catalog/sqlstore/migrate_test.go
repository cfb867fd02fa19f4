package sqlstore_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/sqlstore"
)

// version1 is what a catalog of the first schema holds: a job in each of its
// states, and assets of them.
const version1 = `
INSERT INTO jobs VALUES
    ('6921f0a80102030405000001', 'calls/a', 'ka', 'rec', 'r', 's', 't', 'beam', 'completed', 'register', 1000, 2,
     1700000000000001, 1700000002000000, 1690000000000000, 1690000001000000, '[{"kind":"torn","detail":"tail"}]', '', ''),
    ('6921f0a80102030405000002', 'calls/b', 'kb', '', 'r', 's2', '', 'sfu', 'failed', 'render', 400, 5,
     1700000000000002, 1700000003000000, 0, 0, '[]', 'bad-input', 'b.ivf: no frames'),
    ('6921f0a80102030405000003', 'calls/c', 'kc', '', 'r', 's3', '', 'sfu', 'running', 'render', 300, 1,
     1700000000000003, 1700000004000000, 0, 0, '[]', '', '');
INSERT INTO assets VALUES
    ('6921f0a801020304050000a1', '6921f0a80102030405000001', 'r', 's', 'room-composite', 'beam/r/1.mp4', 10, 5000000000,
     'completed', 1700000001000000, 1690000000000000, '["t.png"]', '{"layer":"0","defects":[]}', '', '', 1, '', 'v0.1', 'ka/room-composite'),
    ('6921f0a801020304050000a2', '6921f0a80102030405000001', 'r', 's', 'room-composite', 'beam/r/2.mp4', 11, 5000000000,
     'completed', 1700000001500000, 0, 'null', '{"defects":[]}', '', '', 2, '6921f0a801020304050000a1', 'v0.2', 'ka/room-composite'),
    ('6921f0a801020304050000a3', '6921f0a80102030405000002', 'r', 's2', 'track', '', 0, 0,
     'failed', 1700000002500000, 0, 'null', '{"defects":[]}', 'bad-input', 'b.ivf: no frames', 1, '', 'v0.1', 'kb/track');`

// oldCatalog makes a catalog of an earlier version and fills it.
func oldCatalog(t *testing.T, dialect goose.Dialect, db *sql.DB, version int64, rows string) {
	t.Helper()
	p, err := goose.NewProvider(dialect, db, os.DirFS("migrations"), goose.WithDisableGlobalRegistry(true))
	require.NoError(t, err)
	_, err = p.UpTo(t.Context(), version)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), rows)
	require.NoError(t, err)
}

func TestMigrateVersion1(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "catalog.db")
	oldCatalog(t, goose.DialectSQLite3, rawDB(t, path), 1, version1)
	checkVersion1(t, openStore(t, path))
}

func TestMigrateVersion1OnPostgres(t *testing.T) {
	t.Parallel()
	address := postgresURL(t)
	oldCatalog(t, goose.DialectPostgres, openPostgres(t, address), 1, version1)
	checkVersion1(t, openTarget(t, address))
}

// checkVersion1 looks for everything that version1 says, and works on with it.
func checkVersion1(t *testing.T, s *sqlstore.Store) {
	t.Helper()
	at := func(us int64) time.Time { return time.UnixMicro(us).UTC() }
	base := catalog.Job{Kind: catalog.CaptureJob, Queue: catalog.QueueDefault, RoomID: "r", MaxAttempts: 5, Defects: []catalog.Defect{}}
	a, b, c := base, base, base
	a.ID, a.CaptureURI, a.CaptureKey, a.RecordingID = "6921f0a80102030405000001", "calls/a", "ka", "rec"
	a.SessionID, a.TemplateID, a.Source, a.State, a.Stage = "s", "t", "beam", catalog.JobCompleted, "register"
	a.Progress, a.Attempts, a.Fence, a.CreatedAt, a.RunAt = 1000, 2, 2, at(1700000000000001), at(1700000000000001)
	a.UpdatedAt, a.FinishedAt, a.StartedAt, a.StoppedAt = at(1700000002000000), at(1700000002000000), at(1690000000000000), at(1690000001000000)
	a.Defects = []catalog.Defect{{Kind: "torn", Detail: "tail"}}
	b.ID, b.CaptureURI, b.CaptureKey, b.SessionID, b.Source = "6921f0a80102030405000002", "calls/b", "kb", "s2", "sfu"
	b.State, b.Stage, b.Progress, b.Attempts, b.Fence = catalog.JobFailed, "render", 400, 5, 5
	b.CreatedAt, b.RunAt, b.UpdatedAt, b.FinishedAt = at(1700000000000002), at(1700000000000002), at(1700000003000000), at(1700000003000000)
	b.Error = &catalog.AssetError{Kind: "bad-input", Message: "b.ivf: no frames"}
	c.ID, c.CaptureURI, c.CaptureKey, c.SessionID, c.Source = "6921f0a80102030405000003", "calls/c", "kc", "s3", "sfu"
	c.State, c.Stage, c.Progress, c.Attempts, c.Fence = catalog.JobRunning, "render", 300, 1, 1
	c.CreatedAt, c.RunAt, c.UpdatedAt, c.HeartbeatAt = at(1700000000000003), at(1700000000000003), at(1700000004000000), at(1700000004000000)
	jobs, err := s.ListJobs(t.Context(), catalog.JobFilter{})
	require.NoError(t, err)
	require.Equal(t, []catalog.Job{c, b, a}, jobs)

	assets, err := s.ListAssets(t.Context(), catalog.Filter{Superseded: true})
	require.NoError(t, err)
	require.Len(t, assets, 3)
	require.Equal(t, catalog.Asset{
		ID: "6921f0a801020304050000a1", JobID: a.ID, RoomID: "r", SessionID: "s", Type: catalog.RoomComposite,
		Path: "beam/r/1.mp4", Size: 10, Duration: 5 * time.Second, Status: catalog.AssetCompleted,
		CreatedAt: at(1700000001000000), StartedAt: at(1690000000000000), Thumbnails: []string{"t.png"},
		Metadata: catalog.Metadata{Layer: "0", Defects: []catalog.Defect{}},
		Version:  1, Software: "v0.1", Key: "ka/room-composite", SupersededBy: "6921f0a801020304050000a2",
	}, assets[2])
	current, err := s.ListAssets(t.Context(), catalog.Filter{})
	require.NoError(t, err)
	require.Equal(t, assets[:2], current)
	require.Equal(t, "b.ivf: no frames", current[0].Error.Message)

	// The work goes on: the same capture is the same job, what a dead process
	// left is taken over, and where an asset lies nothing else is written.
	same, created, err := s.AddJob(t.Context(), catalog.Job{CaptureKey: "ka", CaptureURI: "calls/a"}, true)
	require.NoError(t, err)
	require.False(t, created)
	require.Equal(t, a, same)
	again, err := s.AddGeneration(t.Context(), catalog.Job{CaptureKey: "ka", CaptureURI: "calls/a"}, true)
	require.NoError(t, err)
	require.Equal(t, 1, again.Generation)
	taken, err := s.TakeOver(t.Context(), time.Now().Add(-time.Minute), 3, 10)
	require.NoError(t, err)
	require.Len(t, taken, 1)
	require.Equal(t, []any{c.ID, catalog.JobQueued}, []any{taken[0].ID, taken[0].State})
	claimed, err := s.ClaimJob(t.Context(), c.ID, "w")
	require.NoError(t, err)
	for _, path := range []string{"beam/r/1.mp4", "beam/r/2.mp4"} {
		err = s.ReservePlace(t.Context(), claimOf(claimed), "x", path)
		require.ErrorIs(t, err, catalog.ErrPlaceTaken)
	}
	strays, err := s.Strays(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, strays)
	require.NoError(t, s.ReservePlace(t.Context(), claimOf(claimed), "x", "beam/r/3.mp4"))
}
