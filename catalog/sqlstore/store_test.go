package sqlstore_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/sqlstore"
)

func TestJobLife(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 17, 0, 0, 123456000, time.UTC)
	s, err := sqlstore.Open(t.Context(), sqlstore.Config{
		Path: filepath.Join(t.TempDir(), "catalog.db"), Now: func() time.Time { return now },
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	in := catalog.Job{
		CaptureURI: "call", CaptureKey: "digest", RecordingID: "rec", RoomID: "r", SessionID: "s", TemplateID: "t",
		Source: "beam", StartedAt: now.Add(-time.Hour), StoppedAt: now.Add(-time.Minute),
		Defects: []catalog.Defect{{Kind: "torn", Detail: "…", File: "a.webm"}},
	}
	first, err := s.BeginJob(t.Context(), in)
	require.NoError(t, err)
	want := in
	want.ID, want.State, want.Attempts, want.CreatedAt, want.UpdatedAt = first.ID, catalog.JobRunning, 1, now, now
	require.Equal(t, want, first)
	require.True(t, catalog.ValidID(first.ID))

	begun := now
	now = now.Add(time.Second)
	require.NoError(t, s.UpdateJob(t.Context(), first.ID, "render", 512))
	got, err := s.JobByID(t.Context(), first.ID)
	require.NoError(t, err)
	require.Equal(t, []any{"render", 512, now, begun}, []any{got.Stage, got.Progress, got.UpdatedAt, got.CreatedAt})

	failure := &catalog.AssetError{Kind: "bad-input", Message: "a.webm: no frames"}
	require.NoError(t, s.FinishJob(t.Context(), first.ID, catalog.JobFailed, failure, in.Defects))
	got, err = s.JobByID(t.Context(), first.ID)
	require.NoError(t, err)
	require.Equal(t, failure, got.Error)
	require.Equal(t, catalog.JobFailed, got.State)
	require.Equal(t, 512, got.Progress)

	in.CaptureURI, in.Defects = "call-moved", nil
	second, err := s.BeginJob(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, first.ID, second.ID)
	require.Equal(t, begun, second.CreatedAt)
	require.Equal(t, []any{2, catalog.JobRunning, "", 0, "call-moved"},
		[]any{second.Attempts, second.State, second.Stage, second.Progress, second.CaptureURI})
	require.Nil(t, second.Error)
	require.Empty(t, second.Defects)

	for range 2 {
		require.NoError(t, s.FinishJob(t.Context(), first.ID, catalog.JobCompleted, nil, nil))
	}
	got, err = s.JobByID(t.Context(), first.ID)
	require.NoError(t, err)
	require.Equal(t, []any{catalog.JobCompleted, catalog.ProgressDone}, []any{got.State, got.Progress})
}

func TestJobErrors(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	ctx := t.Context()
	_, err := s.BeginJob(ctx, catalog.Job{})
	require.ErrorIs(t, err, catalog.ErrInvalid)
	_, err = s.JobByID(ctx, "none")
	require.ErrorIs(t, err, catalog.ErrNotFound)
	require.ErrorIs(t, s.UpdateJob(ctx, "none", "x", 1), catalog.ErrNotFound)
	require.ErrorIs(t, s.FinishJob(ctx, "none", catalog.JobCompleted, nil, nil), catalog.ErrNotFound)
	j := beginJob(t, s, "c")
	require.ErrorIs(t, s.UpdateJob(ctx, j.ID, "x", 1001), catalog.ErrInvalid)
	require.ErrorIs(t, s.UpdateJob(ctx, j.ID, "x", -1), catalog.ErrInvalid)
	require.ErrorIs(t, s.FinishJob(ctx, j.ID, catalog.JobRunning, nil, nil), catalog.ErrInvalid)
	require.ErrorIs(t, s.FinishJob(ctx, j.ID, catalog.JobFailed, nil, nil), catalog.ErrInvalid)
	require.ErrorIs(t, s.FinishJob(ctx, j.ID, catalog.JobCompleted, &catalog.AssetError{}, nil), catalog.ErrInvalid)
}

func TestAssetRoundTrip(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	j := beginJob(t, s, "c")
	in := completed("key")
	in.StartedAt = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	in.CreatedAt = in.StartedAt.Add(time.Hour)
	in.Thumbnails = []string{"a.png", "b.png"}
	in.Supersedes, in.Version = "6921f0a801020304050000a9", 3
	in.Metadata = catalog.Metadata{
		Resolution: &catalog.Resolution{Width: 1, Height: 2}, OffsetMS: 7,
		Defects: []catalog.Defect{{Kind: "k", Detail: "d", Track: "t"}}, Sync: json.RawMessage(`{"a":[1,2]}`),
	}
	got := register(t, s, j.ID, in)[0]
	want := in
	want.ID, want.JobID = got.ID, j.ID
	require.Equal(t, want, got)
	require.True(t, catalog.ValidID(got.ID))
	for _, read := range []func() (catalog.Asset, error){
		func() (catalog.Asset, error) { return s.AssetByID(t.Context(), got.ID) },
		func() (catalog.Asset, error) { return s.AssetByKey(t.Context(), "key") },
	} {
		again, err := read()
		require.NoError(t, err)
		require.Equal(t, got, again)
	}
	_, err := s.AssetByID(t.Context(), "none")
	require.ErrorIs(t, err, catalog.ErrNotFound)
	_, err = s.AssetByKey(t.Context(), "none")
	require.ErrorIs(t, err, catalog.ErrNotFound)
}

func TestRegisterSettles(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	j1, j2 := beginJob(t, s, "c1"), beginJob(t, s, "c2")
	processing := completed("k")
	processing.Status, processing.Path, processing.Size = catalog.AssetProcessing, "", 0
	a := register(t, s, j1.ID, processing)[0]
	b := register(t, s, j1.ID, failed("k"))[0]
	require.Equal(t, a.ID, b.ID)
	require.Equal(t, "disk full", b.Error.Message)
	c := register(t, s, j2.ID, completed("k"), completed("other"))
	require.Equal(t, a.ID, c[0].ID)
	require.Equal(t, a.CreatedAt, c[0].CreatedAt)
	require.Equal(t, []any{j2.ID, catalog.AssetCompleted, int64(1000)}, []any{c[0].JobID, c[0].Status, c[0].Size})
	require.Nil(t, c[0].Error)

	for _, next := range []catalog.Asset{failed("k"), processing, completed("k")} {
		next.Software = "v2"
		require.Equal(t, c[0], register(t, s, j1.ID, next)[0])
	}
	stored, err := s.AssetByID(t.Context(), a.ID)
	require.NoError(t, err)
	require.Equal(t, c[0], stored)

	v2 := completed("k")
	v2.Version, v2.Supersedes = 2, a.ID
	d := register(t, s, j1.ID, v2)[0]
	require.NotEqual(t, a.ID, d.ID)
	latest, err := s.AssetByKey(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, d, latest)
}

func TestRegisterIsAllOrNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	j := beginJob(t, s, "c")
	taken := register(t, s, j.ID, completed("taken"))[0]
	clash := completed("clash")
	clash.ID = taken.ID
	invalid := completed("")
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx   context.Context //nolint:containedctx // a table of contexts
		jobID string
		last  catalog.Asset
		want  error
	}{
		"id in use":   {t.Context(), j.ID, clash, nil},
		"invalid":     {t.Context(), j.ID, invalid, catalog.ErrInvalid},
		"twice":       {t.Context(), j.ID, completed("one"), catalog.ErrInvalid},
		"unknown job": {t.Context(), "none", completed("two"), catalog.ErrNotFound},
		"cancelled":   {dead, j.ID, completed("two"), context.Canceled},
	} {
		_, err := s.RegisterAssets(c.ctx, c.jobID, []catalog.Asset{completed("one"), c.last})
		require.Error(t, err, name)
		if c.want != nil {
			require.ErrorIs(t, err, c.want, name)
		}
		_, err = s.AssetByKey(t.Context(), "one")
		require.ErrorIs(t, err, catalog.ErrNotFound, name)
	}
	require.Empty(t, register(t, s, j.ID))
}
