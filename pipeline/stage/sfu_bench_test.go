package stage_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/fixtures"
	"rushes/pipeline/capture"
	"rushes/pipeline/stage"
)

// repeated makes a capture with one track whose file is that of a short one, many times over, up to a size.
func repeated(tb testing.TB, format fixtures.SFUFormat, size int64) string {
	dir, err := os.MkdirTemp(fastFolder(), "rushes-bench-*")
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, os.RemoveAll(dir)) })
	script := fixtures.Script{Start: time.Second, Duration: 4 * time.Second, Rate: fixtures.Rate{Num: 30, Den: 1}, Width: 1280, Height: 720, Channels: 1, Tone: true}
	track := fixtures.SFUTrack{ID: "t", Peer: "p", Codec: "VP8", Format: format, Script: script, NoReports: true, NoLengths: true}
	if format == fixtures.Ogg {
		track.Codec = "OPUS"
	}
	_, err = fixtures.SFU(tb.Context(), dir, fixtures.SFUSpec{Tracks: []fixtures.SFUTrack{track}, Outputs: outputs("track")})
	require.NoError(tb, err)
	path := filepath.Join(dir, "tracks", "t."+string(format))
	b, err := os.ReadFile(path)
	require.NoError(tb, err)
	f, err := os.Create(path)
	require.NoError(tb, err)
	defer func() { require.NoError(tb, f.Close()) }()
	head, body, again := looped(format, b)
	_, err = f.Write(head)
	require.NoError(tb, err)
	for written, n := int64(len(head)), 0; written < size; n++ {
		if n > 0 {
			again(body)
		}
		_, err := f.Write(body)
		require.NoError(tb, err)
		written += int64(len(body))
	}
	return dir
}

// fastFolder is where files cost no disk.
func fastFolder() string {
	if _, err := os.Stat("/dev/shm"); err == nil {
		return "/dev/shm"
	}
	return ""
}

// looped splits a dump into its head and its records; again moves the records four seconds on.
func looped(format fixtures.SFUFormat, b []byte) (head, body []byte, again func(body []byte)) {
	switch format {
	case fixtures.IVF:
		return b[:32], b[32:], func(body []byte) {
			for at := 0; at < len(body); at += 12 + int(binary.LittleEndian.Uint32(body[at:])) {
				pts := binary.LittleEndian.Uint64(body[at+4:])
				binary.LittleEndian.PutUint64(body[at+4:], pts+4*90000)
			}
		}
	case fixtures.Ogg:
		at := bytes.Index(b[1:], []byte("OggS")) + 1
		at += bytes.Index(b[at+1:], []byte("OggS")) + 1
		pages := uint32(bytes.Count(b[at:], []byte("OggS")))
		return b[:at], b[at:], func(body []byte) { nextOgg(body, pages) }
	}
	at := bytes.IndexByte(b, '\n') + 1 + 16
	packets := uint16(0)
	for i := at; i < len(b); i += int(binary.BigEndian.Uint16(b[i:])) {
		packets++
	}
	return b[:at], b[at:], func(body []byte) {
		for i := 0; i < len(body); i += int(binary.BigEndian.Uint16(body[i:])) {
			r := body[i:]
			binary.BigEndian.PutUint32(r[4:], binary.BigEndian.Uint32(r[4:])+4000)
			binary.BigEndian.PutUint16(r[10:], binary.BigEndian.Uint16(r[10:])+packets)
			binary.BigEndian.PutUint32(r[12:], binary.BigEndian.Uint32(r[12:])+4*90000)
		}
	}
}

// nextOgg moves pages on and gives them their new checksums (RFC 3533, 6).
func nextOgg(body []byte, pages uint32) {
	for at := 0; at < len(body); {
		n := int(body[at+26])
		size := 27 + n
		for _, lace := range body[at+27 : at+27+n] {
			size += int(lace)
		}
		page := body[at : at+size]
		binary.LittleEndian.PutUint64(page[6:], binary.LittleEndian.Uint64(page[6:])+uint64(pages)*960)
		binary.LittleEndian.PutUint32(page[18:], binary.LittleEndian.Uint32(page[18:])+pages)
		binary.LittleEndian.PutUint32(page[22:], 0)
		binary.LittleEndian.PutUint32(page[22:], oggSum(page))
		at += size
	}
}

func oggSum(page []byte) uint32 {
	sum := uint32(0)
	for _, b := range page {
		sum ^= uint32(b) << 24
		for range 8 {
			if sum&(1<<31) != 0 {
				sum = sum<<1 ^ 0x04c11db7
			} else {
				sum <<= 1
			}
		}
	}
	return sum
}

func cpuTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// copyTrack indexes and copies the one track of a capture.
func copyTrack(tb testing.TB, dir string) {
	c, err := capture.Open(tb.Context(), dir)
	require.NoError(tb, err)
	defer func() { require.NoError(tb, c.Close()) }()
	ix, err := capture.BuildIndex(tb.Context(), c)
	require.NoError(tb, err)
	f, err := os.Create(filepath.Join(dir, "out.webm"))
	require.NoError(tb, err)
	defer func() { require.NoError(tb, f.Close()) }()
	require.NoError(tb, stage.CopyTrack(tb.Context(), c, ix.Tracks[0], f))
}

// BenchmarkCopyTracks copies tracks of dumps to WebM, both passes; MB/core-s is input over time of the processor. An
// hour of sound is 20 MB: its bytes are nothing, its packets are what costs.
func BenchmarkCopyTracks(b *testing.B) {
	size := int64(64 << 20)
	if os.Getenv("RUSHES_BENCH") == "1" {
		size = 512 << 20
	}
	for _, format := range []fixtures.SFUFormat{fixtures.IVF, fixtures.RTPDump, fixtures.Ogg} {
		b.Run(string(format), func(b *testing.B) {
			size := size
			if format == fixtures.Ogg {
				size /= 8
			}
			dir := repeated(b, format, size)
			b.SetBytes(size)
			before := cpuTime(b)
			for b.Loop() {
				copyTrack(b, dir)
			}
			b.ReportMetric(float64(size)/1e6*float64(b.N)/(cpuTime(b)-before).Seconds(), "MB/core-s")
		})
	}
}

// TestCopyMemory copies a track of 1 GB in a process of its own, which stays below 100 MB. RUSHES_BENCH=1 only.
func TestCopyMemory(t *testing.T) {
	if dir := os.Getenv("RUSHES_COPY_CHILD"); dir != "" {
		copyTrack(t, dir)
		status, err := os.ReadFile("/proc/self/status")
		require.NoError(t, err)
		_, rest, _ := strings.Cut(string(status), "VmHWM:")
		t.Logf("peak %s kB", strings.Fields(rest)[0])
		return
	}
	if os.Getenv("RUSHES_BENCH") != "1" {
		t.Skip("RUSHES_BENCH=1 runs it")
	}
	for _, format := range []fixtures.SFUFormat{fixtures.IVF, fixtures.RTPDump} {
		dir := repeated(t, format, 1<<30)
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestCopyMemory$", "-test.v")
		cmd.Env = append(os.Environ(), "RUSHES_COPY_CHILD="+dir)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		_, rest, found := strings.Cut(string(out), "peak ")
		require.True(t, found, "%s", out)
		peak, err := strconv.Atoi(strings.Fields(rest)[0])
		require.NoError(t, err)
		t.Logf("%s: peak %d MB", format, peak/1024)
		require.Less(t, peak, 100<<10)
		require.NoError(t, os.RemoveAll(dir))
	}
}
