package nodeconfig

import (
	"strings"
	"time"

	"tmms/media"
)

// Key documents one configuration key.
type Key struct {
	Path    string // "listen.rtmp"
	Type    string // "text", "number", "duration", "list" or "address"
	Default string // as YAML
	Rule    string // the allowed values
	Doc     string // a sentence
	Later   bool   // its function is not in this version: only the default is accepted

	set func(c *Config, v any) error
}

// Env gives the name of the environment variable that sets the key.
func (k Key) Env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.Path, ".", "__"))
}

// Keys gives every key, in the order of the sample and of docs/config.md.
func Keys() []Key {
	var all []Key
	for _, section := range [][]Key{
		nodeKeys(), listenKeys(), advertiseKeys(), clusterKeys(), edgeKeys(), originKeys(), logKeys(), adminKeys(),
	} {
		all = append(all, section...)
	}
	return all
}

func nodeKeys() []Key {
	return []Key{
		text("node.name", "", "1 to 63 letters, digits, '-', '_' or '.'; empty: the host's name",
			"The node's name, unique in the cluster.",
			func(c *Config) *string { return &c.Node.Name }, optional(checkNodeName)),
		list("node.roles", "[origin, edge]", "origin, edge or both",
			"What the node does: origins take pushes and own streams, edges serve viewers.", setRoles),
		text("node.region", "default", "1 to 63 letters, digits, '-', '_' or '.'",
			"The region that the node stands in.",
			func(c *Config) *string { return &c.Node.Region }, checkNodeName),
		text("node.zone", "default", "1 to 63 letters, digits, '-', '_' or '.'",
			"The failure domain within the region.",
			func(c *Config) *string { return &c.Node.Zone }, checkNodeName),
		text("node.data_dir", "/var/lib/tmms",
			"a folder that the process may write to, made if missing; empty: in memory, lost at the end",
			"Where the replicated state is kept.",
			func(c *Config) *string { return &c.Node.DataDir }, nil),
	}
}

func listenKeys() []Key {
	return []Key{
		address("listen.rtmp", ":1935", "RTMP, for publishers and players.",
			func(c *Config) *string { return &c.Listen.RTMP }),
		later("listen.rtmps", "RTMP over TLS."),
		address("listen.http", ":8080", "HTTP-FLV, WS-FLV, HLS and the watch page.",
			func(c *Config) *string { return &c.Listen.HTTP }),
		later("listen.https", "The same over TLS."),
		later("listen.fabric", "QUIC between the nodes."),
		later("listen.gossip", "Membership between the nodes."),
		address("listen.admin", "127.0.0.1:8090",
			"API, console, metrics and health. Without admin.tokens_file only a loopback address is allowed.",
			func(c *Config) *string { return &c.Listen.Admin }),
		laterList("tls.certs", "Certificates for viewers and publishers."),
	}
}

func advertiseKeys() []Key {
	return []Key{
		text("advertise.rtmp", "", "HOST:PORT with a name or an address; empty: what listen.rtmp has bound",
			"The address under which others reach listen.rtmp.",
			func(c *Config) *string { return &c.Advertise.RTMP }, optional(checkHostPort)),
		text("advertise.http", "", "HOST:PORT with a name or an address; empty: what listen.http has bound",
			"The address under which others reach listen.http.",
			func(c *Config) *string { return &c.Advertise.HTTP }, optional(checkHostPort)),
		later("advertise.fabric", "The address under which other nodes reach listen.fabric."),
		later("advertise.gossip", "The address under which other nodes reach listen.gossip."),
	}
}

func clusterKeys() []Key {
	return []Key{
		list("cluster.voters", "[]", "empty, or the name of this node alone; more voters are not supported in this version",
			"The origins that vote in the raft group.", setVoters),
		laterList("cluster.join", "Nodes to ask for membership."),
		later("cluster.gossip_key_file", "The keyring of the gossip."),
		later("cluster.ca_file", "The authority that signs the nodes' certificates."),
		later("cluster.cert_file", "This node's certificate."),
		later("cluster.key_file", "The key of this node's certificate."),
		later("cluster.lease", "How long a silent node is taken to be alive."),
	}
}

func edgeKeys() []Key {
	return []Key{
		number("edge.loops", 0, 0, maxLoops, "Reactor loops; 0 is one fewer than the cores, at least 1.",
			func(c *Config) *int { return &c.Edge.Loops }),
		later("edge.engine", "How the loops send: empty is epoll."),
		duration("edge.flush", flushTick, maxFlush,
			"How often this node's viewers are sent to, whatever their app says; 0 leaves it to the apps.",
			func(c *Config) *time.Duration { return &c.Edge.Flush }),
		number("edge.limits.viewers", 0, 0, maxCount, "Streaming viewers on this node; 0 is no limit.",
			func(c *Config) *int { return &c.Edge.Limits.Viewers }),
		number("edge.limits.conns_per_ip", 0, 0, maxCount,
			"Connections of one IPv4 address or one IPv6 /64; 0 is no limit.",
			func(c *Config) *int { return &c.Edge.Limits.ConnsPerIP }),
	}
}

func originKeys() []Key {
	return []Key{
		number("origin.limits.publishers", media.MaxPublisherConns, 1, media.MaxPublisherConns,
			"Publisher connections to this node.", func(c *Config) *int { return &c.Origin.Limits.Publishers }),
		number("origin.limits.streams", media.MaxStreamsPerNode, 1, media.MaxStreamsPerNode,
			"Streams published on this node.", func(c *Config) *int { return &c.Origin.Limits.Streams }),
	}
}

func logKeys() []Key {
	return []Key{
		text("log.level", "info", "debug, info, warn or error",
			"What is logged; it can be changed at run time on the admin port.", nil, nil).with(setLevel),
		text("log.format", "text", "text or json", "The form of a line.",
			func(c *Config) *string { return &c.Log.Format }, oneOf("text", "json")),
		text("log.file", "", "a path whose folder may be written to; empty: standard error",
			"Where the log goes; a file is rotated.",
			func(c *Config) *string { return &c.Log.File }, nil),
		number("log.rotate.max_size_mb", 100, 1, 10000, "MiB after which a log file is rotated.",
			func(c *Config) *int { return &c.Log.Rotate.MaxSizeMB }),
		number("log.rotate.max_backups", 5, 0, 1000, "Rotated files that are kept; 0 is no limit.",
			func(c *Config) *int { return &c.Log.Rotate.MaxBackups }),
		number("log.rotate.max_age_days", 30, 0, 3650, "Days that rotated files are kept; 0 is no limit.",
			func(c *Config) *int { return &c.Log.Rotate.MaxAgeDays }),
	}
}

func adminKeys() []Key {
	return []Key{
		text("admin.tokens_file", "", "a readable file; empty: no tokens, loopback only",
			"The bearer tokens of the API.",
			func(c *Config) *string { return &c.Admin.TokensFile }, nil),
	}
}
