package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rushes/catalog"
)

// holdEvery is the time between two heartbeats of Hold.
const holdEvery = 3 * time.Second

// Hold calls fn and keeps the claim alive meanwhile, for who has claimed a job
// without a [Worker]. When the claim is lost, fn's context ends and the error
// wraps catalog.ErrClaimLost. A catalog that does not answer is no reason to stop:
// the fence keeps what fn writes from doing harm.
func Hold(ctx context.Context, jobs Jobs, claim catalog.Claim, fn func(ctx context.Context) error) error {
	work, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(holdEvery)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-work.Done():
				return
			case <-ticker.C:
			}
			stop, err := jobs.Heartbeat(work, claim)
			switch {
			case errors.Is(err, catalog.ErrClaimLost):
				cancel(err)
				return
			case err == nil && stop:
				cancel(ErrCanceled)
				return
			}
		}
	}()
	err := fn(work)
	close(done)
	cancel(nil)
	<-stopped
	if cause := context.Cause(work); ctx.Err() == nil && err != nil && errors.Is(cause, catalog.ErrClaimLost) && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return err
}
