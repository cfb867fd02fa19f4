package pipeline

import "time"

// Observer is told how a job goes on. Execute calls it from one goroutine at a
// time, so it needs no lock against itself; it must not block for long, because
// the stage waits for it.
type Observer interface {
	// StageStarted is called before a stage runs; index counts from 0 to total-1.
	StageStarted(stage string, index, total int)
	// Progress is called as often as the stage reports it.
	Progress(stage string, p Progress)
	// StageDone is called after every stage that was started.
	StageDone(stage string, r StageResult)
}

// Progress is how far a stage has come.
type Progress struct {
	// Done is how many units of work are done, of Total; the stage chooses the
	// unit (bytes, frames, chunks).
	Done int64
	// Total is the number of units; 0 when it is not known.
	Total int64
	// Media is the media time that this run of the stage has handled.
	Media time.Duration
	// Speed is Media against the wall time since the stage started: 2 means twice
	// as fast as it plays. Run.Progress fills it in.
	Speed float64
}

// StageResult is how a stage ended.
type StageResult struct {
	// Took is the wall time.
	Took time.Duration
	// Reused says that the result of an earlier run was found and taken.
	Reused bool
	// Err is the stage's error, a *StageError, or nil.
	Err error
}

// nobody is the observer of a job that nobody watches.
type nobody struct{}

var _ Observer = nobody{}

func (nobody) StageStarted(string, int, int) {}
func (nobody) Progress(string, Progress)     {}
func (nobody) StageDone(string, StageResult) {}
