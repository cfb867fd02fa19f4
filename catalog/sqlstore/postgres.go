package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

const (
	// maxConnections and maxRelaxed are the connections to PostgreSQL of one
	// process; a server usually allows a hundred.
	maxConnections = 12
	maxRelaxed     = 4
	// idleConnection is how long a connection that nobody uses is kept.
	idleConnection = 5 * time.Minute
	// schemaLock is the number of the advisory lock that is held while the schema
	// is brought up to date: "rushes" in ASCII.
	schemaLock = 0x727573686573
)

// Conditions of PostgreSQL that have a meaning here.
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	uniqueViolation      = "23505"
	characterNotInSet    = "22021" // a NUL, or no UTF-8
	untranslatable       = "22P05"
)

// postgresEngine prepares the connections; the first one is made when it is
// needed. What it returns is to be closed also when there is an error.
func postgresEngine(cfg Config) (engine, error) {
	base, err := pgx.ParseConfig(cfg.URL.Reveal())
	if err != nil {
		// The driver's own error repeats the URL, and masks the password in those
		// forms only that it understands.
		return engine{name: "at the given URL"}, errors.New("the URL is not one of PostgreSQL: postgres://user:password@host:port/database is wanted")
	}
	e := engine{
		name:    fmt.Sprintf("%s on %s", base.Database, net.JoinHostPort(base.Host, strconv.Itoa(int(base.Port)))),
		dialect: goose.DialectPostgres, beaten: beaten, unstorable: unstorable,
	}
	open := func(settings map[string]string, connections int) *sql.DB {
		c := base.Copy()
		// Plans are made for the values: a plan for any value would not know that a
		// filter is empty, or how many rows a page has. And rows that are read here
		// and there, which is what an index in the order of a list leads to, are not
		// the four times dearer than others that the server supposes.
		for name, value := range map[string]string{
			"application_name": "rushes", "plan_cache_mode": "force_custom_plan", "random_page_cost": "1.1",
		} {
			if _, given := c.RuntimeParams[name]; !given {
				c.RuntimeParams[name] = value
			}
		}
		for name, value := range settings {
			c.RuntimeParams[name] = value
		}
		handle := stdlib.OpenDB(*c)
		handle.SetMaxOpenConns(connections)
		handle.SetMaxIdleConns(connections)
		handle.SetConnMaxIdleTime(idleConnection)
		return handle
	}
	e.durable = open(nil, maxConnections)
	e.read = e.durable
	e.relaxed = open(map[string]string{"synchronous_commit": "off"}, maxRelaxed)
	e.lock = func(ctx context.Context) (func() error, error) { return lockSchema(ctx, e.relaxed) }
	return e, nil
}

// lockSchema waits for the advisory lock of the database. The server drops the
// lock of a process that dies.
func lockSchema(ctx context.Context, handle *sql.DB) (unlock func() error, err error) {
	c, err := handle.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := c.ExecContext(ctx, "SELECT pg_advisory_lock($1)", schemaLock); err != nil {
		return nil, errors.Join(fmt.Errorf("wait for the lock of the schema: %w", err), c.Close())
	}
	return func() error {
		// Also when Open was given up: the connection goes back to the pool.
		_, err := c.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", schemaLock)
		return errors.Join(err, c.Close())
	}, nil
}

// serverClock returns a clock that agrees with the server's, to half the time
// that a question takes.
func serverClock(ctx context.Context, handle *sql.DB) (func() time.Time, error) {
	before := time.Now()
	var now time.Time
	if err := handle.QueryRowContext(ctx, "SELECT clock_timestamp()").Scan(&now); err != nil {
		return nil, fmt.Errorf("ask for the server's time: %w", err)
	}
	middle := before.Add(time.Since(before) / 2)
	ahead := now.Sub(middle)
	return func() time.Time { return time.Now().Add(ahead) }, nil
}

func beaten(err error) bool {
	var failure *pgconn.PgError
	if !errors.As(err, &failure) {
		return false
	}
	switch failure.Code {
	case serializationFailure, deadlockDetected:
		return true
	case uniqueViolation:
		return failure.ConstraintName == "assets_by_key"
	}
	return false
}

func unstorable(err error) bool {
	var failure *pgconn.PgError
	return errors.As(err, &failure) && (failure.Code == characterNotInSet || failure.Code == untranslatable)
}
