package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"rushes/catalog"
	"rushes/catalog/sqlstore/internal/sqlc"
)

// DueTickets returns up to limit tickets of the outbox whose time has come: the
// highest priority first, then those that wait longest.
func (s *Store) DueTickets(ctx context.Context, limit int) ([]catalog.Ticket, error) {
	rows, err := s.queries.DueTickets(ctx, micros(s.now()), int64(limit))
	if err != nil {
		return nil, fmt.Errorf("read outbox: %w", err)
	}
	tickets := make([]catalog.Ticket, 0, len(rows))
	for _, r := range rows {
		tickets = append(tickets, ticketFromRow(r))
	}
	return tickets, nil
}

// Dispatched takes the tickets off the outbox, because the queue has them, and
// remembers with their jobs when that was, for Waiting. It may be repeated.
func (s *Store) Dispatched(ctx context.Context, tickets []catalog.Ticket) error {
	if len(tickets) == 0 {
		return nil
	}
	// Whoever locks several jobs does so in the order of their ids.
	tickets = slices.SortedFunc(slices.Values(tickets), func(a, b catalog.Ticket) int { return cmp.Compare(a.JobID, b.JobID) })
	err := s.inRelaxedTx(ctx, func(t tx) error {
		for _, ticket := range tickets {
			_, err := t.NoteTicket(ctx, sqlc.NoteTicketParams{TicketID: ticket.ID, Now: t.now, JobID: ticket.JobID})
			if err != nil {
				return err
			}
			if _, err := t.DropTicket(ctx, ticket.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("take %d tickets off the outbox: %w", len(tickets), err)
	}
	return nil
}

// Waiting returns up to limit tickets that went to the queue before the given
// time and whose jobs are still queued without another ticket in the outbox, in
// the order of their job ids, which begin after afterJob.
func (s *Store) Waiting(ctx context.Context, before time.Time, afterJob string, limit int) ([]catalog.Ticket, error) {
	rows, err := s.queries.WaitingTickets(ctx, sqlc.WaitingTicketsParams{
		After: afterJob, Before: micros(before), MaxRows: int64(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("read waiting tickets: %w", err)
	}
	tickets := make([]catalog.Ticket, 0, len(rows))
	for _, r := range rows {
		tickets = append(tickets, catalog.Ticket{
			ID: r.TicketID, JobID: r.JobID, Queue: catalog.QueueName(r.Queue),
			Priority: int(r.Priority), RunAt: fromMicros(r.RunAt),
		})
	}
	return tickets, nil
}

// Redispatch puts a new ticket into the outbox for each of the jobs that is
// queued and has none there.
func (s *Store) Redispatch(ctx context.Context, jobIDs []string) error {
	if len(jobIDs) == 0 {
		return nil
	}
	err := s.inTx(ctx, func(t tx) error {
		for _, id := range jobIDs {
			if _, err := t.AddTicket(ctx, s.ids.NewID(), id); err != nil {
				return fmt.Errorf("job %s: %w", id, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("put %d jobs into the outbox again: %w", len(jobIDs), err)
	}
	return nil
}

// Lease takes or renews the lease of that name for holder until ttl from now,
// and reports whether holder has it. A lease that has run out is anybody's.
func (s *Store) Lease(ctx context.Context, name, holder string, ttl time.Duration) (bool, error) {
	var rows int64
	err := s.inRelaxedTx(ctx, func(t tx) (err error) {
		until := t.now + ttl.Microseconds()
		rows, err = t.RenewLease(ctx, sqlc.RenewLeaseParams{Name: name, Holder: holder, ExpiresAt: until, Now: t.now})
		if err != nil || rows > 0 {
			return err
		}
		rows, err = t.NewLease(ctx, sqlc.NewLeaseParams{Name: name, Holder: holder, ExpiresAt: until})
		return err
	})
	if err != nil {
		return false, fmt.Errorf("lease %s for %s: %w", name, holder, err)
	}
	return rows > 0, nil
}

// Release gives the lease up, if holder has it.
func (s *Store) Release(ctx context.Context, name, holder string) error {
	err := s.inRelaxedTx(ctx, func(t tx) error {
		_, err := t.DropLease(ctx, name, holder)
		return err
	})
	if err != nil {
		return fmt.Errorf("release %s of %s: %w", name, holder, err)
	}
	return nil
}
