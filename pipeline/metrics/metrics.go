// Package metrics counts what workers do, for Prometheus.
//
// What has happened in this process is counted as it happens. How many jobs wait, and for how long, is asked of the
// catalog when the metrics are read: it is the same whichever process is asked.
//
// # How to add a metric
//
// Add it to Metrics, make and register it in New, and give it a method with the name of what has happened; the golden
// file in testdata shows what Prometheus will read.
package metrics

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"rushes/catalog"
	"rushes/pipeline"
)

// Counter tells how many jobs there are that are not over: sqlstore.Store.
type Counter interface {
	// CountJobs counts the jobs that are not over by kind, queue and state.
	CountJobs(ctx context.Context) ([]catalog.JobCount, error)
}

// Metrics are the metrics of one process. All methods are safe for concurrent use and do not block.
type Metrics struct {
	registry *prometheus.Registry

	running   prometheus.Gauge
	attempts  *prometheus.CounterVec
	retries   *prometheus.CounterVec
	takeovers prometheus.Counter
	lost      prometheus.Counter
	seconds   *prometheus.HistogramVec
	stages    *prometheus.HistogramVec
	speed     *prometheus.HistogramVec
	cpu       *prometheus.CounterVec
	memory    prometheus.Histogram
	assets    *prometheus.CounterVec
	bytes     *prometheus.CounterVec
	media     *prometheus.CounterVec
	assetCPU  *prometheus.CounterVec
	kills     *prometheus.CounterVec
}

// New returns metrics that ask jobs for what waits. version is that of the program.
func New(jobs Counter, version string) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	seconds := []float64{.1, .5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600}
	m := &Metrics{
		registry:  prometheus.NewRegistry(),
		running:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "rushes_attempts_running", Help: "Attempts that run in this process."}),
		attempts:  counter("rushes_attempts_total", "Attempts that ended, by kind of job, ending and reason of a failure.", "kind", "ending", "reason"),
		retries:   counter("rushes_retries_total", "Attempts that failed and are followed by another one.", "kind"),
		takeovers: prometheus.NewCounter(prometheus.CounterOpts{Name: "rushes_takeovers_total", Help: "Jobs that were taken from dead workers."}),
		lost:      prometheus.NewCounter(prometheus.CounterOpts{Name: "rushes_claims_lost_total", Help: "Attempts of this process that lost their claim."}),
		seconds:   histogram("rushes_attempt_seconds", "Time of attempts.", seconds, "kind", "ending"),
		stages:    histogram("rushes_stage_seconds", "Time of stages.", seconds, "stage"),
		speed:     histogram("rushes_stage_speed", "Media time against time, of stages that handle media: 2 is twice as fast as it plays.", []float64{.25, .5, 1, 2, 4, 8, 16, 64, 256}, "stage"),
		cpu:       counter("rushes_cpu_seconds_total", "Processor time of the processes that attempts started.", "kind"),
		memory:    prometheus.NewHistogram(prometheus.HistogramOpts{Name: "rushes_attempt_memory_bytes", Help: "Largest resident size of an attempt's processes.", Buckets: prometheus.ExponentialBuckets(32<<20, 2, 9)}),
		assets:    counter("rushes_assets_rendered_total", "Files of assets that were written.", "type"),
		bytes:     counter("rushes_asset_bytes_total", "Bytes of these files.", "type"),
		media:     counter("rushes_asset_media_seconds_total", "Media time of these files.", "type"),
		assetCPU:  counter("rushes_asset_cpu_seconds_total", "Processor time that these files took.", "type"),
		kills:     counter("rushes_process_deaths_total", "Processes of attempts that died, by reason.", "reason"),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "rushes_build_info", Help: "Always 1.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.registry.MustRegister(build, m.running, m.attempts, m.retries, m.takeovers, m.lost, m.seconds, m.stages, m.speed, m.cpu, m.memory,
		m.assets, m.bytes, m.media, m.assetCPU, m.kills, &waiting{jobs: jobs, now: time.Now},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler answers Prometheus. A catalog that does not answer leaves its metrics out.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// AttemptStarted counts an attempt that begins.
func (m *Metrics) AttemptStarted(catalog.Job) { m.running.Inc() }

// AttemptEnded counts an attempt whose end is written down.
func (m *Metrics) AttemptEnded(j catalog.Job, end catalog.Attempt, took time.Duration) {
	m.running.Dec()
	reason := ""
	if end.Failure != nil {
		reason = end.Failure.Kind
	}
	kind := string(j.Kind)
	m.attempts.WithLabelValues(kind, string(end.Ending), reason).Inc()
	m.seconds.WithLabelValues(kind, string(end.Ending)).Observe(took.Seconds())
	m.cpu.WithLabelValues(kind).Add(end.Usage.CPU.Seconds())
	if end.Usage.Memory > 0 {
		m.memory.Observe(float64(end.Usage.Memory))
	}
	if end.Ending == catalog.EndRetry && j.State == catalog.JobQueued {
		m.retries.WithLabelValues(kind).Inc()
	}
}

// AttemptLost counts an attempt whose claim was lost.
func (m *Metrics) AttemptLost(catalog.Job) {
	m.running.Dec()
	m.lost.Inc()
}

// TakenOver counts jobs that were taken from dead workers.
func (m *Metrics) TakenOver(n int) { m.takeovers.Add(float64(n)) }

// StageDone counts a stage: the time that it took, and the media time that it handled.
func (m *Metrics) StageDone(stage string, took, media time.Duration, err error) {
	if err != nil && pipeline.KindOf(err) == pipeline.KindInterrupted {
		return
	}
	m.stages.WithLabelValues(stage).Observe(took.Seconds())
	if media > 0 && took > 0 {
		m.speed.WithLabelValues(stage).Observe(media.Seconds() / took.Seconds())
	}
}

// Rendered counts an asset's file.
func (m *Metrics) Rendered(t catalog.AssetType, bytes int64, media, cpu time.Duration) {
	kind := string(t)
	m.assets.WithLabelValues(kind).Inc()
	m.bytes.WithLabelValues(kind).Add(float64(max(bytes, 0)))
	m.media.WithLabelValues(kind).Add(max(media, 0).Seconds())
	m.assetCPU.WithLabelValues(kind).Add(max(cpu, 0).Seconds())
}

// Died counts a process that died.
func (m *Metrics) Died(reason string) { m.kills.WithLabelValues(reason).Inc() }
