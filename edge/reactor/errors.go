package reactor

import (
	"errors"
	"fmt"
	"net"
)

// Errors that callers branch on. Those that end a connection are also the
// reasons given to OnClose.
var (
	// ErrUnsupportedOS is returned by New on other systems than Linux.
	ErrUnsupportedOS = errors.New("reactor: only Linux is supported")
	// ErrClosed is returned by methods of a connection, or of a reactor, that has ended.
	ErrClosed = fmt.Errorf("reactor: %w", net.ErrClosed)
	// ErrStarted is returned by what must happen before Run, and by a second Run.
	ErrStarted = errors.New("reactor: already running")
	// ErrUnsent is returned by Detach while bytes of Write wait to be sent.
	ErrUnsent = errors.New("reactor: unsent bytes")
	// ErrBacklog closes a peer that asks without reading the answers.
	ErrBacklog = errors.New("reactor: peer does not read its replies")
	// ErrEvicted closes the oldest connection that has not said what it wants
	// when there are too many of them.
	ErrEvicted = errors.New("reactor: too many unidentified connections")
)
