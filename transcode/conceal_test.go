package transcode

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func sine(n int, frequency float64) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(math.Sin(2 * math.Pi * frequency * float64(i) / outputRate))
	}
	return s
}

// A lost packet is filled with sound that goes on without a step and dies away; a silence stays one.
func TestConcealer(t *testing.T) {
	t.Parallel()
	c := &concealer{rate: outputRate}
	require.Nil(t, c.fill(960), "nothing was heard yet")
	for range 5 { // tail longer than what each block brings
		c.heard([][]float32{sine(480, 500), sine(480, 500)})
	}
	require.Len(t, c.tail[0], outputRate*tailMS/1000)
	out := c.fill(960)
	require.Len(t, out, 2)
	require.Len(t, out[0], 960)
	last := c.tail[0][len(c.tail[0])-1]
	require.InDelta(t, last, out[0][0], 0.001, "no step at the edge")
	power := func(s []float32) (sum float64) {
		for _, v := range s {
			sum += float64(v) * float64(v)
		}
		return sum / float64(len(s))
	}
	require.Greater(t, power(out[0][:240]), 0.3, "it is heard")
	require.Less(t, power(out[0][720:]), power(out[0][:240]), "it fades")
	require.Nil(t, c.fill(outputRate), "a second without packets is a silence")
	long := c.fill(int64(outputRate * lostMS / 1000))
	require.Zero(t, long[0][len(long[0])-1], "and dies away within a long loss")
}
