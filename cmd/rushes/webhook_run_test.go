package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

// TestServeWebhooks has a customer's server told of a recording that serve has made, by an event that the library
// verifies and whose link opens the bytes.
func TestServeWebhooks(t *testing.T) {
	t.Parallel()
	const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	verifier, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	type call struct {
		header http.Header
		body   []byte
		bad    error
	}
	calls := make(chan call, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verifier.Verify(body, r.Header)
		}
		calls <- call{r.Header, body, err}
	}))
	t.Cleanup(receiver.Close)
	file := filepath.Join(t.TempDir(), "webhooks.yaml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "account_id: acc\napp_id: app\nendpoints:\n- name: mine\n  url: %s/hook\n  secret: %s\n  headers: {X-Api-Key: letmein}\n  allow_private: true\n",
		receiver.URL, secret), 0o600))
	s := newService(t, "--webhooks", file)
	folder := copied(t)
	got := rushes(t, "enqueue", folder, "--data", s.data)
	requireSuccess(t, got)
	var c call
	select {
	case c = <-calls:
	case <-time.After(time.Minute):
		t.Fatal("nobody called")
	}
	require.NoError(t, c.bad)
	require.Equal(t, "letmein", c.header.Get("X-Api-Key"))
	var event struct {
		Version, Type string
		AccountID     string `json:"account_id"`
		Data          map[string]any
	}
	require.NoError(t, json.Unmarshal(c.body, &event))
	require.Equal(t, []string{"2.0", "beam.recording.success", "acc"}, []string{event.Version, event.Type, event.AccountID})
	status, body := s.fetch(fmt.Sprint(event.Data["recording_presigned_url"]))
	require.Equal(t, http.StatusOK, status)
	require.EqualValues(t, event.Data["size"], len(body))
	require.Eventually(t, func() bool {
		got := rushes(t, "webhooks", "list", "--data", s.data)
		return strings.Contains(got.stdout, "delivered")
	}, time.Minute, 50*time.Millisecond)
}

// TestWebhookFile holds the file to what is wrong with it, and its errors to no secrets.
func TestWebhookFile(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"endpoints: [{url: 'http://x', secret: topsecret}]":          "secret",
		"endpoints: [{ulr: 'http://x'}]":                             "not as the README has it: line 1",
		"endpoints: [{url: 'ftp://user:topsecret@x'}]":               "http",
		"endpoints: [{url: 'https://x', secret: [topsecret]}]":       "not as the README has it: line 1",
		"endpoints: [{url: 'https://x', events: [topsecret.event]}]": "event",
		"{": "not as the README has it",
	} {
		file := filepath.Join(t.TempDir(), "webhooks.yaml")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, err := (&dataFlag{Webhooks: file}).webhookConfig()
		require.ErrorContains(t, err, says, text)
		if !strings.Contains(text, "event") {
			require.NotContains(t, err.Error(), "topsecret", text)
		}
	}
	cfg, err := (&dataFlag{}).webhookConfig()
	require.NoError(t, err)
	require.Nil(t, cfg)
}
