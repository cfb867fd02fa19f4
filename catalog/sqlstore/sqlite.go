package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver; it binds numbered parameters rightly, which others do not
)

// maxReaders is the number of connections for reading: more wait their turn.
const maxReaders = 8

// sqliteEngine opens the file. A write takes the turn before it takes SQLite's
// lock, because who waits for the turn wakes at once and in order, and who waits
// for the lock looks again after a while. What it returns is to be closed also
// when there is an error.
func sqliteEngine(cfg Config) (engine, error) {
	e := engine{
		name: cfg.Path, dialect: goose.DialectSQLite3, turn: make(chan struct{}, 1),
		beaten:     func(error) bool { return false },
		unstorable: func(error) bool { return false },
	}
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return e, err
	}
	// The change to WAL mode does not heed busy_timeout, and goose does not lock
	// SQLite at all: both are done under a lock of our own.
	e.lock = func(ctx context.Context) (func() error, error) { return lockFile(ctx, path+".lock") }
	busy := cmp.Or(cfg.BusyTimeout, defaultBusyTimeout)
	if e.durable, err = sql.Open("sqlite", dsn(path, busy, "FULL")); err != nil {
		return e, err
	}
	e.durable.SetMaxOpenConns(1)
	if e.relaxed, err = sql.Open("sqlite", dsn(path, busy, "NORMAL")); err != nil {
		return e, err
	}
	e.relaxed.SetMaxOpenConns(1)
	if e.read, err = sql.Open("sqlite", dsn(path, busy, "FULL")); err != nil {
		return e, err
	}
	e.read.SetMaxOpenConns(maxReaders)
	e.read.SetMaxIdleConns(maxReaders)
	return e, nil
}

// dsn names the file as a URI, so that no character of the path is taken for
// an option.
func dsn(path string, busy time.Duration, synchronous string) string {
	q := url.Values{
		"_txlock": {"immediate"},
		"_pragma": {
			"busy_timeout(" + strconv.FormatInt(busy.Milliseconds(), 10) + ")",
			"journal_mode(WAL)",
			"synchronous(" + synchronous + ")",
			"foreign_keys(1)",
		},
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: q.Encode()}).String()
}
