package capture

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestRTPCodecs(t *testing.T) {
	t.Parallel()
	for _, codec := range testCodecs {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			// Both numbers wrap inside the file.
			s := newStream(codec, 60, 65500, 0xffff0000)
			head := `{"t":"v","u":1700000000250000,"c":"` + map[bool]string{true: "vp8"}[codec == "VP8"] + `"}`
			if s.cfg.Kind == KindAudio {
				head = `{"t":"a","u":1700000000250000}`
			}
			for name, file := range map[string][]byte{"rtpdump": dumpFile(s.packets), "mjr": janusFile(head, s.packets)} {
				r := openDump(t, file, s.cfg)
				units := drainUnits(t, r)
				s.check(t, units, nil)
				stats := r.Stats()
				require.Equal(t, len(s.packets), stats.Packets, name)
				require.Zero(t, stats.Lost+stats.Duplicates+stats.Reordered+stats.Late+stats.SourceChanges, name)
				require.Empty(t, stats.Defects, name)
				require.Zero(t, stats.TornBytes)
				require.Equal(t, 59*20*time.Millisecond, units[59].Arrival)
				if name == "rtpdump" {
					require.Equal(t, uint32(0xffff0000), *stats.FirstRTP)
					require.Equal(t, time.Unix(1_700_000_000, 750e6).UTC(), stats.FirstWall)
				} else {
					require.Nil(t, stats.FirstRTP)
					require.Equal(t, time.Unix(1_700_000_000, 250e6).UTC(), stats.FirstWall)
				}
				for i, d := range map[string]int64{"OPUS": 960, "PCMU": 160} {
					if i == codec {
						require.Equal(t, d, units[3].Duration)
					}
				}
			}
		})
	}
}

func TestRTPTroubles(t *testing.T) {
	t.Parallel()
	without := func(p []sent, from, n int) []sent { return slices.Delete(p, from, from+n) }
	for _, c := range []struct {
		name  string
		spoil func(p []sent) []sent
		want  ReadStats
	}{
		{"one lost", func(p []sent) []sent { return without(p, 50, 1) }, ReadStats{Lost: 1}},
		{"burst lost", func(p []sent) []sent { return without(p, 50, 40) }, ReadStats{Lost: 40}},
		{"more lost than the window", func(p []sent) []sent { return without(p, 10, 300) }, ReadStats{Lost: 300}},
		{"two swapped", func(p []sent) []sent { p[30], p[31] = p[31], p[30]; return p }, ReadStats{Reordered: 1}},
		{"first two swapped", func(p []sent) []sent { p[0], p[1] = p[1], p[0]; return p }, ReadStats{Reordered: 1}},
		{"late within the window", func(p []sent) []sent {
			late := p[30]
			return slices.Insert(without(p, 30, 1), 60, late)
		}, ReadStats{Reordered: 1}},
		{"too late", func(p []sent) []sent {
			late := p[30]
			return slices.Insert(without(p, 30, 1), 500, late)
		}, ReadStats{Late: 1}},
		{"doubled", func(p []sent) []sent { return slices.Insert(p, 40, p[38], p[39]) }, ReadStats{Duplicates: 2}},
		{"doubled much later", func(p []sent) []sent { return slices.Insert(p, 550, p[3], p[9], p[4]) }, ReadStats{Duplicates: 3}},
		{"a long row doubled", func(p []sent) []sent {
			return slices.Insert(p, 400, slices.Clone(p[340:400])...)
		}, ReadStats{Duplicates: 60}},
	} {
		for _, codec := range []string{"VP8", "VP9", "H264", "AV1"} {
			t.Run(c.name+"/"+codec, func(t *testing.T) {
				t.Parallel()
				s := newStream(codec, 300, 65400, 0xfff00000)
				for i := range s.packets { // 2 ms apart: the window counts, not the time
					s.packets[i].at = uint32(2 * i)
				}
				all := slices.Clone(s.packets)
				came := c.spoil(slices.Clone(s.packets))
				r := openDump(t, dumpFile(came), s.cfg)
				units := drainUnits(t, r)
				for i := range units { // ticks count from the file's first packet
					units[i].Ticks += int64(int32(came[0].Timestamp - all[0].Timestamp))
				}
				missing := map[int]bool{}
				if c.want.Lost > 0 || c.want.Late > 0 {
					left := map[uint16]int{}
					for _, p := range came {
						left[p.SequenceNumber]++
					}
					if c.want.Late > 0 {
						left[all[30].SequenceNumber] = 0
					}
					for _, p := range all {
						if left[p.SequenceNumber] == 0 {
							missing[p.frame] = true
						}
					}
				}
				s.check(t, units, missing)
				got := r.Stats()
				want := c.want // the codecs of a case run side by side
				want.Packets, want.FirstRTP, want.FirstWall = len(came), got.FirstRTP, got.FirstWall
				require.Equal(t, want, got)
			})
		}
	}
}

func TestRTPPatience(t *testing.T) {
	t.Parallel()
	s := newStream("OPUS", 60, 10, 0)
	for i := range s.packets {
		s.packets[i].at = uint32(i) * 100
	}
	held := s.packets[20]
	for _, c := range []struct {
		behind int // packets of 100 ms
		late   int
	}{{9, 0}, {13, 1}} {
		p := slices.Insert(slices.Delete(slices.Clone(s.packets), 20, 21), 20+c.behind, held)
		p[20+c.behind].at = p[19+c.behind].at
		r := openDump(t, dumpFile(p), s.cfg)
		s.check(t, drainUnits(t, r), map[int]bool{20: c.late == 1})
		require.Equal(t, c.late, r.Stats().Late)
	}
}

func TestRTPPaddingAndForeignPackets(t *testing.T) {
	t.Parallel()
	s := newStream("VP8", 100, 65500, 0xfffffff0)
	var came []sent
	seq, ts := s.packets[0].SequenceNumber, s.packets[0].Timestamp
	padding, rtx := 0, 0
	for i, p := range s.packets {
		p.SequenceNumber, ts = seq, p.Timestamp
		seq++
		came = append(came, p)
		if i%7 == 0 { // padding shares the sequence numbers
			came = append(came, sent{Header: rtp.Header{PayloadType: 96, SSRC: 7, SequenceNumber: seq, Timestamp: ts}, pad: 224, at: p.at})
			seq++
			padding++
		}
		if i%5 == 0 { // RTX has its own source, tones and FEC share it with numbers of their own here
			came = append(came, sent{Header: rtp.Header{PayloadType: 97, SSRC: 8, SequenceNumber: uint16(i), Timestamp: ts}, payload: []byte{1, 2, 3}, at: p.at})
			rtx++
		}
	}
	r := openDump(t, dumpFile(came), s.cfg)
	s.check(t, drainUnits(t, r), nil)
	stats := r.Stats()
	require.Equal(t, padding, stats.PaddingOnly)
	require.Zero(t, stats.Lost)
	require.Len(t, stats.Defects, 1)
	require.Equal(t, DefectForeignPackets, stats.Defects[0].Kind)
	require.Equal(t, fmt.Sprintf("payload type 97: %d packets left out", rtx), stats.Defects[0].Detail)
}

func TestRTPPayloadTypeChanges(t *testing.T) {
	t.Parallel()
	s := newStream("OPUS", 600, 10, 0)
	for i := range s.packets {
		if i >= 300 {
			s.packets[i].PayloadType = 100
		}
	}
	r := openDump(t, dumpFile(s.packets), s.cfg)
	units := drainUnits(t, r)
	require.Len(t, units, 600-rtpTypeRun)
	require.Equal(t, s.ticks[599], units[len(units)-1].Ticks)
}

func TestRTPSourceChange(t *testing.T) {
	t.Parallel()
	for _, codec := range []string{"VP8", "OPUS"} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			a, b := newStream(codec, 50, 100, 5000), newStream(codec, 50, 40000, 0xffffff00)
			var came []sent
			came = append(came, a.packets...)
			for _, p := range b.packets {
				p.SSRC, p.at = 99, p.at+3000
				came = append(came, p)
			}
			// A straggler of the old source and a stray of nobody's.
			came = slices.Insert(came, len(a.packets)+10, a.packets[0])
			came = slices.Insert(came, 20, sent{Header: rtp.Header{PayloadType: 96, SSRC: 1234, SequenceNumber: 9}, payload: []byte{16, 1}, at: 600})
			r := openDump(t, dumpFile(came), a.cfg)
			units := drainUnits(t, r)
			a.check(t, units[:50], nil)
			stats := r.Stats()
			require.Equal(t, 1, stats.SourceChanges)
			require.Zero(t, stats.Lost)
			require.Equal(t, 1, stats.Late)
			require.Len(t, stats.Defects, 1)
			require.Equal(t, DefectStrayPackets, stats.Defects[0].Kind)
			// The second source begins as long after the first as it came after it.
			shift := int64(3000+500-(500+49*20))*int64(a.cfg.ClockRate)/1000 + a.ticks[49]
			second := units[50:]
			for i := range second {
				second[i].Ticks -= shift
			}
			b.check(t, second, nil)
		})
	}
}

func TestRTPSequenceRestart(t *testing.T) {
	t.Parallel()
	for name, to := range map[string]uint16{"forward": 30000, "back": 61000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStream("OPUS", 400, 100, 0)
			for i := range s.packets {
				if i >= 200 {
					s.packets[i].SequenceNumber += to
					s.packets[i].Timestamp += 1 << 30
				}
			}
			r := openDump(t, dumpFile(s.packets), s.cfg)
			units := drainUnits(t, r)
			want := 400
			if name == "back" {
				want -= rtpReturn - 1
			}
			require.Len(t, units, want)
			require.Equal(t, s.ticks[399], units[len(units)-1].Ticks, "the arrivals say where it goes on")
			require.Equal(t, DefectSequenceRestart, r.Stats().Defects[0].Kind)
			require.Zero(t, r.Stats().Lost)
		})
	}
	t.Run("outage", func(t *testing.T) {
		t.Parallel()
		s := newStream("PCMU", 6000, 100, 0)
		r := openDump(t, dumpFile(slices.Delete(slices.Clone(s.packets), 500, 4500)), s.cfg)
		units := drainUnits(t, r)
		require.Equal(t, 4000, r.Stats().Lost)
		require.Equal(t, 4000, units[500].Lost)
		require.Equal(t, s.ticks[5999], units[1999].Ticks)
		require.Empty(t, r.Stats().Defects)
	})
}

// TestRTPAnyOrder: whatever the order within the window, the units are the same.
func TestRTPAnyOrder(t *testing.T) {
	t.Parallel()
	streams := map[string]*stream{}
	for _, codec := range testCodecs {
		streams[codec] = newStream(codec, 150, 65300, 0xfffff000)
		for i := range streams[codec].packets {
			streams[codec].packets[i].at = uint32(i)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := streams[rapid.SampledFrom(testCodecs).Draw(t, "codec")]
		window := rtpAudioWindow
		if s.cfg.Kind == KindVideo {
			window = rtpVideoWindow
		}
		spread := rapid.IntRange(1, window).Draw(t, "spread")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		place := map[uint16]int{}
		for i, p := range s.packets {
			place[p.SequenceNumber] = i + r.IntN(spread)
		}
		came := slices.Clone(s.packets)
		slices.SortStableFunc(came, func(a, b sent) int { return cmp.Compare(place[a.SequenceNumber], place[b.SequenceNumber]) })
		for i := range came {
			came[i].at = uint32(i)
		}
		// Ticks count from the file's first packet.
		offset := int64(int32(came[0].Timestamp - s.packets[0].Timestamp))
		reader := openDump(&testing.T{}, dumpFile(came), s.cfg)
		units := drainUnits(&testing.T{}, reader)
		for i := range units {
			units[i].Ticks += offset
		}
		s.check(t, units, nil)
		require.Zero(t, reader.Stats().Lost+reader.Stats().Late)
	})
}

// TestRTPAnyLoss: whatever is lost, doubled or swapped, whole frames come whole and broken ones are marked.
func TestRTPAnyLoss(t *testing.T) {
	t.Parallel()
	streams := map[string]*stream{}
	for _, codec := range testCodecs {
		streams[codec] = newStream(codec, 150, 65300, 0xfffff000)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := streams[rapid.SampledFrom(testCodecs).Draw(t, "codec")]
		loss := rapid.IntRange(0, 60).Draw(t, "loss")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		var came []sent
		missing, lost, doubled := map[int]bool{}, 0, 0
		for i, p := range s.packets {
			if i > 0 && i < len(s.packets)-1 && r.IntN(100) < loss {
				missing[p.frame] = true
				lost++
				continue
			}
			came = append(came, p)
			if r.IntN(30) == 0 {
				came = append(came, p)
				doubled++
			}
		}
		reader := openDump(&testing.T{}, dumpFile(came), s.cfg)
		s.check(t, drainUnits(&testing.T{}, reader), missing)
		require.Equal(t, lost, reader.Stats().Lost)
		require.Equal(t, doubled, reader.Stats().Duplicates)
	})
}
