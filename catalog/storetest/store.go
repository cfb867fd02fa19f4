package storetest

import (
	"context"
	"time"

	"rushes/catalog"
)

// Store is a catalog: what sqlstore.Store says of the methods is what the suite
// holds them to.
type Store interface {
	work
	sweeping
	places
	backfills
	apps
	// Close closes the handle.
	Close() error
	// RegisterAssets and the others keep the assets.
	RegisterAssets(ctx context.Context, claim catalog.Claim, assets []catalog.Asset) ([]catalog.Asset, error)
	AssetByID(ctx context.Context, id string) (catalog.Asset, error)
	AssetByKey(ctx context.Context, key string) (catalog.Asset, error)
	ListAssets(ctx context.Context, f catalog.Filter) ([]catalog.Asset, error)
	DeleteAsset(ctx context.Context, id string) error
}

// work is what changes one job.
type work interface {
	AddJob(ctx context.Context, j catalog.Job, dispatch bool) (job catalog.Job, created bool, err error)
	AddJobs(ctx context.Context, jobs []catalog.Job, dispatch bool) (added []catalog.Job, created int, err error)
	AddGeneration(ctx context.Context, j catalog.Job, dispatch bool) (catalog.Job, error)
	JobByID(ctx context.Context, id string) (catalog.Job, error)
	ListJobs(ctx context.Context, f catalog.JobFilter) ([]catalog.Job, error)
	CountJobs(ctx context.Context) ([]catalog.JobCount, error)
	Attempts(ctx context.Context, jobID string) ([]catalog.AttemptRecord, error)
	ClaimJob(ctx context.Context, id, worker string) (catalog.Job, error)
	SeizeJob(ctx context.Context, id, worker string) (catalog.Job, error)
	Heartbeat(ctx context.Context, claim catalog.Claim) (cancel bool, err error)
	UpdateJob(ctx context.Context, claim catalog.Claim, stage string, permille int) error
	EndAttempt(ctx context.Context, claim catalog.Claim, end catalog.Attempt) (catalog.Job, error)
	CancelJob(ctx context.Context, id string) (catalog.Job, error)
	RetryJob(ctx context.Context, id string) (catalog.Job, error)
}

// sweeping is what the dispatcher and the sweeper do.
type sweeping interface {
	DueTickets(ctx context.Context, limit int) ([]catalog.Ticket, error)
	Dispatched(ctx context.Context, tickets []catalog.Ticket) error
	Waiting(ctx context.Context, before time.Time, afterJob string, limit int) ([]catalog.Ticket, error)
	Redispatch(ctx context.Context, jobIDs []string) error
	Lease(ctx context.Context, name, holder string, ttl time.Duration) (bool, error)
	Release(ctx context.Context, name, holder string) error
	TakeOver(ctx context.Context, before time.Time, mostTakeovers, limit int) ([]catalog.Job, error)
}

type places interface {
	ReservePlace(ctx context.Context, claim catalog.Claim, assetKey, path string) error
	Strays(ctx context.Context, limit int) ([]catalog.Place, error)
	ForgetPlaces(ctx context.Context, paths []string) error
}

type backfills interface {
	CreateBackfill(ctx context.Context, b catalog.Backfill, assetIDs []string) (catalog.Backfill, error)
	Backfill(ctx context.Context, id string) (catalog.Backfill, error)
	Backfills(ctx context.Context) ([]catalog.Backfill, error)
	SetBackfillState(ctx context.Context, id string, state catalog.BackfillState) error
	NextItems(ctx context.Context, backfillID string, limit int) ([]catalog.BackfillItem, error)
	Items(ctx context.Context, backfillID string, state catalog.BackfillItemState, afterAsset string, limit int) ([]catalog.BackfillItem, error)
	UpdateItem(ctx context.Context, item catalog.BackfillItem) error
	CountItems(ctx context.Context, backfillID string) ([]catalog.BackfillCount, error)
}

// apps is what the API needs.
type apps interface {
	CreateKey(ctx context.Context, k catalog.AccessKey) (catalog.AccessKey, error)
	KeyByAccessKey(ctx context.Context, accessKey string) (catalog.AccessKey, error)
	AccessKeys(ctx context.Context, app string) ([]catalog.AccessKey, error)
	RevokeKey(ctx context.Context, accessKey string) error
	GiveRoom(ctx context.Context, roomID, app string) (owner string, err error)
	AppOfRoom(ctx context.Context, roomID string) (string, error)
	AppOfJob(ctx context.Context, jobID string) (string, error)
	ListAssetsOfApp(ctx context.Context, app string, f catalog.Filter) ([]catalog.Asset, error)
	ListJobsOfApp(ctx context.Context, app string, f catalog.JobFilter) ([]catalog.Job, error)
	ListRecordings(ctx context.Context, app string, f catalog.RecordingFilter) ([]catalog.Job, error)
	AssetsOfCapture(ctx context.Context, captureKey string) ([]catalog.Asset, error)
	AssetTypesOfCaptures(ctx context.Context, captureKeys []string) (map[string][]catalog.AssetType, error)
	ReserveRequest(ctx context.Context, r catalog.Request, stale, expired time.Time) (_ catalog.Request, first bool, err error)
	AnswerRequest(ctx context.Context, r catalog.Request) error
	ReleaseRequest(ctx context.Context, r catalog.Request) error
	ForgetRequests(ctx context.Context, expired time.Time) error
}
