package catalog

import (
	"encoding/json"
	"time"
)

// Ticket is a row of the outbox, and then a task of the queue: a reminder to
// look at a job. It says nothing else of the job, so that one which comes
// late, twice or after a restart does no harm.
type Ticket struct {
	// ID names the reminder, and the queue's task: 24 hex digits, time-ordered.
	ID string
	// JobID is the job to look at.
	JobID string
	// Queue is the queue that the ticket goes to.
	Queue QueueName
	// Priority is the job's: the outbox gives higher ones out first.
	Priority int
	// RunAt is when the ticket may go to the queue.
	RunAt time.Time
}

// Claim is the right to work at a job: who holds the job's present fence.
// Every write of the work carries it, and is refused with [ErrClaimLost] when
// another claim has been made since.
type Claim struct {
	// JobID is the job.
	JobID string
	// Fence is the job's fence at the time of the claim.
	Fence int64
}

// Ending says how an attempt at a job ended, and what becomes of the job.
type Ending string

// The endings of an attempt.
const (
	EndCompleted Ending = "completed" // the job is done
	EndFailed    Ending = "failed"    // the job has failed for good
	EndRetry     Ending = "retry"     // the attempt failed; queued for the next one
	EndHandBack  Ending = "hand-back" // interrupted: queued again, no attempt used up
	EndWaiting   Ending = "waiting"   // fanned out: waits for its parts, no attempt used up
	EndCanceled  Ending = "canceled"  // canceled, for good
	EndLost      Ending = "lost"      // the worker died; written by the sweeper only
)

// Attempt is what an attempt reports when it ends.
type Attempt struct {
	// Ending decides the job's next state.
	Ending Ending
	// Failure says what went wrong; required for EndFailed and EndRetry, and
	// allowed for EndHandBack.
	Failure *AssetError
	// Defects are those of the capture, kept with the job; nil leaves what is
	// there.
	Defects []Defect
	// Result is what a completed part has made.
	Result json.RawMessage
	// RunAt is when the job may run again, for EndRetry and EndHandBack; zero
	// means at once.
	RunAt time.Time
	// Parts are the jobs to wait for, for EndWaiting.
	Parts []Job
	// Usage is what the attempt took.
	Usage Usage
}

// Usage is what an attempt took of the machine.
type Usage struct {
	// CPU is the processor time of the attempt's child processes.
	CPU time.Duration `json:"cpu_ns"`
	// Memory is the largest resident set of a child process, in bytes.
	Memory int64 `json:"memory_bytes"`
}

// AttemptRecord is an attempt in the log of a job.
type AttemptRecord struct {
	// Fence is that of the attempt's claim: it tells the attempts of a job apart
	// and puts them in order.
	Fence int64 `json:"fence"`
	// Worker names who made the attempt.
	Worker string `json:"worker"`
	// Stage is the stage that the attempt ended in.
	Stage string `json:"stage,omitempty"`
	// Ending is how it ended.
	Ending Ending `json:"ending"`
	// Failure is why, for attempts that failed.
	Failure *AssetError `json:"error,omitempty"`
	// StartedAt is when the claim was made.
	StartedAt time.Time `json:"started_at"`
	// EndedAt is when the attempt ended.
	EndedAt time.Time `json:"ended_at"`
	// Usage is what it took.
	Usage Usage `json:"usage"`
}

// JobCount is how many jobs there are of a kind, in a queue and in a state.
type JobCount struct {
	// Kind, Queue and State say which jobs are counted.
	Kind  JobKind
	Queue QueueName
	State JobState
	// Count is their number.
	Count int64
	// Oldest is the least RunAt of them.
	Oldest time.Time
}

// Place is a storage key that a claim has reserved for an asset's bytes, so
// that no two attempts ever write the same object.
type Place struct {
	// Path is the storage key.
	Path string
	// Claim is whose place it is.
	Claim Claim
	// AssetKey says what is to lie there.
	AssetKey string
}
