package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver; it binds numbered parameters rightly, which others do not

	"rushes/catalog"
	"rushes/catalog/sqlstore/internal/sqlitedb"
)

//go:embed migrations/*.sql
var migrations embed.FS

// defaultBusyTimeout is long because a writer only ever waits for short
// transactions; who waits longer has found a stuck process.
const defaultBusyTimeout = 15 * time.Second

// Config says which catalog to open and how.
type Config struct {
	// Path is the file of the catalog. It is made when it does not exist; its
	// folder must. SQLite keeps two more files beside it, and Open a lock file.
	Path string
	// BusyTimeout is how long a write waits for another process's write. It
	// defaults to 15 s.
	BusyTimeout time.Duration
	// IDs gives ids to assets and jobs that have none. It defaults to a source
	// of its own.
	IDs *catalog.IDSource
	// Now gives the time of rows. It defaults to time.Now.
	Now func() time.Time
}

// Store is an open catalog. It is safe for concurrent use; Close it when done.
type Store struct {
	read    *sql.DB           // reads; many connections
	durable *sql.DB           // writes that are on the disk when they return; one connection
	relaxed *sql.DB           // writes that a power cut may undo; one connection
	turn    chan struct{}     // held by the process's one writer
	queries *sqlitedb.Queries // over read
	ids     *catalog.IDSource
	now     func() time.Time
}

// maxReaders is the number of connections for reading: more wait their turn.
const maxReaders = 8

// Open opens the catalog and brings its schema up to date. Processes that open
// the same file at once wait for each other; a file that a newer Rushes wrote
// is refused. The context bounds Open only.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s, err := open(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open catalog %s: %w", cfg.Path, err)
	}
	return s, nil
}

func open(ctx context.Context, cfg Config) (_ *Store, err error) {
	if cfg.Path == "" {
		return nil, errors.New("no path given")
	}
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, err
	}
	s := &Store{ids: cfg.IDs, now: cfg.Now}
	if s.now == nil {
		s.now = time.Now
	}
	if s.ids == nil {
		if s.ids, err = catalog.NewIDSource(s.now, nil); err != nil {
			return nil, err
		}
	}
	// The change to WAL mode does not heed busy_timeout, and goose does not lock
	// SQLite at all: both are done under a lock of our own.
	unlock, err := lockFile(ctx, path+".lock")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err = s.connect(path, cmp.Or(cfg.BusyTimeout, defaultBusyTimeout)); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err = migrate(ctx, s.durable); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// connect opens the handles. A write takes the turn before it takes SQLite's
// lock, because who waits for the turn wakes at once and in order, and who
// waits for the lock looks again after a while.
func (s *Store) connect(path string, busy time.Duration) (err error) {
	s.turn = make(chan struct{}, 1)
	if s.durable, err = sql.Open("sqlite", dsn(path, busy, "FULL")); err != nil {
		return err
	}
	s.durable.SetMaxOpenConns(1)
	if s.relaxed, err = sql.Open("sqlite", dsn(path, busy, "NORMAL")); err != nil {
		return err
	}
	s.relaxed.SetMaxOpenConns(1)
	if s.read, err = sql.Open("sqlite", dsn(path, busy, "FULL")); err != nil {
		return err
	}
	s.read.SetMaxOpenConns(maxReaders)
	s.read.SetMaxIdleConns(maxReaders)
	s.queries = sqlitedb.New(s.read)
	return nil
}

// Close closes the catalog. It may be called again.
func (s *Store) Close() error {
	var err error
	for _, db := range []*sql.DB{s.read, s.relaxed, s.durable} {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}
	if err != nil {
		return fmt.Errorf("close catalog: %w", err)
	}
	return nil
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

func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
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
