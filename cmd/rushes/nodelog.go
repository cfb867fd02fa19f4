package main

import (
	"log/slog"
	"time"

	"rushes/catalog"
	"rushes/pipeline"
	"rushes/pipeline/metrics"
)

// nodeEvents writes what happens to attempts into the log and the metrics.
type nodeEvents struct {
	log   *slog.Logger
	meter *metrics.Metrics
	wake  func() // called when there may be new tickets
}

var _ pipeline.Events = (*nodeEvents)(nil)

func (e *nodeEvents) job(j catalog.Job) *slog.Logger {
	l := e.log.With("job", j.ID, "kind", string(j.Kind), "attempt", j.Attempts, "fence", j.Fence)
	if j.ParentID != "" {
		l = l.With("parent", j.ParentID)
	}
	return l
}

// AttemptStarted is told when a job is claimed.
func (e *nodeEvents) AttemptStarted(j catalog.Job) {
	e.meter.AttemptStarted(j)
	e.job(j).Info("attempt begins", "room", j.RoomID, "session", j.SessionID, "source", j.Source, "queue", string(j.Queue))
}

// AttemptEnded is told how an attempt has ended.
func (e *nodeEvents) AttemptEnded(j catalog.Job, end catalog.Attempt, took time.Duration) {
	e.meter.AttemptEnded(j, end, took)
	if end.Ending == catalog.EndWaiting || j.Kind == catalog.PartJob {
		e.wake()
	}
	l := e.job(j).With("ending", string(end.Ending), "state", string(j.State), "took", took.String(), "cpu", end.Usage.CPU.String(), "memory_bytes", end.Usage.Memory)
	if end.Failure == nil {
		l.Info("attempt ends")
		return
	}
	if !end.RunAt.IsZero() {
		l = l.With("run_at", end.RunAt)
	}
	l.Warn("attempt ends", "reason", end.Failure.Kind, "error", end.Failure.Message)
}

// AttemptLost is told of attempts whose end could not be written down.
func (e *nodeEvents) AttemptLost(j catalog.Job, reason error, took time.Duration) {
	e.meter.AttemptLost(j)
	e.job(j).Warn("attempt is lost; what it made is discarded", "error", reason.Error(), "took", took.String())
}

// Trouble is told of errors that pass.
func (e *nodeEvents) Trouble(err error) { e.log.Warn("trouble that passes", "error", err.Error()) }

// takenOver is told which jobs the sweeper has taken from dead workers.
func (e *nodeEvents) takenOver(jobs []catalog.Job) {
	e.meter.TakenOver(len(jobs))
	for _, j := range jobs {
		e.job(j).Warn("job is taken over; its worker is dead", "state", string(j.State), "takeovers", j.Takeovers, "worker", j.Worker)
	}
}

// stageLog writes the stages of a job into the log and the metrics.
type stageLog struct {
	log   *slog.Logger
	meter *metrics.Metrics
	media time.Duration
}

var _ pipeline.Observer = (*stageLog)(nil)

// StageStarted is told when a stage begins.
func (s *stageLog) StageStarted(string, int, int) { s.media = 0 }

// Progress is told how far the stage is.
func (s *stageLog) Progress(_ string, p pipeline.Progress) { s.media = max(s.media, p.Media) }

// StageDone is told how the stage ended.
func (s *stageLog) StageDone(stage string, r pipeline.StageResult) {
	s.meter.StageDone(stage, r.Took, s.media, r.Err)
	if r.Err == nil {
		s.log.Info("stage is done", "stage", stage, "took", r.Took.String(), "media", s.media.String(), "reused", r.Reused)
		return
	}
	s.log.Info("stage ends", "stage", stage, "took", r.Took.String(), "error", line(r.Err))
}
