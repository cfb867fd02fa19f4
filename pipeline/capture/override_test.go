package capture_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/pipeline/capture"
)

func TestOverride(t *testing.T) {
	t.Parallel()
	parse := func() *capture.Capture {
		m, _, err := capture.Parse("x", []byte(`{"version":1,"source":"sfu","room_id":"r","session_id":"s","started_at":"2026-11-22T10:00:00Z",
			"outputs":{"composition":{"layout":"grid","width":640,"height":360,"roles":["host"]}},
			"tracks":[{"id":"t","peer_id":"p","stream_id":"m","kind":"audio","codec":"opus","clock_rate":48000,"files":[{"path":"a.ogg","format":"ogg"}]}]}`))
		require.NoError(t, err)
		return &capture.Capture{Name: "x", Manifest: m}
	}
	for name, x := range map[string]struct {
		patch string
		check func(t *testing.T, o capture.Outputs)
		fails string
	}{
		"nothing": {"", func(t *testing.T, o capture.Outputs) { require.Equal(t, parse().Manifest.Outputs, o) }, ""},
		"one field": {`{"composition":{"layout":"sidebar"}}`, func(t *testing.T, o capture.Outputs) {
			require.Equal(t, "sidebar", o.Composition.Layout)
			require.Equal(t, 640, o.Composition.Width, "the manifest's stays")
			require.Equal(t, []string{"host"}, o.Composition.Roles)
		}, ""},
		"a list": {`{"assets":["stream","stream"],"composition":{"roles":[]}}`, func(t *testing.T, o capture.Outputs) {
			require.Equal(t, []string{"stream"}, o.Assets)
			require.Empty(t, o.Composition.Roles)
		}, ""},
		"unknown":    {`{"composition":{"lay":"grid"}}`, nil, "lay"},
		"a limit":    {`{"composition":{"width":17}}`, nil, "outputs.composition.width"},
		"a type":     {`{"composition":[]}`, nil, "outputs"},
		"an asset":   {`{"assets":["hologram"]}`, nil, "outputs.assets"},
		"segments":   {`{"vod":{"segments":"none"}}`, nil, "outputs.vod.segments"},
		"a rung":     {`{"vod":{"ladder":[360,17]}}`, nil, "outputs.vod.ladder[1]"},
		"two values": {`{} {}`, nil, "more than one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := parse()
			err := c.Override([]byte(x.patch))
			if x.fails != "" {
				require.ErrorContains(t, err, x.fails)
				var input *capture.InputError
				require.ErrorAs(t, err, &input)
				require.Equal(t, parse().Manifest.Outputs, c.Manifest.Outputs, "nothing changed")
				return
			}
			require.NoError(t, err)
			x.check(t, c.Manifest.Outputs)
		})
	}
}
