package api_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// described is the golden description, read once.
var described = sync.OnceValues(func() (map[string]any, error) { //nolint:gochecknoglobals // read only
	text, err := os.ReadFile(filepath.Join("testdata", "openapi.json"))
	if err != nil {
		return nil, err
	}
	var spec map[string]any
	return spec, json.Unmarshal(text, &spec)
})

// fits holds an answer against the description: its path, method and status
// are in there, and its body is what they promise. Every answer of every test
// passes here.
func fits(t testing.TB, method, path string, a answer) {
	t.Helper()
	spec, err := described()
	require.NoError(t, err)
	operation := operationOf(spec, method, path)
	if operation == nil {
		require.GreaterOrEqual(t, a.status, 204, "%s %s is not described", method, path)
		return
	}
	response, ok := operation["responses"].(map[string]any)[strconv.Itoa(a.status)].(map[string]any)
	require.True(t, ok, "%s %s: %d is not described: %s", method, path, a.status, a.body)
	content, _ := response["content"].(map[string]any)
	media, _ := content["application/json"].(map[string]any)
	schema, ok := media["schema"].(map[string]any)
	if !ok || method == "HEAD" {
		return
	}
	var body any
	a.into(t, &body)
	require.NoError(t, conforms(spec, schema, body), "%s %s: %s", method, path, a.body)
}

func operationOf(spec map[string]any, method, path string) map[string]any {
	path, _, _ = strings.Cut(path, "?")
	got := strings.Split(path, "/")
	for template, operations := range spec["paths"].(map[string]any) {
		want := strings.Split(template, "/")
		if len(want) > 3 && want[2] == "vod" && len(got) > len(want) {
			got = append(slices.Clone(got[:4]), strings.Join(got[4:], "/"))
		}
		if !slices.EqualFunc(want, got, func(w, g string) bool { return w == g || (strings.HasPrefix(w, "{") && g != "") }) {
			continue
		}
		if method == "HEAD" {
			method = "GET"
		}
		operation, _ := operations.(map[string]any)[strings.ToLower(method)].(map[string]any)
		return operation
	}
	return nil
}

// conforms checks the few words of JSON Schema that the description uses.
func conforms(spec, schema map[string]any, v any) error {
	if ref, ok := schema["$ref"].(string); ok {
		name := strings.TrimPrefix(ref, "#/components/schemas/")
		schema = spec["components"].(map[string]any)["schemas"].(map[string]any)[name].(map[string]any)
	}
	types, _ := schema["type"].([]any)
	if one, ok := schema["type"].(string); ok {
		types = []any{one}
	}
	if len(types) > 0 && !slices.ContainsFunc(types, func(t any) bool { return isA(t, v) }) {
		return fmt.Errorf("%v is no %v", v, types)
	}
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, v) {
		return fmt.Errorf("%v is not in %v", v, enum)
	}
	switch v := v.(type) {
	case []any:
		items, _ := schema["items"].(map[string]any)
		for i, x := range v {
			if err := conforms(spec, items, x); err != nil {
				return fmt.Errorf("%d: %w", i, err)
			}
		}
	case map[string]any:
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, ok := v[name.(string)]; !ok {
				return fmt.Errorf("%v is missing", name)
			}
		}
		properties, ok := schema["properties"].(map[string]any)
		for name, x := range v {
			property, described := properties[name].(map[string]any)
			if ok && !described {
				return fmt.Errorf("%s is not described", name)
			}
			if err := conforms(spec, property, x); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

func isA(kind, v any) bool {
	switch v := v.(type) {
	case nil:
		return kind == "null"
	case bool:
		return kind == "boolean"
	case string:
		return kind == "string"
	case []any:
		return kind == "array"
	case map[string]any:
		return kind == "object"
	case float64:
		return kind == "number" || (kind == "integer" && v == float64(int64(v)))
	}
	return false
}
