package main

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/sqlstore"
	"rushes/pipeline"
)

// told is a data folder whose catalog has a failed, a delivered and a pending delivery, by their subjects.
func told(t *testing.T) (folder string, deliveries map[string]catalog.Delivery) {
	t.Helper()
	folder = t.TempDir()
	s, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: filepath.Join(folder, "catalog.db"), Events: true})
	require.NoError(t, err)
	job, _, err := s.AddJob(t.Context(), catalog.Job{CaptureKey: "c", CaptureURI: "c", Source: "sfu"}, false)
	require.NoError(t, err)
	_, err = s.CancelJob(t.Context(), job.ID)
	require.NoError(t, err)
	events, err := s.Events(t.Context(), 1)
	require.NoError(t, err)
	var all []catalog.Delivery
	for i, subject := range []string{"failed", "delivered", "pending"} {
		all = append(all, catalog.Delivery{Endpoint: "hook", EventID: "e-" + subject, Subject: subject, Type: "track.recording.success",
			Lane: subject, At: events[0].At, Number: i, JobID: job.ID, AssetID: "a-" + subject, Payload: []byte(`{}`)})
	}
	require.NoError(t, s.Announce(t.Context(), events[0], all))
	claimed, err := s.ClaimDeliveries(t.Context(), "hook", time.Minute, 10)
	require.NoError(t, err)
	deliveries = map[string]catalog.Delivery{}
	for _, d := range claimed {
		deliveries[d.Subject] = d
	}
	require.NoError(t, s.EndDelivery(t.Context(), deliveries["failed"], catalog.DeliveryEnd{State: catalog.DeliveryFailed, Status: 500, Error: "the answer is 500\x1b[2J"}))
	require.NoError(t, s.EndDelivery(t.Context(), deliveries["delivered"], catalog.DeliveryEnd{State: catalog.DeliveryDelivered, Status: 200}))
	require.NoError(t, s.Close())
	return folder, deliveries
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	folder, deliveries := told(t)
	list := func(args ...string) (all []catalog.Delivery) {
		got := rushes(t, append([]string{"webhooks", "list", "--data", folder, "--json"}, args...)...)
		requireSuccess(t, got)
		require.NoError(t, json.Unmarshal([]byte(got.stdout), &all))
		return all
	}
	require.Len(t, list(), 3)
	require.Len(t, list("--limit", "1"), 1)
	require.Empty(t, list("--endpoint", "other"))
	failed := list("--state", "failed", "--endpoint", "hook")
	require.Len(t, failed, 1)
	require.Equal(t, deliveries["failed"].ID, failed[0].ID)
	require.Equal(t, failed[0].JobID, list("--job", failed[0].JobID)[0].JobID)

	table := rushes(t, "webhooks", "list", "--data", folder)
	requireSuccess(t, table)
	require.Regexp(t, `(?m)^`+failed[0].ID+` +hook +track\.recording\.success +failed +1 +\d+s +asset a-failed: the answer is 500`, table.stdout)
	require.NotContains(t, table.stdout, "\x1b")

	again := rushes(t, "webhooks", "replay", "--data", folder, failed[0].ID, deliveries["delivered"].ID)
	requireSuccess(t, again)
	require.Contains(t, again.stdout, failed[0].ID+"  is sent again: track.recording.success to hook")
	pending := list("--state", "pending")
	require.Len(t, pending, 3)
	require.True(t, pending[2].Replay)
	require.Equal(t, "e-failed", pending[2].EventID)
	require.Contains(t, rushes(t, "webhooks", "list", "--data", folder).stdout, "pending (replay)")

	got := rushes(t, "webhooks", "replay", "--data", folder, failed[0].ID, "nobody")
	requireOneLine(t, got, pipeline.ExitOther, "it is being delivered", `no delivery has the id "nobody"`)
}

func TestReplayAllFailed(t *testing.T) {
	t.Parallel()
	folder, deliveries := told(t)
	none := rushes(t, "webhooks", "replay", "--data", folder, "--failed", "--endpoint", "other")
	requireSuccess(t, none)
	require.Empty(t, none.stdout)
	all := rushes(t, "webhooks", "replay", "--data", folder, "--failed")
	requireSuccess(t, all)
	require.Equal(t, deliveries["failed"].ID+"  is sent again: track.recording.success to hook\n", all.stdout)
}

func TestWebhooksUsage(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"none of [pending delivered failed]": {"list", "--state", "lost"},
		"yesterday":                          {"list", "--after", "yesterday"},
		"limit -1":                           {"list", "--limit=-1"},
		"Give ids, or --failed":              {"replay"},
		"either ids or --failed":             {"replay", "x", "--failed"},
		"--endpoint goes with --failed":      {"replay", "x", "--endpoint", "hook"},
	} {
		requireOneLine(t, rushes(t, append(append([]string{"webhooks"}, args...), "--data", t.TempDir())...), pipeline.ExitUsage, want)
	}
}
