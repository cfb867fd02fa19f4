package catalog

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestNewIDBorrowsASecond: more ids in one second than the counter holds go on
// in the next one, in order.
func TestNewIDBorrowsASecond(t *testing.T) {
	t.Parallel()
	at := time.Unix(1000, 0)
	s, err := NewIDSource(func() time.Time { return at }, bytes.NewReader(make([]byte, 5)))
	require.NoError(t, err)
	s.NewID()
	s.counter = idCounterMax - 2
	var ids []string
	for range 3 {
		ids = append(ids, s.NewID())
	}
	at = at.Add(time.Second) // the clock comes to the second that was borrowed
	ids = append(ids, s.NewID())
	require.Equal(t, []string{
		"000003e80000000000ffffff", "000003e90000000000000000", "000003e90000000000000001", "000003e90000000000000002",
	}, ids)
}
