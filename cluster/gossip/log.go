package gossip

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// What is logged of what memberlist says. Strangers can make it say something
// for every packet.
const (
	maxEvent    = 256 // bytes of one event
	burst       = 10  // events in a row
	oneEvery    = time.Second
	suspected   = "Suspect "
	noAcks      = " has failed, no acks received"
	conflicting = "Conflicting address for "
	stamp       = "2006/01/02 15:04:05 " // of log.LstdFlags, which memberlist sets
)

// bridge takes memberlist's log lines to slog, a level lower: it goes on after
// its errors. It bounds their rate, and hears from them whom this node suspects,
// which memberlist tells nobody else.
type bridge struct {
	log       *slog.Logger
	suspect   func(name string)
	mu        sync.Mutex
	left      int       // guarded by mu: events that may be logged
	last      time.Time // guarded by mu: of the last refill
	swallowed int       // guarded by mu: since the last event that was logged
}

func newBridge(log *slog.Logger, suspect func(name string)) *bridge {
	return &bridge{log: log, suspect: suspect, left: burst}
}

// Write implements io.Writer: one line, with the date and time that the log
// package puts in front.
func (b *bridge) Write(line []byte) (int, error) {
	level, event := parseLine(string(line[min(len(line), len(stamp)):]))
	if name, ok := strings.CutPrefix(event, suspected); ok {
		if name, ok = strings.CutSuffix(name, noAcks); ok {
			b.suspect(name)
		}
	}
	if strings.HasPrefix(event, conflicting) {
		level = slog.LevelDebug // logged once by NotifyConflict
	}
	b.emit(level, event)
	return len(line), nil
}

// parseLine gives the level and the text of "[WARN] memberlist: text".
func parseLine(line string) (slog.Level, string) {
	line = strings.TrimSpace(line)
	level := slog.LevelWarn // "Err: ..." has no mark
	if mark, rest, ok := strings.Cut(line, "] "); ok && strings.HasPrefix(mark, "[") {
		line = rest
		switch mark {
		case "[DEBUG", "[INFO":
			level = slog.LevelDebug
		case "[WARN":
			level = slog.LevelInfo
		}
	}
	event := strings.TrimPrefix(line, "memberlist: ")
	return level, event[:min(len(event), maxEvent)]
}

func (b *bridge) emit(level slog.Level, event string) {
	ctx := context.Background()
	if !b.log.Enabled(ctx, level) {
		return
	}
	swallowed, ok := b.take(time.Now())
	if !ok {
		return
	}
	attrs := []slog.Attr{slog.String("event", event)}
	if swallowed > 0 {
		attrs = append(attrs, slog.Int("swallowed", swallowed))
	}
	b.log.LogAttrs(ctx, level, "gossip", attrs...)
}

// take reports whether an event may be logged, and how many could not before it.
func (b *bridge) take(now time.Time) (swallowed int, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := int(now.Sub(b.last) / oneEvery); n > 0 {
		b.left, b.last = min(b.left+n, burst), now
	}
	if b.left == 0 {
		b.swallowed++
		return 0, false
	}
	b.left--
	swallowed, b.swallowed = b.swallowed, 0
	return swallowed, true
}
