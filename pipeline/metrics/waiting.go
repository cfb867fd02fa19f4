package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rushes/catalog"
)

// countTimeout bounds what the catalog may take to count.
const countTimeout = 3 * time.Second

// waiting asks the catalog for the jobs that are not over.
type waiting struct {
	jobs Counter
	now  func() time.Time
}

var _ prometheus.Collector = (*waiting)(nil)

func (w *waiting) descriptions() (jobs, depth, age *prometheus.Desc) {
	return prometheus.NewDesc("rushes_jobs", "Jobs that are not over.", []string{"kind", "queue", "state"}, nil),
		prometheus.NewDesc("rushes_queue_jobs", "Jobs that wait for a worker.", []string{"queue"}, nil),
		prometheus.NewDesc("rushes_queue_oldest_seconds", "For how long the first of them could have run already.", []string{"queue"}, nil)
}

// Describe names the metrics.
func (w *waiting) Describe(ch chan<- *prometheus.Desc) {
	jobs, depth, age := w.descriptions()
	ch <- jobs
	ch <- depth
	ch <- age
}

// Collect counts the jobs.
func (w *waiting) Collect(ch chan<- prometheus.Metric) {
	ctx, stop := context.WithTimeout(context.Background(), countTimeout)
	defer stop()
	jobs, depth, age := w.descriptions()
	counts, err := w.jobs.CountJobs(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(jobs, err)
		return
	}
	queued, oldest := map[catalog.QueueName]int64{}, map[catalog.QueueName]time.Duration{}
	for _, c := range counts {
		ch <- prometheus.MustNewConstMetric(jobs, prometheus.GaugeValue, float64(c.Count), string(c.Kind), string(c.Queue), string(c.State))
		if c.State != catalog.JobQueued {
			continue
		}
		queued[c.Queue] += c.Count
		if !c.Oldest.IsZero() {
			oldest[c.Queue] = max(oldest[c.Queue], w.now().Sub(c.Oldest))
		}
	}
	for _, q := range catalog.QueueNames() {
		ch <- prometheus.MustNewConstMetric(depth, prometheus.GaugeValue, float64(queued[q]), string(q))
		ch <- prometheus.MustNewConstMetric(age, prometheus.GaugeValue, oldest[q].Seconds(), string(q))
	}
}
