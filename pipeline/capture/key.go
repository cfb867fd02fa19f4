package capture

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"time"
)

// edgeBytes is how much of each end of a plain media file goes into its key.
const edgeBytes = 1 << 20

// digest is a SHA-256 over fields with their lengths, so that no two different
// lists of fields give the same bytes.
type digest struct{ hash.Hash }

func newDigest(kind string) digest {
	d := digest{sha256.New()}
	d.add(kind)
	return d
}

// add writes one field; a hash never returns an error.
func (d digest) add(field string) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(field)))
	_, _ = d.Write(n[:])
	_, _ = io.WriteString(d, field)
}

func (d digest) String() string { return hex.EncodeToString(d.Sum(nil)) }

// manifestKey is the identity of a capture with a manifest: source, room, session
// and job ids, started_at, and every file named, in order, with its track.
func manifestKey(m *Manifest) string {
	d := newDigest("rushes capture 1")
	d.add(string(m.Source))
	d.add(m.RoomID)
	d.add(m.SessionID)
	d.add(m.JobID)
	d.add(m.StartedAt.UTC().Format(time.RFC3339Nano))
	for r := range m.refs() {
		d.add(r.track)
		d.add(r.path)
	}
	return d.String()
}

// mediaKey is the identity of a plain media file: its size, first and last MiB.
// The name and the modification time change when a file is copied, so they are no
// part of it.
func mediaKey(f *os.File, size int64) (string, error) {
	d := newDigest("rushes media 1")
	d.add(fmt.Sprint(size))
	head := io.NewSectionReader(f, 0, min(size, edgeBytes))
	if _, err := io.Copy(d, head); err != nil {
		return "", fmt.Errorf("reading the beginning: %w", err)
	}
	// The tail starts after the head, so that a short file is hashed once.
	from := max(size-edgeBytes, min(size, edgeBytes))
	if _, err := io.Copy(d, io.NewSectionReader(f, from, size-from)); err != nil {
		return "", fmt.Errorf("reading the end: %w", err)
	}
	return d.String(), nil
}
