package api_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/api"
)

const vodFolder = "hls/r%2F1/20261122/1766000000000/vod"

// vodFiles is a small package: every kind of reference that a packager writes.
func vodFiles() map[string]string {
	media := func(init, segment string) string {
		return "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:6\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-MAP:URI=\"" + init + "\"\n" +
			"#EXTINF:6.000000,\n" + segment + "\n#EXTINF:6.000000,\n#EXT-X-BYTERANGE:4@2\n" + segment + "\n#EXT-X-ENDLIST\n"
	}
	return map[string]string{
		"master.m3u8": "#EXTM3U\n" +
			"#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"a\",URI=\"audio/index.m3u8\"\n" +
			"#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\nvideo/0/index.m3u8\n" +
			"#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI=\"video/0/iframes.m3u8\"\n" +
			"#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=1,CODECS=\"jpeg\",RESOLUTION=320x180,URI=\"images/index.m3u8\"\n",
		"audio/index.m3u8":     media("init.mp4", "1.m4s"),
		"audio/init.mp4":       "audio init",
		"audio/1.m4s":          "audio 1",
		"video/0/index.m3u8":   media("../init%20all.mp4", "1.m4s"),
		"video/0/iframes.m3u8": "#EXTM3U\n#EXT-X-I-FRAMES-ONLY\n" + strings.TrimPrefix(media("../init%20all.mp4", "1.m4s"), "#EXTM3U\n"),
		"video/init all.mp4":   "video init",
		"video/0/1.m4s":        "video 1",
		"images/index.m3u8":    "#EXTM3U\n#EXT-X-IMAGES-ONLY\n#EXT-X-TILES:RESOLUTION=320x180,LAYOUT=5x4,DURATION=3\n#EXTINF:60,\nsheet.jpg\n#EXT-X-ENDLIST\n",
		"images/sheet.jpg":     "\xff\xd8 sheet",
	}
}

func (w *world) vod(app string, files map[string]string) catalog.Asset {
	w.t.Helper()
	for name, text := range files {
		w.put(vodFolder+"/"+name, []byte(text))
	}
	asset := w.file(catalog.RoomVOD, vodFolder+"/master.m3u8", []byte(files["master.m3u8"]))
	asset.Metadata = catalog.Metadata{NumLayers: "1", MaxWidth: 1280, MaxHeight: 720}
	return w.finish(w.capture(app, "r/1", "live-stream"), asset)[0]
}

func (w *world) vodURL(id string) string {
	w.t.Helper()
	var l theirLink
	a := w.call("GET", "/v2/recording-assets/"+id+"/presigned-url?presign_duration=3600", "key-a", "")
	a.into(w.t, &l)
	require.NotEmpty(w.t, l.URL, "%s", a.body)
	return l.URL
}

var uris = regexp.MustCompile(`(?m)(?:URI="([^"]*)"|^([^#\s].*)$)`)

// play follows every address of a playlist, and of the playlists that it names.
func play(t *testing.T, w *world, address string, found map[string]string) {
	t.Helper()
	a := w.call("GET", address, "", "")
	require.Equal(t, http.StatusOK, a.status, "%s: %s", address, a.body)
	u, err := url.Parse(address)
	require.NoError(t, err)
	if path.Ext(u.Path) != ".m3u8" {
		found[strings.TrimPrefix(u.Path, "/v2/files/"+vodFolder+"/")] = string(a.body)
		return
	}
	found[strings.Join(strings.Split(u.Path, "/")[4:], "/")] = "playlist"
	require.Equal(t, "application/vnd.apple.mpegurl", a.header.Get("Content-Type"))
	for _, m := range uris.FindAllStringSubmatch(string(a.body), -1) {
		play(t, w, m[1]+m[2], found)
	}
}

func TestVODPlays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asset := w.vod(defaultApp, vodFiles())
	address := w.vodURL(asset.ID)
	require.True(t, strings.HasPrefix(address, w.server.URL+"/v2/vod/"), address)
	found := map[string]string{}
	play(t, w, address, found)
	for name, text := range vodFiles() {
		if path.Ext(name) == ".m3u8" {
			text = "playlist"
		}
		require.Equal(t, text, found[name], name)
	}
	require.Len(t, found, len(vodFiles()))

	// A player that asks for it gets it small.
	r, err := http.NewRequestWithContext(t.Context(), "GET", address, http.NoBody)
	require.NoError(t, err)
	r.Header.Set("Accept-Encoding", "br, gzip;q=0.5")
	small := w.do(r)
	require.Equal(t, "gzip", small.header.Get("Content-Encoding"))
	z, err := gzip.NewReader(bytes.NewReader(small.body))
	require.NoError(t, err)
	text, err := io.ReadAll(z)
	require.NoError(t, err)
	r.Header.Set("Accept-Encoding", "gzip;q=0.0, identity")
	plain := w.do(r)
	require.Empty(t, plain.header.Get("Content-Encoding"))
	require.Equal(t, string(plain.body), string(text))

	// The asset goes, and its playlists with it.
	require.Equal(t, http.StatusNoContent, w.call("DELETE", "/v2/recording-assets/"+asset.ID, "key-a", "").status)
	w.call("GET", address, "", "").wrong(t, http.StatusNotFound)
}

func TestVODChildrenEndWithTheLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	address := w.vodURL(w.vod(defaultApp, vodFiles()).ID)
	w.pass(59 * time.Minute)
	// Fetched late, the addresses still end when the link does.
	master := string(w.call("GET", address, "", "").body)
	nested := uris.FindStringSubmatch(master)
	media := string(w.call("GET", nested[1]+nested[2], "", "").body)
	child := uris.FindStringSubmatch(media)
	file := child[1] + child[2]
	require.Equal(t, http.StatusOK, w.call("GET", file, "", "").status)
	w.pass(time.Minute)
	w.call("GET", address, "", "").wrong(t, http.StatusForbidden)
	w.call("GET", nested[1]+nested[2], "", "").wrong(t, http.StatusForbidden)
	require.Equal(t, http.StatusForbidden, w.call("GET", file, "", "").status)
}

// TestVODLinkAlterations: hundreds of altered addresses, none of which opens
// anything.
func TestVODLinkAlterations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	address := w.vodURL(w.vod(defaultApp, vodFiles()).ID)
	other := w.file(catalog.RoomVOD, "hls/other/vod/master.m3u8", []byte("#EXTM3U\n"))
	stranger := w.vodURL(w.finish(w.capture(defaultApp, "room-2", "live-stream"), other)[0].ID)
	token, name := strings.Split(address, "/")[5], "master.m3u8"
	var altered []string
	with := func(token, path string) { altered = append(altered, w.server.URL+"/v2/vod/"+token+"/"+path) }
	for i := range token {
		for _, c := range "Az0_" {
			if token[i] != byte(c) {
				with(token[:i]+string(c)+token[i+1:], name)
			}
		}
		with(token[:i]+token[i+1:], name)
	}
	with("", name)
	with(token+"A", name)
	with(token+"=", name)
	with(token+"%0a", name)
	with(strings.ToUpper(token), name)
	with(token+token, name)
	for _, p := range []string{
		"", "audio/index.m3u8", "video/0/index.m3u8", "audio/1.m4s", "MASTER.m3u8", "master.m3u8/", "master.m3u8%00", "./master.m3u8",
		"../master.m3u8", "..%2fmaster.m3u8", "%2e%2e/master.m3u8", "x/../master.m3u8", "x%2f..%2fmaster.m3u8", "//master.m3u8",
		"..%2f..%2f..%2f..%2f..%2fetc%2fpasswd", "/etc/passwd", "%2fetc%2fpasswd", "..%5c..%5cx", "master.m3u8%2f..", "master%2em3u8x",
	} {
		with(token, p)
	}
	with(strings.Split(stranger, "/")[5], "audio/index.m3u8")
	require.Greater(t, len(altered), 300)
	for _, address := range altered {
		a := w.call("GET", address, "", "")
		require.Equal(t, http.StatusForbidden, a.status, "%s: %s", address, a.body)
	}
	// Nor does an object's address open anything else.
	file := uris.FindStringSubmatch(string(w.call("GET", uris.FindStringSubmatch(string(w.call("GET", address, "", "").body))[1], "", "").body))[1]
	require.Equal(t, http.StatusOK, w.call("GET", file, "", "").status)
	for _, swap := range [][2]string{
		{"init.mp4", "1.m4s"}, {"init.mp4", "../audio/init.mp4"}, {"init.mp4", "..%2faudio%2finit.mp4"}, {"init.mp4", "/init.mp4"},
		{"/audio/", "/video/../audio/"}, {"/hls/", "/../hls/"}, {"/hls/", "//hls/"}, {"?e=", "?e=9"}, {"&s=", "&s=A"}, {"&i=1", ""}, {"&k=1", "&k=2"}, {"init.mp4", "init.mp4/"},
	} {
		other := strings.Replace(file, swap[0], swap[1], 1)
		require.NotEqual(t, file, other)
		require.Equal(t, http.StatusForbidden, w.call("GET", other, "", "").status, other)
	}
	require.Equal(t, http.StatusOK, w.call("GET", address, "", "").status)
	require.Equal(t, "#EXTM3U\n", string(w.call("GET", stranger, "", "").body))
}

func TestVODLinkKeysRotate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asset := w.vod(defaultApp, vodFiles())
	before := w.vodURL(asset.ID)
	status := func(address string, keys ...catalog.Secret) int {
		c := w.config
		c.LinkKeys = keys
		service, err := api.New(c)
		require.NoError(t, err)
		r, err := http.NewRequestWithContext(t.Context(), "GET", address, http.NoBody)
		require.NoError(t, err)
		out := newRecorder()
		service.ServeHTTP(out, r)
		return out.Code
	}
	const fresh = "a fresh key for the addresses"
	require.Equal(t, http.StatusOK, status(before, linkSecret))
	require.Equal(t, http.StatusOK, status(before, fresh, linkSecret))
	require.Equal(t, http.StatusForbidden, status(before, fresh))
}

// TestVODOddPackages: what is no package, or a package that somebody tampered
// with, opens nothing.
func TestVODOddPackages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text   string
		status int
	}{
		"traversal":   {"#EXTM3U\n../../../../secret.ts\n", http.StatusInternalServerError},
		"absolute":    {"#EXTM3U\n/v2/files/secret.ts\n", http.StatusInternalServerError},
		"hidden":      {"#EXTM3U\n.incoming/x\n", http.StatusInternalServerError},
		"no playlist": {"<html>", http.StatusInternalServerError},
		"empty":       {"#EXTM3U", http.StatusOK},
		"huge":        {"#EXTM3U\n" + strings.Repeat("#\n", 5<<20), http.StatusInternalServerError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			address := w.vodURL(w.vod(defaultApp, map[string]string{"master.m3u8": c.text}).ID)
			a := w.call("GET", address, "", "")
			require.Equal(t, c.status, a.status, "%s", a.body)
			if c.status != http.StatusOK {
				a.wrong(t, c.status)
				require.NotContains(t, string(a.body), "secret")
			}
		})
	}
	w := newWorld(t)
	asset := w.vod(defaultApp, vodFiles())
	address := w.vodURL(asset.ID)
	require.NoError(t, w.objects.Delete(context.Background(), vodFolder+"/master.m3u8"))
	w.call("GET", address, "", "").wrong(t, http.StatusNotFound)
	w.call("POST", address, "", "").wrong(t, http.StatusMethodNotAllowed)
	require.NotContains(t, w.log.String(), strings.Split(address, "/")[5], "tokens are not logged")
	require.Contains(t, w.log.String(), fmt.Sprintf("%q", "GET /v2/vod/{token}/{path...}"))
}
