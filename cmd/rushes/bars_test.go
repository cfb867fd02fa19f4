package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"rushes/fixtures"
	"rushes/pipeline"
)

// terminal opens a pseudo-terminal: what a process writes to tty can be read from screen.
func terminal(t *testing.T) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, screen.Close()) })
	require.NoError(t, unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 120}))
	return screen, tty
}

// shown runs rushes with its standard error on a terminal and gives what was on the screen.
func shown(t *testing.T, term string, args ...string) (screen, stdout string, code int) {
	t.Helper()
	master, tty := terminal(t)
	cmd := child(t.Context(), t, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, tty, append(cmd.Env, "TERM="+term)
	require.NoError(t, cmd.Start())
	require.NoError(t, tty.Close())
	text, err := io.ReadAll(master)
	if !errors.Is(err, unix.EIO) { // the end of a terminal that nobody has open any more
		require.NoError(t, err)
	}
	err = cmd.Wait()
	code = cmd.ProcessState.ExitCode()
	require.Equal(t, code == 0, err == nil)
	return string(text), out.String(), code
}

// lastLines gives what is on the screen at the end: of each stage its last line, without control sequences.
func lastLines(screen string) map[string]string {
	lines := map[string]string{}
	plain := regexp.MustCompile(`\x1b\[[0-9;?]*[a-zA-Z]`).ReplaceAllString(screen, "")
	for line := range strings.FieldsFuncSeq(plain, func(r rune) bool { return r == '\r' || r == '\n' }) {
		if m := regexp.MustCompile(`^\d/\d (\w+)`).FindStringSubmatch(line); m != nil {
			lines[m[1]] = line
		}
	}
	return lines
}

// TestBars shows bars on a terminal, and on nothing else.
func TestBars(t *testing.T) {
	t.Parallel()
	folder := encoded(t)
	screen, stdout, code := shown(t, "xterm", append([]string{"process", folder, "--data", t.TempDir(), "--json"}, slowly()...)...)
	require.Equal(t, pipeline.ExitOK, code, screen)
	require.Len(t, parse[document](t, stdout).Assets, 1)
	lines := lastLines(screen)
	require.Len(t, lines, 5, "%q", screen)
	for i, stage := range []string{"open", "render", "thumbnails", "publish", "register"} {
		require.Regexp(t, fmt.Sprintf(`^%d/5 %s +100 %%`, i+1, stage), lines[stage])
		require.NotContains(t, lines[stage], "left")
	}
	require.Regexp(t, `[0-9.]+× real time`, lines["render"])
	require.True(t, strings.HasSuffix(screen, "\n"), "the prompt would stand behind a bar: %q", screen)

	screen, _, code = shown(t, "dumb", "process", folder, "--data", t.TempDir())
	require.Equal(t, pipeline.ExitOK, code)
	require.Empty(t, screen)
}

// TestBarsAfterFailure shows that an error stands on a line of its own, below the bars.
func TestBarsAfterFailure(t *testing.T) {
	t.Parallel()
	folder := beam(t, fixtures.BeamSpec{Script: script(1e9), Record: fixtures.WebMVP8()})
	require.NoError(t, os.WriteFile(folder+"/recording.webm", []byte("These are words.\n"), 0o644))
	screen, _, code := shown(t, "xterm", "process", folder, "--data", t.TempDir())
	require.Equal(t, pipeline.ExitBadInput, code)
	require.Regexp(t, `(?:^|\n)rushes: recording\.webm: not a media file[^\r\n]*\r\n$`, screen)
}

// TestIsTerminal tells terminals from other devices.
func TestIsTerminal(t *testing.T) {
	_, tty := terminal(t)
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(t, err)
	t.Setenv("TERM", "xterm")
	require.True(t, isTerminal(tty))
	require.False(t, isTerminal(null))
	t.Setenv("TERM", "dumb")
	require.False(t, isTerminal(tty))
	require.NoError(t, errors.Join(tty.Close(), null.Close()))
}
