// Package logging makes the process's logger: slog as text or JSON, with a level
// that can be changed at run time, to a stream or to a file that is rotated.
package logging

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"gopkg.in/natefinch/lumberjack.v2"
)

// Config says what is logged and to where.
type Config struct {
	Level  slog.Level
	Format string // "json", else text
	File   string // "": to the stream given to New

	// Bounds on the file and its rotated versions.
	MaxSizeMB  int // MiB; at least 1
	MaxBackups int // 0: no limit
	MaxAgeDays int // 0: no limit
}

// Logger is a slog.Logger with what its owner needs. Level may be set from any
// goroutine. Close it last.
type Logger struct {
	*slog.Logger

	Level  *slog.LevelVar
	closer io.Closer
}

// New opens the log; stream is used where no file is named. A file that cannot
// be written is an error here, not at the first line.
func New(cfg Config, stream io.Writer) (*Logger, error) {
	l := &Logger{Level: new(slog.LevelVar)}
	l.Level.Set(cfg.Level)
	if cfg.File != "" {
		if err := probe(cfg.File); err != nil {
			return nil, fmt.Errorf("log file: %w", err)
		}
		file := &lumberjack.Logger{
			Filename: cfg.File, MaxSize: cfg.MaxSizeMB, MaxBackups: cfg.MaxBackups, MaxAge: cfg.MaxAgeDays, LocalTime: true,
		}
		stream, l.closer = file, file
	}
	opt := &slog.HandlerOptions{Level: l.Level}
	if cfg.Format == "json" {
		l.Logger = slog.New(slog.NewJSONHandler(stream, opt))
	} else {
		l.Logger = slog.New(slog.NewTextHandler(stream, opt))
	}
	return l, nil
}

// probe opens the file as the log will.
func probe(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// Close ends the log file.
func (l *Logger) Close() error {
	if l.closer == nil {
		return nil
	}
	return l.closer.Close()
}
