package blob_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"mime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rushes/catalog/blob"
)

func TestContentDisposition(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 200) + ".mp4"
	for _, c := range []struct {
		name   string
		inline bool
		want   string
	}{
		{"", false, ""},
		{"", true, "inline"},
		{"Rec-1.mp4", false, `attachment; filename="Rec-1.mp4"`},
		{"Rec 1.mp4", true, `inline; filename="Rec 1.mp4"`},
		{`a"b.mp4`, false, `attachment; filename="a_b.mp4"; filename*=UTF-8''a%22b.mp4`},
		{"50%.mp4", false, `attachment; filename="50_.mp4"; filename*=UTF-8''50%25.mp4`},
		{"übung é.mp4", false, `attachment; filename="_bung _.mp4"; filename*=UTF-8''%C3%BCbung%20%C3%A9.mp4`},
		{"../../etc/passwd", false, `attachment; filename="passwd"`},
		{`C:\windows\x.mp4`, false, `attachment; filename="x.mp4"`},
		{"a\r\nSet-Cookie: x=1", false, `attachment; filename="aSet-Cookie: x=1"`},
		{"a\u202e4pm.exe", false, `attachment; filename="a4pm.exe"`},
		{"..", false, "attachment"},
		{".profile", false, `attachment; filename="profile"`},
		{"a;b.mp4", false, `attachment; filename="a_b.mp4"; filename*=UTF-8''a%3Bb.mp4`},
		{long, false, `attachment; filename="` + strings.Repeat("_", 125) + `.mp4"; filename*=UTF-8''` + strings.Repeat("%C3%BC", 125) + ".mp4"},
	} {
		require.Equal(t, c.want, blob.PresignOptions{FileName: c.name, Inline: c.inline}.ContentDisposition(), "%q", c.name)
	}
}

// TestContentDispositionIsOneHeader: whatever the name, the value is a header
// that parses, with one name without folders.
func TestContentDispositionIsOneHeader(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := blob.PresignOptions{FileName: rapid.String().Draw(t, "name"), Inline: rapid.Bool().Draw(t, "inline")}
		value := o.ContentDisposition()
		if value == "" {
			return
		}
		for i := range len(value) {
			if value[i] < ' ' || value[i] > '~' {
				t.Fatalf("%q", value)
			}
		}
		kind, parameters, err := mime.ParseMediaType(value)
		if err != nil || (kind == "inline") != o.Inline || strings.ContainsAny(parameters["filename"], "/\\\r\n\x00") {
			t.Fatalf("%q: %v, %q, %q", value, err, kind, parameters)
		}
	})
}

func TestCheckPresign(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"", "video/mp4", "text/html; charset=utf-8"} {
		require.NoError(t, blob.PresignOptions{ContentType: good}.CheckPresign(), good)
	}
	for _, bad := range []string{"video/mp4\r\nX: y", "/", "; x", "vidéo/mp4", "a/b; x=\"\x01\""} {
		require.Error(t, blob.PresignOptions{ContentType: bad}.CheckPresign(), bad)
	}
	require.Error(t, blob.PresignOptions{FileName: "\xff"}.CheckPresign())
	for _, good := range []time.Duration{time.Second, blob.MaxPresign} {
		require.NoError(t, blob.CheckExpires(good))
	}
	for _, bad := range []time.Duration{0, -1, time.Second - 1, blob.MaxPresign + 1} {
		require.Error(t, blob.CheckExpires(bad))
	}
}

func TestMediaType(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"a/b.mp4": "video/mp4", "a/b.M3U8": "application/vnd.apple.mpegurl", "a.webm": "video/webm", "a.m4s": "video/iso.segment",
		"a.zip": "application/zip", "a": "application/octet-stream", "a.html": "application/octet-stream", "a.mp4/b": "application/octet-stream",
	} {
		require.Equal(t, want, blob.MediaType(key), key)
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	t.Parallel()
	const word = "hunter2hunter2"
	s := blob.Secret(func() string { return word })
	require.Equal(t, word, s.Reveal())
	require.Empty(t, blob.Secret(nil).Reveal())
	holder := struct{ Key blob.Secret }{s}
	var printed strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%p", "%T"} {
		fmt.Fprintf(&printed, verb+" "+verb, s, holder)
	}
	slog.New(slog.NewTextHandler(&printed, nil)).Info("x", "secret", s, "holder", holder)
	b, err := json.Marshal(holder)
	require.NoError(t, err)
	require.NotContains(t, printed.String()+string(b), word)
	require.JSONEq(t, `{"Key":"**redacted**"}`, string(b))
}
