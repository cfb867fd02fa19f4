package api

import (
	"errors"
	"flag"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rushes/catalog/blob"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(file, got, 0o644)) //nolint:gosec // a test's file
	}
	want, err := os.ReadFile(file) //nolint:gosec // a test's file
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

func TestRewritePlaylist(t *testing.T) {
	t.Parallel()
	for file, name := range map[string]string{
		"master.m3u8": "master.m3u8",
		"media.m3u8":  "video/720p/index.m3u8",
		"crlf.m3u8":   "index.m3u8",
	} {
		text, err := os.ReadFile(filepath.Join("testdata", "playlists", file))
		require.NoError(t, err)
		asked := map[string]int{}
		got, err := rewritePlaylist(text, name, func(file string) (string, error) {
			asked[file]++
			return "https://signed.example.com/" + file + "?sig=1", nil
		})
		require.NoError(t, err)
		golden(t, filepath.Join("testdata", "playlists", file+".golden"), got)
		for file, n := range asked {
			require.Equal(t, 1, n, "%s is signed once", file)
			require.NoError(t, blob.CheckKey("hls/"+file))
		}
	}
}

func TestRewritePlaylistRefuses(t *testing.T) {
	t.Parallel()
	uris := []string{
		"../secret.mp4", "a/../../secret.mp4", "..", ".", "a/..", "/etc/passwd", "/secret.mp4", "a/", "a//", "?x=1", "#f",
		"%2e%2e/secret.mp4", "..%2fsecret.mp4", "%2fetc%2fpasswd", "a/%2e%2e/%2e%2e/secret.mp4", "..%5csecret", `..\secret`,
		"a.ts?x=1", "a.ts?", "a%00.ts", "a%zz.ts", "{$base}/a.ts", "a\x01.ts", "%7B$x%7D\x7f",
	}
	for _, uri := range uris {
		for _, line := range []string{uri, `#EXT-X-MAP:URI="` + uri + `"`, `#EXT-X-FUTURE:A=1,B="c,d",URI="` + uri + `",E=2`} {
			_, err := rewritePlaylist([]byte("#EXTM3U\n#EXTINF:1,\n"+line+"\n"), "index.m3u8", func(file string) (string, error) {
				require.Failf(t, "signed", "%q for %q", file, line)
				return "", nil
			})
			if strings.HasPrefix(line, "#f") {
				require.NoError(t, err, "a comment")
				continue
			}
			require.ErrorIs(t, err, errPlaylist, "%q", line)
		}
	}
	for _, text := range []string{"", "x", "#EXTM3UX\n", "\xef\xbb\xbf#EXTM3U\n", "\n#EXTM3U\n", "<html>"} {
		_, err := rewritePlaylist([]byte(text), "index.m3u8", nil)
		require.ErrorIs(t, err, errPlaylist, "%q", text)
	}
	_, err := rewritePlaylist([]byte("#EXTM3U\na.ts\n"), "i.m3u8", func(string) (string, error) { return "a\nb", nil })
	require.ErrorIs(t, err, errPlaylist)
	_, err = rewritePlaylist([]byte("#EXTM3U\n#EXT-X-MAP:URI=\"a\"\n"), "i.m3u8", func(string) (string, error) { return `a"b`, nil })
	require.ErrorIs(t, err, errPlaylist)
	broken := errors.New("store")
	_, err = rewritePlaylist([]byte("#EXTM3U\na.ts\n"), "i.m3u8", func(string) (string, error) { return "", broken })
	require.ErrorIs(t, err, broken)
}

// FuzzRewritePlaylist: whatever a playlist says, nothing outside of the package
// is signed, no line is lost or added, and doing it again to the result, which
// has absolute addresses only, changes nothing.
func FuzzRewritePlaylist(f *testing.F) {
	for _, file := range []string{"master.m3u8", "media.m3u8", "crlf.m3u8"} {
		text, err := os.ReadFile(filepath.Join("testdata", "playlists", file))
		require.NoError(f, err)
		f.Add(text, "video/index.m3u8")
	}
	f.Add([]byte("#EXTM3U\n../a.ts\n#EXT-X-MAP:URI=\"../../a\""), "a/b.m3u8")
	f.Add([]byte("#EXTM3U\n#EXT:=\"\",URI=\"a\",\n"), "b.m3u8")
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		if blob.CheckKey(name) != nil {
			return
		}
		address := func(file string) (string, error) {
			if strings.HasPrefix(file, "/") || path.Join("/pkg", file) != "/pkg/"+file {
				t.Fatalf("%q is outside of the package", file)
			}
			return "https://x/y?z", nil
		}
		once, err := rewritePlaylist(text, name, address)
		if err != nil {
			return
		}
		if strings.Count(string(once), "\n") != strings.Count(string(text), "\n") {
			t.Fatalf("%q became %q", text, once)
		}
		twice, err := rewritePlaylist(once, name, func(file string) (string, error) {
			t.Fatalf("%q is left in %q", file, once)
			return "", nil
		})
		if err != nil || string(twice) != string(once) {
			t.Fatalf("%q became %q, %v", once, twice, err)
		}
	})
}

func TestLinkSignerProperty(t *testing.T) {
	t.Parallel()
	signer := &linkSigner{keys: []secret{"one key of the service", "another key of the service"}}
	rapid.Check(t, func(t *rapid.T) {
		l := vodLink{
			assetID: rapid.StringMatching(`[0-9a-f]{24}`).Draw(t, "id"),
			path:    rapid.String().Draw(t, "path"),
			expires: unix(rapid.Int64Range(0, 1<<35).Draw(t, "expires")),
		}
		token, err := signer.sign(l)
		require.NoError(t, err)
		got, ok := signer.open(token, l.path)
		require.True(t, ok)
		require.Equal(t, l, got)
		_, ok = signer.open(token, l.path+"x")
		require.False(t, ok)
		at := rapid.IntRange(0, len(token)-1).Draw(t, "at")
		c := rapid.SampledFrom([]byte("ABCDEFabcdef0189-_=\n/")).Draw(t, "c")
		if token[at] != c {
			_, ok = signer.open(token[:at]+string(c)+token[at+1:], l.path)
			require.False(t, ok, "altered at %d", at)
		}
	})
}

// FuzzLinkToken: no token but ours opens anything, and none does harm.
func FuzzLinkToken(f *testing.F) {
	signer := &linkSigner{keys: []secret{"one key of the service"}}
	token, err := signer.sign(vodLink{assetID: strings.Repeat("0a", 12), path: "a.m3u8", expires: unix(1 << 31)})
	require.NoError(f, err)
	f.Add(token, "b.m3u8")
	f.Add("", "")
	f.Add(strings.Repeat("A", len(token)), "a.m3u8")
	f.Fuzz(func(t *testing.T, altered, path string) {
		if _, ok := signer.open(altered, path); ok && (altered != token || path != "a.m3u8") {
			t.Fatalf("%q opens %q", altered, path)
		}
	})
}
