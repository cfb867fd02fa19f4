package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"

	"rushes/catalog"
	"rushes/catalog/sqlstore/internal/sqlc"
)

//go:embed migrations/*.sql
var migrations embed.FS

// defaultBusyTimeout is long because a writer only ever waits for short
// transactions; who waits longer has found a stuck process.
const defaultBusyTimeout = 15 * time.Second

// Config says which catalog to open and how. One of Path and URL is required.
type Config struct {
	// Path is the file of an SQLite catalog. It is made when it does not exist;
	// its folder must. SQLite keeps two more files beside it, and Open a lock file.
	Path string
	// URL is the address of a PostgreSQL database, as libpq takes it:
	// postgres://user:password@host:port/database?search_path=…. The database
	// must exist; the tables are made.
	URL catalog.Secret
	// BusyTimeout is how long a write to SQLite waits for another process's
	// write. It defaults to 15 s.
	BusyTimeout time.Duration
	// IDs gives ids to assets and jobs that have none. It defaults to a source
	// of its own.
	IDs *catalog.IDSource
	// Now gives the time of rows. It defaults to time.Now, with PostgreSQL
	// corrected once by what the server's clock says, so that the heartbeats of
	// several machines can be compared.
	Now func() time.Time
	// Events has the end of every capture's job written down for Events. All
	// processes that change jobs need the same setting; without anybody who
	// announces the events they stay for ever.
	Events bool
}

// Store is an open catalog. It is safe for concurrent use; Close it when done.
type Store struct {
	engine
	queries *sqlc.Queries // over the engine's readers
	ids     *catalog.IDSource
	now     func() time.Time
	events  bool // ends of jobs are written down
}

// engine is what SQLite and PostgreSQL do not have in common.
type engine struct {
	name    string        // for errors; no secrets
	dialect goose.Dialect // of the migrations
	read    *sql.DB       // reads
	durable *sql.DB       // writes that are on the disk when they return
	relaxed *sql.DB       // writes that a power cut may undo
	// turn is held by the one writer of the process, or nil where writers do not
	// exclude each other.
	turn chan struct{}
	// beaten tells whether the error says that another transaction was first, so
	// that it helps to do this one again from its start.
	beaten func(error) bool
	// unstorable tells whether the error says that a text is none for the
	// database.
	unstorable func(error) bool
	// lock keeps other processes from opening the catalog until unlock.
	lock func(ctx context.Context) (unlock func() error, err error)
}

// Open opens the catalog and brings its schema up to date. Processes that open
// the same catalog at once wait for each other; one that a newer Rushes wrote
// is refused. The context bounds Open only. Errors do not show URL's password.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s := &Store{ids: cfg.IDs, now: cfg.Now, events: cfg.Events}
	err := s.open(ctx, cfg)
	if err != nil {
		name := cfg.Path
		if s.name != "" {
			name = s.name
		}
		return nil, fmt.Errorf("open catalog %s: %w", name, errors.Join(err, s.Close()))
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, cfg Config) (err error) {
	switch {
	case cfg.Path != "" && cfg.URL != "":
		return errors.New("both a path and a URL given")
	case cfg.Path != "":
		s.engine, err = sqliteEngine(cfg)
	case cfg.URL != "":
		s.engine, err = postgresEngine(cfg)
	default:
		return errors.New("no path and no URL given")
	}
	if err != nil {
		return err
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	err = errors.Join(s.migrate(ctx), unlock())
	if err != nil {
		return err
	}
	if s.now == nil {
		s.now = time.Now
		if s.dialect == goose.DialectPostgres {
			if s.now, err = serverClock(ctx, s.read); err != nil {
				return err
			}
		}
	}
	if s.ids == nil {
		if s.ids, err = catalog.NewIDSource(s.now, nil); err != nil {
			return err
		}
	}
	s.queries = sqlc.New(s.read)
	return nil
}

// Close closes the catalog. It may be called again.
func (s *Store) Close() error {
	var err error
	for _, handle := range []*sql.DB{s.read, s.relaxed, s.durable} {
		if handle != nil {
			err = errors.Join(err, handle.Close())
		}
	}
	if err != nil {
		return fmt.Errorf("close catalog: %w", err)
	}
	return nil
}

func (e *engine) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(e.dialect, e.durable, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	have, known, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if have > known {
		return fmt.Errorf("schema version %d is newer than %d, the newest this rushes knows: use a newer rushes", have, known)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate schema from version %d to %d: %w", have, known, err)
	}
	return nil
}
