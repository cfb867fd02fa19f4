// Package sqlstore keeps the catalog in an SQLite file, without cgo.
//
// # Work
//
// Every write of a worker carries its claim: the statement changes nothing
// unless the job still has that fence. What belongs together is one
// transaction: a job and its ticket in the outbox; the end of an attempt, its
// record, the job's next state, and with the last part its parent's turn; an
// asset and the end of the one that it supersedes. All changes from one state to
// another go through one function, tx.move.
//
// # SQLite
//
// The file is in WAL mode: readers never wait, writers wait for each other, in
// one process or in several. A write transaction begins by taking the write
// lock, and a process that dies in the middle leaves the catalog as it was
// before.
//
// Writes use one of two connections. What must not be lost is on the disk when
// its method returns (synchronous=FULL): jobs, the ends of attempts, places,
// assets, backfills. Claims, heartbeats, progress, leases and the emptying of
// the outbox survive the death of any process, but a power cut may undo the last
// of them (synchronous=NORMAL): they come every few seconds from every worker,
// all their holders die in the same cut, and all that was written later is
// undone with them, so that no durable write ever rests on one that was lost. A
// job whose claim was undone is simply still queued.
//
// # How to change the schema
//
// Add a file to migrations/ with the next number; files that were released
// never change. Change queries/, run go generate, and commit the result in
// internal/sqlc. Schema and queries are written so that PostgreSQL
// understands them too: TEXT ids, BIGINT times in microseconds, named
// parameters, LIMIT with a cast.
package sqlstore

//go:generate go run github.com/sqlc-dev/sqlc/cmd/sqlc@v1.31.1 generate
