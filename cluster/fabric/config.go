package fabric

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/quic-go/quic-go"

	"tmms/cluster/pki"
	"tmms/media"
)

// Config of a [Fabric].
type Config struct {
	// Listen is the UDP address to bind, such as ":7400"; port 0 takes a free one.
	Listen string
	// Recovery is what is done about loss on the way. The zero value measures and
	// decides; the others are for benches to compare.
	Recovery Recovery
}

// Recovery is what is done about loss on the way, beside what QUIC does.
type Recovery int

// The ways to recover.
const (
	RecoveryAdaptive Recovery = iota // what the path to a peer needs, see package path
	RecoveryNone                     // one connection, as QUIC is
	RecoveryLanes                    // several connections
	RecoveryFEC                      // one connection, its packets coded
	RecoveryBoth                     // several connections, their packets coded
)

// String gives the name.
func (r Recovery) String() string {
	names := [...]string{"adaptive", "none", "lanes", "fec", "both"}
	if r < 0 || int(r) >= len(names) {
		return strconv.Itoa(int(r))
	}
	return names[r]
}

// RecoveryNamed gives the way of that name.
func RecoveryNamed(name string) (Recovery, error) {
	for r := RecoveryAdaptive; r <= RecoveryBoth; r++ {
		if r.String() == name {
			return r, nil
		}
	}
	return 0, fmt.Errorf("fabric: recovery %q is none of adaptive, none, lanes, fec, both", name)
}

// Validate reports every fault.
func (c Config) Validate() error {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("fabric: listen %q: want [HOST]:PORT", c.Listen)
	}
	if c.Recovery < RecoveryAdaptive || c.Recovery > RecoveryBoth {
		return fmt.Errorf("fabric: recovery %d, want %d to %d", c.Recovery, RecoveryAdaptive, RecoveryBoth)
	}
	return nil
}

// Deps are what a [Fabric] works with.
type Deps struct {
	Log *slog.Logger // required
	// Registerer takes the metrics; nil means none are kept.
	Registerer prometheus.Registerer
}

func (d Deps) validate() error {
	if d.Log == nil {
		return errors.New("fabric: no logger")
	}
	return nil
}

// timing has the deadlines, which tests make shorter.
type timing struct {
	handshake              time.Duration
	keepAlive, idle        time.Duration
	silence                time.Duration
	quietAlive             time.Duration // keepAlive of a quiet session
	quietSilence           time.Duration // silence of one
	backoffMin, backoffMax time.Duration
}

func defaultTiming() timing {
	return timing{
		handshake: media.FabricHandshakeTimeout,
		keepAlive: media.FabricKeepAlive, idle: media.FabricIdleTimeout, silence: media.FabricSilence,
		quietAlive: media.FabricQuietKeepAlive, quietSilence: media.FabricQuietSilence,
		backoffMin: media.FabricBackoffFirst, backoffMax: media.FabricBackoffCap,
	}
}

// dialConfig is for sessions that this node dials: requests go out, and what is
// asked for comes in. It keeps them alive; the plain ones between origins tell their
// ends who is dead.
func (f *Fabric) dialConfig(alpn ALPN) *quic.Config {
	c := f.timing.quicConfig()
	c.MaxIncomingStreams = -1 // none
	c.KeepAlivePeriod = f.timing.keepAlive
	switch {
	case quietSession(alpn, f.id.Peer()):
		c.KeepAlivePeriod = f.timing.quietAlive
	case alpn != ALPNRelay && slices.Contains(f.id.Roles(), pki.RoleOrigin):
		c.KeepAlivePeriod = min(f.timing.keepAlive, media.FabricKeepAliveClose)
	}
	return c
}

// quietSession tells of a session, by its protocol and by who dials, that nobody
// learns anything from its silence in a hurry: an edge's, which follows the state.
func quietSession(alpn ALPN, dialer pki.Peer) bool {
	return alpn == ALPNControl && !dialer.Has(pki.RoleOrigin)
}

// acceptConfig is for those that peers dial: they say that they live, and have an
// answer. What this end would say beside it costs as much again.
func (t timing) acceptConfig() *quic.Config {
	c := t.quicConfig()
	c.MaxIncomingUniStreams = media.MaxFabricDialerUniStreams
	return c
}

// quicConfig is for sessions of both directions. There is no 0-RTT: its data
// can be replayed.
func (t timing) quicConfig() *quic.Config {
	return &quic.Config{
		Versions:                       []quic.Version{quic.Version1},
		HandshakeIdleTimeout:           t.handshake / 2, // quic-go ends a handshake after twice this
		MaxIdleTimeout:                 t.idle,
		InitialStreamReceiveWindow:     media.FabricStreamWindow,
		MaxStreamReceiveWindow:         media.MaxFabricStreamWindow,
		InitialConnectionReceiveWindow: media.FabricSessionWindow,
		MaxConnectionReceiveWindow:     media.MaxFabricSessionWindow,
		MaxIncomingStreams:             media.MaxFabricStreams,
		MaxIncomingUniStreams:          media.MaxFabricUniStreams,
	}
}
