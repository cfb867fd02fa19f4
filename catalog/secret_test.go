package catalog_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
)

func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	const value = "hunter2"
	s := catalog.Secret(value)
	type config struct {
		Key  catalog.Secret
		Ptr  *catalog.Secret
		Keys []catalog.Secret
		Map  map[string]catalog.Secret
	}
	c := config{Key: s, Ptr: &s, Keys: []catalog.Secret{s}, Map: map[string]catalog.Secret{"k": s}}
	var printed []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10s", "%T %[1]v"} {
		printed = append(printed, fmt.Sprintf(verb, s), fmt.Sprintf(verb, c), fmt.Sprintf(verb, &c))
	}
	printed = append(printed, fmt.Sprint(s), s.String(), s.GoString(), fmt.Errorf("login with %w %v", errSample, s).Error())
	for _, v := range []any{s, c, &c} {
		raw, err := json.Marshal(v)
		require.NoError(t, err)
		printed = append(printed, string(raw))
	}
	text, err := s.MarshalText()
	require.NoError(t, err)
	printed = append(printed, string(text))
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "key", s, "config", c)
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "key", s, "config", c)
	printed = append(printed, log.String())

	for _, p := range printed {
		require.NotContains(t, p, value)
		require.NotContains(t, p, fmt.Sprintf("%x", value))
	}
	for _, verb := range []string{"%v", "%s", "%#v"} {
		require.Equal(t, "**redacted**", fmt.Sprintf(verb, s))
	}
	require.Equal(t, value, s.Reveal())
}
