package storetest

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
)

func testAddJob(k *kit) {
	in := catalog.Job{
		CaptureURI: "call", CaptureKey: "digest", RecordingID: "rec", RoomID: "r", SessionID: "s", TemplateID: "t",
		Source: "beam", StartedAt: k.clock.Now().Add(-time.Hour), StoppedAt: k.clock.Now().Add(-time.Minute),
		Defects: []catalog.Defect{{Kind: "torn", Detail: "…", File: "a.webm"}},
		Options: json.RawMessage(`{"a": [1]}`), Queue: catalog.QueueBackfill, Priority: 3,
		Cost: catalog.Cost{CPU: 1500, Memory: 1 << 33}, MaxAttempts: 2, BackfillID: "b",
	}
	first, created, err := k.s.AddJob(k.ctx(), in, true)
	require.NoError(k, err)
	require.True(k, created)
	require.True(k, catalog.ValidID(first.ID))
	want := in
	want.ID, want.Kind, want.State, want.RunAt = first.ID, catalog.CaptureJob, catalog.JobQueued, k.clock.Now()
	want.CreatedAt, want.UpdatedAt = k.clock.Now(), k.clock.Now()
	require.Equal(k, want, first)
	require.Equal(k, want, k.job(first.ID))

	tickets := k.tickets()
	require.Len(k, tickets, 1)
	require.Equal(k, catalog.Ticket{ID: tickets[0].ID, JobID: first.ID, Queue: catalog.QueueBackfill, Priority: 3, RunAt: k.clock.Now()}, tickets[0])
	require.True(k, catalog.ValidID(tickets[0].ID))

	// The same capture is the same job, wherever it lies and whatever is asked.
	k.clock.Add(time.Second)
	moved := in
	moved.CaptureURI, moved.Priority, moved.Options = "elsewhere", 9, nil
	again, created, err := k.s.AddJob(k.ctx(), moved, true)
	require.NoError(k, err)
	require.False(k, created)
	want.CaptureURI, want.UpdatedAt = "elsewhere", k.clock.Now()
	require.Equal(k, want, again)
	require.Equal(k, tickets, k.tickets())

	// A running job reads from where it lies.
	k.claim(first.ID)
	again, _, err = k.s.AddJob(k.ctx(), in, true)
	require.NoError(k, err)
	require.Equal(k, "elsewhere", again.CaptureURI)
	require.Empty(k, k.tickets())

	// A later job that was not to be dispatched gets its ticket when it is.
	silent, _, err := k.s.AddJob(k.ctx(), jobOf("silent"), false)
	require.NoError(k, err)
	require.Empty(k, k.tickets())
	for range 2 {
		_, created, err = k.s.AddJob(k.ctx(), jobOf("silent"), true)
		require.NoError(k, err)
		require.False(k, created)
		require.Equal(k, []string{silent.ID}, k.due())
	}

	later := jobOf("later")
	later.RunAt = k.clock.Now().Add(time.Hour)
	j, _, err := k.s.AddJob(k.ctx(), later, true)
	require.NoError(k, err)
	require.Equal(k, []string{silent.ID}, k.due())
	k.clock.Add(time.Hour)
	require.Equal(k, []string{silent.ID, j.ID}, k.due())
}

func testAddJobs(k *kit) {
	jobs := []catalog.Job{}
	for i := range 1203 {
		jobs = append(jobs, jobOf(fmt.Sprint("c", i%1201)))
	}
	added, created, err := k.s.AddJobs(k.ctx(), jobs, true)
	require.NoError(k, err)
	require.Equal(k, 1201, created)
	require.Len(k, added, 1203)
	require.Equal(k, added[0], added[1201])
	for i, j := range added {
		require.Equal(k, jobs[i].CaptureKey, j.CaptureKey)
	}
	counts, err := k.s.CountJobs(k.ctx())
	require.NoError(k, err)
	require.Len(k, counts, 1)
	require.Equal(k, int64(1201), counts[0].Count)

	_, created, err = k.s.AddJobs(k.ctx(), []catalog.Job{jobOf("x"), {}}, true)
	require.ErrorIs(k, err, catalog.ErrInvalid)
	require.Zero(k, created)
	_, created, err = k.s.AddJobs(k.ctx(), []catalog.Job{jobOf("x")}, true)
	require.NoError(k, err)
	require.Equal(k, 1, created, "the failed batch left nothing behind")
}

func testAddGeneration(k *kit) {
	first := k.add("c")
	for want := 1; want <= 3; want++ {
		j, err := k.s.AddGeneration(k.ctx(), jobOf("c"), true)
		require.NoError(k, err)
		require.Equal(k, want, j.Generation)
		require.NotEqual(k, first.ID, j.ID)
	}
	filled := jobOf("c")
	filled.BackfillID = "b"
	a, err := k.s.AddGeneration(k.ctx(), filled, true)
	require.NoError(k, err)
	b, err := k.s.AddGeneration(k.ctx(), filled, true)
	require.NoError(k, err)
	require.Equal(k, a, b, "once in each backfill")
	require.Equal(k, 4, a.Generation)

	var wg sync.WaitGroup
	for range 4 {
		s := k.open()
		wg.Go(func() {
			for range 5 {
				if _, err := s.AddGeneration(k.ctx(), jobOf("c"), false); err != nil {
					k.Error(err)
				}
			}
		})
	}
	wg.Wait()
	last, err := k.s.AddGeneration(k.ctx(), jobOf("c"), false)
	require.NoError(k, err)
	require.Equal(k, 25, last.Generation)
	fresh, err := k.s.AddGeneration(k.ctx(), jobOf("fresh"), false)
	require.NoError(k, err)
	require.Zero(k, fresh.Generation)
}

func testJobRefusals(k *kit) {
	for _, bad := range []catalog.Job{
		{}, {CaptureKey: "c", ID: "7"}, {CaptureKey: "c", Kind: "x"}, {CaptureKey: "c", Kind: catalog.PartJob},
		{CaptureKey: "c", Queue: "x"}, {CaptureKey: "c", Options: json.RawMessage("{")},
	} {
		_, _, err := k.s.AddJob(k.ctx(), bad, true)
		require.ErrorIs(k, err, catalog.ErrInvalid)
		_, err = k.s.AddGeneration(k.ctx(), bad, true)
		require.ErrorIs(k, err, catalog.ErrInvalid)
	}
	for name, do := range map[string]func(id string) error{
		"read":   func(id string) error { _, err := k.s.JobByID(k.ctx(), id); return err },
		"claim":  func(id string) error { _, err := k.s.ClaimJob(k.ctx(), id, "w"); return err },
		"seize":  func(id string) error { _, err := k.s.SeizeJob(k.ctx(), id, "w"); return err },
		"cancel": func(id string) error { _, err := k.s.CancelJob(k.ctx(), id); return err },
		"retry":  func(id string) error { _, err := k.s.RetryJob(k.ctx(), id); return err },
		"beat":   func(id string) error { _, err := k.s.Heartbeat(k.ctx(), catalog.Claim{JobID: id}); return err },
		"update": func(id string) error { return k.s.UpdateJob(k.ctx(), catalog.Claim{JobID: id}, "x", 1) },
		"end": func(id string) error {
			_, err := k.s.EndAttempt(k.ctx(), catalog.Claim{JobID: id}, catalog.Attempt{Ending: catalog.EndCompleted})
			return err
		},
	} {
		require.ErrorIs(k, do("6921f0a801020304050000a9"), catalog.ErrNotFound, name)
	}
	require.Empty(k, k.tickets())
	counts, err := k.s.CountJobs(k.ctx())
	require.NoError(k, err)
	require.Empty(k, counts)
}

func testListJobs(k *kit) {
	var all []catalog.Job // newest first
	for i := range 60 {
		j := jobOf(fmt.Sprint("c", i))
		j.Queue = []catalog.QueueName{catalog.QueueDefault, catalog.QueueBackfill}[i%2]
		j.RoomID = fmt.Sprint("r", i%3)
		j.BackfillID = []string{"", "b1", "b2"}[i%3]
		got, _, err := k.s.AddJob(k.ctx(), j, true)
		require.NoError(k, err)
		if i%5 == 0 {
			got = k.claim(got.ID)
		}
		if i%10 == 0 {
			got = k.end(got, catalog.Attempt{Ending: catalog.EndCompleted})
		}
		all = append([]catalog.Job{got}, all...)
	}
	parent := k.begin("parent")
	parent = k.end(parent, catalog.Attempt{Ending: catalog.EndWaiting, Parts: []catalog.Job{{CaptureKey: "1"}, {CaptureKey: "2"}, {CaptureKey: "3"}}})
	all = append([]catalog.Job{parent}, all...)
	parts, err := k.s.ListJobs(k.ctx(), catalog.JobFilter{ParentID: parent.ID})
	require.NoError(k, err)
	require.Len(k, parts, 3)
	// The parts' ids are older or newer than their parent's only by their making.
	all = append(parts, all...)

	for bits := range 1 << 6 {
		for _, pick := range []catalog.Job{all[7], all[1]} {
			f := catalog.JobFilter{}
			set(bits, 0, func() { f.Kind = pick.Kind })
			set(bits, 1, func() { f.State = pick.State })
			set(bits, 2, func() { f.Queue = pick.Queue })
			set(bits, 3, func() { f.RoomID = pick.RoomID })
			set(bits, 4, func() { f.ParentID = pick.ParentID })
			set(bits, 5, func() { f.BackfillID = pick.BackfillID })
			want := []string{}
			for _, j := range all {
				if (f.Kind == "" || f.Kind == j.Kind) && (f.State == "" || f.State == j.State) &&
					(f.Queue == "" || f.Queue == j.Queue) && (f.RoomID == "" || f.RoomID == j.RoomID) &&
					(f.ParentID == "" || f.ParentID == j.ParentID) && (f.BackfillID == "" || f.BackfillID == j.BackfillID) {
					want = append(want, j.ID)
				}
			}
			require.NotEmpty(k, want)
			require.Equal(k, want, k.jobPages(f, []int{0, 3, 7}[bits%3]), "%+v", f)
		}
	}
	for _, f := range []catalog.JobFilter{{Limit: -1}, {Limit: catalog.MaxPage + 1}, {After: "x"}} {
		_, err := k.s.ListJobs(k.ctx(), f)
		require.ErrorIs(k, err, catalog.ErrInvalid)
	}
}

// set runs fn when the bit is set.
func set(bits, bit int, fn func()) {
	if bits&(1<<bit) != 0 {
		fn()
	}
}

func (k *kit) jobPages(f catalog.JobFilter, limit int) []string {
	k.Helper()
	f.Limit = limit
	all := []string{}
	for {
		page, err := k.s.ListJobs(k.ctx(), f)
		require.NoError(k, err)
		all = append(all, ids(page)...)
		if limit == 0 || len(page) < limit {
			return all
		}
		f.After = page[limit-1].ID
	}
}

func testCountJobs(k *kit) {
	counts, err := k.s.CountJobs(k.ctx())
	require.NoError(k, err)
	require.Empty(k, counts)
	start := k.clock.Now()
	for i := range 4 {
		k.add(fmt.Sprint("queued", i))
		k.clock.Add(time.Second)
	}
	k.end(k.begin("done"), catalog.Attempt{Ending: catalog.EndCompleted})
	running := k.begin("running")
	parent := k.begin("parent")
	k.end(parent, catalog.Attempt{Ending: catalog.EndWaiting, Parts: []catalog.Job{{CaptureKey: "1"}, {CaptureKey: "2"}}})
	counts, err = k.s.CountJobs(k.ctx())
	require.NoError(k, err)
	require.ElementsMatch(k, []catalog.JobCount{
		{Kind: catalog.CaptureJob, Queue: catalog.QueueDefault, State: catalog.JobQueued, Count: 4, Oldest: start},
		{Kind: catalog.CaptureJob, Queue: catalog.QueueDefault, State: catalog.JobRunning, Count: 1, Oldest: running.RunAt},
		{Kind: catalog.CaptureJob, Queue: catalog.QueueDefault, State: catalog.JobWaiting, Count: 1, Oldest: k.job(parent.ID).RunAt},
		{Kind: catalog.PartJob, Queue: catalog.QueueChunks, State: catalog.JobQueued, Count: 2, Oldest: k.clock.Now()},
	}, counts)
}
