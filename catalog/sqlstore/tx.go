package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"rushes/catalog/sqlstore/internal/sqlitedb"
)

// tx is what a transaction's steps work with: the queries, and one time for
// all the rows that it writes.
type tx struct {
	*sqlitedb.Queries
	store *Store
	now   int64 // microseconds
}

// inTx runs fn in one transaction, which is committed when fn returns nil and
// undone otherwise. What it writes is on the disk when it returns. fn must not
// keep its argument.
func (s *Store) inTx(ctx context.Context, fn func(tx) error) error {
	return s.run(ctx, s.durable, fn)
}

// inRelaxedTx is inTx for what may be undone by a power cut, though only
// together with everything that was written after it: signs of life, and
// claims, whose holders die in the same cut. It costs no wait for the disk.
func (s *Store) inRelaxedTx(ctx context.Context, fn func(tx) error) error {
	return s.run(ctx, s.relaxed, fn)
}

func (s *Store) run(ctx context.Context, db *sql.DB, fn func(tx) error) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	t, err := db.BeginTx(ctx, nil)
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
