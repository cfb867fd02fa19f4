package stage

import (
	"context"
	"errors"
	"time"

	"rushes/catalog/blob"
	"rushes/pipeline"
)

// A call to the store is tried this often before its error ends the attempt, with waits that double.
const (
	storeTries = 5
	storeWait  = 50 * time.Millisecond
)

// again calls the store until it gives an answer: what it refuses for good it is not asked again.
func again(ctx context.Context, call func() error) error {
	wait := storeWait
	for n := 1; ; n++ {
		err := call()
		if err == nil || n == storeTries || ctx.Err() != nil || pipeline.KindOf(err) != pipeline.KindTransient ||
			errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrInvalidKey) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
		wait *= 2
	}
}
