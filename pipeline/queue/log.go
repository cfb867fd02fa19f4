package queue

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/hibiken/asynq"
)

// redisLog receives what go-redis logs: a line per failed dial while Redis is
// away. The outage itself is logged once, by outage.
type redisLog struct{ log *slog.Logger }

// Printf logs at debug level.
func (l redisLog) Printf(ctx context.Context, format string, args ...any) {
	if l.log.Enabled(ctx, slog.LevelDebug) {
		l.log.DebugContext(ctx, "go-redis: "+fmt.Sprintf(format, args...))
	}
}

// asynqLog receives what Asynq logs, at whatever level, at debug level: its
// errors are either outages, or looks that the contract allows to be lost.
type asynqLog struct{ log *slog.Logger }

// level returns the level that saves Asynq the work for lines that nobody sees. Its
// own debug level says several times a second that there is nothing to do.
func (l asynqLog) level() asynq.LogLevel {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		return asynq.InfoLevel
	}
	return asynq.FatalLevel
}

// Debug logs at debug level.
func (l asynqLog) Debug(args ...any) { l.print("debug", args) }

// Info logs at debug level.
func (l asynqLog) Info(args ...any) { l.print("info", args) }

// Warn logs at debug level.
func (l asynqLog) Warn(args ...any) { l.print("warn", args) }

// Error logs at debug level.
func (l asynqLog) Error(args ...any) { l.print("error", args) }

// Fatal logs at debug level; Asynq's own logger would end the process.
func (l asynqLog) Fatal(args ...any) { l.print("fatal", args) }

func (l asynqLog) print(level string, args []any) {
	l.log.Debug("asynq: "+fmt.Sprint(args...), "asynq_level", level)
}
