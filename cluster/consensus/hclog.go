package consensus

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// raftLog is an hclog.Logger that writes to slog a level lower: raft warns of
// every election, the first one of a lone node too, and goes on after its errors.
type raftLog struct {
	hclog.Logger // the null logger, for the methods that raft does not use
	log          *slog.Logger
}

func newRaftLog(log *slog.Logger) hclog.Logger {
	return &raftLog{Logger: hclog.NewNullLogger(), log: log}
}

// Log implements hclog.Logger.
func (l *raftLog) Log(level hclog.Level, msg string, args ...any) {
	to := slog.LevelDebug
	switch {
	case level >= hclog.Error:
		to = slog.LevelWarn
	case level == hclog.Warn:
		to = slog.LevelInfo
	}
	ctx := context.Background()
	if !l.log.Enabled(ctx, to) {
		return
	}
	attrs := make([]slog.Attr, 0, 1+len(args)/2)
	attrs = append(attrs, slog.String("event", msg))
	for i := 0; i+1 < len(args); i += 2 {
		attrs = append(attrs, slog.Any(fmt.Sprint(args[i]), plain(args[i+1])))
	}
	l.log.LogAttrs(ctx, to, "raft", attrs...)
}

// plain renders hclog's lazy values.
func plain(v any) any {
	if f, ok := v.(hclog.Format); ok && len(f) > 0 {
		return fmt.Sprintf(fmt.Sprint(f[0]), f[1:]...)
	}
	return v
}

func (l *raftLog) Trace(string, ...any)          {}
func (l *raftLog) Debug(msg string, args ...any) { l.Log(hclog.Debug, msg, args...) }
func (l *raftLog) Info(msg string, args ...any)  { l.Log(hclog.Info, msg, args...) }
func (l *raftLog) Warn(msg string, args ...any)  { l.Log(hclog.Warn, msg, args...) }
func (l *raftLog) Error(msg string, args ...any) { l.Log(hclog.Error, msg, args...) }
func (l *raftLog) IsDebug() bool                 { return true }
func (l *raftLog) IsInfo() bool                  { return true }
func (l *raftLog) IsWarn() bool                  { return true }
func (l *raftLog) IsError() bool                 { return true }
func (l *raftLog) Named(string) hclog.Logger     { return l }
func (l *raftLog) ResetNamed(string) hclog.Logger {
	return l
}

// With implements hclog.Logger.
func (l *raftLog) With(args ...any) hclog.Logger {
	return &raftLog{Logger: l.Logger, log: l.log.With(args...)}
}
