package transcode

import (
	"cmp"
	"time"

	"rushes/layout"
	"rushes/transcode/internal/av"
	"rushes/transcode/mp4"
)

// Composite is what the compositor works from: the plan, the tracks, and how to encode. It is read only, so that
// chunks of it can be rendered side by side.
type Composite struct {
	Plan   layout.Plan
	Video  map[string]*CompositeVideo // by track id: every track that the plan shows
	Paused []Interval                 // of the session; the plan's time leaves them out
	Encode VideoSettings
	// Threads is how many threads x264 may use; 0 = its own choice.
	Threads int
}

// CompositeVideo is a track of pictures.
type CompositeVideo struct {
	TrackInput
	Keys []KeyPicture // every picture that decoding can begin at, in order
}

// KeyPicture is a picture that decoding can begin at.
type KeyPicture struct {
	Unit int           // its number in the track, from 0
	At   time.Duration // in the session
}

// Chunk is a run of the composite's frames: First is in it, End is not.
type Chunk struct{ First, End int64 }

// ChunkResult tells what rendering a chunk took.
type ChunkResult struct {
	mp4.Summary
	Decoded int  // pictures that were decoded
	Drawn   int  // pictures that were scaled into the canvas
	Held    Held // pictures that were left out
	Bad     int  // pictures that did not decode
	Defects []Defect
}

const ticksPerFrame = 1000 // of a composite's movie: its timescale is this times the frame rate

// frameTime is the output time of a frame.
func (c *Composite) frameTime(k int64) int64 {
	fps := int64(c.Plan.Canvas.FPS)
	return k/fps*int64(time.Second) + k%fps*int64(time.Second)/fps
}

// session gives the session time of an output time: the pauses before it come back in.
func (c cutter) session(out int64) int64 {
	for _, p := range c.cuts {
		if out < int64(p.From) {
			break
		}
		out += int64(p.To - p.From)
	}
	return out
}

// encoderSpec is the same for every chunk, so that chunks can be joined: H.264 High, closed groups of pictures.
func (c *Composite) encoderSpec() av.EncoderSpec {
	set := c.Encode.withDefaults()
	canvas := c.Plan.Canvas
	gop := max(int(int64(set.KeyInterval)*int64(canvas.FPS)/int64(time.Second)), 1)
	return av.EncoderSpec{Encoder: "libx264", TimeBase: av.Rational{Num: 1, Den: canvas.FPS}, FrameRate: av.Rational{Num: canvas.FPS, Den: 1},
		Width: canvas.Width, Height: canvas.Height, SAR: av.Rational{Num: 1, Den: 1}, Color: av.BT709(), GOP: gop, GlobalHeader: true, Threads: c.Threads,
		Options: map[string]string{"preset": set.Preset, "crf": formatCRF(set.CRF), "profile": "high"}}
}

// gop is the number of frames from key frame to key frame, which chunk borders are multiples of.
func (c *Composite) gop() int64 { return int64(c.encoderSpec().GOP) }

// Chunks cuts the composite into runs of about a length (zero = one minute) of whole groups of pictures. A track's
// pictures from its last key frame up to a border are decoded twice, so that borders are moved to where that costs
// least, and left out until all of them together decode at most a tenth more than one pass would.
func (c *Composite) Chunks(length time.Duration) []Chunk {
	length = cmp.Or(length, time.Minute)
	gop, total := c.gop(), c.Plan.Frames
	step := max(int64(length)*int64(c.Plan.Canvas.FPS)/int64(time.Second)/gop, 1) * gop
	var borders []border
	for want := step; want < total; {
		best := border{at: want, cost: c.borderCost(want)}
		for off := gop; off <= step/4; off += gop {
			for _, at := range []int64{want - off, want + off} {
				if at > 0 && at < total {
					if cost := c.borderCost(at); cost < best.cost {
						best = border{at, cost}
					}
				}
			}
		}
		borders = append(borders, best)
		want = best.at + step
	}
	var chunks []Chunk
	first := int64(0)
	for _, b := range cheapEnough(borders, c.onePass()/10) {
		chunks = append(chunks, Chunk{first, b.at})
		first = b.at
	}
	return append(chunks, Chunk{first, total})
}

type border struct {
	at   int64
	cost float64 // seconds of pictures that are decoded twice
}

// cheapEnough leaves the dearest borders out until the rest costs no more than is allowed.
func cheapEnough(borders []border, allowed float64) []border {
	sum := 0.0
	for _, b := range borders {
		sum += b.cost
	}
	for sum > allowed && len(borders) > 0 {
		dear := 0
		for i, b := range borders {
			if b.cost > borders[dear].cost {
				dear = i
			}
		}
		sum -= borders[dear].cost
		borders = append(borders[:dear:dear], borders[dear+1:]...)
	}
	return borders
}

// borderCost is how many seconds of pictures a border makes be decoded twice: for every track on the canvas there,
// those since its last key frame.
func (c *Composite) borderCost(frame int64) float64 {
	scene := c.Plan.SceneAt(frame)
	if scene < 0 {
		return 0
	}
	at := time.Duration(newCutter(c.Paused).session(c.frameTime(frame)))
	sum := time.Duration(0)
	for _, t := range c.Plan.Scenes[scene].Tiles {
		if v := c.Video[t.TrackID]; v != nil {
			if key, ok := v.keyBefore(at); ok {
				sum += at - key.At
			}
		}
	}
	return sum.Seconds()
}

// onePass is how many seconds of pictures one pass over the whole decodes.
func (c *Composite) onePass() float64 {
	sum := time.Duration(0)
	for _, s := range c.Plan.Scenes {
		for _, t := range s.Tiles {
			if t.TrackID != "" {
				sum += s.To - s.From
			}
		}
	}
	return sum.Seconds()
}

// keyBefore is the last key picture at or before a session time, or the first one.
func (v *CompositeVideo) keyBefore(at time.Duration) (KeyPicture, bool) {
	lo, hi := 0, len(v.Keys)
	for lo < hi {
		mid := (lo + hi) / 2
		if v.Keys[mid].At <= at {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return KeyPicture{}, false
	}
	return v.Keys[lo-1], true
}
