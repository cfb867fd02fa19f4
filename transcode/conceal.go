package transcode

const (
	concealMS = 60 // for how long what was heard last fades out in a hole
	lostMS    = 120
	tailMS    = 20
)

// concealer makes up for packets that were lost: a short hole is filled with what was heard just before it, back
// and forth and fading out, which the ear minds less than a hole. A longer hole is no loss but a silence.
type concealer struct {
	rate int
	tail [][]float32 // the last samples, by channel; shorter at the beginning
	made [][]float32
}

// heard notes what goes out.
func (c *concealer) heard(channels [][]float32) {
	most := c.rate * tailMS / 1000
	if c.tail == nil {
		c.tail = make([][]float32, len(channels))
	}
	for i, ch := range channels {
		ch = ch[max(len(ch)-most, 0):]
		keep := c.tail[i][max(len(c.tail[i])+len(ch)-most, 0):]
		c.tail[i] = append(append(c.tail[i][:0], keep...), ch...)
	}
}

// fill gives n samples for a hole, nil where that is to be silence.
func (c *concealer) fill(n int64) [][]float32 {
	if n > int64(c.rate*lostMS/1000) || len(c.tail) == 0 || len(c.tail[0]) == 0 {
		return nil
	}
	fade := c.rate * concealMS / 1000
	if c.made == nil {
		c.made = make([][]float32, len(c.tail))
	}
	for i, tail := range c.tail {
		out := c.made[i][:0]
		for k := range int(n) {
			if k >= fade {
				out = append(out, 0)
				continue
			}
			at := k % (2 * len(tail)) // backwards first: the wave goes on where it stood
			if at < len(tail) {
				at = len(tail) - 1 - at
			} else {
				at -= len(tail)
			}
			out = append(out, tail[at]*float32(fade-k)/float32(fade))
		}
		c.made[i] = out
	}
	return c.made
}
