package api

import (
	"context"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

const serviceTag = "Service"

// Health says that the service answers, or that all that it needs does.
type Health struct {
	Status string `json:"status" enum:"ok,ready"`
}

func (a *API) registerService(api huma.API) {
	open := func(path, id, summary string, statuses ...int) huma.Operation {
		op := operation(api, http.MethodGet, path, id, summary, serviceTag)
		op.Security, op.Responses = nil, errorResponses(api, statuses...)
		return op
	}
	register(a, api, open("/healthz", "health", "Whether the service answers", http.StatusInternalServerError),
		func(context.Context, *struct{}) (*reply[Health], error) {
			return &reply[Health]{Body: Health{Status: "ok"}}, nil
		})
	register(a, api, open("/readyz", "readiness", "Whether all that the service needs answers", http.StatusServiceUnavailable), a.ready)
	if a.config.Metrics != nil {
		a.mux.Handle("GET /metrics", a.config.Metrics)
	}
	a.mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(a.spec)
	})
	text := errorResponses(api, http.StatusNotFound)
	text["200"] = &huma.Response{Description: "OK", Content: map[string]*huma.MediaType{"text/plain": {}}}
	description := map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{"application/json": {}}}}
	api.OpenAPI().AddOperation(&huma.Operation{OperationID: "metrics", Method: http.MethodGet, Path: "/metrics",
		Summary: "Metrics for Prometheus", Tags: []string{serviceTag}, Responses: text})
	api.OpenAPI().AddOperation(&huma.Operation{OperationID: "openapi", Method: http.MethodGet, Path: "/openapi.json",
		Summary: "This description", Tags: []string{serviceTag}, Responses: description})
}

// ready runs all checks; it names those that fail and keeps their errors to the
// log.
func (a *API) ready(ctx context.Context, _ *struct{}) (*reply[Health], error) {
	var failing []string
	for _, check := range a.config.Ready {
		if err := check.Run(ctx); err != nil {
			failing = append(failing, check.Name)
			a.config.Log.WarnContext(ctx, "not ready", "check", check.Name, "error", err.Error())
		}
	}
	if failing != nil {
		return nil, refuse(http.StatusServiceUnavailable, "not ready", failing...)
	}
	return &reply[Health]{Body: Health{Status: "ready"}}, nil
}

// printable reports whether s is text without control characters.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
