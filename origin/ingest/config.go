package ingest

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/rtmp"
	"tmms/origin/session"
)

// Config bounds the publisher connections of a node.
type Config struct {
	// MaxConns bounds the connections, those that have not yet published included.
	MaxConns int
	// KeyChecks is how many publish keys are checked at a time; a check costs
	// some milliseconds of one core.
	KeyChecks int
	// WriteTimeout bounds one write of replies; a peer that does not read them is closed.
	WriteTimeout time.Duration
	// LendAbove is up to how many publishers each have their socket read by a
	// goroutine of their own; of more, Deps.Sockets reads all, which is dear for a
	// few and cheap for many.
	LendAbove int
	// PublishTimeout bounds the time from the request to publish until it is
	// accepted: the check of the key and the claim.
	PublishTimeout time.Duration
}

// defaultLendAbove is where both ways cost the same, with 70 messages a second
// of each publisher.
const defaultLendAbove = 32

// DefaultConfig gives the defaults.
func DefaultConfig() Config {
	return Config{
		MaxConns: media.MaxPublisherConns, KeyChecks: 1, LendAbove: defaultLendAbove,
		WriteTimeout: media.StallTimeout, PublishTimeout: media.IdentifyTimeout,
	}
}

// Validate gives every fault of c.
func (c Config) Validate() error {
	var errs []error
	bad := func(name string, value any, rule string) {
		errs = append(errs, fmt.Errorf("ingest: %s is %v, it must be %s", name, value, rule))
	}
	if c.MaxConns < 1 || c.MaxConns > media.MaxPublisherConns {
		bad("MaxConns", c.MaxConns, fmt.Sprintf("1 to %d", media.MaxPublisherConns))
	}
	if c.LendAbove < 0 {
		bad("LendAbove", c.LendAbove, "0 or more")
	}
	if c.KeyChecks < 1 {
		bad("KeyChecks", c.KeyChecks, "positive")
	}
	if c.WriteTimeout <= 0 {
		bad("WriteTimeout", c.WriteTimeout, "positive")
	}
	if c.PublishTimeout <= 0 {
		bad("PublishTimeout", c.PublishTimeout, "positive")
	}
	return errors.Join(errs...)
}

// Apps gives the config of domains and apps in force.
type Apps interface {
	Config() *state.Config
}

// Deps are what a server works with; all fields but Forward, Placements, Sockets,
// PlayAt, WatchAt, PublishAt, Yield and Nearer are needed.
type Deps struct {
	Sessions *session.Registry
	Apps     Apps
	Forward  Forwarder    // nil: a stream that another node owns is refused
	Budget   *rtmp.Budget // shared with the other RTMP connections of the process
	// Placements tells when a stream's owner changes; nil: a publisher that is
	// held learns it with its next try.
	Placements session.Placements
	Node       string // this node's id, with Placements
	// Sockets reads for publishers of streams that this node owns; nil: each
	// publisher's goroutine does it.
	Sockets Sockets
	// PlayAt names an address, HOST:PORT, of a node that plays; nil or "": none is known.
	PlayAt func() string
	// WatchAt is PlayAt for HTTP.
	WatchAt func() string
	// PublishAt names an address, HOST:PORT, of another node that takes publishers,
	// for those that Drain asks to reconnect; nil or "": where they are connected to.
	PublishAt func() string
	// Yield names an origin that is to have a stream in place of this node, which is
	// drained or has no room, but none of those that have failed; false: this node
	// claims it. nil: it always does. It is asked for each publisher, and must not block.
	Yield func(key media.StreamKey, failed []string) (Elsewhere, bool)
	// Nearer names the address, HOST:PORT, of an origin where a publisher that comes from
	// an address is better off than here, for those that can reconnect; nil or "": it
	// stays. It is asked for each publisher, and must not block.
	Nearer func(from netip.Addr) string
	Log    *slog.Logger
	Now    func() time.Time
}

// Handover is a connection that asked to publish, as an edge's loop gives it
// away. The receiver owns all of it.
type Handover struct {
	Conn    net.Conn
	RTMP    *rtmp.ServerConn
	Request *rtmp.Request // the request that RTMP waits for a decision on
	Unread  []byte        // read from Conn, not yet fed to RTMP
}
