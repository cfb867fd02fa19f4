package api_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/api"
)

// discard is a client that reads fast.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(code int)        { d.status = code }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkPlaylist times the playlist of four hours in segments of 6 s, each
// with an address of its own.
func BenchmarkPlaylist(b *testing.B) {
	if os.Getenv("RUSHES_BENCH") != "1" {
		b.Skip("RUSHES_BENCH=1 runs it")
	}
	w := newWorld(b)
	var text strings.Builder
	text.WriteString("#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\"\n")
	for i := range 2400 {
		fmt.Fprintf(&text, "#EXTINF:6.000000,\nsegment-%05d.m4s\n", i)
	}
	address := w.vodURL(w.vod(defaultApp, map[string]string{"master.m3u8": text.String()}).ID)
	service, err := api.New(w.config)
	require.NoError(b, err)
	for b.Loop() {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, address, http.NoBody)
		require.NoError(b, err)
		out := &discard{header: http.Header{}}
		service.ServeHTTP(out, r)
	}
}

// BenchmarkLists times the list handlers over a catalog of RUSHES_BENCH=1's
// size, token and rate limit included, and shows the 99th percentile.
func BenchmarkLists(b *testing.B) {
	if os.Getenv("RUSHES_BENCH") != "1" {
		b.Skip("RUSHES_BENCH=1 runs it")
	}
	const rooms, perRoom = 200, 100
	w := newWorld(b)
	var ids []string
	for r := range rooms {
		job := w.capture(defaultApp, fmt.Sprint("room-", r), "sfu")
		assets := make([]catalog.Asset, perRoom)
		for i := range assets {
			assets[i] = catalog.Asset{
				Type: catalog.AssetTypes()[i%5], Status: catalog.AssetCompleted, Path: fmt.Sprint(r, "/", i), Size: 1, Duration: time.Minute,
			}
		}
		for _, a := range w.finish(job, assets...) {
			ids = append(ids, a.ID)
		}
	}
	service, err := api.New(w.config)
	require.NoError(b, err)
	token := "Bearer " + w.token("key-a")
	for name, path := range map[string]string{
		"first page":      "/v2/recording-assets",
		"first 100":       "/v2/recording-assets?limit=100",
		"deep page":       "/v2/recording-assets?start=" + ids[perRoom],
		"room":            "/v2/recording-assets?room_id=room-100",
		"session":         "/v2/recording-assets?session_id=session-of-room-3",
		"type and status": "/v2/recording-assets?type=track&status=completed",
		"jobs":            "/v2/jobs",
		"one asset":       "/v2/recording-assets/" + ids[7],
		"link":            "/v2/recording-assets/" + ids[1] + "/presigned-url",
	} {
		b.Run(name, func(b *testing.B) {
			var times []time.Duration
			for b.Loop() {
				r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, path, http.NoBody)
				require.NoError(b, err)
				r.Header.Set("Authorization", token)
				out := &discard{header: http.Header{}}
				began := time.Now()
				service.ServeHTTP(out, r)
				times = append(times, time.Since(began))
				if out.status != http.StatusOK {
					b.Fatal(out.status)
				}
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-µs")
		})
	}
}
