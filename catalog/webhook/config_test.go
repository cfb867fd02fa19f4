package webhook_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/webhook"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	const hook = "https://user:hush-password@example.com/hush-path?token=hush-query"
	good := webhook.Endpoint{
		URL: hook, Secret: secret, Headers: map[string]catalog.Secret{"X-Passcode": "p", "Authorization": "Bearer x"},
		Events: webhook.EventTypes(),
	}
	require.NoError(t, webhook.Config{Endpoints: []webhook.Endpoint{good}}.Validate())
	for want, change := range map[string]func(*webhook.Config){
		"no endpoints":                        func(c *webhook.Config) { c.Endpoints = nil },
		"neither http nor https":              func(c *webhook.Config) { c.Endpoints[0].URL = "ftp://x/hush" },
		"cannot be read":                      func(c *webhook.Config) { c.Endpoints[0].URL = "http://hush:hush@x:y/" },
		"no host":                             func(c *webhook.Config) { c.Endpoints[0].URL = "https:///hush" },
		"a fragment":                          func(c *webhook.Config) { c.Endpoints[0].URL = "https://x/#hush" },
		"not whsec_":                          func(c *webhook.Config) { c.Endpoints[0].Secret = "hush" },
		"not whsec_ and base64":               func(c *webhook.Config) { c.Endpoints[0].Secret = "whsec_hush!hush!hush!hush!hush!hush!" },
		"less than 16 bytes":                  func(c *webhook.Config) { c.Endpoints[0].Secret = "whsec_aHVzaA==" },
		`header "Webhook-Id" cannot`:          func(c *webhook.Config) { c.Endpoints[0].Headers["Webhook-Id"] = "hush" },
		`header "a b" cannot`:                 func(c *webhook.Config) { c.Endpoints[0].Headers["a b"] = "hush" },
		`header "" cannot`:                    func(c *webhook.Config) { c.Endpoints[0].Headers[""] = "hush" },
		`"X-Passcode" has control characters`: func(c *webhook.Config) { c.Endpoints[0].Headers["X-Passcode"] = "hush\r\nX: y" },
		`event "beam" is none of`:             func(c *webhook.Config) { c.Endpoints[0].Events = []string{"beam"} },
		"another one has the name":            func(c *webhook.Config) { c.Endpoints = append(c.Endpoints, c.Endpoints[0]) },
		"timeout -1s is negative":             func(c *webhook.Config) { c.Timeout = -time.Second },
		"backoff -1s is negative":             func(c *webhook.Config) { c.Backoff = []time.Duration{-time.Second} },
		"concurrency -1 is negative":          func(c *webhook.Config) { c.Concurrency = -1 },
	} {
		e := good
		e.Headers = map[string]catalog.Secret{}
		c := webhook.Config{Endpoints: []webhook.Endpoint{e}}
		change(&c)
		err := c.Validate()
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "hush", want)
		_, err = webhook.New(c, nil, nil)
		require.ErrorContains(t, err, want)
	}
}

// TestNames: an endpoint keeps its name as long as its URL stays, and shows
// nothing of it but the host.
func TestNames(t *testing.T) {
	t.Parallel()
	name := func(url string) string {
		d, err := webhook.New(webhook.Config{Endpoints: []webhook.Endpoint{{URL: url}}}, nil, nil)
		require.NoError(t, err)
		return d.Counts()[0].Endpoint
	}
	require.Regexp(t, `^example\.com-[0-9a-f]{8}$`, name("https://user:hush@example.com/hush?hush"))
	require.Equal(t, name("https://example.com/a"), name("https://example.com/a"))
	require.NotEqual(t, name("https://example.com/a"), name("https://example.com/b"))
}

// TestSecretsStaySecret: nothing that is printed, reported or stored shows what
// an endpoint keeps secret.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	e := webhook.Endpoint{
		Secret: secret, Headers: map[string]catalog.Secret{"X-Passcode": "hush-header"}, AllowPrivate: true,
		URL: "http://user:hush-password@" + r.Listener.Addr().String() + "/hush-path?token=hush-query",
	}
	gone := e
	gone.Name, gone.URL = "gone", "http://user:hush-password@127.0.0.1:1/hush-path?token=hush-query"
	inside := gone
	inside.Name, inside.AllowPrivate = "inside", false
	config := webhook.Config{Endpoints: []webhook.Endpoint{e, gone, inside}, Backoff: []time.Duration{}}
	k.finish("c", 1)
	d, stop := k.run(config)
	shown := fmt.Sprintf("%+v %#v", d.Counts(), d.Reach(t.Context()))
	for _, a := range k.await(3) {
		require.Error(t, a.Err)
		shown += fmt.Sprintf("%+v %s %q", a, a.Err, a.Err)
	}
	stop()
	shown += fmt.Sprintf("%+v", k.list(catalog.DeliveryFilter{}))
	config.Endpoints = append(config.Endpoints, config.Endpoints[0])
	shown += config.Validate().Error()
	require.NotContains(t, shown, "hush")
	require.NotContains(t, shown, secret.Reveal()[6:])
	user, password, ok := (&http.Request{Header: r.all()[0].header}).BasicAuth()
	require.Equal(t, []any{"user", "hush-password", true}, []any{user, password, ok})
}
