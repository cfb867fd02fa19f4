package transcode

import (
	"context"
	"fmt"
	"io"
	"iter"
	"math"

	"rushes/transcode/mp4"
)

// JoinComposite writes the chunks of a composite, in order, and its sound, if there is one, into one progressive MP4
// without encoding anything again. All are MP4s as RenderChunk and MixSound write them.
func JoinComposite(ctx context.Context, chunks []Source, sound *Source, out mp4.File) (mp4.Summary, error) {
	total := int64(0)
	for _, c := range chunks {
		total += c.Size
	}
	read := int64(0)
	w := mp4.NewWriter(out, mp4.Options{Forecast: func() (int64, int64) { return read, total }})
	j := &joiner{w: w, chunks: chunks, read: &read}
	if err := j.open(sound); err != nil {
		return mp4.Summary{}, err
	}
	if err := j.run(ctx); err != nil {
		return mp4.Summary{}, err
	}
	return w.Close()
}

// allOfIt stands for a time after the last sample.
const allOfIt = math.MaxInt64

type joiner struct {
	w      *mp4.Writer
	chunks []Source
	read   *int64
	first  *mp4.MovieTrack
	sound  *mp4.MovieTrack
	audio  io.ReaderAt
	end    int64 // ticks of pictures written so far
	buf    []byte
}

func (j *joiner) open(sound *Source) error {
	m, err := mp4.Read(j.chunks[0].R, j.chunks[0].Size)
	if err != nil {
		return fmt.Errorf("join %s: %w", j.chunks[0].Name, err)
	}
	j.first = m.Tracks[0]
	if _, err := j.w.AddTrack(j.first.Track); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	if sound == nil {
		return nil
	}
	a, err := mp4.Read(sound.R, sound.Size)
	if err != nil {
		return fmt.Errorf("join %s: %w", sound.Name, err)
	}
	j.sound, j.audio = a.Tracks[0], sound.R
	_, err = j.w.AddTrack(j.sound.Track)
	return err
}

// run merges pictures and sound by their time.
func (j *joiner) run(ctx context.Context) error {
	next, stop := func() (mp4.MovieSample, error, bool) { return mp4.MovieSample{}, nil, false }, func() {}
	if j.sound != nil {
		next, stop = iter.Pull2(j.sound.Samples())
	}
	defer stop()
	waiting, err, more := next()
	before := func(ticks int64) error { // writes the sound that belongs before a picture
		for ; more && (ticks == allOfIt || waiting.DTS*int64(j.first.Timescale) <= ticks*int64(j.timescale())); waiting, err, more = next() {
			if err != nil {
				return err
			}
			if err := j.copy(1, j.audio, waiting, 0); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range j.chunks {
		if err := j.chunk(ctx, &j.chunks[i], before); err != nil {
			return fmt.Errorf("join %s: %w", j.chunks[i].Name, err)
		}
	}
	if err := before(allOfIt); err != nil {
		return err
	}
	if j.sound != nil {
		end := int64(0)
		for _, e := range j.sound.Edits {
			end += int64(e.Duration)
		}
		j.w.SetEnd(1, end*int64(j.sound.Timescale)/mp4.MovieTimescale)
	}
	return nil
}

func (j *joiner) timescale() uint32 {
	if j.sound == nil {
		return 1
	}
	return j.sound.Timescale
}

// chunk copies the pictures of one chunk behind those that are there.
func (j *joiner) chunk(ctx context.Context, src *Source, before func(int64) error) error {
	m, err := mp4.Read(src.R, src.Size)
	if err != nil {
		return err
	}
	t := m.Tracks[0]
	if string(t.Video.Config) != string(j.first.Video.Config) || t.Timescale != j.first.Timescale {
		return fmt.Errorf("it was encoded in another way than the first chunk")
	}
	end := int64(0)
	for s, err := range t.Samples() {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := before(s.DTS + j.end); err != nil {
			return err
		}
		if err := j.copy(0, src.R, s, j.end); err != nil {
			return err
		}
		*j.read += int64(s.Size)
		end = max(end, s.PTS+ticksPerFrame)
	}
	j.end += end
	return nil
}

func (j *joiner) copy(track int, r io.ReaderAt, s mp4.MovieSample, shift int64) error {
	if cap(j.buf) < int(s.Size) {
		j.buf = make([]byte, s.Size*2)
	}
	data := j.buf[:s.Size]
	if _, err := r.ReadAt(data, s.Offset); err != nil {
		return err
	}
	return j.w.Write(track, mp4.Sample{Data: data, DTS: s.DTS + shift, PTS: s.PTS + shift, Duration: s.Duration, Sync: s.Sync})
}
