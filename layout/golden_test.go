package layout_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/layout"
)

func regionsOfStandup() []layout.Region {
	return []layout.Region{
		{Rect: layout.Rect{Width: 1280, Height: 720}, Show: "screen"},
		{Rect: layout.Rect{X: 0, Y: 0, Width: 320, Height: 180}, Z: 1, Show: "role:host"},
		{Rect: layout.Rect{X: 960, Y: 540, Width: 320, Height: 180}, Z: 2, Show: "speaker"},
		{Rect: layout.Rect{X: 0, Y: 540, Width: 900, Height: 180}, Z: 1, Show: "rest"},
	}
}

func TestGoldenPlans(t *testing.T) {
	t.Parallel()
	for _, name := range layout.LayoutNames() {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			o := layout.Options{Layout: name, Names: true, Regions: regionsOfStandup()}
			p := build(t, o, standup(true))
			golden(t, "standup-"+string(name)+".golden.json", toJSON(t, p))
			require.Equal(t, toJSON(t, p), toJSON(t, build(t, o, standup(true))))
		})
	}
}

// TestStandup says in words what the golden file says in numbers.
func TestStandup(t *testing.T) {
	t.Parallel()
	p := build(t, layout.Options{Names: true}, standup(false))
	require.EqualValues(t, 1223, p.Frames)
	type state struct {
		peer    string
		camera  string
		micMute bool
	}
	for _, tc := range []struct {
		at   int
		want []state
	}{
		{0, nil},
		{1000, []state{{"alice", "", false}}},
		{1240, []state{{"alice", "alice-cam", false}, {"dave", "", false}}},
		{9000, []state{{"alice", "alice-cam", false}, {"dave", "", false}, {"carol", "carol-cam", false}, {"bob", "bob-cam", false}}},
		{10_025, []state{{"alice", "", false}, {"dave", "", false}, {"carol", "carol-cam", false}, {"bob", "bob-cam", false}}},
		{16_031, []state{{"alice", "alice-cam", false}, {"dave", "", false}, {"carol", "", false}, {"bob", "bob-cam", false}}},
		{21_034, []state{{"alice", "alice-cam", false}, {"dave", "", true}, {"carol", "", false}, {"bob", "bob-cam", false}}},
		{22_040, []state{{"alice", "alice-cam", true}, {"dave", "", true}, {"carol", "carol-cam", false}, {"bob", "bob-cam", false}}},
		{25_037, []state{{"alice", "alice-cam", true}, {"dave", "", false}, {"bob", "bob-cam", false}}},
		{31_043, []state{{"alice", "alice-cam", false}, {"dave", "", false}, {"bob", "bob-cam", false}, {"carol", "", false}}},
		{36_018, []state{{"alice", "alice-cam", false}, {"bob", "bob-cam", false}, {"carol", "carol-cam-2", false}}},
	} {
		var got []state
		for _, tile := range at(t, p, time.Duration(tc.at)*ms) {
			got = append(got, state{tile.PeerID, tile.TrackID, tile.MicMuted})
		}
		require.Equal(t, tc.want, got, "at %d ms", tc.at)
	}
}

func TestSVG(t *testing.T) {
	t.Parallel()
	s := standup(true)
	s.Peers[0].Name = "</text><script>&\x00\x1b[31m"
	p := build(t, layout.Options{Names: true}, s)
	golden(t, "standup-scene.golden.svg", build(t, layout.Options{Names: true}, standup(true)).SVG(8))
	for i := -1; i <= len(p.Scenes); i++ {
		svg := p.SVG(i)
		requireXML(t, svg)
		want := 0
		if i >= 0 && i < len(p.Scenes) {
			want = len(p.Scenes[i].Tiles)
		}
		require.Equal(t, want, strings.Count(string(svg), "<title>tile "), "scene %d", i)
		require.NotContains(t, string(svg), "<script")
	}
}

func requireXML(t *testing.T, data []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(data))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			require.NoError(t, err, "%s", data)
		}
	}
}
