package storetest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
)

func testKeys(k *kit) {
	var made []catalog.AccessKey
	for i := range 3 {
		in := catalog.AccessKey{AccessKey: fmt.Sprint("key", i), AppID: fmt.Sprint("app", i/2), Secret: catalog.Secret(fmt.Sprint("s3cret", i))}
		got, err := k.s.CreateKey(k.ctx(), in)
		require.NoError(k, err)
		in.CreatedAt = k.clock.Now()
		require.Equal(k, in, got)
		found, err := k.s.KeyByAccessKey(k.ctx(), in.AccessKey)
		require.NoError(k, err)
		require.Equal(k, in, found)
		require.Equal(k, fmt.Sprint("s3cret", i), found.Secret.Reveal())
		made = append(made, got)
	}
	_, err := k.s.CreateKey(k.ctx(), catalog.AccessKey{AccessKey: "key0", AppID: "other", Secret: "another-s3cret"})
	require.Error(k, err)
	require.NotContains(k, err.Error(), "s3cret")
	for _, bad := range []catalog.AccessKey{{AppID: "a", Secret: "s"}, {AccessKey: "a", Secret: "s"}, {AccessKey: "a", AppID: "s"}} {
		_, err := k.s.CreateKey(k.ctx(), bad)
		require.ErrorIs(k, err, catalog.ErrInvalid)
	}
	k.clock.Add(time.Minute)
	made[1].RevokedAt = k.clock.Now()
	for range 2 {
		require.NoError(k, k.s.RevokeKey(k.ctx(), "key1"))
		k.clock.Add(time.Minute)
	}
	for _, gone := range []string{"key1", "none", "\x00"} {
		_, err = k.s.KeyByAccessKey(k.ctx(), gone)
		require.ErrorIs(k, err, catalog.ErrNotFound)
	}
	require.ErrorIs(k, k.s.RevokeKey(k.ctx(), "none"), catalog.ErrNotFound)
	all, err := k.s.AccessKeys(k.ctx(), "")
	require.NoError(k, err)
	require.Equal(k, made, all)
	some, err := k.s.AccessKeys(k.ctx(), "app0")
	require.NoError(k, err)
	require.Equal(k, made[:2], some)
}

func testRooms(k *kit) {
	_, err := k.s.AppOfRoom(k.ctx(), "r")
	require.ErrorIs(k, err, catalog.ErrNotFound)
	handles := []Store{k.s, k.open()}
	var owners [4]string
	var wg sync.WaitGroup
	for i := range owners {
		wg.Go(func() {
			owner, err := handles[i%2].GiveRoom(k.ctx(), "r", fmt.Sprint("app", i))
			if err != nil {
				k.Error(err)
			}
			owners[i] = owner
		})
	}
	wg.Wait()
	owner, err := k.s.AppOfRoom(k.ctx(), "r")
	require.NoError(k, err)
	require.NotEmpty(k, owner)
	for _, o := range owners {
		require.Equal(k, owner, o)
	}
}

// testListOfApps: an app sees what is its own, whatever else it asks for.
func testListOfApps(k *kit) {
	apps := []string{"", "app1", "app2"}
	var jobs []catalog.Job
	var assets []catalog.Asset
	for i := range 36 {
		j := jobOf(fmt.Sprint("c", i))
		j.AppID, j.RoomID = apps[i%3], fmt.Sprint("r", i%2)
		got, _, err := k.s.AddJob(k.ctx(), j, true)
		require.NoError(k, err)
		got = k.claim(got.ID)
		app, err := k.s.AppOfJob(k.ctx(), got.ID)
		require.NoError(k, err)
		require.Equal(k, j.AppID, app)
		a := completed(fmt.Sprint("a", i))
		if i%4 == 0 {
			a = failed(a.Key)
		}
		a.RoomID, a.Type = j.RoomID, catalog.AssetTypes()[i%5]
		assets = append(assets, k.register(got, a)...)
		if i%6 < 3 {
			got = k.end(got, catalog.Attempt{Ending: catalog.EndCompleted})
		}
		jobs = append(jobs, got)
	}
	slices.Reverse(jobs)
	slices.Reverse(assets)
	appOf := map[string]string{}
	for _, j := range jobs {
		appOf[j.ID] = j.AppID
	}
	for _, app := range append(apps, "none") {
		for bits := range 1 << 6 {
			pick := assets[2]
			var f catalog.Filter
			set(bits, 0, func() { f.RoomID = pick.RoomID })
			set(bits, 1, func() { f.Type = pick.Type })
			set(bits, 2, func() { f.Status = pick.Status })
			set(bits, 3, func() { f.SessionID = pick.SessionID })
			set(bits, 4, func() { f.JobID = pick.JobID })
			set(bits, 5, func() { f.Software = pick.Software })
			want := []string{}
			for _, a := range assets {
				if appOf[a.JobID] == app && matches(f, a) {
					want = append(want, a.ID)
				}
			}
			got, err := k.s.ListAssetsOfApp(k.ctx(), app, f)
			require.NoError(k, err)
			require.Equal(k, want, assetIDs(got), "%q %+v", app, f)
		}
		for bits := range 1 << 4 {
			pick := jobs[2]
			var f catalog.JobFilter
			set(bits, 0, func() { f.RoomID = pick.RoomID })
			set(bits, 1, func() { f.State = pick.State })
			set(bits, 2, func() { f.Kind = pick.Kind })
			set(bits, 3, func() { f.Queue = pick.Queue })
			want := []string{}
			for _, j := range jobs {
				if j.AppID == app && (f.RoomID == "" || f.RoomID == j.RoomID) && (f.State == "" || f.State == j.State) {
					want = append(want, j.ID)
				}
			}
			got, err := k.s.ListJobsOfApp(k.ctx(), app, f)
			require.NoError(k, err)
			require.Equal(k, want, ids(got), "%q %+v", app, f)
		}
	}
	// Parts are their parent's app's.
	j := jobOf("parent")
	j.AppID = "app1"
	parent, _, err := k.s.AddJob(k.ctx(), j, true)
	require.NoError(k, err)
	k.end(k.claim(parent.ID), catalog.Attempt{Ending: catalog.EndWaiting, Parts: parts(2)})
	for _, p := range k.partsOf(parent.ID) {
		require.Equal(k, "app1", p.AppID)
	}
}

func testRecordings(k *kit) {
	var all []catalog.Job
	for i := range 60 {
		j := jobOf(fmt.Sprint("c", i))
		j.AppID = []string{"app1", "app2"}[i%2]
		j.RoomID, j.SessionID = fmt.Sprint("r", i%3), fmt.Sprint("s", i%12)
		j.Source = []string{"beam", "sfu", "live-stream", "live-stream"}[i%4]
		got, _, err := k.s.AddJob(k.ctx(), j, true)
		require.NoError(k, err)
		switch i % 5 {
		case 0:
			got = k.end(k.claim(got.ID), catalog.Attempt{Ending: catalog.EndCompleted})
		case 1:
			got = k.claim(got.ID)
		case 2:
			got = k.end(k.claim(got.ID), catalog.Attempt{Ending: catalog.EndFailed, Failure: failure()})
		case 3:
			got = k.end(k.claim(got.ID), catalog.Attempt{Ending: catalog.EndWaiting, Parts: parts(1)})
		}
		all = append(all, got)
		_, err = k.s.AddGeneration(k.ctx(), j, false)
		require.NoError(k, err)
	}
	slices.Reverse(all)
	states := [][]catalog.JobState{
		nil, {catalog.JobCompleted}, {catalog.JobQueued, catalog.JobWaiting, catalog.JobRunning, catalog.JobQueued}, {catalog.JobCanceled}, catalog.JobStates(),
	}
	for bits := range 1 << 3 {
		for _, in := range states {
			f := catalog.RecordingFilter{States: in}
			set(bits, 0, func() { f.Live = true })
			set(bits, 1, func() { f.RoomID = "r1" })
			set(bits, 2, func() { f.SessionID = "s4" })
			want := []string{}
			for _, j := range all {
				if j.AppID == "app1" && f.Live == (j.Source == "live-stream") && (f.RoomID == "" || f.RoomID == j.RoomID) &&
					(f.SessionID == "" || f.SessionID == j.SessionID) && (len(in) == 0 || slices.Contains(in, j.State)) {
					want = append(want, j.ID)
				}
			}
			for _, limit := range []int{1, 4, 1000} {
				got := []string{}
				f.Limit, f.After = limit, ""
				for {
					page, err := k.s.ListRecordings(k.ctx(), "app1", f)
					require.NoError(k, err)
					got = append(got, ids(page)...)
					if len(page) < limit {
						break
					}
					f.After = page[limit-1].ID
				}
				require.Equal(k, want, got, "%+v", f)
			}
		}
	}
	_, err := k.s.ListRecordings(k.ctx(), "app1", catalog.RecordingFilter{After: "x"})
	require.ErrorIs(k, err, catalog.ErrInvalid)
}

func testCaptures(k *kit) {
	j := k.begin("c")
	old := completed("k")
	track := completed("track")
	track.Type = catalog.TrackAsset
	track2 := failed("track2")
	track2.Type = catalog.TrackAsset
	first := k.register(j, old, track, track2)
	again, err := k.s.AddGeneration(k.ctx(), jobOf("c"), false)
	require.NoError(k, err)
	newer := old
	newer.Path = "newer"
	second := k.register(k.claim(again.ID), newer)
	k.register(k.begin("d"), completed("other"))
	got, err := k.s.AssetsOfCapture(k.ctx(), "c")
	require.NoError(k, err)
	require.Equal(k, append(first[1:], second...), got)
	types, err := k.s.AssetTypesOfCaptures(k.ctx(), []string{"c", "d", "none"})
	require.NoError(k, err)
	require.Equal(k, map[string][]catalog.AssetType{
		"c": {catalog.RoomComposite, catalog.TrackAsset}, "d": {catalog.RoomComposite},
	}, types)
}

func testRequests(k *kit) {
	request := func(key, holder string) catalog.Request {
		return catalog.Request{AppID: "app", Key: key, Digest: "d-" + holder, Holder: holder, CreatedAt: k.clock.Now()}
	}
	reserve := func(r catalog.Request) (catalog.Request, bool) {
		now := k.clock.Now()
		got, first, err := k.s.ReserveRequest(k.ctx(), r, now.Add(-time.Minute), now.Add(-time.Hour))
		require.NoError(k, err)
		return got, first
	}
	a := request("k", "a")
	got, first := reserve(a)
	require.True(k, first)
	require.Equal(k, a, got)
	got, first = reserve(request("k", "b"))
	require.False(k, first)
	require.Equal(k, a, got)
	other := request("k", "b")
	other.AppID = "other"
	_, first = reserve(other)
	require.True(k, first, "another app's key of the same name")

	// Nobody but the holder answers or releases.
	stranger := request("k", "b")
	stranger.Status, stranger.Body = 500, []byte(`{}`)
	require.NoError(k, k.s.AnswerRequest(k.ctx(), stranger))
	require.NoError(k, k.s.ReleaseRequest(k.ctx(), stranger))
	got, _ = reserve(request("k", "c"))
	require.Equal(k, a, got)

	// Without an answer it goes to the next one after a while.
	k.clock.Add(time.Minute + time.Second)
	b := request("k", "b")
	got, first = reserve(b)
	require.True(k, first)
	require.Equal(k, b, got)
	b.Status, b.Body = 201, []byte(`{"id": "x"}`)
	require.NoError(k, k.s.AnswerRequest(k.ctx(), b))
	require.NoError(k, k.s.ReleaseRequest(k.ctx(), b))
	k.clock.Add(30 * time.Minute)
	got, first = reserve(request("k", "c"))
	require.False(k, first)
	require.Equal(k, b, got)
	k.clock.Add(time.Hour)
	_, first = reserve(request("k", "c"))
	require.True(k, first, "answers are not kept for ever")
	require.NoError(k, k.s.ReleaseRequest(k.ctx(), request("k", "c")))
	_, first = reserve(request("k", "d"))
	require.True(k, first)
	k.clock.Add(time.Second)
	require.NoError(k, k.s.ForgetRequests(k.ctx(), k.clock.Now()))
	_, first = reserve(request("k", "e"))
	require.True(k, first)
}

func testRequestsAtOnce(k *kit) {
	handles := []Store{k.s, k.open()}
	for round := range 6 {
		var firsts atomic.Int64
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				now := k.clock.Now()
				r := catalog.Request{AppID: "app", Key: "k", Holder: fmt.Sprint(round, i), CreatedAt: now}
				got, first, err := handles[i%2].ReserveRequest(k.ctx(), r, now.Add(-time.Second), now.Add(-time.Hour))
				if err != nil {
					k.Error(err)
				}
				if first {
					firsts.Add(1)
					if got.Holder != r.Holder {
						k.Errorf("%s is told that it is %s", r.Holder, got.Holder)
					}
				}
			})
		}
		wg.Wait()
		require.Equal(k, int64(1), firsts.Load())
		k.clock.Add(time.Minute)
	}
}
