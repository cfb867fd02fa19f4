package api_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"rushes/catalog"
	"rushes/catalog/api"
	"rushes/catalog/sqlstore"
)

// owned is the real catalog with the rows that say whose what is.
type owned struct {
	*sqlstore.Store
	mu    sync.Mutex
	rooms map[string]string
	jobs  map[string]string
}

var _ api.Catalog = (*owned)(nil)

func (o *owned) give(j catalog.Job, app string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.jobs[j.ID] = app
	if o.rooms[j.RoomID] == "" {
		o.rooms[j.RoomID] = app
	}
}

func (o *owned) AppOfJob(_ context.Context, id string) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if app := o.jobs[id]; app != "" {
		return app, nil
	}
	return defaultApp, nil
}

func (o *owned) AppOfRoom(_ context.Context, id string) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if app := o.rooms[id]; app != "" {
		return app, nil
	}
	return "", catalog.ErrNotFound
}

// pick reads list after list until there are enough that fit.
func pick[T any](limit int, after string, id func(T) string, list func(after string) ([]T, error), fits func(T) bool) ([]T, error) {
	var picked []T
	for {
		found, err := list(after)
		if err != nil {
			return nil, err
		}
		for _, x := range found {
			if after = id(x); fits(x) {
				if picked = append(picked, x); len(picked) == limit {
					return picked, nil
				}
			}
		}
		if len(found) < limit {
			return picked, nil
		}
	}
}

func (o *owned) ListAssetsOfApp(ctx context.Context, app string, f catalog.Filter) ([]catalog.Asset, error) {
	return pick(f.Limit, f.After, func(a catalog.Asset) string { return a.ID },
		func(after string) ([]catalog.Asset, error) {
			f.After = after
			return o.ListAssets(ctx, f)
		},
		func(a catalog.Asset) bool {
			owner, _ := o.AppOfJob(ctx, a.JobID)
			return owner == app
		})
}

func (o *owned) ListJobsOfApp(ctx context.Context, app string, f catalog.JobFilter) ([]catalog.Job, error) {
	return o.pickJobs(ctx, app, f, func(catalog.Job) bool { return true })
}

func (o *owned) pickJobs(ctx context.Context, app string, f catalog.JobFilter, fits func(catalog.Job) bool) ([]catalog.Job, error) {
	return pick(f.Limit, f.After, func(j catalog.Job) string { return j.ID },
		func(after string) ([]catalog.Job, error) {
			f.After = after
			return o.ListJobs(ctx, f)
		},
		func(j catalog.Job) bool {
			owner, _ := o.AppOfJob(ctx, j.ID)
			return owner == app && fits(j)
		})
}

func (o *owned) ListRecordings(ctx context.Context, app string, f catalog.RecordingFilter) ([]catalog.Job, error) {
	return o.pickJobs(ctx, app, catalog.JobFilter{Kind: catalog.CaptureJob, RoomID: f.RoomID, After: f.After, Limit: f.Limit},
		func(j catalog.Job) bool {
			return j.Generation == 0 && (j.Source == "live-stream") == f.Live &&
				(f.SessionID == "" || f.SessionID == j.SessionID) &&
				(len(f.States) == 0 || slices.Contains(f.States, j.State))
		})
}

func (o *owned) AssetsOfCapture(ctx context.Context, captureKey string) ([]catalog.Asset, error) {
	jobs, err := o.ListJobs(ctx, catalog.JobFilter{Kind: catalog.CaptureJob})
	if err != nil {
		return nil, err
	}
	var assets []catalog.Asset
	for _, j := range jobs {
		if j.CaptureKey != captureKey {
			continue
		}
		found, err := o.ListAssets(ctx, catalog.Filter{JobID: j.ID})
		if err != nil {
			return nil, err
		}
		assets = append(assets, found...)
	}
	slices.SortFunc(assets, func(a, b catalog.Asset) int { return strings.Compare(a.ID, b.ID) })
	return assets, nil
}

func (o *owned) AssetTypesOfCaptures(ctx context.Context, keys []string) (map[string][]catalog.AssetType, error) {
	types := map[string][]catalog.AssetType{}
	for _, key := range keys {
		assets, err := o.AssetsOfCapture(ctx, key)
		if err != nil {
			return nil, err
		}
		for _, a := range assets {
			types[key] = append(types[key], a.Type)
		}
	}
	return types, nil
}

type keyring map[string]catalog.AccessKey

func (k keyring) KeyByAccessKey(_ context.Context, accessKey string) (catalog.AccessKey, error) {
	if key, ok := k[accessKey]; ok {
		return key, nil
	}
	return catalog.AccessKey{}, fmt.Errorf("access key: %w", catalog.ErrNotFound)
}

// rows keeps the answers to idempotency keys, as a table would.
type rows struct {
	mu   sync.Mutex
	rows map[[2]string]catalog.Request
}

func (s *rows) ReserveRequest(_ context.Context, r catalog.Request, stale, expired time.Time) (catalog.Request, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := [2]string{r.AppID, r.Key}
	old, there := s.rows[id]
	if there && !old.CreatedAt.Before(expired) && (old.Status != 0 || !old.CreatedAt.Before(stale)) {
		return old, false, nil
	}
	s.rows[id] = r
	return r, true, nil
}

func (s *rows) AnswerRequest(_ context.Context, r catalog.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id := [2]string{r.AppID, r.Key}; s.rows[id].Holder == r.Holder {
		r.Body = bytes.Clone(r.Body)
		s.rows[id] = r
	}
	return nil
}

func (s *rows) ReleaseRequest(_ context.Context, r catalog.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := [2]string{r.AppID, r.Key}
	if old := s.rows[id]; old.Holder == r.Holder && old.Status == 0 {
		delete(s.rows, id)
	}
	return nil
}

// actions does what pipeline does, without media: the address of a capture
// says its room.
type actions struct {
	world *world
	mu    sync.Mutex
	calls []string
	block chan struct{} // where it is set, Enqueue waits for it
	panic bool
}

func (a *actions) note(call string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = append(a.calls, call)
}

func (a *actions) Enqueue(ctx context.Context, c api.Capture) (catalog.Job, error) {
	a.note("enqueue " + c.URI + " " + string(c.Outputs))
	if a.panic {
		panic("a bug with " + linkSecret[:3])
	}
	if a.block != nil {
		select {
		case <-a.block:
		case <-ctx.Done():
			return catalog.Job{}, ctx.Err()
		}
	}
	room, ok := strings.CutPrefix(c.URI, "captures/of/")
	if !ok {
		return catalog.Job{}, fmt.Errorf("open capture %s: no manifest: %w", c.URI, catalog.ErrInvalid)
	}
	if owner, err := a.world.catalog.AppOfRoom(ctx, room); err == nil && owner != c.AppID {
		return catalog.Job{}, fmt.Errorf("room %s: %w", room, api.ErrForbidden)
	}
	job, _, err := a.world.store.AddJob(ctx, catalog.Job{
		CaptureKey: c.URI, CaptureURI: c.URI, RoomID: room, SessionID: "s", Source: "sfu", Options: c.Outputs,
	}, true)
	if err == nil {
		a.world.catalog.give(job, c.AppID)
	}
	return job, err
}

func (a *actions) Reprocess(ctx context.Context, r api.Reprocess) (catalog.Job, error) {
	a.note("reprocess " + r.Asset.ID + " " + string(r.Composition))
	job, err := a.world.store.JobByID(ctx, r.Asset.JobID)
	if err != nil {
		return job, err
	}
	next := catalog.Job{
		CaptureKey: job.CaptureKey, CaptureURI: job.CaptureURI, RoomID: job.RoomID, SessionID: job.SessionID, Source: job.Source,
	}
	next, err = a.world.store.AddGeneration(ctx, next, true)
	if err == nil {
		a.world.catalog.give(next, r.AppID)
	}
	return next, err
}

func (a *actions) DeleteAsset(ctx context.Context, id string) error {
	a.note("delete " + id)
	asset, err := a.world.store.AssetByID(ctx, id)
	if err != nil {
		return err
	}
	if err := a.world.objects.Delete(ctx, asset.Path); err != nil {
		return err
	}
	return a.world.store.DeleteAsset(ctx, id)
}
