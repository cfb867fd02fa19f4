package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rushes/catalog"
)

const jobsTag = "Jobs"

// JobDocument is a job as the API shows it.
type JobDocument struct {
	ID              string              `json:"id"`
	Kind            catalog.JobKind     `json:"kind" enum:"capture,part"`
	ParentID        string              `json:"parent_id,omitempty" doc:"Of a part, the job that it belongs to"`
	CaptureURI      string              `json:"capture_uri"`
	RecordingID     string              `json:"recording_id,omitempty" doc:"The job_id that the recorder gave"`
	RoomID          string              `json:"room_id"`
	SessionID       string              `json:"session_id"`
	Source          string              `json:"source" doc:"beam, sfu or live-stream"`
	Generation      int                 `json:"generation" doc:"How often the capture was given to be made again"`
	Options         Object              `json:"options,omitempty" doc:"What was asked for beside the capture's manifest"`
	State           catalog.JobState    `json:"state" enum:"queued,running,waiting,completed,failed,canceled"`
	Stage           string              `json:"stage,omitempty" doc:"The stage that runs or ran last"`
	Progress        int                 `json:"progress" doc:"In thousandths of the whole job"`
	Attempts        int                 `json:"attempts" doc:"Attempts begun, less those that were interrupted"`
	MaxAttempts     int                 `json:"max_attempts"`
	Takeovers       int                 `json:"takeovers" doc:"Attempts whose worker died"`
	Queue           catalog.QueueName   `json:"queue"`
	Priority        int                 `json:"priority"`
	CancelRequested bool                `json:"cancel_requested"`
	RunAt           *time.Time          `json:"run_at" doc:"When it may run at the earliest"`
	CreatedAt       time.Time           `json:"created_at"`
	UpdatedAt       time.Time           `json:"updated_at"`
	FinishedAt      *time.Time          `json:"finished_at"`
	StartedAt       *time.Time          `json:"started_at" doc:"When the session began"`
	StoppedAt       *time.Time          `json:"stopped_at" doc:"When the session ended"`
	Error           *catalog.AssetError `json:"error,omitempty" doc:"Why the job, or its last attempt, failed"`
	Defects         []catalog.Defect    `json:"defects" nullable:"false" doc:"What was wrong with the capture"`
	AttemptLog      []AttemptDocument   `json:"attempt_log,omitempty" doc:"The ended attempts, oldest first; not in lists"`
}

// AttemptDocument is an ended attempt at a job. It does not say on which
// machine.
type AttemptDocument struct {
	Stage     string              `json:"stage,omitempty"`
	Ending    catalog.Ending      `json:"ending"`
	Error     *catalog.AssetError `json:"error,omitempty"`
	StartedAt time.Time           `json:"started_at"`
	EndedAt   time.Time           `json:"ended_at"`
	Usage     catalog.Usage       `json:"usage"`
}

func jobDocument(j catalog.Job) JobDocument {
	defects := j.Defects
	if defects == nil {
		defects = []catalog.Defect{}
	}
	d := JobDocument{
		ID: j.ID, Kind: j.Kind, ParentID: j.ParentID, CaptureURI: hideUser(j.CaptureURI), RecordingID: j.RecordingID,
		RoomID: j.RoomID, SessionID: j.SessionID, Source: j.Source, Generation: j.Generation,
		State: j.State, Stage: j.Stage, Progress: j.Progress,
		Attempts: j.Attempts, MaxAttempts: j.MaxAttempts, Takeovers: j.Takeovers,
		Queue: j.Queue, Priority: j.Priority, CancelRequested: j.CancelRequested,
		RunAt: timeOrNull(j.RunAt), CreatedAt: j.CreatedAt.UTC(), UpdatedAt: j.UpdatedAt.UTC(),
		FinishedAt: timeOrNull(j.FinishedAt), StartedAt: timeOrNull(j.StartedAt), StoppedAt: timeOrNull(j.StoppedAt),
		Error: j.Error, Defects: defects,
	}
	// What a part is to do is between it and its parent.
	if j.Kind != catalog.PartJob && json.Valid(j.Options) {
		d.Options = Object(j.Options)
	}
	return d
}

// hideUser leaves the user and password out of an address.
func hideUser(address string) string {
	if u, err := url.Parse(address); err == nil && u.User != nil {
		u.User = nil
		return u.String()
	}
	return address
}

type captureInput struct {
	IdempotencyHeader
	Body struct {
		_       struct{} `additionalProperties:"false"`
		URI     string   `json:"uri" minLength:"1" maxLength:"2048" doc:"Where the capture lies: a folder, or s3://bucket/prefix/"`
		Outputs Object   `json:"outputs,omitempty" doc:"The fields of outputs (capture.md) that are to be other than in the manifest"`
	}
}

type jobsInput struct {
	PageQuery
	RoomID   string `query:"room_id" maxLength:"1024"`
	State    string `query:"state" enum:"queued,running,waiting,completed,failed,canceled"`
	ParentID string `query:"parent_id" pattern:"^[0-9a-f]{24}$" doc:"Lists the parts of this job instead"`
}

// JobID is the job of a path.
type JobID struct {
	// ID is 24 hex digits.
	ID string `path:"id" doc:"Id of the job: 24 hex digits"`
}

type jobActionInput struct {
	JobID
	IdempotencyHeader
}

func (a *API) registerJobs(api huma.API) {
	capture := operation(api, http.MethodPost, "/v2/captures", "queue-capture", "Queue a capture", jobsTag, http.StatusForbidden)
	capture.DefaultStatus = http.StatusAccepted
	register(a, api, capture, a.queueCapture)
	register(a, api, operation(api, http.MethodGet, "/v2/jobs", "list-jobs", "List jobs",
		jobsTag, http.StatusBadRequest, http.StatusForbidden), a.listJobs)
	register(a, api, operation(api, http.MethodGet, "/v2/jobs/{id}", "get-job", "Get a job with its attempts",
		jobsTag, http.StatusForbidden, http.StatusNotFound), a.getJob)
	register(a, api, operation(api, http.MethodPost, "/v2/jobs/{id}/retry", "retry-job", "Queue a failed or canceled job again",
		jobsTag, http.StatusForbidden, http.StatusNotFound), a.retryJob)
	register(a, api, operation(api, http.MethodPost, "/v2/jobs/{id}/cancel", "cancel-job", "Cancel a job",
		jobsTag, http.StatusForbidden, http.StatusNotFound), a.cancelJob)
}

func (a *API) queueCapture(ctx context.Context, in *captureInput) (*reply[JobDocument], error) {
	if !printable(in.Body.URI) || hideUser(in.Body.URI) != in.Body.URI {
		return nil, refuse(http.StatusBadRequest, "bad request", "body.uri: control characters, or a user or password in it")
	}
	job, err := a.config.Actions.Enqueue(ctx, Capture{
		AppID: appOf(ctx), URI: in.Body.URI, Outputs: json.RawMessage(in.Body.Outputs),
	})
	if err != nil {
		return nil, fmt.Errorf("queue a capture: %w", err)
	}
	return &reply[JobDocument]{Body: jobDocument(job)}, nil
}

func (a *API) listJobs(ctx context.Context, in *jobsInput) (*reply[Page[JobDocument]], error) {
	if err := a.checkRoom(ctx, in.RoomID); err != nil {
		return nil, err
	}
	if err := a.checkJobStart(ctx, in.Start); err != nil {
		return nil, err
	}
	f := catalog.JobFilter{
		Kind: catalog.CaptureJob, RoomID: in.RoomID, State: catalog.JobState(in.State),
		After: in.Start, Limit: in.Limit + 1,
	}
	if in.ParentID != "" {
		f.Kind, f.ParentID = catalog.PartJob, in.ParentID
	}
	found, err := a.config.Catalog.ListJobsOfApp(ctx, appOf(ctx), f)
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	return page(in.Limit, found, jobID, jobDocument), nil
}

// checkJobStart refuses the start of a page that is not a job of the caller's
// app.
func (a *API) checkJobStart(ctx context.Context, start string) error {
	if start == "" {
		return nil
	}
	_, err := a.ownJob(ctx, "job", start)
	return checkStart(start, err)
}

func (a *API) getJob(ctx context.Context, in *JobID) (*reply[JobDocument], error) {
	job, err := a.ownJob(ctx, "job", in.ID)
	if err != nil {
		return nil, err
	}
	attempts, err := a.config.Catalog.Attempts(ctx, in.ID)
	if err != nil {
		return nil, fmt.Errorf("attempts of job %s: %w", in.ID, err)
	}
	d := jobDocument(job)
	for _, at := range attempts {
		d.AttemptLog = append(d.AttemptLog, AttemptDocument{
			Stage: at.Stage, Ending: at.Ending, Error: at.Failure,
			StartedAt: at.StartedAt.UTC(), EndedAt: at.EndedAt.UTC(), Usage: at.Usage,
		})
	}
	return &reply[JobDocument]{Body: d}, nil
}

func (a *API) retryJob(ctx context.Context, in *jobActionInput) (*reply[JobDocument], error) {
	return a.changeJob(ctx, in.ID, "retry", a.config.Catalog.RetryJob)
}

// cancelJob answers that a canceled job is canceled: who asks twice, because
// the first answer got lost, has what they want.
func (a *API) cancelJob(ctx context.Context, in *jobActionInput) (*reply[JobDocument], error) {
	return a.changeJob(ctx, in.ID, "cancel", func(ctx context.Context, id string) (catalog.Job, error) {
		job, err := a.config.Catalog.JobByID(ctx, id)
		if err == nil && job.State == catalog.JobCanceled {
			return job, nil
		}
		return a.config.Catalog.CancelJob(ctx, id)
	})
}

func (a *API) changeJob(
	ctx context.Context, id, verb string, change func(context.Context, string) (catalog.Job, error),
) (*reply[JobDocument], error) {
	before, err := a.ownJob(ctx, "job", id)
	if err != nil {
		return nil, err
	}
	job, err := change(ctx, id)
	switch {
	case errors.Is(err, catalog.ErrInvalid):
		return nil, refuse(http.StatusConflict, "conflict", fmt.Sprintf("cannot %s a %s that is %s", verb, before.Kind, before.State))
	case err != nil:
		return nil, fmt.Errorf("%s job %s: %w", verb, id, err)
	}
	return &reply[JobDocument]{Body: jobDocument(job)}, nil
}
