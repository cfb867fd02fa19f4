package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rushes/catalog"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	longest := func(n int64) int64 { return n - 1 }
	for _, tt := range []struct {
		backoff Backoff
		attempt int
		want    time.Duration
	}{
		{Backoff{Random: longest}, 0, 2 * time.Second},
		{Backoff{Random: longest}, 1, 2 * time.Second},
		{Backoff{Random: longest}, 2, 4 * time.Second},
		{Backoff{Random: longest}, 8, 256 * time.Second},
		{Backoff{Random: longest}, 9, 5 * time.Minute},
		{Backoff{Random: longest}, 1 << 40, 5 * time.Minute},
		{Backoff{Base: time.Hour, Random: longest}, 3, 5 * time.Minute},
		{Backoff{Base: 1, Most: 1 << 62, Random: longest}, 100, 1 << 62},
		{Backoff{Base: -1, Random: longest}, 3, 1},
		{Backoff{Random: func(int64) int64 { return 0 }}, 5, 1},
	} {
		require.Equal(t, tt.want, tt.backoff.Delay(tt.attempt), "%v after %d", tt.backoff.Base, tt.attempt)
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 100).Draw(t, "attempt")
		d := Backoff{}.Delay(n)
		require.Positive(t, d)
		require.LessOrEqual(t, d, min(DefaultBackoffBase<<min(n-1, 20), DefaultBackoffMost))
	})
}

func TestAttemptOf(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 21, 0, 0, 0, time.UTC)
	backoff := Backoff{Random: func(n int64) int64 { return n - 1 }}
	job := catalog.Job{Attempts: 3}
	fail := func(kind, message string) *catalog.AssetError {
		return &catalog.AssetError{Kind: kind, Message: message}
	}
	for _, tt := range []struct {
		name string
		err  error
		want catalog.Attempt
	}{
		{"nothing", nil, catalog.Attempt{Ending: catalog.EndCompleted}},
		{"bad input", blamed{input: true}, catalog.Attempt{Ending: catalog.EndFailed, Failure: fail("bad-input", "blamed")}},
		{"permanent", Permanent(errors.New("no encoder")), catalog.Attempt{Ending: catalog.EndFailed, Failure: fail("permanent", "no encoder")}},
		{"transient", &StageError{"render", syscall.ENOSPC}, catalog.Attempt{
			Ending: catalog.EndRetry, Failure: fail("transient", "render: no space left on device"), RunAt: now.Add(8 * time.Second)}},
		{"timed out", fmt.Errorf("render: %w", ErrTimedOut), catalog.Attempt{
			Ending: catalog.EndRetry, Failure: fail("transient", "render: the attempt took too long: context deadline exceeded"), RunAt: now.Add(8 * time.Second)}},
		{"interrupted", fmt.Errorf("render: %w", context.Canceled), catalog.Attempt{Ending: catalog.EndHandBack}},
		{"interrupted over bad input", errors.Join(context.Canceled, blamed{input: true}), catalog.Attempt{Ending: catalog.EndHandBack}},
		{"canceled", fmt.Errorf("render: %w: %w", context.Canceled, ErrCanceled), catalog.Attempt{Ending: catalog.EndCanceled}},
		{"not ready", fmt.Errorf("open: %w", &NotReadyError{After: time.Minute, Err: errors.New("files grow")}), catalog.Attempt{
			Ending: catalog.EndHandBack, Failure: fail("transient", "open: not ready: files grow"), RunAt: now.Add(time.Minute)}},
		{"lines and bytes", errors.New("a\n\tb \xff\x00c"), catalog.Attempt{
			Ending: catalog.EndRetry, Failure: fail("transient", "a b \uFFFD c"), RunAt: now.Add(8 * time.Second)}},
		{"silent", errors.New(" "), catalog.Attempt{
			Ending: catalog.EndRetry, Failure: fail("transient", "no reason given"), RunAt: now.Add(8 * time.Second)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, AttemptOf(tt.err, job, backoff, now))
		})
	}
	long := AttemptOf(errors.New(strings.Repeat("ä", 1<<20)+"a"), job, backoff, now).Failure.Message
	require.Less(t, len(long), maxMessage+10)
	require.True(t, utf8.ValidString(long))
	require.Contains(t, panicMessage("boom"), "panic: boom <")
}

func TestSettle(t *testing.T) {
	t.Parallel()
	later := time.Date(2026, 11, 22, 21, 0, 0, 0, time.UTC)
	crash := &catalog.AssetError{Kind: "transient", Message: "the child was killed"}
	usage := catalog.Usage{CPU: time.Second}
	attempt := func(e catalog.Ending) catalog.Attempt {
		a := catalog.Attempt{Ending: e, Usage: usage}
		if e == catalog.EndRetry || e == catalog.EndFailed {
			a.Failure = crash
		}
		return a
	}
	for _, tt := range []struct {
		ended catalog.Ending
		cause error
		want  catalog.Ending
	}{
		{catalog.EndCompleted, nil, catalog.EndCompleted},
		{catalog.EndRetry, nil, catalog.EndRetry},
		{catalog.EndCompleted, ErrCanceled, catalog.EndCompleted},
		{catalog.EndWaiting, ErrCanceled, catalog.EndCanceled},
		{catalog.EndFailed, ErrCanceled, catalog.EndCanceled},
		{catalog.EndHandBack, ErrCanceled, catalog.EndCanceled},
		{catalog.EndCompleted, ErrShutdown, catalog.EndCompleted},
		{catalog.EndWaiting, ErrShutdown, catalog.EndWaiting},
		{catalog.EndRetry, ErrShutdown, catalog.EndHandBack},
		{catalog.EndFailed, ErrShutdown, catalog.EndHandBack},
		{catalog.EndRetry, ErrCatalogAway, catalog.EndHandBack},
		{catalog.EndHandBack, ErrTimedOut, catalog.EndRetry},
		{catalog.EndRetry, ErrTimedOut, catalog.EndRetry},
		{catalog.EndFailed, ErrTimedOut, catalog.EndFailed},
		{catalog.EndWaiting, ErrTimedOut, catalog.EndWaiting},
	} {
		t.Run(fmt.Sprintf("%s, %v", tt.ended, tt.cause), func(t *testing.T) {
			t.Parallel()
			got := settle(attempt(tt.ended), tt.cause, func() time.Time { return later })
			require.Equal(t, tt.want, got.Ending)
			require.Equal(t, usage, got.Usage)
			switch {
			case tt.ended == catalog.EndHandBack && tt.want == catalog.EndRetry:
				require.Equal(t, later, got.RunAt)
				require.Contains(t, got.Failure.Message, "took too long")
			case tt.ended == catalog.EndRetry && errors.Is(tt.cause, ErrTimedOut):
				require.Contains(t, got.Failure.Message, "took too long")
				require.Contains(t, got.Failure.Message, crash.Message)
			case tt.want == catalog.EndHandBack || tt.want == catalog.EndCanceled:
				require.Nil(t, got.Failure, "interrupted is not failed")
			}
		})
	}
}
