package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"rushes/pipeline/stage"
)

const (
	usualColumns = 80
	leastBar     = 20 // cells
	mostBar      = 2000
	nameWidth    = 24 // letters
	// A manifest may say what it likes; beyond this nothing is drawn.
	longestSession = 10 * 365 * 24 * time.Hour
)

// marks are what the cells of a timeline are drawn with.
type marks struct {
	edge, there, camera, speaking, both, muted, mutedCamera, screen string
	ascii                                                           bool
}

// The upper half of a cell is the voice, the lower half the camera.
func blockMarks() marks {
	return marks{edge: "│", there: "─", camera: "▄", speaking: "▀", both: "█", muted: "╌", mutedCamera: "░", screen: "▒"}
}

func asciiMarks() marks {
	return marks{edge: "|", there: "-", camera: "c", speaking: "s", both: "#", muted: "m", mutedCamera: "x", screen: "=", ascii: true}
}

// row is a line of the timeline.
type row struct {
	cells string
	name  string
}

// timeline draws who was there and did what, a line for each peer and one more for its screen, on so many columns.
type timeline struct {
	marks  marks
	length time.Duration
	cells  int
}

// printTimeline prints the timeline and its legend.
func printTimeline(w io.Writer, in stage.Inspection, columns int, blocks bool) error {
	m := asciiMarks()
	if blocks {
		m = blockMarks()
	}
	names, widest := make([]string, len(in.Peers)), len(", screen")
	for i, p := range in.Peers {
		names[i] = peerName(in.Peers, p, m.ascii)
		widest = max(widest, displayWidth(names[i]))
		if len(p.Screen) > 0 {
			widest = max(widest, displayWidth(names[i])+len(", screen"))
		}
	}
	// The names stand behind the bars: whatever is in them, it moves nothing.
	t := timeline{marks: m, length: sessionLength(in), cells: min(max(columns-3-widest, leastBar), mostBar)}
	rows := []row{{cells: t.axis()}}
	for i, p := range in.Peers {
		rows = append(rows, row{m.edge + t.bar(p) + m.edge, names[i]})
		if len(p.Screen) > 0 {
			rows = append(rows, row{m.edge + t.screen(p) + m.edge, names[i] + ", screen"})
		}
	}
	fmt.Fprintln(w)
	for _, r := range rows {
		fmt.Fprintln(w, strings.TrimRight(r.cells+" "+r.name, " "))
	}
	for _, line := range m.legend(t.length/time.Duration(t.cells), columns) {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// legend explains the marks, on lines of so many columns.
func (m marks) legend(cell time.Duration, columns int) []string {
	lines := []string{""}
	for _, item := range []string{m.there + " there", m.camera + " camera", m.speaking + " speaking", m.both + " speaking, camera", m.muted + " muted",
		m.mutedCamera + " muted, camera", m.screen + " screen", fmt.Sprintf("one mark: %v", cell.Round(time.Millisecond))} {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = item
		case utf8.RuneCountInString(*last+item)+3 > columns:
			lines = append(lines, item)
		default:
			*last += "   " + item
		}
	}
	return lines
}

func sessionLength(in stage.Inspection) time.Duration {
	length := ms(in.DurationMS)
	if !in.StoppedAt.IsZero() {
		length = max(length, in.StoppedAt.Sub(in.StartedAt))
	}
	return min(max(length, time.Millisecond), longestSession)
}

// peerName is what a person is called: by name, and by id too where the name alone would not do.
func peerName(all []stage.PeerInspection, p stage.PeerInspection, ascii bool) string {
	name := cmp.Or(cut(p.Name, nameWidth), cut(p.ID, nameWidth))
	for _, other := range all {
		if other.ID != p.ID && other.Name == p.Name && p.Name != "" {
			name = cut(p.Name, nameWidth/2) + " " + cut(p.ID, nameWidth/2)
			break
		}
	}
	if !ascii {
		return name
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '…':
			return '~'
		case unicode.Is(unicode.Cf, r):
			return -1
		case r > '~':
			return '?'
		}
		return r
	}, name)
}

// displayWidth is how many columns a text takes on a terminal, or a few more.
func displayWidth(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case r >= 0x1100 && (r < 0x2000 || r >= 0x2600): // all of it, where some alphabets are not wide
			n += 2
		default:
			n++
		}
	}
	return n
}

// axis is the scale above the bars: a time where each cell begins that a round one falls on.
func (t timeline) axis() string {
	line := []byte(strings.Repeat(" ", t.cells+1))
	step := t.step()
	for at := time.Duration(0); at <= t.length; at += step {
		label := clockTime(at)
		i := 1 + int(at/max(t.length/time.Duration(t.cells), 1))
		if i+len(label) > len(line)+1 {
			break
		}
		line = append(line[:i], append([]byte(label), line[min(i+len(label), len(line)):]...)...)
	}
	return string(line)
}

// step is the least round time that leaves room for the label and two cells between.
func (t timeline) step() time.Duration {
	least := t.length / time.Duration(t.cells) * time.Duration(len(clockTime(t.length))+2)
	step := time.Second
	for _, factor := range []time.Duration{2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400} {
		if step >= least {
			return step
		}
		step = factor * time.Second
	}
	for step < least {
		step *= 2
	}
	return step
}

func clockTime(d time.Duration) string {
	s := int64(d / time.Second)
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// bar is a person's line. What lasts for half of a cell fills it; being there, and speaking, shows however short.
func (t timeline) bar(p stage.PeerInspection) string {
	var b strings.Builder
	for i := range t.cells {
		from, to := t.cell(i)
		half := (to - from) / 2
		there, speaking := covered(p.Stays, from, to) > 0, covered(p.Speaking, from, to) > 0
		camera, muted := covered(p.Camera, from, to) > half, covered(p.Muted, from, to) > half
		mark := " "
		switch {
		case speaking && camera:
			mark = t.marks.both
		case speaking:
			mark = t.marks.speaking
		case muted && camera:
			mark = t.marks.mutedCamera
		case muted:
			mark = t.marks.muted
		case camera:
			mark = t.marks.camera
		case there:
			mark = t.marks.there
		}
		b.WriteString(mark)
	}
	return b.String()
}

func (t timeline) screen(p stage.PeerInspection) string {
	var b strings.Builder
	for i := range t.cells {
		mark := " "
		if from, to := t.cell(i); covered(p.Screen, from, to) > 0 {
			mark = t.marks.screen
		}
		b.WriteString(mark)
	}
	return b.String()
}

// cell is the time that a cell stands for.
func (t timeline) cell(i int) (from, to time.Duration) {
	each := t.length / time.Duration(t.cells)
	if i == t.cells-1 {
		return each * time.Duration(i), t.length
	}
	return each * time.Duration(i), each * time.Duration(i+1)
}

// covered is how much of a stretch others cover.
func covered(spans []stage.GapInspection, from, to time.Duration) time.Duration {
	var sum time.Duration
	for _, s := range spans {
		sum += max(min(ms(s.ToMS), to)-max(ms(s.FromMS), from), 0)
	}
	return sum
}

// terminalColumns is the width of a terminal, 0 when f is none.
func terminalColumns(f *os.File) int {
	if !isTerminal(f) {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return usualColumns
	}
	return int(size.Col)
}

// utf8Locale tells whether the environment asks for UTF-8.
func utf8Locale(getenv func(string) string) bool {
	locale := strings.ToUpper(cmp.Or(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG")))
	return strings.Contains(locale, "UTF-8") || strings.Contains(locale, "UTF8")
}
