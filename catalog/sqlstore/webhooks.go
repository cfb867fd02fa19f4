package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"rushes/catalog"
	"rushes/catalog/sqlstore/internal/sqlc"
)

// noteEvent writes down that the capture's job is over, in the transaction that
// ends it.
func (t tx) noteEvent(ctx context.Context, j sqlc.Job) error {
	err := t.InsertEvent(ctx, sqlc.InsertEventParams{
		ID: t.store.ids.NewID(), JobID: j.ID, CaptureKey: j.CaptureKey, State: j.State, Stage: j.Stage,
		ErrorKind: j.ErrorKind, ErrorMessage: j.ErrorMessage, CreatedAt: t.now,
	})
	if err != nil {
		return fmt.Errorf("write event down: %w", err)
	}
	return nil
}

// Events returns up to limit events that nobody has announced yet, the oldest
// first, and of each capture the first one only.
func (s *Store) Events(ctx context.Context, limit int) ([]catalog.Event, error) {
	rows, err := s.queries.PendingEvents(ctx, int64(limit))
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	events := make([]catalog.Event, 0, len(rows))
	for _, r := range rows {
		events = append(events, catalog.Event{
			ID: r.ID, JobID: r.JobID, CaptureKey: r.CaptureKey, State: catalog.JobState(r.State), Stage: r.Stage,
			Error: joinError(r.ErrorKind, r.ErrorMessage), At: fromMicros(r.CreatedAt),
		})
	}
	return events, nil
}

// Announce takes the event off and puts its deliveries in its place, in one
// transaction. An event that is not there any more was announced by somebody
// else: nothing is written. A delivery of a subject that its endpoint has
// already is left out.
func (s *Store) Announce(ctx context.Context, event catalog.Event, deliveries []catalog.Delivery) error {
	err := s.inTx(ctx, func(t tx) error {
		n, err := t.DeleteEvent(ctx, event.ID)
		if err != nil || n == 0 {
			return err
		}
		for _, d := range deliveries {
			err := t.InsertDelivery(ctx, sqlc.InsertDeliveryParams{
				ID: s.ids.NewID(), Endpoint: d.Endpoint, EventID: d.EventID, Subject: d.Subject, Type: d.Type,
				Lane: d.Lane, EventAt: micros(d.At), Number: int64(d.Number), JobID: d.JobID, AssetID: d.AssetID,
				Payload: plainText(string(d.Payload)), Now: t.now,
			})
			if err != nil {
				return fmt.Errorf("delivery of %s to %s: %w", d.Type, d.Endpoint, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("announce event %s of job %s: %w", event.ID, event.JobID, err)
	}
	return nil
}

// ClaimDeliveries takes up to limit deliveries of the endpoint whose time has
// come, of each lane the first one only, and returns them. Until the lease is
// over or EndDelivery is called nobody else is given them, nor those behind
// them.
func (s *Store) ClaimDeliveries(
	ctx context.Context, endpoint string, lease time.Duration, limit int,
) (claimed []catalog.Delivery, err error) {
	rows, err := s.queries.DueDeliveries(ctx, sqlc.DueDeliveriesParams{
		Endpoint: endpoint, Now: micros(s.now()), MaxRows: int64(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("read due deliveries to %s: %w", endpoint, err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	err = s.inRelaxedTx(ctx, func(t tx) error {
		claimed = claimed[:0]
		for _, r := range rows {
			until := t.now + lease.Microseconds()
			n, err := t.ClaimDelivery(ctx, sqlc.ClaimDeliveryParams{ID: r.ID, Claim: r.Claim, Until: until, Now: t.now})
			if err != nil {
				return err
			}
			if n == 0 {
				continue // another process was first
			}
			r.Claim, r.RunAt, r.UpdatedAt = r.Claim+1, until, t.now
			claimed = append(claimed, deliveryFromRow(r))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim %d deliveries to %s: %w", len(rows), endpoint, err)
	}
	return claimed, nil
}

// EndDelivery writes down how the attempt at the claimed delivery ended. It
// returns an error that wraps catalog.ErrClaimLost when the delivery was claimed
// again, replayed or ended since.
func (s *Store) EndDelivery(ctx context.Context, claimed catalog.Delivery, end catalog.DeliveryEnd) error {
	err := s.inTx(ctx, func(t tx) error {
		p := sqlc.EndDeliveryParams{
			State: string(end.State), Attempts: int64(claimed.Attempts), RunAt: t.now + end.After.Microseconds(),
			Status: int64(end.Status), Error: plainText(end.Error), Now: t.now, ID: claimed.ID, Claim: claimed.Claim,
			DeliveredAt: micros(claimed.DeliveredAt),
		}
		if !end.Interrupted {
			p.Attempts++
		}
		if end.State == catalog.DeliveryDelivered {
			p.DeliveredAt = t.now
		}
		n, err := t.EndDelivery(ctx, p)
		if err == nil && n == 0 {
			err = catalog.ErrClaimLost
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("end delivery %s to %s: %w", claimed.ID, claimed.Endpoint, err)
	}
	return nil
}

// ReplayDelivery makes a delivered or failed delivery pending again, as a
// replay with all its attempts, and returns it. One that is pending is a
// catalog.ErrInvalid, one that is not there a catalog.ErrNotFound.
func (s *Store) ReplayDelivery(ctx context.Context, id string) (d catalog.Delivery, err error) {
	err = s.inTx(ctx, func(t tx) error {
		row, err := t.ReplayDelivery(ctx, t.now, id)
		if errors.Is(err, sql.ErrNoRows) {
			if _, err := t.DeliveryByID(ctx, id); err != nil {
				return lookupError("delivery", id, err)
			}
			return fmt.Errorf("it is pending: %w", catalog.ErrInvalid)
		}
		d = deliveryFromRow(row)
		return err
	})
	if err != nil {
		return catalog.Delivery{}, fmt.Errorf("replay delivery %s: %w", id, err)
	}
	return d, nil
}

// PruneDeliveries deletes up to limit delivered deliveries that were written
// last before the given time, and returns how many. Failed ones stay.
func (s *Store) PruneDeliveries(ctx context.Context, before time.Time, limit int) (pruned int, err error) {
	err = s.inTx(ctx, func(t tx) error {
		n, err := t.PruneDeliveries(ctx, micros(before), int64(limit))
		pruned = int(n)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("prune deliveries: %w", err)
	}
	return pruned, nil
}

// ListDeliveries returns a page of the deliveries that the filter chooses,
// newest first, as ListAssets does for assets.
func (s *Store) ListDeliveries(ctx context.Context, f catalog.DeliveryFilter) ([]catalog.Delivery, error) {
	if err := checkPage(f.After, &f.Limit); err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	if f.After == "" {
		f.After = afterAllIDs
	}
	rows, err := s.listDeliveryRows(ctx, f)
	if s.unstorable(err) { // nothing that is stored can meet the filter
		return []catalog.Delivery{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	deliveries := make([]catalog.Delivery, 0, len(rows))
	for _, r := range rows {
		deliveries = append(deliveries, deliveryFromRow(r))
	}
	return deliveries, nil
}

func (s *Store) listDeliveryRows(ctx context.Context, f catalog.DeliveryFilter) ([]sqlc.Delivery, error) {
	before, limit, state := f.After, int64(f.Limit), string(f.State)
	switch {
	case f.JobID != "":
		return s.queries.ListDeliveriesByJob(ctx, sqlc.ListDeliveriesByJobParams{
			JobID: f.JobID, Before: before, Endpoint: f.Endpoint, State: state, MaxRows: limit,
		})
	case f.Endpoint != "" && state != "":
		return s.queries.ListDeliveriesByEndpointAndState(ctx, sqlc.ListDeliveriesByEndpointAndStateParams{
			Endpoint: f.Endpoint, State: state, Before: before, MaxRows: limit,
		})
	case f.Endpoint != "":
		return s.queries.ListDeliveriesByEndpoint(ctx, sqlc.ListDeliveriesByEndpointParams{
			Endpoint: f.Endpoint, Before: before, MaxRows: limit,
		})
	case state != "":
		return s.queries.ListDeliveriesByState(ctx, sqlc.ListDeliveriesByStateParams{State: state, Before: before, MaxRows: limit})
	}
	return s.queries.ListDeliveries(ctx, before, limit)
}

func deliveryFromRow(r sqlc.Delivery) catalog.Delivery {
	return catalog.Delivery{
		ID: r.ID, Endpoint: r.Endpoint, EventID: r.EventID, Subject: r.Subject, Type: r.Type, Lane: r.Lane,
		At: fromMicros(r.EventAt), Number: int(r.Number), JobID: r.JobID, AssetID: r.AssetID,
		Payload: rawJSON(r.Payload), State: catalog.DeliveryState(r.State), Attempts: int(r.Attempts),
		Claim: r.Claim, RunAt: fromMicros(r.RunAt), Replay: r.Replay != 0, Status: int(r.Status), Error: r.Error,
		CreatedAt: fromMicros(r.CreatedAt), UpdatedAt: fromMicros(r.UpdatedAt), DeliveredAt: fromMicros(r.DeliveredAt),
	}
}
