package gossip

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/prometheus/client_golang/prometheus"

	"tmms/media"
)

// Preset is a set of intervals and timeouts for a kind of network.
type Preset string

// The presets.
const (
	PresetLAN   Preset = "lan"   // one site; a dead node is known in 4 to 24 s
	PresetWAN   Preset = "wan"   // several sites; in about a minute
	PresetLocal Preset = "local" // one machine, such as a test; in about a second
)

// Config of a [Gossip].
type Config struct {
	// Listen is HOST:PORT for UDP and TCP; HOST is an IP address, localhost or
	// nothing, port 0 takes a free one.
	Listen string
	// Advertise is HOST:PORT that others reach Listen at; a name is looked up
	// when Run starts. Empty is what was bound, and, if that is every address,
	// a private one of this machine.
	Advertise string
	// Keys are AES keys of 16, 24 or 32 bytes, at least one and at most
	// media.MaxGossipKeys. The first encrypts, all decrypt.
	Keys [][]byte
	// Join has HOST:PORT of members to start from; any member will do, and this
	// node itself may be among them. Empty waits to be joined.
	Join []string
	// Preset is PresetLAN if empty.
	Preset Preset
}

// Deps are what a [Gossip] works with.
type Deps struct {
	Log *slog.Logger // required
	// Registerer takes the metrics; nil means none are kept.
	Registerer prometheus.Registerer
}

// pace is what a preset says beside memberlist's own settings.
type pace struct {
	rejoin      time.Duration // between looks for lost members
	maxBackoff  time.Duration // of joins that fail
	load        time.Duration // between two updates of the load, at least
	leave       time.Duration // bound on each of the two steps of a farewell
	dialTimeout time.Duration
}

// Default and bounds of what is remembered of members that are gone.
const (
	reclaimLAN = 10 * time.Second
	reclaimWAN = 30 * time.Second
	// forgetAfter is how long a member that is gone is still listed.
	forgetAfter = 24 * time.Hour
	// reconnectFor is how long a dead member is looked for at its last address.
	reconnectFor = time.Hour
)

// validate finds every fault of the config.
func (c *Config) validate(deps Deps) error {
	var faults []error
	add := func(format string, args ...any) { faults = append(faults, fmt.Errorf("gossip: "+format, args...)) }
	if deps.Log == nil {
		add("no logger")
	}
	if n := len(c.Keys); n == 0 || n > media.MaxGossipKeys {
		add("%d keys, want 1 to %d", n, media.MaxGossipKeys)
	}
	for i, k := range c.Keys {
		if memberlist.ValidateKey(k) != nil {
			add("key %d has %d bytes, want 16, 24 or 32", i+1, len(k))
		}
	}
	for _, a := range c.Join {
		if err := checkHostPort(a); err != nil {
			add("join %q: %w", a, err)
		}
	}
	if c.Advertise != "" {
		if err := checkHostPort(c.Advertise); err != nil {
			add("advertise %q: %w", c.Advertise, err)
		}
	}
	switch c.Preset {
	case "", PresetLAN, PresetWAN, PresetLocal:
	default:
		add("preset %q, want %s, %s or %s", c.Preset, PresetLAN, PresetWAN, PresetLocal)
	}
	return errors.Join(faults...)
}

var errHostPort = errors.New("want HOST:PORT")

func checkHostPort(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return errHostPort
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return errHostPort
	}
	return nil
}

// settings gives memberlist's view of a preset.
func (p Preset) settings() (*memberlist.Config, pace) {
	switch p {
	case PresetWAN:
		c := memberlist.DefaultWANConfig()
		c.DeadNodeReclaimTime = reclaimWAN
		return c, pace{
			rejoin: 30 * time.Second, maxBackoff: time.Minute, load: 15 * time.Second,
			leave: 3 * time.Second, dialTimeout: 10 * time.Second,
		}
	case PresetLocal:
		c := memberlist.DefaultLocalConfig()
		c.ProbeInterval, c.ProbeTimeout = 100*time.Millisecond, 50*time.Millisecond
		c.GossipInterval, c.PushPullInterval = 20*time.Millisecond, time.Second
		c.SuspicionMult, c.SuspicionMaxTimeoutMult = 3, 2
		c.DeadNodeReclaimTime = 200 * time.Millisecond
		return c, pace{
			rejoin: 300 * time.Millisecond, maxBackoff: time.Second, load: 50 * time.Millisecond,
			leave: time.Second, dialTimeout: time.Second,
		}
	default:
		c := memberlist.DefaultLANConfig()
		c.DeadNodeReclaimTime = reclaimLAN
		return c, pace{
			rejoin: 10 * time.Second, maxBackoff: 30 * time.Second, load: 5 * time.Second,
			leave: 2 * time.Second, dialTimeout: 5 * time.Second,
		}
	}
}
