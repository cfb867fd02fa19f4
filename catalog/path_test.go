package catalog_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rushes/catalog"
)

// The day is the UTC one: this is 2026-11-23 in the zone of the value.
var sessionStart = time.Date(2026, 11, 23, 1, 30, 0, 120_900_000, time.FixedZone("", 2*3600))

func TestPaths(t *testing.T) {
	t.Parallel()
	s := catalog.Session{RoomID: "room_1-A", SessionID: "sess", StartedAt: sessionStart}
	odd := catalog.Session{RoomID: "../ü", SessionID: "", StartedAt: sessionStart}
	for _, c := range []struct{ got, want string }{
		{s.RoomCompositePath(), "beam/room_1-A/20261122/Rec-room_1-A-1795390200120.mp4"},
		{s.RoomCompositeLegacyPath(), "room_1-A/20261122/sess/Rec-sess-1795390200120.mp4"},
		{s.TrackPath("p", "s", "t", catalog.WebM), "room_1-A/20261122/sess/p/s/t.webm"},
		{s.TrackPath("p", "{s}", "a/b", catalog.MP4), "room_1-A/20261122/sess/p/%7Bs%7D/a%2Fb.mp4"},
		{s.StreamPath("p", "s"), "room_1-A/20261122/sess/p/s/s.mp4"},
		{s.LayerPath("0"), "hls/room_1-A/20261122/1795390200120/file-recording/Rec-room_1-A-1795390200120-0.mp4"},
		{s.VODPath("720p/index.m3u8"), "hls/room_1-A/20261122/1795390200120/vod/720p/index.m3u8"},
		{s.VODZipPath(), "hls/room_1-A/20261122/1795390200120/vod/Rec-room_1-A-1795390200120.zip"},
		{odd.RoomCompositePath(), "beam/%2E%2E%2F%C3%BC/20261122/Rec-%2E%2E%2F%C3%BC-1795390200120.mp4"},
		{odd.TrackPath(".", "..", "", catalog.WebM), "%2E%2E%2F%C3%BC/20261122/%/%2E/%2E%2E/%.webm"},
		{
			catalog.ThumbnailPath(s.RoomCompositePath(), 0, 2*time.Second, ".png"),
			"beam/room_1-A/20261122/Rec-room_1-A-1795390200120-thumb-0-2000.png",
		},
		{catalog.ThumbnailPath("a.b/c", 3, 1500*time.Microsecond, ".jpg"), "a.b/c-thumb-3-1.jpg"},
	} {
		require.Equal(t, c.want, c.got)
	}
}

func TestPathsOfAnyIDs(t *testing.T) {
	t.Parallel()
	id := rapid.OneOf(
		rapid.String(),
		rapid.SampledFrom([]string{"", ".", "..", "%", "%2E", "a/b", `a\b`, "\x00", "%-", "CON"}),
		rapid.StringMatching(`[a-z\x00-\x20%é]{100,400}`),
	)
	rapid.Check(t, func(t *rapid.T) {
		a, b := id.Draw(t, "a"), id.Draw(t, "b")
		s := catalog.Session{RoomID: a, SessionID: a, StartedAt: sessionStart}
		key := s.StreamPath(a, b)
		if len(key) > 1024 {
			t.Fatalf("%d bytes: %s", len(key), key)
		}
		elements := strings.Split(key, "/")
		if len(elements) != 6 {
			t.Fatalf("%d elements: %s", len(elements), key)
		}
		for _, e := range elements {
			if e == "" || e[0] == '.' || len(e) > 200 || strings.Trim(e, alphabet) != "" {
				t.Fatalf("element %q of %s", e, key)
			}
		}
		if (a == b) != (s.TrackPath("p", "s", a, catalog.MP4) == s.TrackPath("p", "s", b, catalog.MP4)) {
			t.Fatalf("%q and %q share a path element", a, b)
		}
		if (a == b) != (catalog.AssetKey("c", catalog.TrackAsset, a, b) == catalog.AssetKey("c", catalog.TrackAsset, b, a)) {
			t.Fatalf("%q and %q share an asset key", a, b)
		}
	})
}

const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_%."
