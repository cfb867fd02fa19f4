package mp4

import (
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"
)

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkWrite copies 720p at 3.2 Mbit/s with AAC into memory-backed storage
// where the machine has it, and reports gigabytes per second of processor time.
func BenchmarkWrite(b *testing.B) {
	dir := "/dev/shm"
	if _, err := os.Stat(dir); err != nil {
		dir = b.TempDir()
	}
	const total = 512 << 20
	frame, packet := picture(13_000, false, 1), make([]byte, 341)
	idr := picture(60_000, true, 1)
	var written int64
	b.ReportAllocs()
	runtime.GC()
	start := cpuTime(b)
	for b.Loop() {
		f, err := os.CreateTemp(dir, "bench*.mp4")
		if err != nil {
			b.Fatal(err)
		}
		if err := os.Remove(f.Name()); err != nil {
			b.Fatal(err)
		}
		var done int64
		w := NewWriter(f, Options{Forecast: func() (int64, int64) { return done, total }})
		v, _ := w.AddTrack(videoTrack())
		a, _ := w.AddTrack(audioTrack())
		audio := int64(0)
		for i := int64(0); done < total; i++ {
			data := frame
			if i%60 == 0 {
				data = idr
			}
			err := w.Write(v, Sample{Data: data, DTS: i * 512, PTS: i*512 + i%3*512, Sync: i%60 == 0})
			for err == nil && audio*1024*30 < i*48000 {
				err = w.Write(a, Sample{Data: packet, DTS: audio * 1024, PTS: audio * 1024, Sync: true})
				done += int64(len(packet))
				audio++
			}
			if err != nil {
				b.Fatal(err)
			}
			done += int64(len(data))
		}
		sum, err := w.Close()
		if err != nil || sum.MoovMoved {
			b.Fatal(err, sum)
		}
		written += sum.Size
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(written)/1e9/(cpuTime(b)-start).Seconds(), "GB/cpu-s")
}
