// Package nodeconfig loads what one node needs to know about itself: node.yaml,
// the TMMS_ environment and command line settings, laid over the defaults by
// koanf. It also reads domains.yaml, what a cluster needs to know.
//
// A value that is not understood is an error with its path, the value, where it
// came from and the rule; nothing is ignored, clamped or guessed, and all faults
// are reported at once.
package nodeconfig

import (
	"log/slog"
	"slices"
	"time"

	"tmms/cluster/certs"
)

// Role is a part that a node plays.
type Role string

// The roles; a node has one or both.
const (
	RoleOrigin Role = "origin" // takes pushes and owns streams
	RoleEdge   Role = "edge"   // serves viewers
)

// Config is one node's configuration; docs/config.md has the keys.
type Config struct {
	Node      Node
	Listen    Listen
	TLS       TLS
	Advertise Advertise
	Cluster   Cluster
	Edge      Edge
	Origin    Origin
	Log       Log
	Admin     Admin
}

// Node says who the node is.
type Node struct {
	Name    string // unique in the cluster; "" until Load has put in the host's name
	Roles   []Role
	Region  string
	Zone    string
	DataDir string // "": everything in memory, lost at the end
}

// Has reports whether the node plays the role r.
func (n Node) Has(r Role) bool { return slices.Contains(n.Roles, r) }

// Listen has the addresses to bind, as HOST:PORT; "" is off. RTMPS and HTTPS need
// TLS.Certs; Fabric and Gossip are for a node of a cluster only.
type Listen struct {
	RTMP   string
	RTMPS  string
	HTTP   string
	HTTPS  string
	Fabric string // UDP
	Gossip string // UDP and TCP
	Admin  string
}

// TLS is for viewers and publishers; nodes among themselves have Cluster's files.
type TLS struct {
	Certs []certs.Files // the first is for clients that name no server, or another one
}

// Advertise has the addresses that others reach the node at, as HOST:PORT; ""
// stands for what was bound.
type Advertise struct {
	RTMP   string
	RTMPS  string
	HTTP   string
	HTTPS  string
	Fabric string
	Gossip string
}

// Cluster says how the node finds the others, and how they trust each other.
// The zero value is a node that is alone.
type Cluster struct {
	Voters        []Voter       // the raft group; the same on every node
	Join          []string      // HOST:PORT of the gossip of some members
	GossipKeyFile string        // LoadGossipKeys reads it
	GossipPreset  string        // "lan" or "wan"
	CAFile        string        // who signs the nodes' certificates
	CertFile      string        // this node's certificate
	KeyFile       string        // its key
	JoinTokenFile string        // a token that a node without a certificate gets one by; "": none
	CAKeyFile     string        // an origin's, to give certificates to who has a token; "": it gives none
	Lease         time.Duration // how long a silent node counts as alive
	Balance       bool          // a leader relieves origins that have too much to do
}

// Voter is a member of the raft group.
type Voter struct {
	Name    string // of the node
	Address string // HOST:PORT of its fabric
}

// Enabled reports whether the node is one of a cluster.
func (c Cluster) Enabled() bool { return len(c.Voters) > 0 || len(c.Join) > 0 }

// Voter gives the entry of a node, if it votes.
func (c Cluster) Voter(name string) (v Voter, ok bool) {
	i := slices.IndexFunc(c.Voters, func(v Voter) bool { return v.Name == name })
	if i < 0 {
		return Voter{}, false
	}
	return c.Voters[i], true
}

// Edge tunes the serving of viewers.
type Edge struct {
	Loops  int           // reactor loops; 0: one fewer than the cores, at least 1
	Engine string        // "auto", "epoll" or "io_uring"
	Flush  time.Duration // over that of every app; 0: as the apps say
	// Redirect is which viewers are sent on to another edge: "off", those who are being
	// drained excepted, "load", while this one is full, or "region", those of other
	// regions too.
	Redirect string
	Limits   EdgeLimits
}

// EdgeLimits bound the viewers; 0 is no bound.
type EdgeLimits struct {
	Viewers    int // streaming viewers of the node
	ConnsPerIP int // connections of one IPv4 address or one IPv6 /64
}

// Origin tunes the taking of streams.
type Origin struct {
	// Redirect is which publishers are asked to reconnect to another origin: none
	// ("off") or those of other regions ("region").
	Redirect string
	Limits   OriginLimits
}

// Values of Redirect.
const (
	RedirectOff    = "off"
	RedirectLoad   = "load"
	RedirectRegion = "region"
)

// OriginLimits bound the publishers.
type OriginLimits struct {
	Publishers int // connections
	Streams    int // published on this node at once
}

// Log says what is logged and to where.
type Log struct {
	Level  slog.Level
	Format string // "text" or "json"
	File   string // "": standard error
	Rotate Rotate
}

// Rotate bounds a log file and its old versions.
type Rotate struct {
	MaxSizeMB  int // MiB a file; 1..10000
	MaxBackups int // old files kept; 0: all that MaxAgeDays allows
	MaxAgeDays int // days; 0: no limit
}

// Admin configures the API on the admin port.
type Admin struct {
	TokensFile string // "": no tokens, loopback only
}
