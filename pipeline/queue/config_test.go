package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"

	"rushes/pipeline"
)

func TestURLShowsNoPassword(t *testing.T) {
	t.Parallel()
	for text, want := range map[URL]string{
		"redis://joe:s3cret@host:1/2":             "redis://host:1/2",
		"redis://:s3cret@host":                    "redis://host",
		"redis-socket://:s3cret@/run/r.sock?db=s": "redis-socket:///run/r.sock",
		"redis://:s3cret%zz@host":                 "**redacted**",
		"redis://:s3#cret@host":                   "**redacted**",
		"s3cret":                                  "s3cret", // no URL at all: a path
		"":                                        "**redacted**",
	} {
		if text == "s3cret" {
			continue
		}
		for _, verb := range []string{"%v", "%s", "%q", "%#v", "%x", "%+v"} {
			require.NotContains(t, fmt.Sprintf(verb, text), "s3cret", "%s", verb)
			require.NotContains(t, fmt.Sprintf(verb, Config{RedisURL: text}), "s3cret", "%s", verb)
		}
		require.Equal(t, want, text.String())
		var b bytes.Buffer
		slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "url", text, "config", Config{RedisURL: text})
		data, err := json.Marshal(map[string]URL{"u": text})
		require.NoError(t, err)
		require.NotContains(t, b.String()+string(data), "s3cret")
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for text, want := range map[URL]asynq.RedisClientOpt{
		"redis://host":                   {Addr: "host:6379"},
		"redis://[::1]/3":                {Addr: "[::1]:6379", DB: 3},
		"redis://joe:pw@host:7":          {Addr: "host:7", Username: "joe", Password: "pw"},
		"redis-socket://:pw@/run/r?db=2": {Network: "unix", Addr: "/run/r", Password: "pw", DB: 2},
	} {
		opt, err := text.options()
		require.NoError(t, err)
		require.Equal(t, want, opt)
	}
	opt, err := URL("rediss://:pw@host:7").options()
	require.NoError(t, err)
	secure, ok := opt.(asynq.RedisClientOpt)
	require.True(t, ok)
	require.Equal(t, "host", secure.TLSConfig.ServerName)
	q, err := New(Config{RedisURL: "redis-sentinel://:pw@a:1,b:2?master=m"})
	require.NoError(t, err)
	require.NoError(t, q.Close())
	require.NoError(t, q.Close(), "twice")

	for _, text := range []URL{
		"", "s3cret", "host:6379", "http://:s3cret@host", "redis://", "redis://:s3cret@", "redis://:s3cret@host/zero", "redis://:s3cret@host:port",
		"redis://:s3#cret@host", "redis://:s3cret%zz@host", "redis-sentinel://:s3cret@a:1", "redis-socket://:s3cret@", "redis-socket:///r?db=s3cret",
	} {
		_, err := New(Config{RedisURL: text})
		require.Error(t, err, "%s", string(text))
		require.NotContains(t, err.Error(), "s3", "%s", string(text))
	}
}

func TestErrorsWithoutRedis(t *testing.T) {
	t.Parallel()
	q, _ := newQueue(t, "redis://:"+password+"@127.0.0.1:1")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, lost := q.Lost(ctx, tickets("default", 1))
	_, depth := q.Depth(ctx)
	for _, err := range []error{q.Ping(ctx), q.Enqueue(ctx, tickets("default", 1)), lost, depth} {
		require.ErrorContains(t, err, "127.0.0.1:1")
		require.NotContains(t, err.Error(), password)
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	p := defaultPace()
	for range 100 {
		d := p.delay(0, errLater, nil)
		require.GreaterOrEqual(t, d, p.later)
		require.Less(t, d, p.later+p.jitter)
	}
}

// FuzzReadPayload shows that no payload crashes a worker, and that what is read can
// be written again.
func FuzzReadPayload(f *testing.F) {
	for _, seed := range []string{`{"v":1,"job":"6920e1f2a1b2c3d4e5f60718"}`, `{"v":2,"job":"x"}`, `{"v":1,"job":""}`, `[]`, `{`, "", `{"v":1e0,"job":"a b"}`, `{"v":1,"job":"é\u0000"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		job, err := readPayload(taskType, []byte(text))
		if err != nil {
			return
		}
		data, err := writePayload(job)
		require.NoError(t, err)
		again, err := readPayload(taskType, data)
		require.NoError(t, err)
		require.Equal(t, job, again)
	})
}

func TestPayloadIsAsAgreed(t *testing.T) {
	t.Parallel()
	data, err := writePayload("6920e1f2a1b2c3d4e5f60718")
	require.NoError(t, err)
	require.Equal(t, `{"v":1,"job":"6920e1f2a1b2c3d4e5f60718"}`, string(data))
	require.Equal(t, map[pipeline.QueueName]int{"chunks": 6, "default": 3, "backfill": 1}, DefaultWeights())
}
