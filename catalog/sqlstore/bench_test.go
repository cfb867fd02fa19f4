package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/sqlstore"
	"rushes/catalog/storetest"
)

// benchmark skips what takes minutes unless it is asked for.
func benchmark(b *testing.B) {
	b.Helper()
	if os.Getenv("RUSHES_BENCH") != "1" {
		b.Skip("takes minutes: RUSHES_BENCH=1 runs it")
	}
}

// cpu is the processor time of this process so far.
func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkJob is the bookkeeping of one job from its adding to its end, among
// ten thousand others: CPU time is what counts.
func BenchmarkJob(b *testing.B) {
	benchmark(b)
	b.Run("SQLite", func(b *testing.B) { benchmarkJob(b, newSQLite(b)(nil)) })
	b.Run("Postgres", func(b *testing.B) { benchmarkJob(b, newPostgres(b)(nil)) })
}

func benchmarkJob(b *testing.B, s storetest.Store) {
	jobs := make([]catalog.Job, 10000)
	for i := range jobs {
		jobs[i] = catalog.Job{CaptureKey: fmt.Sprint("queued", i), CaptureURI: fmt.Sprint("calls/queued", i), RoomID: "r", Priority: -1}
	}
	_, _, err := s.AddJobs(b.Context(), jobs, true)
	require.NoError(b, err)
	begun, n := cpu(b), 0
	for b.Loop() {
		n++
		j, _, err := s.AddJob(b.Context(), catalog.Job{CaptureKey: fmt.Sprint("c", n), CaptureURI: fmt.Sprint("calls/", n), RoomID: "r"}, true)
		require.NoError(b, err)
		tickets, err := s.DueTickets(b.Context(), 1)
		require.NoError(b, err)
		require.Equal(b, j.ID, tickets[0].JobID)
		require.NoError(b, s.Dispatched(b.Context(), tickets))
		j, err = s.ClaimJob(b.Context(), j.ID, "worker")
		require.NoError(b, err)
		claim := catalog.Claim{JobID: j.ID, Fence: j.Fence}
		_, err = s.Heartbeat(b.Context(), claim)
		require.NoError(b, err)
		_, err = s.EndAttempt(b.Context(), claim, catalog.Attempt{Ending: catalog.EndCompleted})
		require.NoError(b, err)
	}
	b.ReportMetric(float64((cpu(b)-begun).Microseconds())/float64(n)/1000, "cpu-ms/job")
}

// BenchmarkLists lists a catalog of a million assets: the first page and one
// from the middle for each filter that the API has, and for those that the
// others of the house use. The worst of a hundred is what counts.
func BenchmarkLists(b *testing.B) {
	benchmark(b)
	b.Run("SQLite", func(b *testing.B) {
		path := filepath.Join(b.TempDir(), "catalog.db")
		s, err := sqlstore.Open(b.Context(), sqlstore.Config{Path: path})
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, s.Close()) })
		db, err := sql.Open("sqlite", path)
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, db.Close()) })
		benchmarkLists(b, s, db, "PRAGMA wal_checkpoint(TRUNCATE)")
	})
	b.Run("Postgres", func(b *testing.B) {
		address := postgresURL(b)
		s, err := sqlstore.Open(b.Context(), sqlstore.Config{URL: catalog.Secret(address)})
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, s.Close()) })
		benchmarkLists(b, s, openPostgres(b, address), "VACUUM ANALYZE")
	})
}

const million = 1_000_000

// A year of assets: 2,000 rooms of which one has a tenth of all, and types and
// states that are as rare as they are.
func benchmarkLists(b *testing.B, s *sqlstore.Store, db *sql.DB, analyze string) {
	b.Helper()
	begun := time.Now()
	fillMillion(b, db)
	_, err := db.ExecContext(b.Context(), analyze)
	require.NoError(b, err)
	b.Logf("filled in %v", time.Since(begun))
	middle := fmt.Sprintf("%08x0000000000%06x", millionStart+million/2*31, million/2)
	at := time.Unix(millionStart+million/2*31, 0)
	room, session := "room-0", "room-0-s-9"
	filters := map[string]catalog.Filter{
		"all": {}, "room": {RoomID: room}, "small-room": {RoomID: "room-7"}, "session": {SessionID: session},
		"type": {Type: catalog.TrackAsset}, "rare-type": {Type: catalog.RoomVOD},
		"status": {Status: catalog.AssetCompleted}, "rare-status": {Status: catalog.AssetFailed}, "no-status": {Status: catalog.AssetProcessing},
		"type+status": {Type: catalog.RoomVOD, Status: catalog.AssetFailed}, "type+no-status": {Type: catalog.RoomVOD, Status: catalog.AssetProcessing},
		"room+type": {RoomID: room, Type: catalog.RoomVOD}, "room+status": {RoomID: room, Status: catalog.AssetFailed},
		"room+no-status":   {RoomID: room, Status: catalog.AssetProcessing},
		"room+type+status": {RoomID: room, Type: catalog.RoomVOD, Status: catalog.AssetFailed},
		"session+type":     {SessionID: session, Type: catalog.RoomVOD}, "session+status": {SessionID: session, Status: catalog.AssetFailed},
		"room+session": {RoomID: room, SessionID: session}, "room+other-session": {RoomID: "room-7", SessionID: session},
		"job": {JobID: millionJob(500)}, "software": {Software: "v2"}, "software+type": {Software: "v2", Type: catalog.RoomVOD},
		"time": {From: at.Add(-24 * time.Hour), Before: at}, "type+time": {Type: catalog.RoomVOD, From: at.Add(-240 * time.Hour), Before: at},
		"superseded": {Superseded: true}, "room+superseded": {RoomID: room, Superseded: true},
	}
	for _, name := range slices.Sorted(maps.Keys(filters)) {
		for page, after := range map[string]string{"first": "", "deep": middle} {
			f := filters[name]
			f.Limit, f.After = 100, after
			b.Run(name+"/"+page, func(b *testing.B) { benchmarkList(b, s.ListAssets, f) })
			if slices.Contains([]string{"all", "room", "session", "type", "rare-type", "rare-status", "no-status", "type+no-status"}, name) {
				b.Run("app+"+name+"/"+page, func(b *testing.B) {
					benchmarkList(b, func(ctx context.Context, f catalog.Filter) ([]catalog.Asset, error) {
						return s.ListAssetsOfApp(ctx, "app-1", f)
					}, f)
				})
			}
		}
	}
	b.Run("count-jobs", func(b *testing.B) {
		for b.Loop() {
			_, err := s.CountJobs(b.Context())
			require.NoError(b, err)
		}
	})
}

func benchmarkList(b *testing.B, list func(context.Context, catalog.Filter) ([]catalog.Asset, error), f catalog.Filter) {
	b.Helper()
	var took []time.Duration
	rows := 0
	for b.Loop() {
		begun := time.Now()
		page, err := list(b.Context(), f)
		took = append(took, time.Since(begun))
		require.NoError(b, err)
		rows = len(page)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(rows), "rows")
}

// millionStart is the second of the first of a million assets.
const millionStart = 1_700_000_000

func millionJob(i int) string { return fmt.Sprintf("%024x", i) }

// fillMillion writes the rows as they would lie after a year, in batches,
// because registering them one by one would take an hour.
func fillMillion(b *testing.B, db *sql.DB) {
	b.Helper()
	const batch = 2000
	for i := range million / 1000 {
		_, err := db.ExecContext(b.Context(), `INSERT INTO jobs (id, capture_uri, capture_key, recording_id, room_id, session_id,
			template_id, source, state, stage, progress, attempts, created_at, updated_at, started_at, stopped_at, defects,
			error_kind, error_message, finished_at)
			VALUES ($1, 'c', $1, '', 'r', 's', '', 'beam', 'completed', '', 1000, 1, 1, 1, 1, 1, '[]', '', '', 1)`, millionJob(i))
		require.NoError(b, err)
	}
	for first := 0; first < million; first += batch {
		var text strings.Builder
		text.WriteString("INSERT INTO assets (id, job_id, room_id, session_id, type, path, size, duration, status, created_at, started_at, " +
			"thumbnails, metadata, error_kind, error_message, version, supersedes, software, asset_key, superseded_by, app_id) VALUES ")
		for i := first; i < first+batch; i++ {
			writeMillionth(&text, i, i > first)
		}
		_, err := db.ExecContext(b.Context(), text.String())
		require.NoError(b, err)
	}
}

// writeMillionth writes the values of one of a million assets.
func writeMillionth(text *strings.Builder, i int, comma bool) {
	room, kind, status, by := fmt.Sprint("room-", i*7919%2000), catalog.TrackAsset, catalog.AssetCompleted, ""
	if i%10 == 0 {
		room = "room-0"
	}
	switch hash := i * 2654435761 % 1000; {
	case hash < 2:
		kind = catalog.RoomVOD
	case hash < 200:
		kind = catalog.RoomComposite
	case hash < 500:
		kind = catalog.StreamAsset
	}
	if i*40503%997 == 0 {
		status = catalog.AssetFailed
	}
	if i < million/4 { // the first quarter has been made again
		by = "x"
	}
	if comma {
		text.WriteByte(',')
	}
	second := millionStart + i*31
	fmt.Fprintf(text, "('%08x0000000000%06x','%s','%s','%s-s-%d','%s','beam/%d.mp4',1000000,1000000000,'%s',%d,%d,"+
		`'["beam/thumb-1.png","beam/thumb-2.png"]','{"resolution":{"width":1280,"height":720},"defects":[]}','','',1,'','v%d','key-%d','%s','app-%d')`,
		second, i, millionJob(i/1000), room, room, i/50000, kind, i, status, int64(second)*1e6, int64(second)*1e6, i/250000, i, by, i%3)
}
