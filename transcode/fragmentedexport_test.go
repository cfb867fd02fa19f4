package transcode

import (
	"context"
	"errors"
	"hash/crc32"
	"io"
	"time"

	"rushes/transcode/internal/av"
)

// PacketSeen is what a lane gets to see of a packet.
type PacketSeen struct {
	PTS, DTS, Duration int64
	Key, Corrupt       bool
	Size               int
	Sum                uint32 // CRC-32
}

// ReadFragmented reads a file through libav and through our own reader of fragments and gives each stream's packets,
// and how much later libav says that the file begins.
func ReadFragmented(ctx context.Context, src Source) (libav, ours [][]PacketSeen, late time.Duration, err error) {
	p := &plan{}
	part, err := p.probePart(ctx, Part{Source: src})
	if err != nil {
		return nil, nil, 0, err
	}
	in, err := av.OpenInput(ctx, src.forward())
	if err != nil {
		return nil, nil, 0, err
	}
	if libav, err = packetsOf(ctx, in, len(part.streams)); err != nil {
		return nil, nil, 0, err
	}
	origin := part.origin
	own, err := openFragmented(ctx, &part)
	if err != nil {
		return libav, nil, 0, err
	}
	late = time.Duration(origin - part.origin)
	ours, err = packetsOf(ctx, own, len(part.streams))
	return libav, ours, late, err
}

func packetsOf(ctx context.Context, in packetReader, streams int) (_ [][]PacketSeen, err error) {
	defer func() { err = errors.Join(err, in.Close()) }()
	p, err := av.NewPacket()
	if err != nil {
		return nil, err
	}
	defer p.Close()
	out := make([][]PacketSeen, streams)
	for {
		if err := in.ReadPacket(ctx, p); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return out, err
		}
		seen := PacketSeen{PTS: p.PTS, DTS: p.DTS, Duration: p.Duration, Key: p.Key, Corrupt: p.Corrupt, Size: len(p.Data()), Sum: crc32.ChecksumIEEE(p.Data())}
		out[p.Stream] = append(out[p.Stream], seen)
	}
}
