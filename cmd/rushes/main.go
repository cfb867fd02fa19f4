// Command rushes turns raw captures of video calls and live streams into finished, findable assets.
//
// One file per subcommand; this one parses the command line and turns errors into exit codes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"

	"rushes/pipeline"
)

// version is set by the Makefile from git.
var version = "dev"

// cli is the whole command line; flags that settle how a machine is set up have environment variables.
type cli struct {
	Process   processCmd   `cmd:"" help:"Make the assets of a capture: a folder with capture.json, a manifest, or a media file."`
	Inspect   inspectCmd   `cmd:"" help:"Say what is in a capture; writes nothing."`
	Check     checkCmd     `cmd:"" help:"Hold an HLS package or an MP4 against the rules for finished files; writes nothing."`
	Assets    assetsCmd    `cmd:"" help:"Look at the catalog."`
	Enqueue   enqueueCmd   `cmd:"" help:"Queue captures for workers."`
	Keys      keysCmd      `cmd:"" help:"Access keys of the programs that use the API."`
	Jobs      jobsCmd      `cmd:"" help:"Look at jobs, and change what becomes of them."`
	Reprocess reprocessCmd `cmd:"" help:"Make assets again, many of them: with a newer version, or with other options."`
	Webhooks  webhooksCmd  `cmd:"" help:"Look at what webhook endpoints were told, and have it told again."`
	Serve     serveCmd     `cmd:"" help:"Work at queued jobs with everything in one process, until SIGTERM."`
	Worker    workerCmd    `cmd:"" help:"Work at jobs that are queued in a Redis, beside other workers, until SIGTERM."`
	Doctor    doctorCmd    `cmd:"" help:"Check what Rushes was built with and whether the data folder can be written."`
	Demo      demoCmd      `cmd:"" help:"Make sample captures, process them and print the assets."`
	Version   versionCmd   `cmd:"" help:"Print the version."`

	Config string `help:"Configuration file (YAML) below the command line and the environment: flags by their names. Default: rushes.yaml, if it is there." placeholder:"FILE" env:"RUSHES_CONFIG"`
}

// env is what subcommands may touch of the outside.
type env struct {
	stdout, stderr io.Writer
	terminal       bool // stderr is one: progress bars are welcome
	columns        int  // of stdout, 0 when it is no terminal
	utf8           bool // stdout shows more than ASCII
}

func main() {
	if isStep(os.Args[1:]) {
		os.Exit(runStep(context.Background()))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // whoever sends a second signal will not wait
	code := run(ctx, os.Args[1:], env{stdout: os.Stdout, stderr: os.Stderr, terminal: isTerminal(os.Stderr),
		columns: terminalColumns(os.Stdout), utf8: utf8Locale(os.Getenv)})
	stop()
	os.Exit(code)
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil && os.Getenv("TERM") != "dumb"
}

// exitError is an error whose exit status the subcommand has decided; a nil Err says nothing.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// run is the whole program but for the process around it.
func run(ctx context.Context, args []string, e env) int {
	var c cli
	config, err := readConfig(args)
	if err != nil {
		fmt.Fprintln(e.stderr, "rushes:", line(err))
		return pipeline.ExitUsage
	}
	exited := -1
	parser, err := kong.New(&c, kong.Name("rushes"), kong.Description("Turns raw captures of video calls into finished, findable assets."),
		kong.UsageOnError(), kong.Writers(e.stdout, e.stderr), kong.Exit(func(code int) { exited = code }),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(e), kong.ConfigureHelp(kong.HelpOptions{Compact: true}), config.option())
	if err != nil {
		fmt.Fprintln(e.stderr, "rushes:", err)
		return pipeline.ExitOther
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if exited >= 0 {
		return exited // --help
	}
	if err != nil {
		fmt.Fprintln(e.stderr, "rushes:", err)
		return pipeline.ExitUsage
	}
	return report(k.Run(), e.stderr)
}

// report prints an error, one line, and gives the exit status.
func report(err error, stderr io.Writer) int {
	if err == nil {
		return pipeline.ExitOK
	}
	var decided *exitError
	if errors.As(err, &decided) {
		if decided.err != nil {
			fmt.Fprintln(stderr, "rushes:", line(decided.err))
		}
		return decided.code
	}
	fmt.Fprintln(stderr, "rushes:", line(err))
	return pipeline.ExitCode(0, 0, err)
}

// line folds an error of several lines into one.
func line(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
