package metrics_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/pipeline"
	"rushes/pipeline/metrics"
)

// counts is a catalog that has counted.
type counts struct {
	list []catalog.JobCount
	err  error
}

func (c counts) CountJobs(context.Context) ([]catalog.JobCount, error) { return c.list, c.err }

func read(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, w.Code)
	return w.Body.String()
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	m := metrics.New(counts{list: []catalog.JobCount{
		{Kind: catalog.CaptureJob, Queue: catalog.QueueDefault, State: catalog.JobQueued, Count: 7, Oldest: time.Now().Add(-time.Hour)},
		{Kind: catalog.PartJob, Queue: catalog.QueueChunks, State: catalog.JobRunning, Count: 2},
	}}, "v1")
	job := catalog.Job{Kind: catalog.CaptureJob, State: catalog.JobQueued}
	m.AttemptStarted(job)
	m.AttemptStarted(job)
	m.AttemptStarted(job)
	m.AttemptEnded(job, catalog.Attempt{Ending: catalog.EndRetry, Failure: &catalog.AssetError{Kind: "PROCESSING_ERROR"},
		Usage: catalog.Usage{CPU: 1500 * time.Millisecond, Memory: 100 << 20}}, 3*time.Second)
	m.AttemptLost(job)
	m.TakenOver(4)
	m.StageDone("render", 2*time.Second, 10*time.Second, nil)
	m.StageDone("render", time.Second, 0, context.Canceled)
	m.Rendered(catalog.TrackAsset, 1000, 5*time.Second, time.Second)
	m.Died("hang")
	text := read(t, m)
	for _, line := range []string{
		`rushes_build_info{version="v1"} 1`,
		`rushes_attempts_running 1`,
		`rushes_attempts_total{ending="retry",kind="capture",reason="PROCESSING_ERROR"} 1`,
		`rushes_retries_total{kind="capture"} 1`,
		`rushes_takeovers_total 4`,
		`rushes_claims_lost_total 1`,
		`rushes_cpu_seconds_total{kind="capture"} 1.5`,
		`rushes_stage_seconds_count{stage="render"} 1`,
		`rushes_stage_speed_sum{stage="render"} 5`,
		`rushes_assets_rendered_total{type="track"} 1`,
		`rushes_asset_bytes_total{type="track"} 1000`,
		`rushes_asset_media_seconds_total{type="track"} 5`,
		`rushes_asset_cpu_seconds_total{type="track"} 1`,
		`rushes_process_deaths_total{reason="hang"} 1`,
		`rushes_jobs{kind="capture",queue="default",state="queued"} 7`,
		`rushes_jobs{kind="part",queue="chunks",state="running"} 2`,
		`rushes_queue_jobs{queue="default"} 7`,
		`rushes_queue_jobs{queue="backfill"} 0`,
		`rushes_queue_oldest_seconds{queue="chunks"} 0`,
	} {
		require.Contains(t, text, line+"\n")
	}
	require.Regexp(t, `rushes_queue_oldest_seconds\{queue="default"\} 36\d\d`, text)
	require.Equal(t, pipeline.KindInterrupted, pipeline.KindOf(context.Canceled))
}

// TestCatalogAway shows that the other metrics are told while the catalog does not answer.
func TestCatalogAway(t *testing.T) {
	t.Parallel()
	text := read(t, metrics.New(counts{err: errors.New("away")}, "v1"))
	require.Contains(t, text, "rushes_attempts_running 0\n")
	require.NotContains(t, text, "rushes_jobs{")
}
