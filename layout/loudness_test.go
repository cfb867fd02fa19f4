package layout_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/layout"
)

// levels makes windows of 100 ms: value, number of windows, value, number, …
func levels(pairs ...float64) []float64 {
	var list []float64
	for i := 0; i < len(pairs); i += 2 {
		for range int(pairs[i+1]) {
			list = append(list, pairs[i])
		}
	}
	return list
}

func TestSpeakersFromLoudness(t *testing.T) {
	t.Parallel()
	silence := math.Inf(-1)
	for name, tc := range map[string]struct {
		in   []layout.Loudness
		want []layout.Event
	}{
		"nothing": {nil, nil},
		"silence": {[]layout.Loudness{{PeerID: "a", Levels: levels(-60, 100, silence, 10, math.NaN(), 10)}}, nil},
		"one after the other": {[]layout.Loudness{
			{PeerID: "a", Levels: levels(-20, 30, silence, 70)},
			{PeerID: "b", From: 5 * sec, Levels: levels(-20, 30)},
		}, []layout.Event{speaks(0, "a"), speaks(5*sec, "b")}},
		"a breath between is no silence": {[]layout.Loudness{
			{PeerID: "a", Levels: levels(-20, 30, -70, 2, -20, 30)},
			{PeerID: "b", Levels: levels(-42, 62)},
		}, []layout.Event{speaks(0, "a")}},
		"held two seconds": {[]layout.Loudness{
			{PeerID: "a", Levels: levels(-20, 5, silence, 50)},
			{PeerID: "b", Levels: levels(silence, 5, -10, 50)},
		}, []layout.Event{speaks(0, "a"), speaks(2*sec, "b")}},
		"a little louder is not enough": {[]layout.Loudness{
			{PeerID: "a", Levels: levels(-20, 10, -20, 60)},
			{PeerID: "b", Levels: levels(silence, 10, -18, 60)},
		}, []layout.Event{speaks(0, "a")}},
		"equals": {[]layout.Loudness{
			{PeerID: "b", Levels: levels(-20, 40)}, {PeerID: "a", Levels: levels(-20, 40)},
		}, []layout.Event{speaks(0, "a")}},
		"years ahead": {[]layout.Loudness{
			{PeerID: "a", Levels: levels(-20, 10)}, {PeerID: "b", From: 50 * 365 * 24 * time.Hour, Levels: levels(-20, 10)},
		}, []layout.Event{speaks(0, "a"), speaks(50*365*24*time.Hour, "b")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, layout.SpeakersFromLoudness(tc.in))
		})
	}
}
