package storetest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
)

func testTakeOver(k *kit) {
	j := k.begin("c")
	require.NoError(k, k.s.UpdateJob(k.ctx(), claimOf(j), "render", 700))
	k.clock.Add(30 * time.Second)
	alive := k.begin("alive")
	taken, err := k.s.TakeOver(k.ctx(), j.HeartbeatAt, 3, 10)
	require.NoError(k, err)
	require.Empty(k, taken, "a heartbeat at that time is not before it")

	for round := 1; round <= 3; round++ {
		old := k.job(j.ID)
		taken, err := k.s.TakeOver(k.ctx(), k.clock.Now().Add(-time.Second), 2, 10)
		require.NoError(k, err)
		require.Equal(k, []catalog.Job{k.job(j.ID)}, taken)
		got := taken[0]
		require.Equal(k, []any{old.Fence + 1, round, 0}, []any{got.Fence, got.Takeovers, got.Attempts})
		log, err := k.s.Attempts(k.ctx(), j.ID)
		require.NoError(k, err)
		last := log[len(log)-1]
		require.Equal(k, []any{round, catalog.EndLost, old.Fence, "w", old.Stage}, []any{len(log), last.Ending, last.Fence, last.Worker, last.Stage})
		require.Equal(k, "lost", last.Failure.Kind)
		if round == 3 {
			require.Equal(k, catalog.JobFailed, got.State)
			require.Equal(k, "lost", got.Error.Kind)
			require.Equal(k, k.clock.Now(), got.FinishedAt)
			require.NotContains(k, k.due(), j.ID)
			break
		}
		require.Equal(k, catalog.JobQueued, got.State)
		require.Equal(k, k.clock.Now(), got.RunAt)
		require.Contains(k, k.due(), j.ID)
		k.claim(j.ID)
		k.clock.Add(2 * time.Second)
		_, err = k.s.Heartbeat(k.ctx(), claimOf(alive))
		require.NoError(k, err)
	}
	require.Equal(k, catalog.JobRunning, k.job(alive.ID).State)
	again, err := k.s.RetryJob(k.ctx(), j.ID)
	require.NoError(k, err)
	require.Zero(k, again.Takeovers)
}

// testTakeOverAtOnce: two sweepers take a job over once, beside workers that
// end theirs in the same moment.
func testTakeOverAtOnce(k *kit) {
	handles := []Store{k.s, k.open()}
	for round := range 6 {
		var jobs []catalog.Job
		for i := range 4 {
			jobs = append(jobs, k.begin(fmt.Sprint("c", round, "-", i)))
		}
		k.clock.Add(time.Minute)
		var mu sync.Mutex
		var taken []string
		var wg sync.WaitGroup
		for _, s := range handles {
			wg.Go(func() {
				got, err := s.TakeOver(k.ctx(), k.clock.Now(), 3, 10)
				if err != nil {
					k.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				taken = append(taken, ids(got)...)
			})
		}
		lost := make([]bool, len(jobs))
		for i, j := range jobs[:2] {
			wg.Go(func() {
				_, err := handles[i].EndAttempt(k.ctx(), claimOf(j), catalog.Attempt{Ending: catalog.EndCompleted})
				lost[i] = err != nil
			})
		}
		wg.Wait()
		for i, j := range jobs {
			now, count := k.job(j.ID), 0
			for _, id := range taken {
				if id == j.ID {
					count++
				}
			}
			if i < 2 && !lost[i] {
				require.Equal(k, []any{catalog.JobCompleted, 0, 0}, []any{now.State, now.Takeovers, count})
				continue
			}
			require.Equal(k, []any{catalog.JobQueued, 1, 1}, []any{now.State, now.Takeovers, count})
			k.end(k.claim(j.ID), catalog.Attempt{Ending: catalog.EndCompleted})
		}
	}
}

// testTakeOverJoins: parts whose workers die end their parent's wait too.
func testTakeOverJoins(k *kit) {
	parent, list := k.fanOut("c", 2)
	k.end(k.claim(list[0].ID), catalog.Attempt{Ending: catalog.EndCompleted})
	k.claim(list[1].ID)
	k.clock.Add(time.Minute)
	taken, err := k.s.TakeOver(k.ctx(), k.clock.Now(), 0, 10)
	require.NoError(k, err)
	require.Contains(k, ids(taken), list[1].ID)
	require.Equal(k, []catalog.JobState{catalog.JobFailed, catalog.JobQueued}, k.states(list[1].ID, parent.ID))
	require.Equal(k, []string{parent.ID}, k.due())
}

func testOutbox(k *kit) {
	var want []string
	for i := range 6 {
		j := jobOf(fmt.Sprint("c", i))
		j.Priority = []int{0, 5, -5}[i%3]
		got, _, err := k.s.AddJob(k.ctx(), j, true)
		require.NoError(k, err)
		want = append(want, got.ID)
		k.clock.Add(time.Second)
	}
	order := []string{want[1], want[4], want[0], want[3], want[2], want[5]}
	require.Equal(k, order, k.due())
	first, err := k.s.DueTickets(k.ctx(), 2)
	require.NoError(k, err)
	require.Equal(k, k.tickets()[:2], first)

	before := k.clock.Now()
	require.NoError(k, k.s.Dispatched(k.ctx(), first))
	require.NoError(k, k.s.Dispatched(k.ctx(), first))
	require.NoError(k, k.s.Dispatched(k.ctx(), nil))
	require.Equal(k, order[2:], k.due())
	waiting, err := k.s.Waiting(k.ctx(), before, "", 10)
	require.NoError(k, err)
	require.Empty(k, waiting, "a ticket of that time is not before it")
	waiting, err = k.s.Waiting(k.ctx(), before.Add(time.Microsecond), "", 10)
	require.NoError(k, err)
	slices.SortFunc(first, func(a, b catalog.Ticket) int { return compare(a.JobID, b.JobID) })
	require.Equal(k, first, waiting)
	page, err := k.s.Waiting(k.ctx(), before.Add(time.Second), "", 1)
	require.NoError(k, err)
	rest, err := k.s.Waiting(k.ctx(), before.Add(time.Second), page[0].JobID, 10)
	require.NoError(k, err)
	require.Equal(k, waiting, append(page, rest...))

	// A ticket that comes late, twice, or of a job that is claimed, does no harm.
	j := k.claim(first[0].JobID)
	require.NoError(k, k.s.Dispatched(k.ctx(), first))
	k.end(j, catalog.Attempt{Ending: catalog.EndHandBack})
	stale := first[0]
	require.NoError(k, k.s.Dispatched(k.ctx(), []catalog.Ticket{stale}))
	require.Contains(k, k.due(), j.ID, "only the ticket itself goes, not the job's next one")
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// testOutboxLoss: what the queue loses is found and put into the outbox again,
// once.
func testOutboxLoss(k *kit) {
	queued, running, over := k.add("queued"), k.add("running"), k.add("over")
	silent, _, err := k.s.AddJob(k.ctx(), jobOf("silent"), false)
	require.NoError(k, err)
	k.dispatch() // and the queue loses all
	require.Empty(k, k.due())
	k.claim(running.ID)
	k.end(k.claim(over.ID), catalog.Attempt{Ending: catalog.EndCompleted})
	k.clock.Add(time.Minute)
	waiting, err := k.s.Waiting(k.ctx(), k.clock.Now(), "", 10)
	require.NoError(k, err)
	require.Len(k, waiting, 1)
	require.Equal(k, queued.ID, waiting[0].JobID)
	for range 2 {
		require.NoError(k, k.s.Redispatch(k.ctx(), []string{queued.ID, running.ID, over.ID, "6921f0a801020304050000a9"}))
		require.Equal(k, []string{queued.ID}, k.due())
	}
	require.NotEqual(k, waiting[0].ID, k.tickets()[0].ID)
	waiting, err = k.s.Waiting(k.ctx(), k.clock.Now(), "", 10)
	require.NoError(k, err)
	require.Empty(k, waiting, "the new ticket is still in the outbox")
	require.NoError(k, k.s.Redispatch(k.ctx(), []string{silent.ID}))
	require.Equal(k, []string{silent.ID, queued.ID}[1:], k.due()[:1])
}

func testLeases(k *kit) {
	handles := []Store{k.s, k.open()}
	take := func(s int, name, holder string) bool {
		got, err := handles[s].Lease(k.ctx(), name, holder, time.Minute)
		require.NoError(k, err)
		return got
	}
	require.True(k, take(0, "sweeper", "a"))
	require.False(k, take(1, "sweeper", "b"))
	require.True(k, take(1, "other", "b"))
	k.clock.Add(59 * time.Second)
	require.True(k, take(0, "sweeper", "a"))
	k.clock.Add(59 * time.Second)
	require.False(k, take(1, "sweeper", "b"))
	require.NoError(k, k.s.Release(k.ctx(), "sweeper", "b"))
	require.False(k, take(1, "sweeper", "b"))
	require.NoError(k, k.s.Release(k.ctx(), "sweeper", "a"))
	require.True(k, take(1, "sweeper", "b"))
	k.clock.Add(time.Minute)
	require.True(k, take(0, "sweeper", "a"), "it has run out")

	for round := range 5 {
		var wins [6]bool
		var wg sync.WaitGroup
		for i := range wins {
			wg.Go(func() {
				got, err := handles[i%2].Lease(k.ctx(), fmt.Sprint("race", round), fmt.Sprint(i), time.Minute)
				if err != nil {
					k.Error(err)
				}
				wins[i] = got
			})
		}
		wg.Wait()
		n := 0
		for _, w := range wins {
			if w {
				n++
			}
		}
		require.Equal(k, 1, n)
	}
}
