package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// redisServer is a redis-server of a test's own, on a free loopback port and with nothing on disk.
type redisServer struct {
	program, address, folder string
	cmd                      *exec.Cmd
}

// newRedis starts a redis-server, which ends with the test; without the program the test is skipped.
func newRedis(t testing.TB) *redisServer {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("there is no redis-server")
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &redisServer{program: program, address: listener.Addr().String(), folder: t.TempDir()}
	require.NoError(t, listener.Close())
	t.Cleanup(func() { r.kill(t) })
	r.start(t)
	return r
}

func (r *redisServer) url() string { return "redis://" + r.address }

// start runs the server, empty, and waits until it answers.
func (r *redisServer) start(t testing.TB) {
	t.Helper()
	require.Nil(t, r.cmd)
	_, port, err := net.SplitHostPort(r.address)
	require.NoError(t, err)
	r.cmd = exec.Command(r.program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", r.folder) //nolint:noctx // kill ends it
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, r.cmd.Start())
	require.Eventually(t, func() bool {
		answer, err := r.ask(t.Context(), "PING")
		return err == nil && answer == "+PONG"
	}, 20*time.Second, 10*time.Millisecond)
}

// kill ends the server by SIGKILL: what it held is gone.
func (r *redisServer) kill(t testing.TB) {
	t.Helper()
	if r.cmd == nil {
		return
	}
	require.NoError(t, r.cmd.Process.Kill())
	_ = r.cmd.Wait() // says "killed"
	r.cmd = nil
}

// signal stops the server with SIGSTOP, which is as good as a cut line: connections stay, and nothing comes back.
func (r *redisServer) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	require.NoError(t, r.cmd.Process.Signal(sig))
}

// flush deletes all that is in the server.
func (r *redisServer) flush(t testing.TB) {
	t.Helper()
	answer, err := r.ask(t.Context(), "FLUSHALL")
	require.NoError(t, err)
	require.Equal(t, "+OK", answer)
}

// ask sends an inline command, and gives the first line of the answer.
func (r *redisServer) ask(ctx context.Context, command string) (_ string, err error) {
	ctx, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", r.address)
	if err != nil {
		return "", err
	}
	defer func() {
		if cErr := c.Close(); err == nil {
			err = cErr
		}
	}()
	if until, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(until); err != nil {
			return "", err
		}
	}
	if _, err := fmt.Fprintf(c, "%s\r\n", command); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}
