package child

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"rushes/pipeline"
)

// modeVariable says what a copy of the test program is to be.
const modeVariable = "RUSHES_CHILD_TEST"

func TestMain(m *testing.M) {
	mode := os.Getenv(modeVariable)
	if mode == "" {
		goleak.VerifyTestMain(m)
		return
	}
	os.Exit(helper(mode))
}

// helper is the copy: a child that goes through Main, one that does not, or a worker.
func helper(mode string) int {
	if run, ok := raw()[mode]; ok {
		return run()
	}
	// Threads that are there before Main are to be confined as well.
	early := newEarlyThreads(4)
	return Main(context.Background(), os.Stdin, os.Stdout, func(ctx context.Context, input json.RawMessage, report func(any)) (any, error) {
		handle, ok := handlers(early)[mode]
		if !ok {
			return nil, fmt.Errorf("no handler %q", mode)
		}
		return handle(ctx, input, report)
	})
}

// job is a spec that makes a copy of the test program do something.
func job(mode string, input any) Spec {
	return Spec{Env: []string{modeVariable + "=" + mode, "GORACE=atexit_sleep_ms=0"}, Input: input}
}

// confinedLine is what Main says first.
const confinedLine = `{"confined":{}}` + "\n"

// raw are programs that do not speak as Main does.
func raw() map[string]func() int {
	say := func(text string, code int) func() int {
		return func() int {
			_, _ = io.Copy(os.Stdout, strings.NewReader(text))
			return code
		}
	}
	sayAndStay := func(text string) func() int {
		return func() int {
			say(text, 0)()
			_, _ = io.Copy(io.Discard, os.Stdin) // to be killed: stdin stays open
			return 0
		}
	}
	return map[string]func() int{
		"garbage":            sayAndStay("Segmentation fault (nearly)\n"),
		"two kinds":          sayAndStay(`{"report":1,"result":2}` + "\n"),
		"no kind":            sayAndStay(`{}` + "\n"),
		"unconfined report":  sayAndStay(`{"report":1}` + "\n"),
		"unconfined result":  say(`{"result":1}`+"\n", 0),
		"confined twice":     sayAndStay(confinedLine + confinedLine),
		"after the result":   sayAndStay(confinedLine + `{"result":1}` + "\n" + `{"report":1}` + "\n"),
		"half a line":        say(confinedLine+`{"result":`, 0),
		"giant line":         func() int { return giantLine() },
		"nothing":            say("", 0),
		"only confined":      say(confinedLine, 0),
		"status 7":           say("", 7),
		"result, status 7":   say(confinedLine+`{"result":1}`+"\n", 7),
		"unasked interrupt":  say(confinedLine+`{"error":{"kind":"interrupted","message":"m"}}`+"\n", 1),
		"unknown kind":       say(confinedLine+`{"error":{"kind":"ok","message":"m"}}`+"\n", 1),
		"does not read":      func() int { return 5 },
		"worker":             worker,
		"worker without mem": workerInCgroup,
	}
}

func giantLine() int {
	_, _ = io.WriteString(os.Stdout, confinedLine+`{"report":"`)
	block := strings.Repeat("x", 1<<20)
	for range 64 {
		if _, err := io.WriteString(os.Stdout, block); err != nil {
			break
		}
	}
	return 0
}

type codedError struct{ error }

func (codedError) Code() string   { return "capture-vanished" }
func (codedError) BadInput() bool { return true }

// handlers are the children that go through Main.
func handlers(early *earlyThreads) map[string]Handler {
	plain := func(f func() error) Handler {
		return func(ctx context.Context, _ json.RawMessage, report func(any)) (any, error) {
			report(os.Getpid())
			return nil, f()
		}
	}
	signal := func(s syscall.Signal) Handler {
		return plain(func() error { return errors.Join(syscall.Kill(os.Getpid(), s), forever()) })
	}
	return map[string]Handler{
		"echo": echo,
		"probe": func(_ context.Context, input json.RawMessage, _ func(any)) (any, error) {
			return probe(input, early)
		},
		"wait": func(ctx context.Context, _ json.RawMessage, report func(any)) (any, error) {
			report(os.Getpid())
			<-ctx.Done()
			return nil, fmt.Errorf("waiting: %w", ctx.Err())
		},
		"wait, then done": func(ctx context.Context, _ json.RawMessage, report func(any)) (any, error) {
			report(os.Getpid())
			<-ctx.Done()
			return "done", nil
		},
		"stubborn": plain(forever),
		"busy": plain(func() error {
			for n := 0; ; n++ {
				_ = n
			}
		}),
		"nil": plain(func() error { var p *int; *p = 1; return nil }),
		"wild": plain(func() error {
			*(*int)(unsafe.Add(unsafe.Pointer(nil), 1<<40)) = 1 //nolint // the point of it
			return nil
		}),
		"panic":     plain(func() error { panic("poison") }),
		"exit":      plain(func() error { os.Exit(9); return nil }),
		"SIGSEGV":   signal(syscall.SIGSEGV),
		"SIGABRT":   signal(syscall.SIGABRT),
		"SIGKILL":   signal(syscall.SIGKILL),
		"heap":      plain(eatHeap),
		"mmap":      plain(eatMmap),
		"wall":      plain(func() error { return wall() }),
		"file size": writeTooMuch,
		"reader":    readFor,
		"errors": func(_ context.Context, input json.RawMessage, _ func(any)) (any, error) {
			return nil, map[string]error{
				`"bad-input"`: fmt.Errorf("open: %w", codedError{errors.New("no such capture")}),
				`"permanent"`: pipeline.Permanent(errors.New("never")),
				`"transient"`: errors.New("later"),
				`"long"`:      errors.New(strings.Repeat("é", maxMessage)),
			}[string(input)]
		},
		"bad report": func(_ context.Context, _ json.RawMessage, report func(any)) (any, error) {
			report(make(chan int))
			return 1, nil
		},
		"bad result": func(context.Context, json.RawMessage, func(any)) (any, error) { return make(chan int), nil },
		"large result": func(context.Context, json.RawMessage, func(any)) (any, error) {
			return strings.Repeat("x", maxLine), nil
		},
		"chatty": plain(func() error {
			fmt.Println("a forgotten line on standard output")
			fmt.Fprintln(os.Stderr, "a warning")
			return nil
		}),
		"environment": func(context.Context, json.RawMessage, func(any)) (any, error) { return os.Environ(), nil },
	}
}

// echo reports the input thrice, from several goroutines, and returns it.
func echo(_ context.Context, input json.RawMessage, report func(any)) (any, error) {
	var work sync.WaitGroup
	for range 3 {
		work.Go(func() { report(input) })
	}
	work.Wait()
	return input, nil
}

// forever blocks whatever happens, with timers and goroutines running.
func forever() error {
	for range time.Tick(time.Millisecond) { //nolint // a program that looks alive and does nothing
		continue
	}
	return nil
}

func eatHeap() error {
	var blocks [][]byte
	for range 1 << 12 {
		block := make([]byte, 4<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		blocks = append(blocks, block)
	}
	return fmt.Errorf("%d blocks fit", len(blocks))
}

func eatMmap() error {
	for range 1 << 12 {
		block, err := unix.Mmap(-1, 0, 4<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			return forever() // at the wall already: the watch has it next
		}
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
	}
	return errors.New("it all fits")
}

// wall asks for more address space than the limit in one go.
func wall() error {
	_, err := unix.Mmap(-1, 0, 8<<30, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	return fmt.Errorf("asking for 8 GiB: %w", err)
}

func writeTooMuch(_ context.Context, input json.RawMessage, _ func(any)) (any, error) {
	var path string
	if err := json.Unmarshal(input, &path); err != nil {
		return nil, err
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	for range 64 {
		if _, err := f.Write(make([]byte, 1<<16)); err != nil {
			return nil, err
		}
	}
	return nil, f.Close()
}

// readFor reads a file again and again for twice the time that the watch grants.
func readFor(_ context.Context, input json.RawMessage, _ func(any)) (any, error) {
	var path string
	if err := json.Unmarshal(input, &path); err != nil {
		return nil, err
	}
	for begin := time.Now(); time.Since(begin) < 2*time.Second; {
		if _, err := os.ReadFile(path); err != nil {
			return nil, err
		}
	}
	return "read", nil
}

// worker is a parent of its own: it runs a child and says its pid.
func worker() int {
	_, err := Run(context.Background(), job("stubborn", nil), func(pid json.RawMessage) {
		_, _ = os.Stdout.Write(append(pid, '\n'))
	})
	fmt.Println(err)
	return 0
}

// workerInCgroup joins the cgroup whose list of processes is its input file, and runs
// a child that needs more memory than there is.
func workerInCgroup() int {
	text, err := io.ReadAll(os.Stdin)
	if err == nil {
		err = os.WriteFile(string(text), []byte("0"), 0)
	}
	if err == nil {
		_, err = Run(context.Background(), job("heap", nil), nil)
	}
	fmt.Print(err)
	return 0
}
