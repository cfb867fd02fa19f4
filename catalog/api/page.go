package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"rushes/catalog"
)

// Page is one page of a list, newest first.
type Page[T any] struct {
	// Limit is the number of things that were asked for.
	Limit int `json:"limit" doc:"The page's size that was asked for"`
	// Data is the page.
	Data []T `json:"data" nullable:"false"`
	// Last is the next page's start, or "" on the last page.
	Last string `json:"last" doc:"The next page's start; empty on the last page"`
}

// PageQuery is how lists are paged (api.md, "Pages").
type PageQuery struct {
	// Limit is the size of the page.
	Limit int `query:"limit" minimum:"10" maximum:"100" default:"10" doc:"Size of the page"`
	// Start is the id of the last thing of the page before, or "".
	Start string `query:"start" pattern:"^[0-9a-f]{24}$" doc:"The previous page's last"`
}

// page cuts the page out of what was found, of which there is one more when
// there is a next page.
func page[S, T any](limit int, found []S, id func(S) string, show func(S) T) *reply[Page[T]] {
	p := Page[T]{Limit: limit, Data: make([]T, 0, min(limit, len(found)))}
	if len(found) > limit {
		found = found[:limit]
		p.Last = id(found[limit-1])
	}
	for _, f := range found {
		p.Data = append(p.Data, show(f))
	}
	return &reply[Page[T]]{Body: p}
}

// appOf returns whose the caller is.
func appOf(ctx context.Context) string { return stateOf(ctx).app }

// checkRoom refuses a filter by another app's room. A room that nobody has yet
// is an empty list.
func (a *API) checkRoom(ctx context.Context, roomID string) error {
	if roomID == "" {
		return nil
	}
	owner, err := a.config.Catalog.AppOfRoom(ctx, roomID)
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("app of room %q: %w", roomID, err)
	case owner != appOf(ctx):
		return fmt.Errorf("room %q: %w", roomID, ErrForbidden)
	}
	return nil
}

// checkJob refuses a job, and what it made, that is another app's.
func (a *API) checkJob(ctx context.Context, jobID string) error {
	owner, err := a.config.Catalog.AppOfJob(ctx, jobID)
	if err != nil {
		return fmt.Errorf("app of job %s: %w", jobID, err)
	}
	if owner != appOf(ctx) {
		return fmt.Errorf("job %s: %w", jobID, ErrForbidden)
	}
	return nil
}

// checkStart refuses a page's start that was found, by ownAsset or ownJob, to
// be another app's. One that is gone is fine: pages go on behind what was
// deleted.
func checkStart(start string, err error) error {
	var missing *Error
	switch {
	case err == nil, errors.As(err, &missing) && missing.Code == http.StatusNotFound:
		return nil
	case errors.Is(err, ErrForbidden):
		return refuse(http.StatusBadRequest, "bad request", fmt.Sprintf("query.start: %s is not from this list", start))
	}
	return err
}

// lookUp finds a thing of the caller's app by the id of a path. An id that
// cannot be one is a thing that is not there.
func lookUp[T any](ctx context.Context, what, id string, find func(context.Context, string) (T, error)) (T, error) {
	var none T
	missing := refuse(http.StatusNotFound, what+" not found")
	if !catalog.ValidID(id) {
		return none, missing
	}
	thing, err := find(ctx, id)
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		return none, missing
	case err != nil:
		return none, fmt.Errorf("look up %s %s: %w", what, id, err)
	}
	return thing, nil
}

// ownAsset finds an asset of the caller's app.
func (a *API) ownAsset(ctx context.Context, id string) (catalog.Asset, error) {
	return lookUp(ctx, "recording asset", id, func(ctx context.Context, id string) (catalog.Asset, error) {
		asset, err := a.config.Catalog.AssetByID(ctx, id)
		if err != nil {
			return asset, err
		}
		return asset, a.checkJob(ctx, asset.JobID)
	})
}

// ownJob finds a job of the caller's app, in the caller's words for it.
func (a *API) ownJob(ctx context.Context, what, id string) (catalog.Job, error) {
	return lookUp(ctx, what, id, func(ctx context.Context, id string) (catalog.Job, error) {
		job, err := a.config.Catalog.JobByID(ctx, id)
		if err != nil {
			return job, err
		}
		return job, a.checkJob(ctx, id)
	})
}
