package sqlstore

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	"rushes/catalog"
	"rushes/catalog/sqlstore/internal/sqlc"
)

// newJobRow turns a job that is to be queued into its row, with what the store
// gives: the id, the defaults and the time.
func (t tx) newJobRow(j catalog.Job) (sqlc.InsertJobParams, error) {
	if err := j.Validate(); err != nil {
		return sqlc.InsertJobParams{}, err
	}
	defects, err := defectsText(j.Defects)
	if err != nil {
		return sqlc.InsertJobParams{}, fmt.Errorf("job of capture %q: defects: %w", j.CaptureURI, err)
	}
	kind, queue := cmp.Or(j.Kind, catalog.CaptureJob), catalog.QueueDefault
	if kind == catalog.PartJob {
		queue = catalog.QueueChunks
	}
	id := j.ID
	if id == "" {
		id = t.store.ids.NewID()
	}
	return sqlc.InsertJobParams{
		ID: id, CaptureURI: j.CaptureURI, CaptureKey: j.CaptureKey, RecordingID: j.RecordingID,
		RoomID: j.RoomID, SessionID: j.SessionID, TemplateID: j.TemplateID, Source: j.Source,
		CreatedAt: t.now, UpdatedAt: t.now,
		StartedAt: micros(j.StartedAt), StoppedAt: micros(j.StoppedAt), Defects: defects,
		Kind: string(kind), ParentID: j.ParentID, Generation: int64(j.Generation),
		Options: string(j.Options), Queue: string(cmp.Or(j.Queue, queue)), Priority: int64(j.Priority),
		CostCPU: int64(j.Cost.CPU), CostMemory: j.Cost.Memory,
		MaxAttempts: int64(cmp.Or(j.MaxAttempts, catalog.DefaultMaxAttempts)),
		RunAt:       max(micros(j.RunAt), t.now), BackfillID: j.BackfillID, AppID: j.AppID,
	}, nil
}

func jobFromRow(r sqlc.Job) (catalog.Job, error) {
	j := catalog.Job{
		ID: r.ID, Kind: catalog.JobKind(r.Kind), ParentID: r.ParentID,
		CaptureURI: r.CaptureURI, CaptureKey: r.CaptureKey, Generation: int(r.Generation),
		RecordingID: r.RecordingID, RoomID: r.RoomID, SessionID: r.SessionID, TemplateID: r.TemplateID,
		Source: r.Source, Options: rawJSON(r.Options), Result: rawJSON(r.Result),
		Queue: catalog.QueueName(r.Queue), Priority: int(r.Priority),
		Cost:  catalog.Cost{CPU: int(r.CostCPU), Memory: r.CostMemory},
		State: catalog.JobState(r.State), Stage: r.Stage, Progress: int(r.Progress),
		Attempts: int(r.Attempts), MaxAttempts: int(r.MaxAttempts), Takeovers: int(r.Takeovers),
		Fence: r.Fence, Worker: r.Worker, HeartbeatAt: fromMicros(r.HeartbeatAt), RunAt: fromMicros(r.RunAt),
		CancelRequested: r.CancelRequested != 0, BackfillID: r.BackfillID, AppID: r.AppID,
		CreatedAt: fromMicros(r.CreatedAt), UpdatedAt: fromMicros(r.UpdatedAt), FinishedAt: fromMicros(r.FinishedAt),
		StartedAt: fromMicros(r.StartedAt), StoppedAt: fromMicros(r.StoppedAt),
		Error: joinError(r.ErrorKind, r.ErrorMessage),
	}
	if j.State == catalog.JobFailed && j.Error == nil {
		j.Error = &catalog.AssetError{}
	}
	if err := json.Unmarshal([]byte(r.Defects), &j.Defects); err != nil {
		return catalog.Job{}, fmt.Errorf("job %s: stored defects: %w", r.ID, err)
	}
	return j, nil
}

func jobsFromRows(rows []sqlc.Job) ([]catalog.Job, error) {
	jobs := make([]catalog.Job, 0, len(rows))
	for _, r := range rows {
		j, err := jobFromRow(r)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

func attemptFromRow(r sqlc.Attempt) catalog.AttemptRecord {
	return catalog.AttemptRecord{
		Fence: r.Fence, Worker: r.Worker, Stage: r.Stage, Ending: catalog.Ending(r.Ending),
		Failure:   joinError(r.ErrorKind, r.ErrorMessage),
		StartedAt: fromMicros(r.StartedAt), EndedAt: fromMicros(r.EndedAt),
		Usage: catalog.Usage{CPU: time.Duration(r.CPU), Memory: r.Memory},
	}
}

func ticketFromRow(r sqlc.Outbox) catalog.Ticket {
	return catalog.Ticket{
		ID: r.ID, JobID: r.JobID, Queue: catalog.QueueName(r.Queue),
		Priority: int(r.Priority), RunAt: fromMicros(r.RunAt),
	}
}

// rawJSON is nil where nothing was stored.
func rawJSON(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

func joinError(kind, message string) *catalog.AssetError {
	if kind == "" && message == "" {
		return nil
	}
	return &catalog.AssetError{Kind: kind, Message: message}
}
