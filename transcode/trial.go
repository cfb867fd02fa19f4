package transcode

import (
	"context"
	"errors"

	"rushes/transcode/internal/av"
)

// trialDecode decodes n packets that fill gives with their timestamps, the first a key frame, and tells which of them are broken:
// refused by the decoder or decoded with errors.
func trialDecode(ctx context.Context, spec av.DecoderSpec, n int, fill func(int, *av.Packet) error) (broken []bool, err error) {
	dec, err := av.NewDecoder(spec)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dec.Close()) }()
	pkt, err := av.NewPacket()
	if err != nil {
		return nil, err
	}
	defer pkt.Close()
	frame, err := av.NewFrame()
	if err != nil {
		return nil, err
	}
	defer frame.Close()
	broken = make([]bool, n)
	index := make(map[int64]int, n)
	current := 0
	bad := func(error) error { broken[current] = true; return nil }
	got := func(f *av.Frame) error {
		if i, ok := index[f.PTS]; ok && f.Broken {
			broken[i] = true
		}
		return nil
	}
	for i := range n {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := fill(i, pkt); err != nil {
			return nil, err
		}
		current, index[pkt.PTS] = i, i
		if err := dec.Decode(pkt, frame, bad, got); err != nil {
			return nil, err
		}
	}
	current = n - 1
	return broken, dec.Decode(nil, frame, bad, got)
}
