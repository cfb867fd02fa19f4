package webhook_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/catalog/webhook"
)

// TestReach connects to servers that are there, are not, are private or have no certificate to trust.
func TestReach(t *testing.T) {
	t.Parallel()
	plain, secure, gone := httptest.NewServer(nil), httptest.NewTLSServer(nil), httptest.NewServer(nil)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	gone.Close()
	withPassword := strings.Replace(gone.URL, "http://", "http://user:topsecret@", 1)
	require.NoError(t, webhook.Reach(t.Context(), webhook.Endpoint{URL: plain.URL, AllowPrivate: true}))
	require.ErrorIs(t, webhook.Reach(t.Context(), webhook.Endpoint{URL: plain.URL}), webhook.ErrAddress)
	require.ErrorContains(t, webhook.Reach(t.Context(), webhook.Endpoint{URL: secure.URL, AllowPrivate: true}), "certificate")
	err := webhook.Reach(t.Context(), webhook.Endpoint{URL: withPassword, AllowPrivate: true})
	require.ErrorContains(t, err, "refused")
	require.NotContains(t, err.Error(), "topsecret")
	require.ErrorContains(t, webhook.Reach(t.Context(), webhook.Endpoint{URL: "::topsecret"}), "names no host")
}
