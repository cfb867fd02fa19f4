package main

import (
	"cmp"
	"context"
	"net/url"

	"rushes/catalog/webhook"
)

// webhooks connects to every server that is to be told of recordings, and tells it nothing.
func (c *doctorCmd) webhooks(ctx context.Context, u *checkup) {
	cfg, err := c.webhookConfig()
	if err != nil {
		u.fail("webhooks", err)
		return
	}
	if cfg == nil {
		return
	}
	ctx, stop := context.WithTimeout(ctx, doctorPatience)
	defer stop()
	for i, e := range cfg.Endpoints {
		host := "?"
		if at, err := url.Parse(e.URL); err == nil {
			host = at.Host
		}
		what := "webhook endpoint " + clean(cmp.Or(e.Name, host))
		if err := webhook.Reach(ctx, cfg.Endpoints[i]); err != nil {
			u.fail(what, err)
			continue
		}
		u.ok("%s: %s can be connected to", what, clean(host))
	}
}
