package backup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"rushes/catalog/blob"
)

// Moved says what a Move has done.
type Moved struct {
	// Objects is the number of objects that are in the main store now.
	Objects int
	// Bytes is their size together.
	Bytes int64
	// Left is the number of objects that still wait in the backup.
	Left int
}

// skew is how much the clocks of two stores may differ.
const skew = time.Minute

var (
	errBusy = errors.New("it is being put just now")
	errGone = errors.New("it waits no more")
)

// Move brings the objects of the backup to the main store: each is stored
// there, read back and compared by size and SHA-256, and only then deleted from
// the backup. It goes on after an object that the main store refuses, up to
// three in a row, and returns all errors; what is left waits for the next Move,
// and so do objects that are being put. An object is left, with an error, where
// the main store has a newer one of other bytes: that is for people to decide.
// A Put or Delete of a key waits while that key is moved.
func (s *Store) Move(ctx context.Context) (Moved, error) {
	const patience = 3 // refusals in a row: the main store is still away
	var moved Moved
	var errs []error
	inRow := 0
	for info, err := range s.backup.List(ctx, "") {
		if err != nil {
			errs = append(errs, err)
			break
		}
		if inRow == patience || ctx.Err() != nil {
			moved.Left++
			continue
		}
		switch err := s.moveOne(ctx, info); {
		case errors.Is(err, errGone):
		case errors.Is(err, errBusy):
			moved.Left++
		case err != nil:
			errs = append(errs, fmt.Errorf("move %s to the main store: %w", info.Key, err))
			moved.Left++
			inRow++
		default:
			inRow = 0
			moved.Objects++
			moved.Bytes += info.Size
		}
	}
	return moved, errors.Join(errs...)
}

func (s *Store) moveOne(ctx context.Context, info blob.Info) error {
	lock := s.lock(info.Key)
	if !lock.TryLock() {
		return errBusy
	}
	defer lock.Unlock()
	if _, old := s.outdated.Load(info.Key); old {
		if err := s.backup.Delete(ctx, info.Key); err != nil {
			return err
		}
		s.outdated.Delete(info.Key)
		return errGone
	}
	want, err := sum(ctx, s.backup, info.Key)
	if errors.Is(err, blob.ErrNotFound) {
		return errGone // deleted, or put into the main store, since it was listed
	}
	if err != nil {
		return err
	}
	if err := s.copyToMain(ctx, info, want); err != nil {
		return err
	}
	now, err := s.backup.Stat(ctx, info.Key)
	if err != nil {
		return err
	}
	if now != info { // by another process
		return errors.New("it was replaced in the backup meanwhile")
	}
	if s.options.OnMove != nil {
		if err := s.options.OnMove(ctx, info.Key); err != nil {
			return err
		}
	}
	return s.backup.Delete(ctx, info.Key)
}

// copyToMain puts the object into the main store, unless it is there, and makes
// sure that it is.
func (s *Store) copyToMain(ctx context.Context, info blob.Info, want digest) error {
	there, err := s.main.Stat(ctx, info.Key)
	switch {
	case errors.Is(err, blob.ErrNotFound):
	case err != nil:
		return err
	default:
		got, err := sum(ctx, s.main, info.Key)
		if err != nil {
			return err
		}
		if got == want {
			return nil // the main store had taken what it seemed to refuse
		}
		if there.ModTime.After(info.ModTime.Add(skew)) {
			return errors.New("the main store has a newer one")
		}
	}
	body, err := s.backup.Get(ctx, info.Key, blob.Range{})
	if err != nil {
		return err
	}
	err = s.main.Put(ctx, info.Key, body, blob.PutOptions{Size: want.size})
	if err := errors.Join(err, body.Close()); err != nil {
		return err
	}
	got, err := sum(ctx, s.main, info.Key)
	if err != nil {
		return fmt.Errorf("read it back: %w", err)
	}
	if got != want {
		return fmt.Errorf("the main store gives %d bytes back that are not the %d that were put", got.size, want.size)
	}
	return nil
}

// digest tells objects apart.
type digest struct {
	size int64
	sum  [sha256.Size]byte
}

// sum reads an object to its end.
func sum(ctx context.Context, from blob.Store, key string) (digest, error) {
	body, err := from.Get(ctx, key, blob.Range{})
	if err != nil {
		return digest{}, err
	}
	h := sha256.New()
	n, err := io.Copy(h, body)
	if err := errors.Join(err, body.Close()); err != nil {
		return digest{}, err
	}
	d := digest{size: n}
	h.Sum(d.sum[:0])
	return d, nil
}
