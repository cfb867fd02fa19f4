package backup

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"rushes/catalog/blob"
)

// Options say who is told, and where bodies wait.
type Options struct {
	// OnBackup is told of every object that went to the backup, with the main
	// store's error; when it returns an error the Put does too, with the object
	// in the backup. It may be nil, and is called from several goroutines.
	OnBackup func(ctx context.Context, key string, cause error) error
	// OnMove is told of every object that Move brought to the main store, before
	// the backup's is deleted; when it returns an error the object stays in both,
	// and the next Move tells again. It may be nil.
	OnMove func(ctx context.Context, key string) error
	// SpoolDir is where a body that cannot be read twice is kept while the main
	// store reads it; "" for the folder of temporary files.
	SpoolDir string
}

// Store is a main store with a backup behind it. It is safe for concurrent use.
// Move, and Puts of a key that is backed up, belong into one process: others
// would not see that a key is being moved. What Rushes publishes has a key of
// its own for every attempt, so that no two processes put the same.
type Store struct {
	main, backup blob.Store
	options      Options
	seed         maphash.Seed
	// locks keep a key from being put or deleted while it is moved.
	locks [64]sync.RWMutex
	// outdated has the keys that the main store has a newer object of, and that
	// could not be taken out of the backup because that was away.
	outdated sync.Map
}

var (
	_ blob.Store      = (*Store)(nil)
	_ blob.FilePutter = (*Store)(nil)
	_ blob.Presigner  = (*Store)(nil)
)

// New makes a store of two. It does not own them.
func New(main, backup blob.Store, o Options) *Store {
	return &Store{main: main, backup: backup, options: o, seed: maphash.MakeSeed()}
}

func (s *Store) lock(key string) *sync.RWMutex {
	return &s.locks[maphash.String(s.seed, key)%uint64(len(s.locks))]
}

// BackedUp reports whether the object under key waits in the backup.
func (s *Store) BackedUp(ctx context.Context, key string) (bool, error) {
	_, err := s.backup.Stat(ctx, key)
	if errors.Is(err, blob.ErrNotFound) {
		return false, nil
	}
	if _, old := s.outdated.Load(key); old {
		return false, nil
	}
	return err == nil, err
}

// Put stores what body gives in the main store or, where that refuses, in the
// backup; see blob.Store. A body that is no io.Seeker is kept in a temporary
// file until it is stored. A conditional put (PutOptions.IfAbsent) is never
// backed up: only the main store knows whether the key is free there.
func (s *Store) Put(ctx context.Context, key string, body io.Reader, o blob.PutOptions) (err error) {
	b := newBody(body, s.options.SpoolDir)
	defer func() { err = errors.Join(err, b.close()) }()
	return s.putEither(ctx, key, o, func() error { return s.main.Put(ctx, key, b, o) }, func() error {
		again, err := b.again()
		if err != nil {
			return err
		}
		return s.backup.Put(ctx, key, again, o)
	}, b.failed)
}

// PutFile stores a local file in the main store or, where that refuses, in the
// backup; see blob.FilePutter.
func (s *Store) PutFile(ctx context.Context, key, path string, o blob.PutOptions) error {
	// A file that cannot be read is not for the main store to refuse.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err == nil {
		var info os.FileInfo
		if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
			err = fmt.Errorf("not a regular file but %s", info.Mode().Type())
		}
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("put %s from %s: %w", key, path, err)
	}
	put := func(to blob.Store) func() error {
		return func() error { return putFile(ctx, to, key, path, o) }
	}
	return s.putEither(ctx, key, o, put(s.main), put(s.backup), func() bool { return false })
}

// putFile uses what the store can do with files.
func putFile(ctx context.Context, to blob.Store, key, path string, o blob.PutOptions) (err error) {
	if p, ok := to.(blob.FilePutter); ok {
		return p.PutFile(ctx, key, path, o)
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("put %s from %s: %w", key, path, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return to.Put(ctx, key, f, o)
}

// putEither puts into the main store or, when that refuses, into the backup.
func (s *Store) putEither(ctx context.Context, key string, o blob.PutOptions, main, backup func() error, bodyFailed func() bool) error {
	lock := s.lock(key)
	lock.RLock()
	defer lock.RUnlock()
	if o.IfAbsent {
		backedUp, err := s.BackedUp(ctx, key)
		if err != nil {
			return err
		}
		if backedUp {
			return fmt.Errorf("put %s: %w", key, blob.ErrExists)
		}
	}
	cause := main()
	if cause == nil {
		// What waits there is older now. That the backup is away must not keep
		// anything from the main store, so it may have to wait for the next Move.
		if err := s.backup.Delete(ctx, key); err != nil {
			s.outdated.Store(key, nil)
		}
		return nil
	}
	if ctx.Err() != nil || bodyFailed() || callersFault(cause) || o.IfAbsent {
		return cause
	}
	if err := backup(); err != nil {
		return fmt.Errorf("%w; and the backup: %w", cause, err)
	}
	s.outdated.Delete(key)
	if s.options.OnBackup == nil {
		return nil
	}
	if err := s.options.OnBackup(ctx, key, cause); err != nil {
		return fmt.Errorf("put %s into the backup: %w", key, err)
	}
	return nil
}

// callersFault reports whether an error is about the call and not the store.
func callersFault(err error) bool {
	for _, e := range []error{blob.ErrInvalidKey, blob.ErrSizeMismatch, blob.ErrExists, blob.ErrConflict} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Get opens the object where its newest version is.
func (s *Store) Get(ctx context.Context, key string, r blob.Range) (io.ReadCloser, error) {
	return either(ctx, s, key, func(from blob.Store) (io.ReadCloser, error) { return from.Get(ctx, key, r) })
}

// Stat describes the object where its newest version is.
func (s *Store) Stat(ctx context.Context, key string) (blob.Info, error) {
	return either(ctx, s, key, func(from blob.Store) (blob.Info, error) { return from.Stat(ctx, key) })
}

// either asks the backup, and the main store where that has nothing. While the
// backup is away the main store answers alone, but its having nothing is no
// answer then.
func either[T any](ctx context.Context, s *Store, key string, ask func(blob.Store) (T, error)) (T, error) {
	if _, old := s.outdated.Load(key); old {
		return ask(s.main)
	}
	got, backupErr := ask(s.backup)
	if backupErr == nil || ctx.Err() != nil || callersFault(backupErr) || errors.Is(backupErr, blob.ErrInvalidRange) {
		return got, backupErr
	}
	got, err := ask(s.main)
	if errors.Is(err, blob.ErrNotFound) && !errors.Is(backupErr, blob.ErrNotFound) {
		return got, fmt.Errorf("the main store has none, and the backup: %w", backupErr)
	}
	return got, err
}

// List gives the objects of both stores, each key once.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		next, stop := iter.Pull2(s.backup.List(ctx, prefix))
		defer stop()
		waiting, err, more := next()
		for info, mainErr := range s.main.List(ctx, prefix) {
			if mainErr != nil {
				yield(blob.Info{}, mainErr)
				return
			}
			for more && err == nil && waiting.Key < info.Key {
				if !yield(waiting, nil) {
					return
				}
				waiting, err, more = next()
			}
			if more && err == nil && waiting.Key == info.Key {
				info = waiting // the newer one
				waiting, err, more = next()
			}
			if more && err != nil {
				break
			}
			if !yield(info, nil) {
				return
			}
		}
		for more {
			if !yield(waiting, err) || err != nil {
				return
			}
			waiting, err, more = next()
		}
	}
}

// Delete removes the object from both stores.
func (s *Store) Delete(ctx context.Context, key string) error {
	lock := s.lock(key)
	lock.RLock()
	defer lock.RUnlock()
	// In this order the older one never shows.
	if err := s.main.Delete(ctx, key); err != nil {
		return err
	}
	if err := s.backup.Delete(ctx, key); err != nil {
		return err
	}
	s.outdated.Delete(key)
	return nil
}

// PresignGet returns an address of the store that has the newest version; see
// blob.Presigner. Where that one cannot make addresses the error wraps
// errors.ErrUnsupported. An address at the backup ends when the object is moved.
func (s *Store) PresignGet(ctx context.Context, key string, expires time.Duration, o blob.PresignOptions) (string, error) {
	backedUp, err := s.BackedUp(ctx, key)
	if errors.Is(err, blob.ErrInvalidKey) || ctx.Err() != nil {
		return "", err
	}
	from := s.main
	if backedUp {
		from = s.backup
	}
	p, ok := from.(blob.Presigner)
	if !ok {
		return "", fmt.Errorf("presign %s: %w", key, errors.ErrUnsupported)
	}
	return p.PresignGet(ctx, key, expires, o)
}
