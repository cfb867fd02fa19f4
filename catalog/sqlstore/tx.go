package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"rushes/catalog"
	"rushes/catalog/sqlstore/internal/sqlc"
)

// mostTries is how often a transaction is done that others are quicker than.
const mostTries = 20

// errOvertaken says that another transaction has written what this one was to
// be the first to write: it is to be done again from its start.
var errOvertaken = errors.New("overtaken by another transaction")

// tx is what a transaction's steps work with: the queries, and one time for
// all the rows that it writes.
type tx struct {
	*sqlc.Queries
	store *Store
	now   int64 // microseconds
}

// inTx runs fn in one transaction, which is committed when fn returns nil and
// undone otherwise. What it writes is on the disk when it returns. fn must not
// keep its argument, and may be called again after a try that was undone.
func (s *Store) inTx(ctx context.Context, fn func(tx) error) error {
	return s.run(ctx, s.durable, fn)
}

// inRelaxedTx is inTx for what may be undone by a power cut, though only
// together with everything that was written after it: signs of life, and
// claims, whose holders die in the same cut. It costs no wait for the disk.
func (s *Store) inRelaxedTx(ctx context.Context, fn func(tx) error) error {
	return s.run(ctx, s.relaxed, fn)
}

func (s *Store) run(ctx context.Context, handle *sql.DB, fn func(tx) error) error {
	if s.turn != nil {
		select {
		case s.turn <- struct{}{}:
			defer func() { <-s.turn }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for try := 1; ; try++ {
		err := s.try(ctx, handle, fn)
		if try < mostTries && (errors.Is(err, errOvertaken) || s.beaten(err)) {
			continue
		}
		if s.unstorable(err) {
			return fmt.Errorf("%w: %w", err, catalog.ErrInvalid)
		}
		return err
	}
}

func (s *Store) try(ctx context.Context, handle *sql.DB, fn func(tx) error) error {
	t, err := handle.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := fn(tx{s.queries.WithTx(t), s, micros(s.now())}); err != nil {
		return errors.Join(err, ignoreDone(t.Rollback()))
	}
	return t.Commit()
}

// ignoreDone drops the error of undoing what a cancelled context has undone.
func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}
