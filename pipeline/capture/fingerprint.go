package capture

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"
)

// fingerprint tells whether an index is of a capture as it is now.
type fingerprint [sha256.Size]byte

// fingerprint covers the capture's Key, what the manifest says of the tracks and of the session's ends, and the sizes
// of all files of the tracks. It also gives the bytes that an index reads. Times of modification are no part of it:
// another machine has a copy with others. A recorder only ever appends, so that a file that was changed has another
// size.
func (c *Capture) fingerprint() (print fingerprint, size int64, err error) {
	d := newDigest("rushes index")
	d.add(c.key)
	m := c.Manifest
	for _, t := range []Time{m.StartedAt, m.StoppedAt} {
		d.add(t.UTC().Format(time.RFC3339Nano))
	}
	tracks, err := json.Marshal(m.Tracks)
	if err != nil {
		return print, 0, fmt.Errorf("writing the tracks of %s: %w", c.Name, err)
	}
	d.add(string(tracks))
	for i := range m.Tracks {
		for j := range m.Tracks[i].Files {
			f := &m.Tracks[i].Files[j]
			for _, name := range []string{f.Path, f.Frames} {
				n := int64(-1)
				if name != "" {
					info, err := c.Stat(name)
					if err != nil && !badFile(err) {
						return print, 0, err
					}
					if err == nil {
						n = info.Size()
					}
				}
				d.add(fmt.Sprint(n))
				if name == f.Path {
					size += max(n, 0)
				}
			}
		}
	}
	d.Sum(print[:0])
	return print, size, nil
}
