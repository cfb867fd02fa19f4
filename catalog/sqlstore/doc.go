// Package sqlstore keeps the catalog in an SQLite file, without cgo.
//
// The file is in WAL mode: readers never wait, writers wait for each other, in
// one process or in several. Every write is one transaction that begins by
// taking the write lock, and is on the disk when the method returns; a process
// that dies in the middle leaves the catalog as it was before.
//
// # How to change the schema
//
// Add a file to migrations/ with the next number; files that were released
// never change. Change queries/, run go generate, and commit the result in
// internal/sqlitedb. Schema and queries are written so that PostgreSQL
// understands them too: TEXT ids, BIGINT times in microseconds, named
// parameters, LIMIT with a cast.
package sqlstore

//go:generate go run github.com/sqlc-dev/sqlc/cmd/sqlc@v1.31.1 generate
