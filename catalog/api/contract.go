package api

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"rushes/catalog"
	"rushes/catalog/blob"
)

// Catalog is what the API reads of the catalog. Its methods are safe for
// concurrent use. A thing that is not there is an error that wraps
// catalog.ErrNotFound.
type Catalog interface {
	// AssetByID returns the asset, superseded or not.
	AssetByID(ctx context.Context, id string) (catalog.Asset, error)
	// JobByID returns the job.
	JobByID(ctx context.Context, id string) (catalog.Job, error)
	// AppOfJob returns the id of the app that the job belongs to, and with it the
	// job's assets.
	AppOfJob(ctx context.Context, jobID string) (string, error)
	// AppOfRoom returns the id of the app that the room belongs to.
	AppOfRoom(ctx context.Context, roomID string) (string, error)
	// ListAssetsOfApp returns those of the app's assets that the filter chooses,
	// the greatest id first. It does not return assets that newer ones replace.
	ListAssetsOfApp(ctx context.Context, app string, f catalog.Filter) ([]catalog.Asset, error)
	// ListJobsOfApp returns those of the app's jobs that the filter chooses, the
	// greatest id first.
	ListJobsOfApp(ctx context.Context, app string, f catalog.JobFilter) ([]catalog.Job, error)
	// ListRecordings returns those of the app's jobs that stand for recordings
	// and that the filter chooses, the greatest id first.
	ListRecordings(ctx context.Context, app string, f catalog.RecordingFilter) ([]catalog.Job, error)
	// AssetsOfCapture returns the assets of all jobs with that capture key, parts
	// left out, that no newer ones replace: the smallest id first.
	AssetsOfCapture(ctx context.Context, captureKey string) ([]catalog.Asset, error)
	// AssetTypesOfCaptures returns the types of the assets that AssetsOfCapture
	// returns, each type once, for each of the capture keys that has any.
	AssetTypesOfCaptures(ctx context.Context, captureKeys []string) (map[string][]catalog.AssetType, error)
	// Attempts returns the log of the job's ended attempts, the oldest first.
	Attempts(ctx context.Context, jobID string) ([]catalog.AttemptRecord, error)
	// RetryJob queues a failed or canceled job again, with all its attempts before
	// it, and returns it. A job in another state, or a part, is an error that wraps
	// catalog.ErrInvalid.
	RetryJob(ctx context.Context, id string) (catalog.Job, error)
	// CancelJob ends a waiting job as canceled, asks for the end of a running one,
	// and returns it. A job that is over is an error that wraps
	// catalog.ErrInvalid.
	CancelJob(ctx context.Context, id string) (catalog.Job, error)
}

// Actions changes things on behalf of an app. What the app may not have is an
// error that wraps ErrForbidden, input that cannot be used one that wraps
// catalog.ErrInvalid or has a method BadInput() bool that says so; both change
// nothing.
type Actions interface {
	// Enqueue opens the capture, makes its room the app's where it is nobody's,
	// and queues it. A capture that is queued or made already is returned as it
	// is.
	Enqueue(ctx context.Context, c Capture) (catalog.Job, error)
	// Reprocess queues the capture of an asset to be made again. What it makes
	// replaces the asset when it is finished.
	Reprocess(ctx context.Context, r Reprocess) (catalog.Job, error)
	// DeleteAsset removes the asset's bytes, its thumbnails and its row. It may be
	// repeated, also after an error. An asset that is still being made is an
	// error that wraps ErrWrongState.
	DeleteAsset(ctx context.Context, id string) error
}

// Capture is a wish to have a capture made into assets.
type Capture struct {
	// AppID is whose it is.
	AppID string
	// URI is where it lies, as the caller wrote it. Which places may be read is
	// for Actions to decide.
	URI string
	// Outputs has those fields of "outputs" (capture.md) that are to be other than
	// in the manifest: a JSON object, or empty.
	Outputs json.RawMessage
}

// Reprocess is a wish to have an asset made again.
type Reprocess struct {
	// AppID is who asks for it; the asset is that app's.
	AppID string
	// Asset is what is to be replaced.
	Asset catalog.Asset
	// Composition has those fields of "outputs.composition" (capture.md) that are
	// to be other than before: a JSON object, or empty.
	Composition json.RawMessage
}

// Keys finds access keys.
type Keys interface {
	// KeyByAccessKey returns the key, or an error that wraps catalog.ErrNotFound
	// when there is none or it has been revoked.
	KeyByAccessKey(ctx context.Context, accessKey string) (catalog.AccessKey, error)
}

// Idempotency keeps the answers to requests that carry an Idempotency-Key.
type Idempotency interface {
	// ReserveRequest writes r down, unconditionally first for its app and key, and
	// reports true. Where there is a row for them already it returns that row and
	// false, except that it replaces rows made before stale that have no answer,
	// and rows made before expired. It is one transaction.
	ReserveRequest(ctx context.Context, r catalog.Request, stale, expired time.Time) (catalog.Request, bool, error)
	// AnswerRequest adds the answer to the row of r, if r.Holder still has it.
	AnswerRequest(ctx context.Context, r catalog.Request) error
	// ReleaseRequest removes the row of r, if r.Holder still has it and it has no answer.
	ReleaseRequest(ctx context.Context, r catalog.Request) error
}

// Objects is what the API reads of the store: the playlists of room-vod
// assets. A blob.Store is one.
type Objects interface {
	// Get is that of blob.Store.
	Get(ctx context.Context, key string, r blob.Range) (io.ReadCloser, error)
}

// Check is something that the service cannot work without.
type Check struct {
	// Name is shown to everybody.
	Name string
	// Run returns nil when all is well. Its error goes to the log only.
	Run func(ctx context.Context) error
}
