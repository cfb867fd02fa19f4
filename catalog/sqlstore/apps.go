package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"rushes/catalog"
	"rushes/catalog/sqlstore/internal/sqlc"
)

// CreateKey writes the access key down. One that is there already, also a
// revoked one, is an error.
func (s *Store) CreateKey(ctx context.Context, k catalog.AccessKey) (catalog.AccessKey, error) {
	if k.AccessKey == "" || k.AppID == "" || k.Secret == "" {
		return catalog.AccessKey{}, fmt.Errorf("create access key %q of app %q: a field is empty: %w", k.AccessKey, k.AppID, catalog.ErrInvalid)
	}
	if k.CreatedAt.IsZero() {
		k.CreatedAt = s.now()
	}
	k.CreatedAt, k.RevokedAt = fromMicros(micros(k.CreatedAt)), fromMicros(0)
	err := s.inTx(ctx, func(t tx) error {
		return t.InsertKey(ctx, sqlc.InsertKeyParams{
			AccessKey: k.AccessKey, AppID: k.AppID, Secret: k.Secret.Reveal(), CreatedAt: micros(k.CreatedAt),
		})
	})
	if err != nil {
		return catalog.AccessKey{}, fmt.Errorf("create access key %q: %w", k.AccessKey, err)
	}
	return k, nil
}

// KeyByAccessKey returns the key, or an error that wraps catalog.ErrNotFound
// when there is none or it has been revoked.
func (s *Store) KeyByAccessKey(ctx context.Context, accessKey string) (catalog.AccessKey, error) {
	row, err := s.queries.KeyByAccessKey(ctx, accessKey)
	if err == nil && row.RevokedAt != 0 {
		err = catalog.ErrNotFound
	}
	if err != nil {
		return catalog.AccessKey{}, lookupError("access key", accessKey, err)
	}
	return keyFromRow(row), nil
}

// AccessKeys returns the keys of the app, or of all apps for "", the revoked
// ones too, in the order of apps and keys.
func (s *Store) AccessKeys(ctx context.Context, app string) ([]catalog.AccessKey, error) {
	every := int64(0)
	if app == "" {
		every = 1
	}
	rows, err := s.queries.Keys(ctx, every, app)
	if err != nil {
		return nil, fmt.Errorf("list access keys of app %q: %w", app, err)
	}
	keys := make([]catalog.AccessKey, 0, len(rows))
	for _, r := range rows {
		keys = append(keys, keyFromRow(r))
	}
	return keys, nil
}

// RevokeKey makes the key worthless, for good. It may be repeated; one that was
// never there is a catalog.ErrNotFound.
func (s *Store) RevokeKey(ctx context.Context, accessKey string) error {
	return s.inTx(ctx, func(t tx) error {
		n, err := t.RevokeKey(ctx, t.now, accessKey)
		return changedOne("access key", accessKey, n, err)
	})
}

func keyFromRow(r sqlc.AccessKey) catalog.AccessKey {
	return catalog.AccessKey{
		AccessKey: r.AccessKey, AppID: r.AppID, Secret: catalog.Secret(r.Secret),
		CreatedAt: fromMicros(r.CreatedAt), RevokedAt: fromMicros(r.RevokedAt),
	}
}

// GiveRoom makes the room the app's if it is nobody's, and returns the id of the
// app that it belongs to.
func (s *Store) GiveRoom(ctx context.Context, roomID, app string) (owner string, err error) {
	err = s.inTx(ctx, func(t tx) error {
		if _, err := t.PutRoom(ctx, sqlc.PutRoomParams{RoomID: roomID, AppID: app, CreatedAt: t.now}); err != nil {
			return err
		}
		room, err := t.RoomByID(ctx, roomID)
		owner = room.AppID
		return err
	})
	if err != nil {
		return "", fmt.Errorf("give room %q to app %q: %w", roomID, app, err)
	}
	return owner, nil
}

// AppOfRoom returns the id of the app that the room belongs to, or an error that
// wraps catalog.ErrNotFound when it is nobody's.
func (s *Store) AppOfRoom(ctx context.Context, roomID string) (string, error) {
	room, err := s.queries.RoomByID(ctx, roomID)
	if err != nil {
		return "", lookupError("room", roomID, err)
	}
	return room.AppID, nil
}

// AppOfJob returns the id of the app that the job, and with it its assets,
// belongs to, or an error that wraps catalog.ErrNotFound.
func (s *Store) AppOfJob(ctx context.Context, jobID string) (string, error) {
	row, err := s.queries.JobByID(ctx, jobID)
	if err != nil {
		return "", lookupError("job", jobID, err)
	}
	return row.AppID, nil
}

// AssetsOfCapture returns the assets of all jobs with that CaptureKey, parts
// left out, that no newer ones replace: the smallest id first.
func (s *Store) AssetsOfCapture(ctx context.Context, captureKey string) ([]catalog.Asset, error) {
	rows, err := s.queries.AssetsOfCapture(ctx, captureKey)
	if err != nil {
		return nil, fmt.Errorf("assets of capture %q: %w", captureKey, err)
	}
	return assetsFromRows(rows)
}

// AssetTypesOfCaptures returns the types of the assets that AssetsOfCapture
// returns, each type once, for each of the CaptureKeys that has any.
func (s *Store) AssetTypesOfCaptures(ctx context.Context, captureKeys []string) (map[string][]catalog.AssetType, error) {
	types := make(map[string][]catalog.AssetType, len(captureKeys))
	for _, key := range captureKeys {
		rows, err := s.queries.AssetTypesOfCapture(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("types of the assets of capture %q: %w", key, err)
		}
		found := make([]catalog.AssetType, 0, len(rows))
		for _, t := range rows {
			found = append(found, catalog.AssetType(t))
		}
		if len(found) > 0 {
			types[key] = found
		}
	}
	return types, nil
}

// ListRecordings returns a page of those of the app's jobs that stand for
// recordings and that the filter chooses, newest first, as ListJobs does.
func (s *Store) ListRecordings(ctx context.Context, app string, f catalog.RecordingFilter) ([]catalog.Job, error) {
	if err := checkPage(f.After, &f.Limit); err != nil {
		return nil, fmt.Errorf("list recordings: %w", err)
	}
	if f.After == "" {
		f.After = afterAllIDs
	}
	if len(f.States) == 0 {
		f.States = catalog.JobStates()
	}
	// Each state has its stretch of the index: a page of each holds the page of
	// all.
	var rows []sqlc.Job
	for _, state := range slices.Compact(slices.Sorted(slices.Values(f.States))) {
		found, err := s.recordingsIn(ctx, app, string(state), f)
		if s.unstorable(err) {
			return []catalog.Job{}, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list recordings: %w", err)
		}
		rows = append(rows, found...)
	}
	slices.SortFunc(rows, func(a, b sqlc.Job) int { return cmp.Compare(b.ID, a.ID) })
	return jobsFromRows(rows[:min(len(rows), f.Limit)])
}

func (s *Store) recordingsIn(ctx context.Context, app, state string, f catalog.RecordingFilter) ([]sqlc.Job, error) {
	live := int64(0)
	if f.Live {
		live = 1
	}
	switch {
	case f.SessionID != "":
		return s.queries.ListRecordingsBySession(ctx, sqlc.ListRecordingsBySessionParams{
			SessionID: f.SessionID, RoomID: f.RoomID, State: state, Live: live, AppID: app, Before: f.After, MaxRows: int64(f.Limit),
		})
	case f.RoomID != "":
		return s.queries.ListRecordingsByRoom(ctx, sqlc.ListRecordingsByRoomParams{
			RoomID: f.RoomID, State: state, Live: live, AppID: app, Before: f.After, MaxRows: int64(f.Limit),
		})
	case f.Live:
		return s.queries.ListLiveStreams(ctx, sqlc.ListLiveStreamsParams{AppID: app, State: state, Before: f.After, MaxRows: int64(f.Limit)})
	}
	return s.queries.ListRecordings(ctx, sqlc.ListRecordingsParams{AppID: app, State: state, Before: f.After, MaxRows: int64(f.Limit)})
}
