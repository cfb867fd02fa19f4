package sqlstore_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/sqlstore"
)

// fill registers assets of three rooms, two sessions each, of all types and
// states, and returns them newest first.
func fill(t *testing.T, s *sqlstore.Store) []catalog.Asset {
	t.Helper()
	var all []catalog.Asset
	for i := range 120 {
		a := completed(fmt.Sprint("k", i))
		if i%5 == 0 {
			a = failed(a.Key)
		}
		a.RoomID = fmt.Sprint("r", i%3)
		a.SessionID = fmt.Sprint(a.RoomID, "-s", i%2)
		a.Type = catalog.AssetTypes()[i%4]
		all = append(all, register(t, s, beginJob(t, s, fmt.Sprint("c", i%7)), a)...)
	}
	slices.Reverse(all)
	return all
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	all := fill(t, s)
	// Every combination of the five filters.
	for bits := range 1 << 5 {
		var f catalog.Filter
		pick := all[7] // a failed asset would narrow it down too much at once
		if bits&1 != 0 {
			f.RoomID = pick.RoomID
		}
		if bits&2 != 0 {
			f.SessionID = pick.SessionID
		}
		if bits&4 != 0 {
			f.JobID = pick.JobID
		}
		if bits&8 != 0 {
			f.Type = pick.Type
		}
		if bits&16 != 0 {
			f.Status = pick.Status
		}
		want := []catalog.Asset{}
		for _, a := range all {
			if matches(f, a) {
				want = append(want, a)
			}
		}
		require.NotEmpty(t, want)
		for _, limit := range []int{0, 1, 3, 50} {
			require.Equal(t, want, pages(t, s, f, limit), "%+v", f)
		}
		f.RoomID = "none"
		require.Empty(t, pages(t, s, f, 10))
	}
}

func matches(f catalog.Filter, a catalog.Asset) bool {
	return (f.RoomID == "" || f.RoomID == a.RoomID) && (f.SessionID == "" || f.SessionID == a.SessionID) &&
		(f.JobID == "" || f.JobID == a.JobID) && (f.Type == "" || f.Type == a.Type) &&
		(f.Status == "" || f.Status == a.Status)
}

// pages reads all pages of a list.
func pages(t *testing.T, s *sqlstore.Store, f catalog.Filter, limit int) []catalog.Asset {
	t.Helper()
	f.Limit = limit
	all := []catalog.Asset{}
	for {
		page, err := s.ListAssets(t.Context(), f)
		require.NoError(t, err)
		all = append(all, page...)
		if limit == 0 || len(page) < limit {
			return all
		}
		require.Len(t, page, limit)
		f.After = page[limit-1].ID
	}
}

func TestListStaysRightWhileAssetsAreAdded(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	want := fill(t, s)
	j := beginJob(t, s, "more")
	f := catalog.Filter{Limit: 10}
	var got []catalog.Asset
	for i := 0; ; i++ {
		page, err := s.ListAssets(t.Context(), f)
		require.NoError(t, err)
		if len(page) == 0 {
			break
		}
		got = append(got, page...)
		f.After = page[len(page)-1].ID
		register(t, s, j, completed(fmt.Sprint("more", i)))
	}
	require.Equal(t, want, got)
}

func TestListRefuses(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for _, f := range []catalog.Filter{{Limit: -1}, {Limit: catalog.MaxPage + 1}, {After: "x' OR 1=1 --"}} {
		_, err := s.ListAssets(t.Context(), f)
		require.ErrorIs(t, err, catalog.ErrInvalid)
	}
	for _, hostile := range []string{"' OR 1=1 --", "%", "\x00"} {
		require.Empty(t, pages(t, s, catalog.Filter{RoomID: hostile, SessionID: hostile, JobID: hostile}, 0))
	}
}

// TestListUsesIndexes: each list is a search in the index of its filter and
// needs no sorting, whatever else is asked for.
func TestListUsesIndexes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "catalog.db")
	fill(t, openStore(t, path))
	db := rawDB(t, path)
	for where, index := range map[string]string{
		"job_id = ?1 AND id < ?2 AND (CAST(?3 AS TEXT) = '' OR room_id = CAST(?3 AS TEXT))":    "assets_by_job",
		"session_id = ?1 AND id < ?2 AND (CAST(?3 AS TEXT) = '' OR status = CAST(?3 AS TEXT))": "assets_by_session",
		"room_id = ?1 AND id < ?2 AND (CAST(?3 AS TEXT) = '' OR type = CAST(?3 AS TEXT))":      "assets_by_room",
		"type = ?1 AND id < ?2 AND ?3 = ?3":                                                    "assets_by_type",
		"status = ?1 AND id < ?2 AND ?3 = ?3":                                                  "assets_by_status",
		"type = ?1 AND status = ?3 AND id < ?2":                                                "assets_by_type_and_status",
	} {
		rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN SELECT * FROM assets WHERE "+where+" ORDER BY id DESC LIMIT 10", "a", "b", "c")
		require.NoError(t, err)
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var detail string
			require.NoError(t, rows.Scan(&id, &parent, &unused, &detail))
			plan = append(plan, detail)
		}
		require.NoError(t, rows.Err())
		require.NoError(t, rows.Close())
		require.Len(t, plan, 1, where)
		require.True(t, strings.HasPrefix(plan[0], "SEARCH assets USING INDEX "+index+" "), plan[0])
	}
}
