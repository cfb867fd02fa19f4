package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
)

// fill registers assets of three rooms, two sessions each, of all types and
// states, over some hours; some are superseded. It returns them newest first.
func (k *kit) fill() []catalog.Asset {
	k.Helper()
	jobs := map[int]catalog.Job{}
	for i := range 7 {
		jobs[i] = k.begin(fmt.Sprint("fill", i))
	}
	var all []catalog.Asset
	for i := range 120 {
		k.clock.Add(3 * time.Minute)
		a := completed(fmt.Sprint("k", i))
		if i%5 == 0 {
			a = failed(a.Key)
		}
		a.RoomID = fmt.Sprint("r", i%3)
		a.SessionID = fmt.Sprint(a.RoomID, "-s", i%2)
		a.Type = catalog.AssetTypes()[i%4]
		a.Software = fmt.Sprint("v", i/50)
		if i%12 == 7 {
			a.Supersedes = all[i-4].ID
		}
		all = append(all, k.register(jobs[i%7], a)...)
	}
	for i, a := range all {
		all[i] = k.asset(a.ID)
	}
	slices.Reverse(all)
	return all
}

func testListAssets(k *kit) {
	all := k.fill()
	superseded := 0
	for _, a := range all {
		if a.SupersededBy != "" {
			superseded++
		}
	}
	require.Equal(k, 8, superseded)
	// Every combination of the filters.
	pick := all[57] // in the middle of the time, completed
	require.Equal(k, []any{catalog.AssetCompleted, ""}, []any{pick.Status, pick.SupersededBy})
	for bits := range 1 << 9 {
		var f catalog.Filter
		set(bits, 0, func() { f.RoomID = pick.RoomID })
		set(bits, 1, func() { f.SessionID = pick.SessionID })
		set(bits, 2, func() { f.JobID = pick.JobID })
		set(bits, 3, func() { f.Type = pick.Type })
		set(bits, 4, func() { f.Status = pick.Status })
		set(bits, 5, func() { f.Software = pick.Software })
		set(bits, 6, func() { f.From = pick.CreatedAt.Add(-2 * time.Hour) })
		set(bits, 7, func() { f.Before = pick.CreatedAt.Add(time.Hour) })
		set(bits, 8, func() { f.Superseded = true })
		want := []string{}
		for _, a := range all {
			if matches(f, a) {
				want = append(want, a.ID)
			}
		}
		require.NotEmpty(k, want)
		limit := []int{0, 5, 20, 50}[bits%4]
		require.Equal(k, want, assetIDs(k.pages(f, limit)), "%+v", f)
	}
	require.Equal(k, all, k.pages(catalog.Filter{Superseded: true}, 7))
	from := catalog.Filter{From: pick.CreatedAt, Before: pick.CreatedAt.Add(time.Microsecond)}
	require.Equal(k, []catalog.Asset{pick}, k.pages(from, 0), "from is included, before is not")
	from = catalog.Filter{From: pick.CreatedAt.Add(time.Microsecond), Before: pick.CreatedAt.Add(time.Minute)}
	require.Empty(k, k.pages(from, 0))
	require.Empty(k, k.pages(catalog.Filter{RoomID: "none"}, 10))
}

func assetIDs(assets []catalog.Asset) []string {
	ids := []string{}
	for _, a := range assets {
		ids = append(ids, a.ID)
	}
	return ids
}

func matches(f catalog.Filter, a catalog.Asset) bool {
	return (f.RoomID == "" || f.RoomID == a.RoomID) && (f.SessionID == "" || f.SessionID == a.SessionID) &&
		(f.JobID == "" || f.JobID == a.JobID) && (f.Type == "" || f.Type == a.Type) &&
		(f.Status == "" || f.Status == a.Status) && (f.Software == "" || f.Software == a.Software) &&
		(f.From.IsZero() || !a.CreatedAt.Before(f.From)) && (f.Before.IsZero() || a.CreatedAt.Before(f.Before)) &&
		(f.Superseded || a.SupersededBy == "")
}

// pages reads all pages of a list.
func (k *kit) pages(f catalog.Filter, limit int) []catalog.Asset {
	k.Helper()
	f.Limit = limit
	all := []catalog.Asset{}
	for {
		page, err := k.s.ListAssets(k.ctx(), f)
		require.NoError(k, err)
		all = append(all, page...)
		if limit == 0 || len(page) < limit {
			return all
		}
		require.Len(k, page, limit)
		f.After = page[limit-1].ID
	}
}

// testListWhileAdding: pages stay right while assets are added.
func testListWhileAdding(k *kit) {
	want := k.fill()
	j := k.begin("more")
	f := catalog.Filter{Limit: 10, Superseded: true}
	var got []catalog.Asset
	for i := 0; ; i++ {
		page, err := k.s.ListAssets(k.ctx(), f)
		require.NoError(k, err)
		if len(page) == 0 {
			break
		}
		got = append(got, page...)
		f.After = page[len(page)-1].ID
		k.register(j, completed(fmt.Sprint("more", i)))
	}
	require.Equal(k, want, got)
}

func testListRefusals(k *kit) {
	k.register(k.begin("c"), completed("k"))
	for _, f := range []catalog.Filter{{Limit: -1}, {Limit: catalog.MaxPage + 1}, {After: "x' OR 1=1 --"}} {
		_, err := k.s.ListAssets(k.ctx(), f)
		require.ErrorIs(k, err, catalog.ErrInvalid)
	}
	for _, hostile := range []string{"' OR 1=1 --", "%", "\x00", "\xff"} {
		for _, f := range []catalog.Filter{
			{RoomID: hostile}, {SessionID: hostile}, {JobID: hostile}, {Software: hostile},
			{Type: catalog.AssetType(hostile)}, {Status: catalog.AssetStatus(hostile)},
			{RoomID: hostile, SessionID: hostile, JobID: hostile},
		} {
			require.Empty(k, k.pages(f, 0))
		}
		jobs, err := k.s.ListJobs(k.ctx(), catalog.JobFilter{RoomID: hostile})
		require.NoError(k, err)
		require.Empty(k, jobs)
		_, err = k.s.AssetByID(k.ctx(), hostile)
		require.ErrorIs(k, err, catalog.ErrNotFound)
		_, err = k.s.JobByID(k.ctx(), hostile)
		require.ErrorIs(k, err, catalog.ErrNotFound)
	}
}

// testHostileText: what a capture says of itself is stored as it is, or is
// refused as not valid; nothing else happens.
func testHostileText(k *kit) {
	for i, text := range []string{"'; DROP TABLE jobs; --", "日本語 🎬", strings.Repeat("x", 1<<16), "a\x00b", "a\xffb", "\\", "$1 ?1"} {
		j := jobOf(fmt.Sprint("c", i))
		j.CaptureURI, j.RoomID = text, text
		got, created, err := k.s.AddJob(k.ctx(), j, true)
		if err != nil {
			require.ErrorIs(k, err, catalog.ErrInvalid, "%q", text)
			continue
		}
		require.True(k, created)
		require.Equal(k, []string{text, text}, []string{got.CaptureURI, got.RoomID})
		require.Equal(k, got, k.job(got.ID))
		got = k.claim(got.ID)
		a := completed(fmt.Sprint("k", i))
		a.RoomID = text
		require.Equal(k, k.register(got, a), k.pages(catalog.Filter{RoomID: text}, 0))
		got = k.end(got, catalog.Attempt{Ending: catalog.EndFailed, Failure: &catalog.AssetError{Kind: "k", Message: text}})
		require.Equal(k, strings.NewReplacer("\x00", "\uFFFD", "\xff", "\uFFFD").Replace(text), got.Error.Message)
	}
	// The reason of a failure is written down whatever bytes are in it.
	j := k.end(k.begin("message"), catalog.Attempt{Ending: catalog.EndFailed, Failure: &catalog.AssetError{Kind: "k", Message: "a\x00b\xffc"}})
	require.Contains(k, j.Error.Message, "c")
}
