package sqlstore

import (
	"context"
	"fmt"
	"time"

	"rushes/catalog"
	"rushes/catalog/sqlstore/internal/sqlc"
)

const (
	// afterAllIDs sorts after every id, which are hex digits.
	afterAllIDs = "g"
	// idSlack is by how much the time in an asset's id and its CreatedAt may
	// differ, for lists of a range of time: a clock may have been set back.
	idSlack = time.Hour
)

// appFilter is whose assets or jobs are listed.
type appFilter struct {
	any int64 // 1: everybody's
	id  string
}

// ListAssets returns a page of the assets that the filter chooses, newest
// first. The id of the last one is the next page's Filter.After; a page
// shorter than its limit is the last one. Pages stay right while assets are
// added: what is added is newer than what was listed. Assets whose CreatedAt
// was given and is more than an hour from their registration are not found by
// From and Before.
func (s *Store) ListAssets(ctx context.Context, f catalog.Filter) ([]catalog.Asset, error) {
	return s.listAssets(ctx, appFilter{any: 1}, f)
}

// ListAssetsOfApp is ListAssets for the assets of the app's jobs.
func (s *Store) ListAssetsOfApp(ctx context.Context, app string, f catalog.Filter) ([]catalog.Asset, error) {
	return s.listAssets(ctx, appFilter{id: app}, f)
}

func (s *Store) listAssets(ctx context.Context, app appFilter, f catalog.Filter) ([]catalog.Asset, error) {
	if err := checkPage(f.After, &f.Limit); err != nil {
		return nil, fmt.Errorf("list assets: %w", err)
	}
	rows, err := s.listRows(ctx, app, f)
	if s.unstorable(err) { // nothing that is stored can meet the filter
		return []catalog.Asset{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list assets: %w", err)
	}
	return assetsFromRows(rows)
}

// checkPage checks what bounds a page, and fills the limit in.
func checkPage(after string, limit *int) error {
	if *limit < 0 || *limit > catalog.MaxPage {
		return fmt.Errorf("limit %d: %w", *limit, catalog.ErrInvalid)
	}
	if after != "" && !catalog.ValidID(after) {
		return fmt.Errorf("after %q: %w", after, catalog.ErrInvalid)
	}
	if *limit == 0 {
		*limit = catalog.MaxPage
	}
	return nil
}

// assetPage is what every list of assets is asked, whatever its filters are.
type assetPage struct {
	before, after string // ids, both excluded
	from, until   int64  // microseconds, from included; 0 does not bound
	limit         int64
}

// pageOf turns the bounds of time into bounds of the ids too, which begin with
// the second in hex digits: the index then skips what is out of them.
func pageOf(f catalog.Filter) assetPage {
	p := assetPage{before: f.After, from: micros(f.From), until: micros(f.Before), limit: int64(f.Limit)}
	if p.before == "" {
		p.before = afterAllIDs
	}
	if !f.From.IsZero() {
		p.after = secondInID(f.From.Add(-idSlack))
	}
	if !f.Before.IsZero() {
		p.before = min(p.before, secondInID(f.Before.Add(idSlack)))
	}
	return p
}

// secondInID sorts before all ids of the second and after those before it.
func secondInID(t time.Time) string {
	return fmt.Sprintf("%08x", min(max(t.Unix(), 0), 1<<32-1))
}

// listRows picks the query whose index fits the most selective filter.
func (s *Store) listRows(ctx context.Context, app appFilter, f catalog.Filter) ([]sqlc.Asset, error) {
	p, kind, status := pageOf(f), string(f.Type), string(f.Status)
	superseded := int64(0)
	if f.Superseded {
		superseded = 1
	}
	switch {
	case f.JobID != "":
		return s.queries.ListAssetsByJob(ctx, sqlc.ListAssetsByJobParams{
			JobID: f.JobID, SessionID: f.SessionID, RoomID: f.RoomID, Type: kind, Status: status, Software: f.Software, AnyApp: app.any, AppID: app.id, Superseded: superseded,
			Before: p.before, After: p.after, CreatedFrom: p.from, CreatedBefore: p.until, MaxRows: p.limit,
		})
	case f.SessionID != "":
		return s.queries.ListAssetsBySession(ctx, sqlc.ListAssetsBySessionParams{
			SessionID: f.SessionID, RoomID: f.RoomID, Type: kind, Status: status, Software: f.Software, AnyApp: app.any, AppID: app.id, Superseded: superseded,
			Before: p.before, After: p.after, CreatedFrom: p.from, CreatedBefore: p.until, MaxRows: p.limit,
		})
	case f.RoomID != "" && !f.Superseded && kind+status != "":
		return s.listRoom(ctx, app, f)
	case f.RoomID != "":
		return s.queries.ListAssetsByRoom(ctx, sqlc.ListAssetsByRoomParams{
			RoomID: f.RoomID, Type: kind, Status: status, Software: f.Software, AnyApp: app.any, AppID: app.id, Superseded: superseded,
			Before: p.before, After: p.after, CreatedFrom: p.from, CreatedBefore: p.until, MaxRows: p.limit,
		})
	case f.Superseded:
		return s.queries.ListAllAssets(ctx, sqlc.ListAllAssetsParams{
			Type: kind, Status: status, Software: f.Software, AnyApp: app.any, AppID: app.id, Superseded: superseded,
			Before: p.before, After: p.after, CreatedFrom: p.from, CreatedBefore: p.until, MaxRows: p.limit,
		})
	case app.any == 0:
		return s.listApp(ctx, app, f)
	}
	return s.listCurrent(ctx, app, f)
}

// listRoom lists the current assets of a room by type, status or both. Of both,
// the status leads unless it is what most assets have.
func (s *Store) listRoom(ctx context.Context, app appFilter, f catalog.Filter) ([]sqlc.Asset, error) {
	p, kind, status := pageOf(f), string(f.Type), string(f.Status)
	switch {
	case kind != "" && (status == "" || status == string(catalog.AssetCompleted)):
		return s.queries.ListCurrentAssetsOfRoomByType(ctx, sqlc.ListCurrentAssetsOfRoomByTypeParams{
			RoomID: f.RoomID, Type: kind, Status: status, Software: f.Software, AnyApp: app.any, AppID: app.id,
			Before: p.before, After: p.after, CreatedFrom: p.from, CreatedBefore: p.until, MaxRows: p.limit,
		})
	}
	return s.queries.ListCurrentAssetsOfRoomByStatus(ctx, sqlc.ListCurrentAssetsOfRoomByStatusParams{
		RoomID: f.RoomID, Status: status, Type: kind, Software: f.Software, AnyApp: app.any, AppID: app.id,
		Before: p.before, After: p.after, CreatedFrom: p.from, CreatedBefore: p.until, MaxRows: p.limit,
	})
}

// listApp lists the current assets of an app.
func (s *Store) listApp(ctx context.Context, app appFilter, f catalog.Filter) ([]sqlc.Asset, error) {
	p, kind, status := pageOf(f), string(f.Type), string(f.Status)
	switch {
	case kind != "" && (status == "" || status == string(catalog.AssetCompleted)):
		return s.queries.ListCurrentAssetsOfAppByType(ctx, sqlc.ListCurrentAssetsOfAppByTypeParams{
			AppID: app.id, Type: kind, Status: status, Software: f.Software,
			Before: p.before, After: p.after, CreatedFrom: p.from, CreatedBefore: p.until, MaxRows: p.limit,
		})
	case status != "":
		return s.queries.ListCurrentAssetsOfAppByStatus(ctx, sqlc.ListCurrentAssetsOfAppByStatusParams{
			AppID: app.id, Status: status, Type: kind, Software: f.Software,
			Before: p.before, After: p.after, CreatedFrom: p.from, CreatedBefore: p.until, MaxRows: p.limit,
		})
	}
	return s.queries.ListCurrentAssetsOfApp(ctx, sqlc.ListCurrentAssetsOfAppParams{
		AppID: app.id, Software: f.Software,
		Before: p.before, After: p.after, CreatedFrom: p.from, CreatedBefore: p.until, MaxRows: p.limit,
	})
}

// listCurrent lists everybody's current assets.
func (s *Store) listCurrent(ctx context.Context, app appFilter, f catalog.Filter) ([]sqlc.Asset, error) {
	p, kind, status := pageOf(f), string(f.Type), string(f.Status)
	switch {
	case f.Software != "":
		return s.queries.ListCurrentAssetsBySoftware(ctx, sqlc.ListCurrentAssetsBySoftwareParams{
			Software: f.Software, Type: kind, Status: status, AnyApp: app.any, AppID: app.id,
			Before: p.before, After: p.after, CreatedFrom: p.from, CreatedBefore: p.until, MaxRows: p.limit,
		})
	case kind != "" && (status == "" || status == string(catalog.AssetCompleted)):
		return s.queries.ListCurrentAssetsByType(ctx, sqlc.ListCurrentAssetsByTypeParams{
			Type: kind, Status: status, Software: f.Software, AnyApp: app.any, AppID: app.id,
			Before: p.before, After: p.after, CreatedFrom: p.from, CreatedBefore: p.until, MaxRows: p.limit,
		})
	case status != "":
		return s.queries.ListCurrentAssetsByStatus(ctx, sqlc.ListCurrentAssetsByStatusParams{
			Status: status, Type: kind, Software: f.Software, AnyApp: app.any, AppID: app.id,
			Before: p.before, After: p.after, CreatedFrom: p.from, CreatedBefore: p.until, MaxRows: p.limit,
		})
	}
	return s.queries.ListCurrentAssets(ctx, sqlc.ListCurrentAssetsParams{
		Software: f.Software, AnyApp: app.any, AppID: app.id,
		Before: p.before, After: p.after, CreatedFrom: p.from, CreatedBefore: p.until, MaxRows: p.limit,
	})
}
