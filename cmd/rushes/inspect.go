package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"rushes/pipeline/capture"
	"rushes/pipeline/stage"
)

type inspectCmd struct {
	Capture     string `arg:"" help:"Folder with capture.json, a manifest, or a media file."`
	Timeline    bool   `help:"Draw who was there, muted, speaking, also where standard output is no terminal (sfu)."`
	JSON        bool   `name:"json" help:"Print JSON."`
	planFlags   `embed:""`
	layoutFlags `embed:""`
}

// Run reads the capture and prints what is in it.
func (c *inspectCmd) Run(ctx context.Context, e env) (err error) {
	cp, err := capture.Open(ctx, c.Capture)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cp.Close()) }()
	if c.Plan {
		return c.printPlan(ctx, e, cp)
	}
	in, err := stage.Inspect(ctx, cp)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(e.stdout, in)
	}
	if err := printInspection(e.stdout, in); err != nil || in.Source != string(capture.SourceSFU) || !c.Timeline && e.columns == 0 {
		return err
	}
	return printTimeline(e.stdout, in, cmp.Or(e.columns, usualColumns), e.utf8)
}

func ms(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

func printInspection(w io.Writer, in stage.Inspection) error {
	fmt.Fprintf(w, "%s capture, room %s, session %s\n", in.Source, clean(in.RoomID), clean(in.SessionID))
	fmt.Fprintf(w, "started %s, recorded %v", in.StartedAt.Format(time.RFC3339Nano), ms(in.DurationMS))
	if !in.StoppedAt.IsZero() {
		fmt.Fprintf(w, ", session %v", in.StoppedAt.Sub(in.StartedAt).Round(time.Millisecond))
	}
	if in.PausedMS > 0 {
		fmt.Fprintf(w, ", paused %v", ms(in.PausedMS))
	}
	fmt.Fprint(w, "\n\n")
	if in.Source == string(capture.SourceSFU) {
		return printTracks(w, in)
	}
	return printFiles(w, in)
}

// printFiles prints the table of a beam capture's files and what is wrong with them.
func printFiles(w io.Writer, in stage.Inspection) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FILE\tSTREAM\tCODEC\tPICTURE OR SOUND\tPACKETS\tKEY\tFROM\tTO\tGAPS\tJUMPS")
	for _, f := range in.Files {
		name := clean(f.Path)
		if f.Error != "" {
			fmt.Fprintf(t, "%s\t-\t-\t%s\n", name, clean(f.Error))
		}
		for _, s := range f.Streams {
			fmt.Fprintf(t, "%s\t%d %s\t%s\t%s\t%d\t%d\t%v\t%v\t%d\t%d\n", name, s.Index, s.Kind, s.Codec, shape(s), s.Packets, s.KeyFrames,
				ms(f.OffsetMS+s.StartMS), ms(f.OffsetMS+s.EndMS), len(s.Gaps), s.Jumps)
			name = ""
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, f := range in.Files {
		for _, s := range f.Streams {
			for _, g := range s.Gaps {
				fmt.Fprintf(w, "gap: %s %s from %v to %v\n", clean(f.Path), s.Kind, ms(g.FromMS), ms(g.ToMS))
			}
		}
	}
	for _, d := range in.Defects {
		fmt.Fprintf(w, "defect: %s: %s: %s\n", clean(d.File), clean(d.Kind), clean(d.Detail))
	}
	return nil
}

// shape is a stream's picture sizes, or its rate and channels.
func shape(s stage.StreamInspection) string {
	if !s.Supported {
		s.Supported = true
		return shape(s) + ", not built in"
	}
	if s.Kind != "video" {
		return fmt.Sprintf("%d Hz, %d channels", s.SampleRate, s.Channels)
	}
	if len(s.Sizes) == 0 {
		return fmt.Sprintf("%dx%d", s.Width, s.Height)
	}
	var sizes []string
	for i, size := range s.Sizes {
		if i == 5 {
			sizes = append(sizes, fmt.Sprintf("… (%d more)", len(s.Sizes)-i))
			break
		}
		sizes = append(sizes, fmt.Sprintf("%dx%d", size.Width, size.Height))
	}
	return strings.Join(sizes, " → ")
}
