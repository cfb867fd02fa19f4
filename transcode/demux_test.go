package transcode_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/transcode"
	"rushes/transcode/mp4"
)

// demuxed is a unit with its bytes.
type demuxed struct {
	transcode.SegmentUnit
	data []byte
}

func demux(t testing.TB, name string, data []byte) (tracks []mp4.Track, units []demuxed) {
	t.Helper()
	tracks, units, err := tryDemux(t.Context(), name, data)
	require.NoError(t, err)
	return tracks, units
}

func tryDemux(ctx context.Context, name string, data []byte) (tracks []mp4.Track, units []demuxed, err error) {
	s, err := transcode.OpenSegment(ctx, transcode.Source{Name: name, R: bytes.NewReader(data), Size: int64(len(data))})
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for {
		u, err := s.Next(ctx)
		if errors.Is(err, io.EOF) {
			return s.Tracks(), units, nil
		}
		if err != nil {
			return nil, nil, err
		}
		data, err := s.Data(u.Track)
		if err != nil {
			return nil, nil, err
		}
		units = append(units, demuxed{u, bytes.Clone(data)})
	}
}

// TestDemuxRealSegments holds every segment of the live capture against what ffprobe says of it.
func TestDemuxRealSegments(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", "shared", "captures", "hls-ts")
	files, err := filepath.Glob(filepath.Join(root, "*", "*.ts"))
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("no sample captures")
	}
	for i, name := range files {
		if i%5 != 0 && !strings.Contains(name, "seg00017") {
			continue
		}
		t.Run(filepath.Base(filepath.Dir(name))+"/"+filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(name)
			require.NoError(t, err)
			tracks, units := demux(t, name, data)
			likeFFprobe(t, name, tracks, units)
			torn := 0
			for _, u := range units {
				if u.Torn {
					torn++
				}
			}
			if strings.HasSuffix(name, "360p/seg00017.ts") {
				require.Positive(t, torn)
			} else {
				require.Zero(t, torn)
			}
		})
	}
}

// likeFFprobe wants the packets that ffprobe sees, with their times. Of a torn unit there is no more to say.
func likeFFprobe(t *testing.T, name string, tracks []mp4.Track, units []demuxed) {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-of", "json", "-correct_ts_overflow", "0", "-show_entries", "packet=codec_type,pts,dts,flags", "-show_packets", "-show_streams", name).Output()
	require.NoError(t, err)
	var probe struct {
		Packets []struct {
			Type     string `json:"codec_type"`
			PTS, DTS int64
			Flags    string
		}
		Streams []struct {
			Type          string `json:"codec_type"`
			Width, Height int
			Rate          string `json:"sample_rate"`
			Channels      int
		}
	}
	require.NoError(t, json.Unmarshal(out, &probe))
	byType := map[string][]string{}
	for _, p := range probe.Packets {
		byType[p.Type] = append(byType[p.Type], fmt.Sprint(p.PTS, " ", p.DTS, " ", strings.HasPrefix(p.Flags, "K")))
	}
	got := map[string][]string{}
	for _, u := range units {
		kind := "audio"
		if tracks[u.Track].Video != nil {
			kind = "video"
		}
		got[kind] = append(got[kind], fmt.Sprint(u.PTS, " ", u.DTS, " ", u.Sync))
	}
	for kind, want := range byType {
		require.Equal(t, want, got[kind], kind)
	}
	for _, s := range probe.Streams {
		for _, tr := range tracks {
			if s.Type == "video" && tr.Video != nil {
				require.Equal(t, []int{s.Width, s.Height}, []int{tr.Video.Width, tr.Video.Height})
			}
			if s.Type == "audio" && tr.Audio != nil {
				require.Equal(t, s.Rate, strconv.Itoa(tr.Audio.SampleRate))
				require.Equal(t, s.Channels, tr.Audio.Channels)
			}
		}
	}
}
