package reactor

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"tmms/media"
)

// Config of a reactor. Start from [DefaultConfig].
type Config struct {
	// Engine is how the loops send; empty is EngineAuto.
	Engine Engine
	// Loops is the number of event loops, each with a thread: 1 to 1,024.
	Loops int
	// Tick is the grid of the timing wheel and of busy OnTick hooks: 1 ms to 1 s.
	Tick time.Duration
	// ReadBudget bounds the bytes read from one connection in a turn, so that a
	// fast sender does not starve the others: 4 KiB to 64 MiB.
	ReadBudget int
	// MailboxSize bounds the functions that wait in a loop's mailbox, and
	// MailboxBatch how many of them run in a turn: at least 1.
	MailboxSize, MailboxBatch int
	// MaxPending bounds the connections of all loops that are not yet
	// identified, see [Conn.Identified]; over it the oldest is closed: at least 1.
	MaxPending int
	// MaxPerIP bounds the connections of one IPv4 address or one IPv6 /64; 0 is no bound.
	MaxPerIP int
	// Awake keeps a loop with connections from waiting longer than 10 ms at a time:
	// short waits cost less where bytes come all the time, see the engines.
	Awake bool
	// Linger bounds how long CloseAfterFlush may take: positive.
	Linger time.Duration
	// Log gets warnings for an operator; nil discards them.
	Log *slog.Logger
}

// DefaultConfig gives the values that a node runs with.
func DefaultConfig() Config {
	return Config{
		Engine:       EngineAuto,
		Loops:        max(1, runtime.NumCPU()-1),
		Tick:         5 * time.Millisecond,
		ReadBudget:   256 << 10,
		MailboxSize:  4096,
		MailboxBatch: 256,
		MaxPending:   media.MaxPendingConns,
		Linger:       media.LingerTimeout,
	}
}

// Validate joins a fault for each value that is out of its range.
func (c Config) Validate() error {
	var faults []error
	check := func(ok bool, name string, value any, rule string) {
		if !ok {
			faults = append(faults, fmt.Errorf("reactor: %s is %v, must be %s", name, value, rule))
		}
	}
	check(c.Engine == "" || c.Engine.valid(), "engine", c.Engine, "auto, epoll or io_uring")
	check(c.Loops >= 1 && c.Loops <= 1024, "loops", c.Loops, "1 to 1024")
	check(c.Tick >= time.Millisecond && c.Tick <= time.Second, "tick", c.Tick, "1ms to 1s")
	check(c.ReadBudget >= 4<<10 && c.ReadBudget <= 64<<20, "read_budget", c.ReadBudget, "4096 to 67108864 bytes")
	check(c.MailboxSize >= 1, "mailbox_size", c.MailboxSize, "at least 1")
	check(c.MailboxBatch >= 1, "mailbox_batch", c.MailboxBatch, "at least 1")
	check(c.MaxPending >= 1, "max_pending", c.MaxPending, "at least 1")
	check(c.MaxPerIP >= 0, "max_per_ip", c.MaxPerIP, "0 or more")
	check(c.Linger > 0, "linger", c.Linger, "positive")
	return errors.Join(faults...)
}
