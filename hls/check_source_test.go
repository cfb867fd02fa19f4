package hls_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/hls"
)

// TestCheckPractice breaks what is good practice only.
func TestCheckPractice(t *testing.T) {
	t.Parallel()
	for _, f := range []fault{
		text("3P", "target duration too long", v0, "TARGETDURATION:2", "TARGETDURATION:4"),
		text("6P", "few decimals", v1, "2.000000", "2.01"),
		text("10P", "EXTINF of zero", "s/index.m3u8", "2.000000", "0"),
		text("15P", "discontinuity without a cause", v0, "\n2.m4s", "\n#EXT-X-DISCONTINUITY\n2.m4s"),
		text("16P", "gap first", v0, "\n1.m4s", "\n#EXT-X-GAP\n1.m4s"),
		poked("28P", "sequence", "a/3.m4s", "mfhd", 7, 9),
		poked("29P", "two pictures at once", "v0/5.m4s", "trun", 16+8*20+4, 0, 0, 2, 0),
		poked("34P", "version 1 without need", "v0/5.m4s", "trun", 0, 1),
		text("39P", "stills end early", "storyboard/storyboard.vtt", "00:10.000", "00:09.000"),
	} {
		t.Run(f.want+" "+f.name, func(t *testing.T) {
			t.Parallel()
			p := goodPack(t)
			f.wreck(t, p)
			require.Contains(t, strings.Fields(numbersOf(findings(t, p.memory, top, true))), f.want)
		})
	}
}

// TestCheckGap takes pictures away from one layer only, as the packager does it when a layer lacks a segment.
func TestCheckGap(t *testing.T) {
	t.Parallel()
	p := goodPack(t)
	p.sub(t, v0, "\n3.m4s", "\n#EXT-X-GAP\n3.m4s")
	lines := strings.Split(string(p.memory[i0]), "\n")
	at := slices.IndexFunc(lines, func(s string) bool { return s == "3.m4s" })
	lines[at-5] = "#EXTINF:4.000000,"
	p.memory[i0] = []byte(strings.Join(slices.Delete(lines, at-2, at+1), "\n"))
	delete(p.memory, "v0/3.m4s")
	p.sub(t, i0, "TARGETDURATION:2", "TARGETDURATION:4")
	found := findings(t, p.memory, top, false)
	require.Equal(t, "17S", numbersOf(found), "%v", found) // the average of the I-frames is smaller now
	p.sub(t, v0, "#EXT-X-GAP\n", "#EXT-X-GAP\n#EXTINF:1.000000,\nnone.m4s\n#EXT-X-GAP\n")
	require.Contains(t, numbersOf(findings(t, p.memory, top, false)), "16S")
}

// lay writes a package into a folder.
func lay(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	return dir
}

func TestCheckFolderAndZip(t *testing.T) {
	t.Parallel()
	p := goodPack(t)
	p.sub(t, "a/1.m4s", "a.0", "a.1") // one byte of media is nobody's business
	folder, err := hls.NewCheckFolder(lay(t, p.memory))
	require.NoError(t, err)
	defer func() { require.NoError(t, folder.Close()) }()
	found, err := hls.Check(t.Context(), folder, top, hls.CheckOptions{})
	require.NoError(t, err)
	require.Empty(t, found)
	for _, uri := range []string{"../x", "/etc/passwd", "https://example.org/x", "a/../../x", "", "..%2f..%2fx"} {
		_, err := folder.Resolve(top, uri)
		require.Error(t, err, uri)
	}
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		var out bytes.Buffer
		w := zip.NewWriter(&out)
		for name, data := range p.memory {
			f, err := w.CreateHeader(&zip.FileHeader{Name: "room/" + name, Method: method})
			require.NoError(t, err)
			_, err = f.Write(data)
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
		z, err := hls.NewCheckZip(bytes.NewReader(out.Bytes()), int64(out.Len()))
		require.NoError(t, err)
		require.Equal(t, "room/master.m3u8", z.Master)
		found, err := hls.Check(t.Context(), z, z.Master, hls.CheckOptions{})
		require.NoError(t, err)
		require.Empty(t, found)
	}
}

func TestCheckWeb(t *testing.T) {
	t.Parallel()
	dir := lay(t, goodPack(t).memory)
	var asked, elsewhere int
	parts := http.FileServer(http.Dir(dir))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Path == "/moved.m3u8" {
			http.Redirect(w, r, "/master.m3u8", http.StatusFound)
			return
		}
		if r.URL.Path == "/round.m3u8" {
			http.Redirect(w, r, "/round.m3u8", http.StatusFound)
			return
		}
		if r.URL.Query().Has("whole") {
			r.Header.Del("Range")
		}
		parts.ServeHTTP(w, r)
	}))
	defer server.Close()
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	check := func(address string, origins ...string) ([]hls.Finding, error) {
		web, err := hls.NewCheckWeb(address, hls.WebOptions{Origins: origins, Transport: transport, Timeout: 10 * time.Second})
		require.NoError(t, err)
		return hls.Check(t.Context(), web, address, hls.CheckOptions{})
	}
	for _, name := range []string{"/master.m3u8", "/master.m3u8?whole=1"} {
		found, err := check(server.URL + name)
		require.NoError(t, err)
		require.Empty(t, found)
	}
	var bad *hls.InputError
	for _, name := range []string{"/none.m3u8", "/round.m3u8", "/v0/"} {
		_, err := check(server.URL + name)
		require.ErrorAs(t, err, &bad, name)
	}
	text, err := os.ReadFile(filepath.Join(dir, "master.m3u8"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "away.m3u8"), bytes.Replace(text, []byte("\"a/index"), []byte("\""+other.URL+"/index"), 1), 0o600))
	found, err := check(server.URL + "/away.m3u8")
	require.NoError(t, err)
	require.Zero(t, elsewhere)
	require.Contains(t, numbersOf(found), "7S")
	_, err = check(server.URL+"/away.m3u8", other.URL)
	require.NoError(t, err)
	require.Positive(t, elsewhere)
	require.Less(t, asked, 200)
	for _, address := range []string{"ftp://example.org/x", "file:///etc/passwd", "http://", "x"} {
		_, err := hls.NewCheckWeb(address, hls.WebOptions{})
		require.ErrorAs(t, err, &bad)
	}
}

func TestCheckLimits(t *testing.T) {
	t.Parallel()
	p := goodPack(t)
	_, err := hls.Check(t.Context(), checkable{p.memory}, top, hls.CheckOptions{MaxFiles: 5})
	require.ErrorIs(t, err, hls.ErrCheckLimit)
	_, err = hls.Check(t.Context(), checkable{p.memory}, top, hls.CheckOptions{MaxPlaylistBytes: 100})
	require.ErrorIs(t, err, hls.ErrCheckLimit)
	p.memory["wide.m3u8"] = []byte("#EXTM3U\n" + strings.Repeat("#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"a\"\n", 5000))
	_, err = hls.Check(t.Context(), checkable{p.memory}, "wide.m3u8", hls.CheckOptions{})
	require.ErrorIs(t, err, hls.ErrCheckLimit)
	p.memory["long.m3u8"] = []byte("#EXTM3U\n" + strings.Repeat("#EXTINF:1,\nx\n", 300_000))
	_, err = hls.Check(t.Context(), checkable{p.memory}, "long.m3u8", hls.CheckOptions{})
	require.ErrorIs(t, err, hls.ErrCheckLimit)
	var bad *hls.InputError
	for name, data := range map[string]string{"empty": "", "text": "hello", "short mp4": "\x00\x00\x00\x10ftypisom\x00\x00\x00\x00"} {
		_, err = hls.Check(t.Context(), checkable{memory{"x": []byte(data)}}, "x", hls.CheckOptions{})
		require.ErrorAs(t, err, &bad, name)
	}
	_, err = hls.Check(t.Context(), checkable{}, "none", hls.CheckOptions{})
	require.ErrorAs(t, err, &bad)
	require.False(t, errors.Is(err, hls.ErrCheckLimit))
}

// FuzzCheck puts a playlist, an init segment and a segment of any bytes into a package.
func FuzzCheck(f *testing.F) {
	p := goodPack(f)
	for _, name := range []string{"a", "v0"} {
		f.Add(p.memory[name+"/index.m3u8"], p.memory[name+"/init.mp4"], p.memory[name+"/1.m4s"][:1500])
	}
	f.Add([]byte("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n1.m4s\n"), []byte{}, append([]byte("\x47\x40\x00\x10\x00\x00\xb0\x0d\x00\x01\xc1\x00\x00\x00\x01\xf0\x00\x00\x00\x00\x00"), make([]byte, 167)...))
	f.Add(p.memory[top], []byte{}, []byte("ID3\x04\x00\x00\x00\x00\x00\x00\xff\xf1\x4c\x80\x01\x1f\xfc\x00"))
	f.Fuzz(func(t *testing.T, list, head, segment []byte) {
		files := memory{"index.m3u8": list, "init.mp4": head, "1.m4s": segment, "2.m4s": segment, "a/index.m3u8": list, "v0/index.m3u8": list,
			"media.mp4": segment, "v0/iframes.m3u8": list, "s/index.m3u8": list, "storyboard/storyboard.vtt": list}
		found, err := hls.Check(t.Context(), checkable{files}, "index.m3u8", hls.CheckOptions{MaxFiles: 200})
		for _, x := range found {
			require.Positive(t, x.Number)
			require.NotEmpty(t, x.Detail)
			require.NotEmpty(t, x.String())
		}
		_ = err // broken inputs are errors or findings
	})
}
