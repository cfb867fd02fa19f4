package layout_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/layout"
)

// fields lists the fields that an error names.
func fields(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var kind interface{ BadInput() bool }
	require.ErrorAs(t, err, &kind)
	require.True(t, kind.BadInput())
	var joined interface{ Unwrap() []error }
	require.ErrorAs(t, err, &joined)
	var list []string
	for _, e := range joined.Unwrap() {
		var in *layout.InputError
		require.ErrorAs(t, e, &in)
		require.Contains(t, e.Error(), in.Field+": ")
		require.NotContains(t, e.Error(), "\n")
		list = append(list, in.Field)
	}
	return list
}

func TestBadInputNamesTheField(t *testing.T) {
	t.Parallel()
	regions := func(list ...layout.Region) func(*layout.Options, *layout.Session) {
		return func(o *layout.Options, _ *layout.Session) { o.Layout, o.Regions = layout.Custom, list }
	}
	region := func(x, y, w, h int, show string) layout.Region {
		return layout.Region{Rect: layout.Rect{X: x, Y: y, Width: w, Height: h}, Show: show}
	}
	for name, tc := range map[string]struct {
		change func(*layout.Options, *layout.Session)
		want   []string
	}{
		"defaults": {func(*layout.Options, *layout.Session) {}, nil},
		"layout": {func(o *layout.Options, _ *layout.Session) {
			o.Layout = "mosaic\n" + layout.Name(strings.Repeat("x", 5000))
		}, []string{"layout"}},
		"too small":    {func(o *layout.Options, _ *layout.Session) { o.Canvas.Width, o.Canvas.Height = 1280, 142 }, []string{"height"}},
		"only a width": {func(o *layout.Options, _ *layout.Session) { o.Canvas.Width = 1280 }, []string{"height"}},
		"too wide":     {func(o *layout.Options, _ *layout.Session) { o.Canvas.Width, o.Canvas.Height = 3842, 720 }, []string{"width"}},
		"4k square":    {func(o *layout.Options, _ *layout.Session) { o.Canvas.Width, o.Canvas.Height = 3840, 2160 }, []string{"height"}},
		"odd":          {func(o *layout.Options, _ *layout.Session) { o.Canvas.Width, o.Canvas.Height = 1281, 721 }, []string{"width", "height"}},
		"negative":     {func(o *layout.Options, _ *layout.Session) { o.Canvas.Width, o.Canvas.Height = -1280, 720 }, []string{"width"}},
		"fps":          {func(o *layout.Options, _ *layout.Session) { o.Canvas.FPS = 61 }, []string{"fps"}},
		"negative fps": {func(o *layout.Options, _ *layout.Session) { o.Canvas.FPS = -1 }, []string{"fps"}},
		"colour":       {func(o *layout.Options, _ *layout.Session) { o.Canvas.Background = "#12345g" }, []string{"background"}},
		"empty role":   {func(o *layout.Options, _ *layout.Session) { o.Roles = []string{"guest", ""} }, []string{"roles[1]", "roles[1]"}},
		"unknown role": {func(o *layout.Options, _ *layout.Session) { o.Roles = []string{"guest", "gest"} }, []string{"roles[1]"}},
		"many roles":   {func(o *layout.Options, s *layout.Session) { o.Roles, s.Peers = make([]string, 101), nil }, append([]string{"roles"}, firstRoles(19)...)},
		"no regions":   {regions(), []string{"regions"}},
		"many regions": {regions(make([]layout.Region, 26)...), []string{"regions"}},
		"outside": {regions(region(-2, 0, 4, 4, "rest"), region(0, 720, 4, 4, "screen"), region(2, 0, 1280, 720, "screen"),
			region(0, 2, 1280, 720, "speaker"), region(0, 0, 0, 4, "speaker"), region(2, 2, 1<<62, 1<<62, "speaker")),
			[]string{"regions[0].x", "regions[1].y", "regions[2].width", "regions[3].height", "regions[4].width", "regions[5].width"}},
		"odd region": {regions(region(1, 0, 4, 4, "rest"), region(0, 3, 4, 4, "screen"), region(0, 0, 5, 4, "screen"), region(0, 0, 4, 5, "screen")),
			[]string{"regions[0].x", "regions[1].y", "regions[2].width", "regions[3].height"}},
		"show": {regions(region(0, 0, 4, 4, ""), region(0, 0, 4, 4, "peer:"), region(0, 0, 4, 4, "everybody"), region(0, 0, 4, 4, "rest:x")),
			[]string{"regions[0].show", "regions[1].show", "regions[2].show", "regions[3].show"}},
		"rest twice":             {regions(region(0, 0, 4, 4, "rest"), region(4, 0, 4, 4, "rest")), []string{"regions[1].show"}},
		"unknown role in region": {regions(region(0, 0, 4, 4, "role:king")), []string{"regions[0].show"}},
		"regions of no concern":  {func(o *layout.Options, _ *layout.Session) { o.Regions = []layout.Region{region(-1, 0, 0, 0, "x")} }, nil},
		"negative duration":      {func(_ *layout.Options, s *layout.Session) { s.Duration = -1 }, []string{"duration"}},
		"endless duration":       {func(_ *layout.Options, s *layout.Session) { s.Duration = layout.Forever }, []string{"duration"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, s := layout.Options{}, room(2)
			tc.change(&o, &s)
			p, err := layout.Build(o, s)
			require.Equal(t, tc.want, fields(t, err))
			if err != nil {
				require.Zero(t, p)
			}
		})
	}
}

func firstRoles(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = "roles[" + string(rune('0'+i/10)) + string(rune('0'+i%10)) + "]"
		list[i] = strings.Replace(list[i], "[0", "[", 1)
	}
	return list
}

func TestRolesOfAnEmptyRoom(t *testing.T) {
	t.Parallel()
	p := build(t, layout.Options{Roles: []string{"host"}}, layout.Session{Duration: sec})
	require.Len(t, p.Scenes, 1)
	require.True(t, layout.Options{}.Selects("any"))
	require.False(t, layout.Options{Roles: []string{"host"}}.Selects(""))
}

// FuzzValidate looks for options that Validate lets through and Build cannot make a sound plan of, and for
// refusals that are not bad input.
func FuzzValidate(f *testing.F) {
	f.Add("auto", 1280, 720, 30, "#000000", "guest", 0, 0, 0, 0, 0, "")
	f.Add("regions", 1280, 720, 30, "#ffffff", "", 0, 0, 640, 360, 1, "rest")
	f.Add("regions", 720, 1280, 0, "", "", 2, 4, 2, 2, -9, "role:guest")
	f.Add("regions", 144, 144, 60, "", "", 142, 142, 2, 2, 1<<62, "peer:p01")
	f.Add("pip", 0, 0, 0, "", "", 0, 0, 0, 0, 0, "screen")
	f.Add("spotlight", 144, 3840, 1, "#00000", "host", 1, 1, 1, 1, 1, "speaker")
	f.Fuzz(func(t *testing.T, name string, width, height, fps int, background, role string, x, y, w, h, z int, show string) {
		o := layout.Options{
			Layout: layout.Name(name), Canvas: layout.Canvas{Width: width, Height: height, FPS: fps, Background: background},
			Regions: []layout.Region{
				{Rect: layout.Rect{X: x, Y: y, Width: w, Height: h}, Z: z, Show: show},
				{Rect: layout.Rect{Width: w, Height: h}, Z: z/2 - 1, Show: "speaker"},
			},
		}
		if role != "" {
			o.Roles = []string{role}
		}
		s := room(26)
		s.Duration = 3 * sec
		s.Tracks = append(s.Tracks, share("slides", "p03", span(1000, 2000)))
		err := o.Validate()
		p, buildErr := layout.Build(o, s)
		if err != nil {
			require.Error(t, buildErr)
			require.NotEmpty(t, fields(t, err))
		}
		if buildErr != nil {
			require.NotEmpty(t, fields(t, buildErr))
			require.True(t, err != nil || role != "guest" && role != "" || strings.HasPrefix(show, "role:"), "refused: %v", buildErr)
			var in *layout.InputError
			require.True(t, errors.As(buildErr, &in))
			return
		}
		require.Equal(t, p.Frames, int64(3*p.Canvas.FPS))
		require.Equal(t, 3*time.Second, p.Duration)
		if p.Layout != layout.Custom || z != z/2-1 {
			requireSound(t, p)
		}
	})
}
