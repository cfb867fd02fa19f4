package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"time"

	"go.yaml.in/yaml/v3"

	"rushes/catalog"
	"rushes/catalog/api"
	"rushes/catalog/blob"
	"rushes/catalog/webhook"
)

// webhookFile is the file that --webhooks names.
type webhookFile struct {
	AccountID string `yaml:"account_id"`
	AppID     string `yaml:"app_id"`
	Endpoints []struct {
		Name         string            `yaml:"name"`
		URL          string            `yaml:"url"`
		Secret       string            `yaml:"secret"`
		Headers      map[string]string `yaml:"headers"`
		Events       []string          `yaml:"events"`
		AppID        string            `yaml:"app_id"`
		AllowPrivate bool              `yaml:"allow_private"`
	} `yaml:"endpoints"`
}

// webhookConfig reads the file that says whom to tell; nil where there is none. Its errors show no secrets.
func (f *dataFlag) webhookConfig() (*webhook.Config, error) {
	if f.Webhooks == "" {
		return nil, nil //nolint:nilnil // nobody is to be told
	}
	text, err := os.ReadFile(f.Webhooks)
	if err != nil {
		return nil, fmt.Errorf("--webhooks: %w", err)
	}
	var file webhookFile
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("--webhooks: %s: it is not as the README has it%s", f.Webhooks, lineOf(err))
	}
	cfg := &webhook.Config{AccountID: file.AccountID, AppID: file.AppID}
	for _, e := range file.Endpoints {
		headers := map[string]catalog.Secret{}
		for name, value := range e.Headers {
			headers[name] = catalog.Secret(value)
		}
		cfg.Endpoints = append(cfg.Endpoints, webhook.Endpoint{Name: e.Name, URL: e.URL, Secret: catalog.Secret(e.Secret), Headers: headers,
			Events: e.Events, AppID: e.AppID, AllowPrivate: e.AllowPrivate})
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("--webhooks: %s: %w", f.Webhooks, err)
	}
	return cfg, nil
}

// eventLinks makes the links that events carry.
type eventLinks struct {
	presigner *presigner
	api       *api.API
}

var _ webhook.Links = eventLinks{}

// PresignGet gives the address of an object, or of a package that plays; see webhook.Links.
func (l eventLinks) PresignGet(ctx context.Context, assetID, key string, expires time.Duration) (string, error) {
	if path.Ext(key) == ".m3u8" {
		return l.api.PackageURL(assetID, key, expires)
	}
	return l.presigner.PresignGet(ctx, key, expires, blob.PresignOptions{FileName: path.Base(key), ContentType: blob.MediaType(key), Inline: path.Ext(key) != ".zip"})
}

// webhooks makes what tells customers' servers, or nil where nobody is to be told.
func (f *apiFlags) webhooks(n *node, service *api.API) (*webhook.Deliverer, error) {
	cfg, err := n.flags.webhookConfig()
	if cfg == nil || err != nil {
		return nil, err
	}
	cfg.OnError = func(err error) { n.log.Warn("webhooks: trouble that passes", "error", err.Error()) }
	cfg.OnAttempt = func(a webhook.Attempt) {
		level, attrs := slog.LevelInfo, []any{"delivery", a.Delivery.ID, "endpoint", a.Delivery.Endpoint, "type", a.Delivery.Type, "status", a.Status, "outcome", string(a.Outcome), "took", a.Took.String()}
		if a.Err != nil {
			level, attrs = slog.LevelWarn, append(attrs, "error", a.Err.Error())
		}
		n.log.Log(context.Background(), level, "webhook", attrs...)
	}
	return webhook.New(*cfg, n.data.catalog, eventLinks{presigner: f.presigner(n.data), api: service})
}
