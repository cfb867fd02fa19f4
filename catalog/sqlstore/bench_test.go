package sqlstore_test

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
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
