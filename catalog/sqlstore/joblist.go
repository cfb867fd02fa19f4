package sqlstore

import (
	"context"
	"fmt"

	"rushes/catalog"
	"rushes/catalog/sqlstore/internal/sqlc"
)

// ListJobs returns a page of the jobs that the filter chooses, newest first, as
// ListAssets does for assets.
func (s *Store) ListJobs(ctx context.Context, f catalog.JobFilter) ([]catalog.Job, error) {
	return s.listJobs(ctx, appFilter{any: 1}, f)
}

// ListJobsOfApp is ListJobs for the jobs of the app.
func (s *Store) ListJobsOfApp(ctx context.Context, app string, f catalog.JobFilter) ([]catalog.Job, error) {
	return s.listJobs(ctx, appFilter{id: app}, f)
}

func (s *Store) listJobs(ctx context.Context, app appFilter, f catalog.JobFilter) ([]catalog.Job, error) {
	if err := checkPage(f.After, &f.Limit); err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	if f.After == "" {
		f.After = afterAllIDs
	}
	rows, err := s.listJobRows(ctx, app, f)
	if s.unstorable(err) { // nothing that is stored can meet the filter
		return []catalog.Job{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	return jobsFromRows(rows)
}

// listJobRows picks the query whose index fits the most selective filter.
func (s *Store) listJobRows(ctx context.Context, app appFilter, f catalog.JobFilter) ([]sqlc.Job, error) {
	before, limit, kind, queue, state := f.After, int64(f.Limit), string(f.Kind), string(f.Queue), string(f.State)
	switch {
	case f.ParentID != "":
		return s.queries.ListJobsByParent(ctx, sqlc.ListJobsByParentParams{
			ParentID: f.ParentID, Before: before, RoomID: f.RoomID, Kind: kind, Queue: queue, State: state, BackfillID: f.BackfillID, AnyApp: app.any, AppID: app.id, MaxRows: limit,
		})
	case f.BackfillID != "":
		return s.queries.ListJobsByBackfill(ctx, sqlc.ListJobsByBackfillParams{
			BackfillID: f.BackfillID, Before: before, RoomID: f.RoomID, Kind: kind, Queue: queue, State: state, AnyApp: app.any, AppID: app.id, MaxRows: limit,
		})
	case f.RoomID != "":
		return s.queries.ListJobsByRoom(ctx, sqlc.ListJobsByRoomParams{
			RoomID: f.RoomID, Before: before, Kind: kind, Queue: queue, State: state, AnyApp: app.any, AppID: app.id, MaxRows: limit,
		})
	case app.any == 0 && state != "":
		return s.queries.ListJobsOfAppByState(ctx, sqlc.ListJobsOfAppByStateParams{
			AppID: app.id, State: state, Before: before, Kind: kind, Queue: queue, MaxRows: limit,
		})
	case app.any == 0:
		return s.queries.ListJobsOfApp(ctx, sqlc.ListJobsOfAppParams{
			AppID: app.id, Before: before, Kind: kind, Queue: queue, MaxRows: limit,
		})
	}
	return s.listEveryJob(ctx, f)
}

// listEveryJob lists the jobs of all apps and rooms.
func (s *Store) listEveryJob(ctx context.Context, f catalog.JobFilter) ([]sqlc.Job, error) {
	before, limit, kind, queue, state := f.After, int64(f.Limit), string(f.Kind), string(f.Queue), string(f.State)
	switch {
	case queue != "" && state != "":
		return s.queries.ListJobsByQueueAndState(ctx, sqlc.ListJobsByQueueAndStateParams{
			Queue: queue, State: state, Before: before, Kind: kind, MaxRows: limit,
		})
	case kind != "" && state != "":
		return s.queries.ListJobsByKindAndState(ctx, sqlc.ListJobsByKindAndStateParams{
			Kind: kind, State: state, Before: before, MaxRows: limit,
		})
	case queue != "":
		return s.queries.ListJobsByQueue(ctx, sqlc.ListJobsByQueueParams{
			Queue: queue, Before: before, Kind: kind, MaxRows: limit,
		})
	case state != "":
		return s.queries.ListJobsByState(ctx, sqlc.ListJobsByStateParams{
			State: state, Before: before, MaxRows: limit,
		})
	case kind != "":
		return s.queries.ListJobsByKind(ctx, sqlc.ListJobsByKindParams{
			Kind: kind, Before: before, MaxRows: limit,
		})
	}
	return s.queries.ListJobs(ctx, before, limit)
}

// CountJobs returns how many jobs there are of each kind, queue and state that
// is not final, and the least RunAt of each. It costs nothing for jobs that are
// over.
func (s *Store) CountJobs(ctx context.Context) ([]catalog.JobCount, error) {
	rows, err := s.queries.CountJobs(ctx)
	if err != nil {
		return nil, fmt.Errorf("count jobs: %w", err)
	}
	counts := make([]catalog.JobCount, 0, len(rows))
	for _, r := range rows {
		counts = append(counts, catalog.JobCount{
			Kind: catalog.JobKind(r.Kind), Queue: catalog.QueueName(r.Queue), State: catalog.JobState(r.State),
			Count: r.Jobs, Oldest: fromMicros(r.Oldest),
		})
	}
	return counts, nil
}
