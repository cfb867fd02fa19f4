package catalog

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	idBytes      = 12      // 4 of seconds, 5 of the source, 3 of the counter
	idSourceSize = 5       // random bytes that tell sources apart
	idCounterMax = 1 << 24 // ids per source and second
)

// IDSource makes the ids of assets and jobs: 24 lower-case hex digits, made of
// the Unix time in seconds, five random bytes of the source and a counter. Ids
// of one source grow strictly, also when the clock is set back; ids of two
// sources, in one process or in several, never meet and are in the order of
// their seconds. It is safe for concurrent use.
type IDSource struct {
	now    func() time.Time
	source [idSourceSize]byte

	mu      sync.Mutex
	second  uint32
	counter uint32
}

// NewIDSource returns a source that takes the time from now and its random
// bytes, once, from random. A nil now means time.Now, a nil random means
// crypto/rand.
func NewIDSource(now func() time.Time, random io.Reader) (*IDSource, error) {
	if now == nil {
		now = time.Now
	}
	if random == nil {
		random = rand.Reader
	}
	s := &IDSource{now: now}
	if _, err := io.ReadFull(random, s.source[:]); err != nil {
		return nil, fmt.Errorf("read the random bytes of an id source: %w", err)
	}
	return s, nil
}

// NewID returns the next id.
func (s *IDSource) NewID() string {
	second, counter := s.next()
	var id [idBytes]byte
	binary.BigEndian.PutUint32(id[:4], second)
	copy(id[4:], s.source[:])
	id[9], id[10], id[11] = byte(counter>>16), byte(counter>>8), byte(counter)
	return hex.EncodeToString(id[:])
}

// next moves the counter on. It borrows a second from the future when the
// clock stands still for more ids than the counter holds or goes backwards,
// because order matters more than the exact second.
func (s *IDSource) next() (second, counter uint32) {
	now := uint32(max(s.now().Unix(), 0)) //nolint:gosec // four bytes of seconds last until 2106
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case now > s.second:
		s.second, s.counter = now, 0
	case s.counter+1 == idCounterMax:
		s.second, s.counter = s.second+1, 0
	default:
		s.counter++
	}
	return s.second, s.counter
}

// ValidID reports whether id has the shape of an asset's or job's id: 24
// lower-case hex digits.
func ValidID(id string) bool {
	if len(id) != 2*idBytes {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
