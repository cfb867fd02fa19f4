package capture

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"
)

func senderReport(t testing.TB, ssrc, ts uint32, ntp uint64, at uint32) sent {
	t.Helper()
	b, err := rtcp.Marshal([]rtcp.Packet{
		&rtcp.SenderReport{SSRC: ssrc, NTPTime: ntp, RTPTime: ts},
		&rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{Source: ssrc, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: "x"}}}}},
	})
	require.NoError(t, err)
	return sent{raw: b, at: at}
}

func TestRTPDumpSenderReports(t *testing.T) {
	t.Parallel()
	s := newStream("OPUS", 200, 65500, 0xffffff00)
	const ntp = (2208988800 + 1_700_000_003) << 32 // 1900 epoch
	came := append([]sent{
		senderReport(t, 7, 0xffffff00-960, ntp, 480), // before the first packet
		senderReport(t, 8, 12345, ntp, 490),          // of another source
	}, s.packets...)
	came = append(came, senderReport(t, 7, 96000-0x100, ntp|1<<31, 2500))
	r := openDump(t, dumpFile(came), s.cfg)
	s.check(t, drainUnits(t, r), nil)
	start := time.Unix(1_700_000_000, 250e6).UTC()
	require.Equal(t, []ReportPoint{
		{Ticks: -960, NTP: time.Unix(1_700_000_003, 0).UTC(), ReceivedAt: start.Add(480 * time.Millisecond)},
		{Ticks: 96000, NTP: time.Unix(1_700_000_003, 5e8).UTC(), ReceivedAt: start.Add(2500 * time.Millisecond)},
	}, r.Stats().Reports)
	require.Equal(t, start.Add(500*time.Millisecond), r.Stats().FirstWall)
	require.Empty(t, r.Stats().Defects)
}

func TestNTPTime(t *testing.T) {
	t.Parallel()
	require.Equal(t, "2036-02-07T06:28:15Z", ntpTime(0xffffffff<<32).Format(time.RFC3339))
	require.Equal(t, "2036-02-07T06:28:17Z", ntpTime(1<<32).Format(time.RFC3339))
}

// TestTornDumps: wherever a file is cut, the units before the cut are there.
func TestTornDumps(t *testing.T) {
	t.Parallel()
	s := newSizedStream("VP8", 4, 65534, 0xfffff000, 150, 60)
	for name, file := range map[string][]byte{
		"rtpdump": dumpFile(s.packets), "mjr": janusFile(`{"t":"v","c":"vp8"}`, s.packets), "old mjr": janusFile("video", s.packets),
	} {
		record, head := 8, len(dumpFile(nil))
		if name == "mjr" {
			record, head = 10, len(janusFile(`{"t":"v","c":"vp8"}`, nil))
		} else if name == "old mjr" {
			record, head = 10, len(janusFile("video", nil))
		}
		for cut := range len(file) {
			open := newMJRReader
			if name == "rtpdump" {
				open = newRTPDumpReader
			}
			cfg := s.cfg
			cfg.Name, cfg.Size = "dump", int64(cut)
			r, err := open(bytes.NewReader(file[:cut]), cfg)
			if cut < head {
				var bad *InputError
				require.ErrorAs(t, err, &bad, "%s cut at %d", name, cut)
				require.Equal(t, "dump", bad.File)
				continue
			}
			require.NoError(t, err)
			units := drainUnits(t, r)
			whole, left, missing, absent := 0, cut-head, map[int]bool{}, map[int]bool{}
			for _, p := range s.packets {
				if n := record + len(p.bytes()); left >= n {
					left -= n
					whole++
				} else {
					left -= n
					missing[p.frame] = true
				}
				if left < 0 {
					absent[p.frame] = true
				}
			}
			// What is left behind the last whole packet.
			rest := cut - head
			for _, p := range s.packets[:whole] {
				rest -= record + len(p.bytes())
			}
			if len(units) > 0 && whole > 0 && s.packets[whole-1].frame == 0 && !s.packets[whole-1].Marker {
				continue // no marker was seen yet: it may be a sender that sets none
			}
			s.check(t, units, missing)
			require.Equal(t, whole, r.Stats().Packets)
			require.Equal(t, int64(rest), r.Stats().TornBytes, "%s cut at %d", name, cut)
		}
	}
}

func TestRTPDumpBadRecords(t *testing.T) {
	t.Parallel()
	s := newStream("OPUS", 20, 1, 0)
	half := dumpFile(s.packets[:10])
	t.Run("impossible record ends the file", func(t *testing.T) {
		t.Parallel()
		file := append(bytes.Clone(half), 0, 3, 0, 3, 9, 9, 9, 9, 9)
		r := openDump(t, file, s.cfg)
		require.Len(t, drainUnits(t, r), 10)
		require.Equal(t, int64(9), r.Stats().TornBytes)
	})
	t.Run("cut packets and rubbish are passed over", func(t *testing.T) {
		t.Parallel()
		file := bytes.Clone(half)
		// Record 11 kept 20 bytes of its packet; then an empty record and one that is no RTP.
		file = append(file, 0, 28, 0, 200, 0, 0, 2, 0)
		file = append(file, s.packets[10].bytes()[:20]...)
		file = append(file, 0, 8, 0, 0, 0, 0, 2, 0, 0, 12, 0, 4, 0, 0, 2, 0, 1, 2, 3, 4)
		file = append(file, dumpFile(s.packets[11:])[len(dumpFile(nil)):]...)
		r := openDump(t, file, s.cfg)
		s.check(t, drainUnits(t, r), map[int]bool{10: true})
		stats := r.Stats()
		require.Equal(t, 1, stats.Lost)
		require.Equal(t, []Defect{
			{Kind: DefectBadPackets, Detail: "1 packets are neither RTP nor RTCP"},
			{Kind: DefectCutPackets, Detail: "1 packets were cut when they were recorded"},
		}, stats.Defects)
	})
	t.Run("not a dump", func(t *testing.T) {
		t.Parallel()
		for _, file := range []string{"", "#!rtpplay", "RIFF....", "#!rtpplay1.0 " + string(bytes.Repeat([]byte{'x'}, 400))} {
			_, err := newRTPDumpReader(bytes.NewReader([]byte(file)), s.cfg)
			var bad *InputError
			require.ErrorAs(t, err, &bad)
		}
		cfg := s.cfg
		cfg.Codec = "AAC"
		_, err := newRTPDumpReader(bytes.NewReader(half), cfg)
		require.ErrorContains(t, err, `codec "AAC" cannot be read from RTP packets`)
	})
	t.Run("no start time", func(t *testing.T) {
		t.Parallel()
		file := bytes.Clone(half)
		binary.BigEndian.PutUint64(file[bytes.IndexByte(file, '\n')+1:], 0)
		r := openDump(t, file, s.cfg)
		drainUnits(t, r)
		require.True(t, r.Stats().FirstWall.IsZero())
	})
}

func TestRTPStandingTimestampsStayBounded(t *testing.T) {
	t.Parallel()
	var came []sent
	for i := range 16 << 10 {
		came = append(came, sent{Header: rtp.Header{PayloadType: 96, SSRC: 7, SequenceNumber: uint16(i)}, payload: make([]byte, 1300)})
	}
	r := openDump(t, dumpFile(came), vp8Config)
	for _, u := range drainUnits(t, r) {
		require.LessOrEqual(t, len(u.Data), rtpMaxUnit+1300)
		require.True(t, u.Damaged)
	}
	require.Contains(t, r.Stats().Defects, Defect{Kind: DefectOversizedUnit, Detail: "1 access units were too large and were broken up"})
}

func FuzzRTPDump(f *testing.F) {
	for i, codec := range testCodecs {
		s := newStream(codec, 3, 65534, 0xffffff00)
		f.Add(byte(i), dumpFile(append(s.packets, senderReport(f, 7, 0, 1<<63, 600))))
	}
	f.Fuzz(func(t *testing.T, codec byte, file []byte) {
		fuzzDump(t, newRTPDumpReader, codec, file)
	})
}

// fuzzDump reads a file to its end: it ends, and every packet was accounted for.
func fuzzDump(t *testing.T, open func(FileReader, ReaderConfig) (UnitReader, error), codec byte, file []byte) {
	name := testCodecs[int(codec)%len(testCodecs)]
	cfg := newStream(name, 0, 0, 0).cfg
	cfg.Size = int64(len(file))
	r, err := open(bytes.NewReader(file), cfg)
	if err != nil {
		var bad *InputError
		require.ErrorAs(t, err, &bad)
		return
	}
	units := drainUnits(t, r)
	s := r.Stats()
	require.LessOrEqual(t, len(units), s.Packets)
	require.LessOrEqual(t, s.Duplicates+s.Late+s.PaddingOnly+s.Reordered, 2*s.Packets)
	require.GreaterOrEqual(t, s.Lost, 0)
	require.GreaterOrEqual(t, s.TornBytes, int64(0))
	require.LessOrEqual(t, s.TornBytes, cfg.Size)
	for _, u := range units {
		require.LessOrEqual(t, len(u.Data), 2*len(file)+64)
		require.GreaterOrEqual(t, u.Lost, 0)
	}
	requireResumes(t, "", file, cfg)
}

// BenchmarkRTPDump reads a dump from memory: MB/s of input on one core.
func BenchmarkRTPDump(b *testing.B) {
	for _, codec := range testCodecs {
		b.Run(codec, func(b *testing.B) {
			s := newStream(codec, 12000, 65000, 0xfff00000)
			for i := range s.packets {
				s.packets[i].at = uint32(i)
			}
			path := filepath.Join(b.TempDir(), "dump")
			require.NoError(b, os.WriteFile(path, dumpFile(s.packets), 0o600))
			info, err := os.Stat(path)
			require.NoError(b, err)
			cfg := s.cfg
			cfg.Size = info.Size()
			b.SetBytes(info.Size())
			b.ReportAllocs()
			for b.Loop() {
				f, err := os.Open(path)
				require.NoError(b, err)
				r, err := newRTPDumpReader(f, cfg)
				require.NoError(b, err)
				n := 0
				for {
					if _, err := r.Next(); err != nil {
						break
					}
					n++
				}
				require.Equal(b, 12000, n)
				require.NoError(b, f.Close())
			}
			b.ReportMetric(float64(info.Size())*float64(b.N)/1e6/b.Elapsed().Seconds(), "input-MB/s")
		})
	}
}
