package storetest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrNoPostgres says that the programs of PostgreSQL are not on this machine.
var ErrNoPostgres = errors.New("the programs of PostgreSQL (initdb, postgres) are not here")

const (
	serverStart = 30 * time.Second
	serverStop  = 20 * time.Second
	startPause  = 20 * time.Millisecond
)

// Postgres is a PostgreSQL server of a test's own: in a folder of its own,
// reachable over a socket in it and nothing else, and without waiting for the
// disk. It dies with the process that started it.
type Postgres struct {
	folder string
	server *exec.Cmd
}

// StartPostgres starts a server from the system's programs; an error that wraps
// ErrNoPostgres says that there are none. As root, which PostgreSQL refuses to
// be run by, it runs as the user postgres or nobody. The caller stops it.
func StartPostgres(ctx context.Context) (_ *Postgres, err error) {
	programs, err := postgresPrograms(ctx)
	if err != nil {
		return nil, err
	}
	as, err := postgresUser()
	if err != nil {
		return nil, err
	}
	// Short, because the path of a socket is.
	p := &Postgres{}
	if p.folder, err = os.MkdirTemp("", "rushes-pg"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Stop())
		}
	}()
	if as != nil {
		if err := os.Chown(p.folder, int(as.Uid), int(as.Gid)); err != nil {
			return nil, err
		}
	}
	data := filepath.Join(p.folder, "data")
	initdb := p.command(filepath.Join(programs, "initdb"), as,
		"-D", data, "-U", "rushes", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	log, err := os.Create(filepath.Join(p.folder, "log"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	server := p.command(filepath.Join(programs, "postgres"), as,
		"-D", data, "-k", p.folder, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "full_page_writes=off",
		"-c", "max_connections=300", "-c", "shared_buffers=128MB", "-c", "max_wal_size=4GB", "-c", "deadlock_timeout=100ms")
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	p.server = server
	return p, p.await(ctx, programs)
}

// await waits until the server answers.
func (p *Postgres) await(ctx context.Context, programs string) error {
	ctx, cancel := context.WithTimeout(ctx, serverStart)
	defer cancel()
	tick := time.NewTicker(startPause)
	defer tick.Stop()
	for {
		ready := exec.CommandContext(ctx, filepath.Join(programs, "pg_isready"), "-q", "-h", p.folder) //nolint:gosec // found above
		if ready.Run() == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(p.folder, "log")) // what there is of it goes into the error
			return fmt.Errorf("wait for postgres: %w: %s", ctx.Err(), log)
		case <-tick.C:
		}
	}
}

// URL returns the address of the server's one database. Tests use schemas of
// their own in it: tables are made in the schema of that name, which must exist;
// "" is the public one.
func (p *Postgres) URL(schema string) string {
	q := url.Values{"host": {p.folder}, "user": {"rushes"}}
	if schema != "" {
		q.Set("search_path", schema)
	}
	return (&url.URL{Scheme: "postgres", Path: "/postgres", RawQuery: q.Encode()}).String()
}

// Pause stops the server's processes from running until Resume, as a machine
// that hangs would.
func (p *Postgres) Pause() error { return syscall.Kill(-p.server.Process.Pid, syscall.SIGSTOP) }

// Resume ends a Pause.
func (p *Postgres) Resume() error { return syscall.Kill(-p.server.Process.Pid, syscall.SIGCONT) }

// Stop ends the server, without a checkpoint, and removes its folder.
func (p *Postgres) Stop() error {
	if p.server != nil {
		if err := p.server.Process.Signal(syscall.SIGQUIT); err != nil {
			return fmt.Errorf("stop postgres: %w", err)
		}
		kill := time.AfterFunc(serverStop, func() { _ = p.server.Process.Kill() }) // its Wait tells
		_ = p.server.Wait()                                                        // it was told to quit at once, which is no success
		kill.Stop()
		p.server = nil
	}
	return os.RemoveAll(p.folder)
}

func (p *Postgres) command(program string, as *syscall.Credential, args ...string) *exec.Cmd {
	c := exec.Command(program, args...) //nolint:gosec // a program of the system
	c.Dir = p.folder
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "HOME=" + p.folder}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGQUIT, Credential: as}
	return c
}

// postgresPrograms returns the folder of initdb and postgres.
func postgresPrograms(ctx context.Context) (string, error) {
	var folders []string
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		folders = append(folders, strings.TrimSpace(string(out)))
	}
	versions, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	folders = append(folders, versions...)
	if program, err := exec.LookPath("initdb"); err == nil {
		folders = append(folders, filepath.Dir(program))
	}
	for _, folder := range folders {
		found := true
		for _, program := range []string{"initdb", "postgres", "pg_isready"} {
			if _, err := exec.LookPath(filepath.Join(folder, program)); err != nil {
				found = false
			}
		}
		if found {
			return folder, nil
		}
	}
	return "", ErrNoPostgres
}

// postgresUser returns whom the server is to run as, or nil for ourselves.
func postgresUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // nobody else
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("run PostgreSQL as whom? There is no user postgres and no user nobody")
}
