package sqlstore_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/sqlstore"
)

// eventKit is an empty catalog that writes events down, with a clock.
type eventKit struct {
	*testing.T
	s   *sqlstore.Store
	now time.Time
}

// onBoth runs the test over SQLite and over PostgreSQL.
func onBoth(t *testing.T, test func(*eventKit)) {
	t.Helper()
	for name, configure := range map[string]func(*testing.T) sqlstore.Config{
		"SQLite":   func(t *testing.T) sqlstore.Config { return target(filepath.Join(t.TempDir(), "catalog.db")) },
		"Postgres": func(t *testing.T) sqlstore.Config { return target(postgresURL(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := &eventKit{T: t, now: time.Date(2026, 11, 22, 17, 0, 0, 0, time.UTC)}
			cfg := configure(t)
			cfg.Events, cfg.Now = true, func() time.Time { return k.now }
			s, err := sqlstore.Open(t.Context(), cfg)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			k.s = s
			test(k)
		})
	}
}

func (k *eventKit) end(captureKey string, end catalog.Attempt) catalog.Job {
	k.Helper()
	j, err := k.s.EndAttempt(k.Context(), claimOf(beginJob(k.T, k.s, captureKey)), end)
	require.NoError(k, err)
	return j
}

func (k *eventKit) events() []catalog.Event {
	k.Helper()
	events, err := k.s.Events(k.Context(), 100)
	require.NoError(k, err)
	return events
}

// announce makes deliveries to "a" out of the next event, with these subjects.
func (k *eventKit) announce(subjects ...string) []catalog.Delivery {
	k.Helper()
	event := k.events()[0]
	deliveries := make([]catalog.Delivery, len(subjects))
	for i, subject := range subjects {
		deliveries[i] = catalog.Delivery{
			Endpoint: "a", EventID: fmt.Sprint(event.ID, "-", i), Subject: subject, Type: "t", Lane: event.CaptureKey,
			At: event.At, Number: i, JobID: event.JobID, AssetID: "asset", Payload: []byte(`{"x":"\u0000"}`),
		}
	}
	require.NoError(k, k.s.Announce(k.Context(), event, deliveries))
	return deliveries
}

func (k *eventKit) claim() []catalog.Delivery {
	k.Helper()
	got, err := k.s.ClaimDeliveries(k.Context(), "a", time.Minute, 10)
	require.NoError(k, err)
	return got
}

func (k *eventKit) finish(d catalog.Delivery, end catalog.DeliveryEnd) {
	k.Helper()
	require.NoError(k, k.s.EndDelivery(k.Context(), d, end))
}

func (k *eventKit) list(f catalog.DeliveryFilter) []catalog.Delivery {
	k.Helper()
	got, err := k.s.ListDeliveries(k.Context(), f)
	require.NoError(k, err)
	return got
}

func TestEvents(t *testing.T) {
	t.Parallel()
	onBoth(t, func(k *eventKit) {
		require.Empty(k, k.events())
		failure := &catalog.AssetError{Kind: "permanent", Message: "no encoder"}
		k.end("again", catalog.Attempt{Ending: catalog.EndHandBack})
		require.Empty(k, k.events(), "the job goes on")
		a := k.end("a", catalog.Attempt{Ending: catalog.EndFailed, Failure: failure})
		k.now = k.now.Add(time.Second)
		b := k.end("b", catalog.Attempt{Ending: catalog.EndCompleted})
		got := k.events()
		require.Len(k, got, 2)
		require.Equal(k, catalog.Event{
			ID: got[0].ID, JobID: a.ID, CaptureKey: "a", State: catalog.JobFailed, Error: failure, At: a.FinishedAt,
		}, got[0])
		require.Equal(k, []any{b.ID, catalog.JobCompleted}, []any{got[1].JobID, got[1].State})

		// The same capture's next event waits for the one before it.
		_, err := k.s.RetryJob(k.Context(), a.ID)
		require.NoError(k, err)
		k.now = k.now.Add(time.Second)
		k.end("a", catalog.Attempt{Ending: catalog.EndCompleted})
		require.Equal(k, got, k.events())
		k.announce("one")
		next := k.events()
		require.Equal(k, []string{b.ID, a.ID}, []string{next[0].JobID, next[1].JobID})

		// A queued job that is canceled, and one that is taken over too often.
		j, _, err := k.s.AddJob(k.Context(), jobOf("c"), true)
		require.NoError(k, err)
		_, err = k.s.CancelJob(k.Context(), j.ID)
		require.NoError(k, err)
		beginJob(k.T, k.s, "d")
		k.now = k.now.Add(time.Hour)
		_, err = k.s.TakeOver(k.Context(), k.now, 0, 10)
		require.NoError(k, err)
		last := k.events()
		require.Len(k, last, 4)
		require.Equal(k, catalog.JobCanceled, last[2].State)
		require.Equal(k, sqlstore.LostKind, last[3].Error.Kind)
	})
}

func TestEventsSwitchedOff(t *testing.T) {
	t.Parallel()
	s := openStore(t, filepath.Join(t.TempDir(), "catalog.db"))
	_, err := s.EndAttempt(t.Context(), claimOf(beginJob(t, s, "a")), catalog.Attempt{Ending: catalog.EndCompleted})
	require.NoError(t, err)
	events, err := s.Events(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, events)
}

func TestDeliveries(t *testing.T) {
	t.Parallel()
	onBoth(t, func(k *eventKit) {
		j := k.end("c", catalog.Attempt{Ending: catalog.EndCompleted})
		event := k.events()[0]
		sent := k.announce("one", "two", "one")
		// Announced again, and by somebody who was late: nothing.
		require.NoError(k, k.s.Announce(k.Context(), event, sent))
		all := k.list(catalog.DeliveryFilter{})
		require.Len(k, all, 2)
		want := sent[0]
		want.ID, want.State = all[1].ID, catalog.DeliveryPending
		want.RunAt, want.CreatedAt, want.UpdatedAt = k.now, k.now, k.now
		require.Equal(k, want, all[1])

		first := k.claim()
		require.Len(k, first, 1, "of a lane one at a time")
		require.Equal(k, sent[0].EventID, first[0].EventID)
		require.Empty(k, k.claim())
		k.finish(first[0], catalog.DeliveryEnd{State: catalog.DeliveryPending, After: time.Second, Status: 500, Error: "answer 500"})
		require.Empty(k, k.claim(), "what waits holds back what is behind it")
		k.now = k.now.Add(time.Second)
		second := k.claim()[0]
		require.Equal(k, []any{first[0].ID, 1, 500, "answer 500"}, []any{second.ID, second.Attempts, second.Status, second.Error})

		// A process dies: when its lease is over somebody else sends it, and what
		// the first one says then is refused.
		k.now = k.now.Add(time.Minute)
		third := k.claim()[0]
		require.Equal(k, second.ID, third.ID)
		require.ErrorIs(k, k.s.EndDelivery(k.Context(), second, catalog.DeliveryEnd{State: catalog.DeliveryFailed}), catalog.ErrClaimLost)
		k.finish(third, catalog.DeliveryEnd{State: catalog.DeliveryPending, Interrupted: true})
		fourth := k.claim()[0]
		require.Equal(k, 1, fourth.Attempts, "an interrupted attempt does not count")
		k.finish(fourth, catalog.DeliveryEnd{State: catalog.DeliveryDelivered, Status: 200})
		require.ErrorIs(k, k.s.EndDelivery(k.Context(), fourth, catalog.DeliveryEnd{State: catalog.DeliveryPending}), catalog.ErrClaimLost)
		last := k.claim()
		require.Equal(k, "two", last[0].Subject)
		k.finish(last[0], catalog.DeliveryEnd{State: catalog.DeliveryFailed, Error: "no answer"})
		require.Empty(k, k.claim())

		for _, f := range []catalog.DeliveryFilter{
			{State: catalog.DeliveryFailed}, {Endpoint: "a", State: catalog.DeliveryFailed}, {JobID: j.ID, State: catalog.DeliveryFailed},
			{Limit: 1}, {Endpoint: "a", Limit: 1}, {JobID: j.ID, Limit: 1}, {JobID: j.ID, Endpoint: "a", Limit: 1},
		} {
			got := k.list(f)
			require.Len(k, got, 1, "%+v", f)
			require.Equal(k, last[0].ID, got[0].ID)
		}
		require.Equal(k, all[1].ID, k.list(catalog.DeliveryFilter{After: all[0].ID})[0].ID)
		for _, f := range []catalog.DeliveryFilter{{Endpoint: "b"}, {Endpoint: "\x00"}, {State: "x"}, {JobID: "x"}} {
			require.Empty(k, k.list(f))
		}
		_, err := k.s.ListDeliveries(k.Context(), catalog.DeliveryFilter{After: "x"})
		require.ErrorIs(k, err, catalog.ErrInvalid)
	})
}

func TestReplayAndPrune(t *testing.T) {
	t.Parallel()
	onBoth(t, func(k *eventKit) {
		k.end("c", catalog.Attempt{Ending: catalog.EndCompleted})
		k.announce("one", "two")
		d := k.claim()[0]
		_, err := k.s.ReplayDelivery(k.Context(), d.ID)
		require.ErrorIs(k, err, catalog.ErrInvalid)
		_, err = k.s.ReplayDelivery(k.Context(), "x")
		require.ErrorIs(k, err, catalog.ErrNotFound)
		k.finish(d, catalog.DeliveryEnd{State: catalog.DeliveryFailed, Status: 404, Error: "answer 404"})
		k.finish(k.claim()[0], catalog.DeliveryEnd{State: catalog.DeliveryDelivered, Status: 200})
		k.now = k.now.Add(time.Hour)
		replayed, err := k.s.ReplayDelivery(k.Context(), d.ID)
		require.NoError(k, err)
		require.Equal(k, []any{catalog.DeliveryPending, 0, true, d.EventID}, []any{replayed.State, replayed.Attempts, replayed.Replay, replayed.EventID})
		again := k.claim()
		require.Len(k, again, 1)
		k.finish(again[0], catalog.DeliveryEnd{State: catalog.DeliveryDelivered, Status: 200})

		n, err := k.s.PruneDeliveries(k.Context(), k.now, 10)
		require.NoError(k, err)
		require.Equal(k, 1, n, "the replayed one is younger")
		left := k.list(catalog.DeliveryFilter{})
		require.Len(k, left, 1)
		require.Equal(k, d.ID, left[0].ID)
		require.Equal(k, k.now, left[0].DeliveredAt)
	})
}

// TestClaimDeliveriesAtOnce: of several processes one is given each delivery.
func TestClaimDeliveriesAtOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(k *eventKit) {
		const captures = 12
		for i := range captures {
			k.end(fmt.Sprint(i), catalog.Attempt{Ending: catalog.EndCompleted})
			k.announce(fmt.Sprint(i))
		}
		var (
			mu    sync.Mutex
			times = map[string]int{}
			wg    sync.WaitGroup
		)
		for range 4 {
			wg.Go(func() {
				for range captures {
					got, err := k.s.ClaimDeliveries(k.Context(), "a", time.Minute, 3)
					if err != nil {
						k.Error(err)
						return
					}
					mu.Lock()
					for _, d := range got {
						times[d.ID]++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		require.Len(k, times, captures)
		for id, n := range times {
			require.Equal(k, 1, n, id)
		}
	})
}

// endForEver is the child of TestKilledBetweenEvents: it registers an asset,
// ends the job and prints the job's id once that is done.
func endForEver(s *sqlstore.Store) error {
	ctx := context.Background()
	for i := 0; ; i++ {
		j, err := begin(ctx, s, fmt.Sprint("capture-", os.Getpid(), "-", i))
		if err != nil {
			return err
		}
		if _, err := s.RegisterAssets(ctx, claimOf(j), []catalog.Asset{completed(j.ID)}); err != nil {
			return err
		}
		if _, err := s.EndAttempt(ctx, claimOf(j), catalog.Attempt{Ending: catalog.EndCompleted}); err != nil {
			return err
		}
		fmt.Println(j.ID)
	}
}

// TestKilledBetweenEvents kills a process at random moments while it ends jobs:
// each job that is over has exactly one event, and no other job has one.
func TestKilledBetweenEvents(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "catalog.db")
	said := 0
	for range 8 {
		c, stderr := child(path, "events")
		stdout, err := c.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, c.Start())
		lines := bufio.NewScanner(stdout)
		for n := rand.IntN(12); n > 0 && lines.Scan(); n-- { //nolint:gosec // test data
			said++
		}
		require.NoError(t, c.Process.Kill())
		for lines.Scan() {
			if catalog.ValidID(lines.Text()) {
				said++
			}
		}
		require.Error(t, c.Wait(), "the child was to be killed")
		require.Empty(t, stderr.String())
	}
	s := openStore(t, path)
	events, err := s.Events(t.Context(), 10000)
	require.NoError(t, err)
	told := map[string]bool{}
	for _, e := range events {
		require.False(t, told[e.JobID])
		told[e.JobID] = true
	}
	over, err := s.ListJobs(t.Context(), catalog.JobFilter{State: catalog.JobCompleted})
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(over), said)
	for _, j := range over {
		require.True(t, told[j.ID])
	}
	require.Len(t, told, len(over))
}

// version3 is what the first schema with events holds: a job that is over, its
// event, and a delivery in each state.
const version3 = `
INSERT INTO jobs (id, capture_uri, capture_key, recording_id, room_id, session_id, template_id, source, state, stage, progress,
    attempts, created_at, updated_at, started_at, stopped_at, defects, error_kind, error_message, finished_at)
VALUES ('6921f0a80102030405000001', 'calls/a', 'ka', '', 'r', 's', '', 'sfu', 'failed', 'publish', 900, 5,
    1700000000000001, 1700000002000000, 0, 0, '[]', 'permanent', 'no room', 1700000002000000);
INSERT INTO events VALUES ('6921f0a801020304050000e1', '6921f0a80102030405000001', 'ka', 'failed', 'publish', 'permanent', 'no room', 1700000002000000);
INSERT INTO deliveries VALUES
    ('6921f0a801020304050000d1', 'a', 'e0-0', 's1', 't', 'ka', 1700000001000000, 0, '6921f0a80102030405000001', 'x', '{"data":{}}',
     'pending', 1, 2, 1700000001500000, 0, 500, 'answer 500', 1700000001000000, 1700000001500000, 0),
    ('6921f0a801020304050000d2', 'a', 'e0-1', 's2', 't', 'ka', 1700000001000000, 1, '6921f0a80102030405000001', '', '{"data":{}}',
     'delivered', 1, 1, 1700000001500000, 1, 200, '', 1700000001000000, 1700000001500000, 1700000001500000);`

func TestMigrateVersion3(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "catalog.db")
	oldCatalog(t, goose.DialectSQLite3, rawDB(t, path), 3, version3)
	checkVersion3(t, openStore(t, path))
}

func TestMigrateVersion3OnPostgres(t *testing.T) {
	t.Parallel()
	address := postgresURL(t)
	oldCatalog(t, goose.DialectPostgres, openPostgres(t, address), 3, version3)
	checkVersion3(t, openTarget(t, address))
}

func checkVersion3(t *testing.T, s *sqlstore.Store) {
	t.Helper()
	at := func(us int64) time.Time { return time.UnixMicro(us).UTC() }
	events, err := s.Events(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, []catalog.Event{{
		ID: "6921f0a801020304050000e1", JobID: "6921f0a80102030405000001", CaptureKey: "ka", State: catalog.JobFailed, Stage: "publish",
		Error: &catalog.AssetError{Kind: "permanent", Message: "no room"}, At: at(1700000002000000),
	}}, events)
	all, err := s.ListDeliveries(t.Context(), catalog.DeliveryFilter{})
	require.NoError(t, err)
	pending := catalog.Delivery{
		ID: "6921f0a801020304050000d1", Endpoint: "a", EventID: "e0-0", Subject: "s1", Type: "t", Lane: "ka", At: at(1700000001000000),
		JobID: "6921f0a80102030405000001", AssetID: "x", Payload: []byte(`{"data":{}}`), State: catalog.DeliveryPending, Attempts: 1,
		Claim: 2, RunAt: at(1700000001500000), Status: 500, Error: "answer 500", CreatedAt: at(1700000001000000), UpdatedAt: at(1700000001500000),
	}
	delivered := pending
	delivered.ID, delivered.EventID, delivered.Subject, delivered.Number, delivered.AssetID = "6921f0a801020304050000d2", "e0-1", "s2", 1, ""
	delivered.State, delivered.Claim, delivered.Replay, delivered.Status, delivered.Error = catalog.DeliveryDelivered, 1, true, 200, ""
	delivered.DeliveredAt = at(1700000001500000)
	require.Equal(t, []catalog.Delivery{delivered, pending}, all)
	claimed, err := s.ClaimDeliveries(t.Context(), "a", time.Minute, 10)
	require.NoError(t, err)
	require.Len(t, claimed, 1)
	require.Equal(t, int64(3), claimed[0].Claim)
}
