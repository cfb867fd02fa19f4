package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"rushes/pipeline/stage"
)

const (
	mostSizes = 5  // that a line of the table lists
	idWidth   = 32 // letters of an id that the table shows
)

// printTracks prints the table of an sfu capture's tracks and what is wrong with them.
func printTracks(w io.Writer, in stage.Inspection) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TRACK\tPEER\tCODEC\tSIZES\tFROM\tTO\tLENGTH\tPACKETS\tLOST\tGAPS\tDRIFT\tCLOCK")
	for _, x := range in.Tracks {
		codec := cmp.Or(clean(x.Codec), "?")
		if x.Source == "screen" {
			codec += " screen"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t", cut(x.ID, idWidth), cut(x.PeerID, idWidth), codec)
		if x.Error != "" {
			fmt.Fprintln(t, strings.Repeat("-\t", 8)+"-")
			continue
		}
		fmt.Fprintf(t, "%s\t%v\t%v\t%v\t%d\t%d\t%s\t%s\t%s\n", sizes(x.Sizes), ms(x.BeginMS), ms(x.EndMS), ms(x.DurationMS),
			x.Packets, x.Lost, gaps(x.Gaps), drift(x), clock(x))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, x := range in.Tracks {
		if x.Error != "" {
			fmt.Fprintf(w, "unplayable: %s\n", clean(x.Error))
		}
		for _, d := range x.Defects {
			fmt.Fprintf(w, "defect: %s: %s: %s\n", clean(cmp.Or(d.File, d.Track)), clean(d.Kind), clean(d.Detail))
		}
	}
	for _, d := range in.Defects {
		fmt.Fprintf(w, "defect: %s: %s\n", clean(d.Kind), clean(d.Detail))
	}
	return nil
}

// sizes are the pictures' sizes one after the other, or - for sound.
func sizes(list []stage.SizeInspection) string {
	if len(list) == 0 {
		return "-"
	}
	var out []string
	for i, s := range list {
		if i == mostSizes {
			out = append(out, fmt.Sprintf("… (%d more)", len(list)-i))
			break
		}
		out = append(out, fmt.Sprintf("%dx%d", s.Width, s.Height))
	}
	return strings.Join(out, " → ")
}

// gaps is how many there are and how long they are together.
func gaps(list []stage.GapInspection) string {
	if len(list) == 0 {
		return "-"
	}
	var total int64
	for _, g := range list {
		total += g.ToMS - g.FromMS
	}
	return fmt.Sprintf("%d, %v", len(list), ms(total))
}

// drift is by how much the session's clock is faster than the sender's, if that could be measured.
func drift(x stage.TrackInspection) string {
	if x.DriftPPM == 0 {
		return "-"
	}
	return fmt.Sprintf("%+.1f ppm", x.DriftPPM)
}

// clock says what a track was laid on the session clock by.
func clock(x stage.TrackInspection) string {
	text := x.Mapping
	if n := len(x.Pieces); n > 1 {
		text += fmt.Sprintf(", %d pieces", n)
	}
	if off := time.Duration(x.ClockOffsetMS * float64(time.Millisecond)); off != 0 {
		text += fmt.Sprintf(", sender's clock off by %v", -off.Round(time.Millisecond))
	}
	return text
}

// cut makes a name of unknown origin fit for a line: clean, of no more than n letters, and set apart from the rest of
// the line where it is written from right to left.
func cut(s string, n int) string {
	const isolate, pop = "\u2068", "\u2069" // Unicode annex 9, 2.4: or numbers beside it would change places
	letters, rtl := []rune(strings.TrimSpace(clean(strings.ToValidUTF8(s, "�")))), false
	if len(letters) > n {
		letters = append(letters[:n-1], '…')
	}
	for _, r := range letters {
		rtl = rtl || unicode.In(r, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana, unicode.Nko, unicode.Adlam)
	}
	if rtl {
		return isolate + string(letters) + pop
	}
	return string(letters)
}
