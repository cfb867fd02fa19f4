package blobtest

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed" // versitygw.sh
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

//go:embed versitygw.sh
var versitygwScript string

// startTimeout bounds the start of the server.
const startTimeout = 30 * time.Second

// S3Server is a running S3 server with storage and credentials of its own.
type S3Server struct {
	// Endpoint is the server's address, http on the loopback interface.
	Endpoint string
	// Region is the one that requests are signed for.
	Region string
	// AccessKey and SecretKey are made for this server alone.
	AccessKey, SecretKey string
	// Log is the file with the server's own output.
	Log string

	folder string
}

// StartS3 starts versitygw, a real S3 server, with a temporary folder as its
// storage, and stops it with the test. The program is built once into the
// user's cache folder, which takes some minutes. Only where it cannot be had
// the test skips; where RUSHES_TEST_REQUIRE names versitygw it fails then.
// options are further options of versitygw's posix backend.
func StartS3(t testing.TB, options ...string) *S3Server {
	t.Helper()
	program := versitygw(t)
	folder := t.TempDir()
	s := &S3Server{
		Region: "us-east-1", AccessKey: rand.Text(), SecretKey: rand.Text(),
		Log: filepath.Join(folder, "log"), folder: filepath.Join(folder, "buckets"),
	}
	require.NoError(t, os.MkdirAll(s.folder, 0o755))
	if err := unix.Setxattr(s.folder, "user.rushes", []byte("x"), 0); err != nil {
		t.Skipf("the file system of %s has no extended attributes, versitygw needs them: %v", folder, err)
	}
	log, err := os.Create(s.Log)
	require.NoError(t, err)
	address := freeAddress(t)
	s.Endpoint = "http://" + address

	args := []string{"--port", address, "--region", s.Region, "--keep-alive", "--health", "/health", "posix"}
	cmd := exec.Command(program, append(append(args, options...), s.folder)...) //nolint:gosec // our own build
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY_ID="+s.AccessKey, "ROOT_SECRET_ACCESS_KEY="+s.SecretKey)
	cmd.Dir, cmd.Stdout, cmd.Stderr = folder, log, log
	// A test that is killed takes the server along.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	ended := make(chan error, 1)
	started := make(chan error, 1)
	go func() {
		// Pdeathsig follows the thread that starts the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	require.NoError(t, <-started)
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended already
		<-ended
		_ = log.Close()
	})
	s.await(t)
	return s
}

// await waits until the server answers.
func (s *S3Server) await(t testing.TB) {
	t.Helper()
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	require.Eventually(t, func() bool {
		response, err := client.Get(s.Endpoint + "/health")
		if err != nil {
			return false
		}
		return response.Body.Close() == nil && response.StatusCode == http.StatusOK
	}, startTimeout, 20*time.Millisecond, "the S3 server does not start, see %s", s.Log)
}

// Bucket makes a new, empty bucket and returns its name.
func (s *S3Server) Bucket(t testing.TB) string {
	t.Helper()
	name := "bucket-" + strings.ToLower(rand.Text())
	require.NoError(t, os.Mkdir(filepath.Join(s.folder, name), 0o755))
	return name
}

// versitygw returns the path of the server's program.
func versitygw(t testing.TB) string {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), "bash", "-s")
	cmd.Stdin = strings.NewReader(versitygwScript)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		required := strings.FieldsFunc(os.Getenv("RUSHES_TEST_REQUIRE"), func(r rune) bool { return r == ',' || r == ' ' })
		for _, name := range required {
			require.NotEqual(t, "versitygw", name, "RUSHES_TEST_REQUIRE names versitygw: %v\n%s", err, &stderr)
		}
		t.Skipf("versitygw cannot be built: %v\n%s", err, &stderr)
	}
	return strings.TrimSpace(stdout.String())
}

// freeAddress returns a loopback address that nobody listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	return address
}
