package fabric

import (
	"errors"
	"fmt"
	"time"
)

// ErrClosed says that the fabric has stopped.
var ErrClosed = errors.New("fabric: closed")

// Codes by which the fabric closes a session. The protocols use 0x100 and above.
const (
	CodeDone     uint64 = 0 // the handler has returned
	CodeShutdown uint64 = 1 // the node stops
	CodeRefused  uint64 = 2 // not admitted; the reason is in the text
	CodeSilent   uint64 = 3 // nothing came from the peer any more
)

// Failure is why a dial failed.
type Failure string

// The failures of a dial.
const (
	Unresolved  Failure = "unresolved"  // the address is none, or its name has none
	Unreachable Failure = "unreachable" // no answer in time
	Untrusted   Failure = "untrusted"   // the peer's certificate is not good here: a pki.PeerError or a [NameError]
	Refused     Failure = "refused"     // the peer does not take this node, or the protocol
	Stopped     Failure = "stopped"     // this node stops
)

// DialError says that a node could not be reached, or that one of both refused.
type DialError struct {
	To      Target
	ALPN    ALPN
	Failure Failure
	Detail  string // in words; may be empty
	Err     error
}

func (e *DialError) Error() string {
	if e.Detail == "" {
		return fmt.Sprintf("fabric: dial %s for %s: %s: %v", e.To, e.ALPN, e.Failure, e.Err)
	}
	return fmt.Sprintf("fabric: dial %s for %s: %s: %s: %v", e.To, e.ALPN, e.Failure, e.Detail, e.Err)
}

func (e *DialError) Unwrap() error { return e.Err }

// BackoffError says that the last dial failed and that it is too early for
// another.
type BackoffError struct {
	To   Target
	ALPN ALPN
	Wait time.Duration // until the next dial is allowed
	Err  error         // how the last one ended: a [DialError]
}

func (e *BackoffError) Error() string {
	return fmt.Sprintf("fabric: dial %s for %s: wait %s: %v", e.To, e.ALPN, e.Wait.Round(time.Millisecond), e.Err)
}

func (e *BackoffError) Unwrap() error { return e.Err }

// NameError says that another node answers at the address that was dialed.
type NameError struct{ Want, Got string }

func (e *NameError) Error() string {
	return fmt.Sprintf("fabric: node %q answers, want %q", e.Got, e.Want)
}
