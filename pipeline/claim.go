package pipeline

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"rushes/catalog"
)

// The waits between two tries to write down how an attempt ended.
const (
	endWaitFirst = 100 * time.Millisecond
	endWaitMost  = 3 * time.Second
)

// attempt is one claim on a job, from the claim to its end.
type attempt struct {
	w      *Worker
	job    catalog.Job
	claim  catalog.Claim
	began  time.Time
	cancel context.CancelCauseFunc // of the handler's context
	// over is closed when another has the claim: there is nothing to write any
	// more. Only the heartbeat closes it.
	over chan struct{}
}

// run makes the attempt and writes down how it ended. It returns when nothing of
// it is left, and keeps the claim alive until then.
func (a *attempt) run(ctx context.Context) {
	w := a.w
	w.cfg.Events.AttemptStarted(a.job)
	writes, leave := w.writes.enter(ctx)
	defer leave()
	beating, stop := context.WithCancel(writes)
	stopped := make(chan struct{})
	work, done := w.attempts.enter(ctx)
	defer done()
	work, a.cancel = context.WithCancelCause(work)
	defer a.cancel(nil)
	go func() {
		defer close(stopped)
		a.beat(beating)
	}()
	defer func() { stop(); <-stopped }()

	end, cause := a.handle(work)
	w.handled(a.job.ID)
	retryAt := func() time.Time { return time.Now().Add(w.cfg.Backoff.Delay(a.job.Attempts)) }
	if errors.Is(cause, catalog.ErrClaimLost) {
		a.lost(cause)
		return
	}
	a.end(writes, settle(end, cause, retryAt))
}

// handle calls the handler and contains its panics. It also returns why the
// handler's context ended, if it did before the handler.
func (a *attempt) handle(ctx context.Context) (end catalog.Attempt, cause error) {
	cfg := &a.w.cfg
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.Timeout, ErrTimedOut)
	defer cancel()
	done := make(chan catalog.Attempt, 1)
	// A goroutine of its own, because a handler may also end its goroutine.
	go func() {
		end := catalog.Attempt{Ending: catalog.EndFailed, Failure: failure(KindPermanent, "the handler ended without an answer")}
		defer func() {
			if value := recover(); value != nil {
				end = catalog.Attempt{Ending: catalog.EndFailed, Failure: failure(KindPermanent, panicMessage(value))}
			}
			done <- end
		}()
		if err := a.ready(ctx); err != nil {
			end = AttemptOf(err, a.job, cfg.Backoff, time.Now())
			return
		}
		end = cfg.Run(ctx, a.job, a.claim)
	}()
	end = <-done
	return end, context.Cause(ctx)
}

// ready asks whether the machine can take the job now. Whatever passes is no
// fault of the job.
func (a *attempt) ready(ctx context.Context) error {
	w := a.w
	if w.cfg.Ready == nil {
		return nil
	}
	err := w.cfg.Ready(ctx, a.job)
	var notReady *NotReadyError
	if KindOf(err) == KindTransient && !errors.As(err, &notReady) {
		err = &NotReadyError{After: DefaultDiskAfter, Err: err}
	}
	if errors.As(err, &notReady) {
		w.pause()
	}
	return err
}

// beat renews the claim until ctx ends or the claim is lost, and ends the attempt
// when it is to be canceled or when the catalog is away for too long.
func (a *attempt) beat(ctx context.Context) {
	cfg := &a.w.cfg
	away := time.AfterFunc(cfg.ClaimTTL, func() { a.cancel(ErrCatalogAway) })
	defer away.Stop()
	ticker := time.NewTicker(cfg.Heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		asked := time.Now()
		call, stop := context.WithTimeout(ctx, cfg.CallTimeout)
		cancel, err := cfg.Jobs.Heartbeat(call, a.claim)
		stop()
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, catalog.ErrClaimLost), errors.Is(err, catalog.ErrNotFound):
			a.cancel(fmt.Errorf("%w: %w", catalog.ErrClaimLost, err))
			close(a.over)
			return
		case err != nil:
			cfg.Events.Trouble(fmt.Errorf("heartbeat of job %s: %w", a.job.ID, err))
		default:
			away.Reset(max(cfg.ClaimTTL-time.Since(asked), 1))
			if cancel {
				a.cancel(ErrCanceled)
			}
		}
	}
}

// end writes down how the attempt ended, again and again while the catalog cannot
// be reached: that is safe, because ending a claim twice changes nothing and another
// claim's end is refused. If it gives up, the heartbeat ends with it and the sweeper
// takes the job over.
func (a *attempt) end(ctx context.Context, end catalog.Attempt) {
	cfg := &a.w.cfg
	ctx, stop := context.WithTimeout(ctx, cfg.EndPatience)
	defer stop()
	var refused bool
	for wait := endWaitFirst; ; wait = min(2*wait, endWaitMost) {
		call, stop := context.WithTimeout(ctx, cfg.CallTimeout)
		job, err := cfg.Jobs.EndAttempt(call, a.claim, end)
		stop()
		switch {
		case err == nil:
			cfg.Events.AttemptEnded(job, end, time.Since(a.began))
			return
		case errors.Is(err, catalog.ErrClaimLost), errors.Is(err, catalog.ErrNotFound):
			a.lost(err)
			return
		case errors.Is(err, catalog.ErrInvalid) && !refused:
			refused = true
			end = catalog.Attempt{Ending: catalog.EndFailed, Failure: failure(KindPermanent, err.Error()), Usage: end.Usage}
			continue
		}
		cfg.Events.Trouble(fmt.Errorf("end of an attempt at job %s: %w", a.job.ID, err))
		select {
		case <-a.over:
			a.lost(err)
			return
		case <-ctx.Done():
			a.lost(err)
			return
		case <-time.After(wait):
		}
	}
}

func (a *attempt) lost(err error) {
	a.w.cfg.Events.AttemptLost(a.job, err, time.Since(a.began))
}

// panicMessage is the value of a panic and where it came from, on one line.
func panicMessage(value any) string {
	const most = 24
	var callers [most]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers[:])])
	var b strings.Builder
	fmt.Fprintf(&b, "panic: %v", value)
	for {
		frame, more := frames.Next()
		if !strings.HasPrefix(frame.Function, "runtime.") {
			fmt.Fprintf(&b, " < %s:%d", frame.Function, frame.Line)
		}
		if !more {
			return b.String()
		}
	}
}
