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

const (
	placeRule     = "1 to 31 letters, digits, '-', '_' or '.', not first a dot"
	advertiseRule = "HOST:PORT of at most 90 bytes, with a name or an address; empty: what was bound"
	fileRule      = "a readable file; needed in a cluster"
)

func nodeKeys() []Key {
	return []Key{
		text("node.name", "", "1 to 63 of a-z, 0-9 and '-', not first a '-'; empty: the host's name up to its first dot",
			"The node's name, unique in the cluster and the same as in its certificate.",
			func(c *Config) *string { return &c.Node.Name }, optional(checkNodeName)),
		list("node.roles", "[origin, edge]", "origin, edge or both",
			"What the node does: origins take pushes and own streams, edges serve viewers.", setRoles),
		text("node.region", "default", placeRule, "The region that the node stands in.",
			func(c *Config) *string { return &c.Node.Region }, checkPlace),
		text("node.zone", "default", placeRule, "The failure domain within the region.",
			func(c *Config) *string { return &c.Node.Zone }, checkPlace),
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
		address("listen.rtmps", "", "RTMP over TLS, usually :1936; needs tls.certs.",
			func(c *Config) *string { return &c.Listen.RTMPS }),
		address("listen.http", ":8080", "HTTP-FLV, WS-FLV, HLS and the watch page.",
			func(c *Config) *string { return &c.Listen.HTTP }),
		address("listen.https", "", "What listen.http has, over TLS, usually :8443; needs tls.certs.",
			func(c *Config) *string { return &c.Listen.HTTPS }),
		address("listen.fabric", ":7400", "QUIC between the nodes (UDP); opened in a cluster only.",
			func(c *Config) *string { return &c.Listen.Fabric }),
		address("listen.gossip", ":7946", "Membership between the nodes (UDP and TCP); opened in a cluster only.",
			func(c *Config) *string { return &c.Listen.Gossip }),
		address("listen.admin", "127.0.0.1:8090",
			"API, console, metrics and health. Without admin.tokens_file only a loopback address is allowed.",
			func(c *Config) *string { return &c.Listen.Admin }),
		certificates("tls.certs", "Certificates of listen.rtmps and listen.https. Which one a client sees is chosen by "+
			"the name that it asks for; the first is for all other names. New files are taken without a restart."),
	}
}

func advertiseKeys() []Key {
	advertise := func(listener string, at func(*Config) *string) Key {
		return text("advertise."+listener, "", advertiseRule,
			"The address under which others reach listen."+listener+".", at, optional(checkAdvertise))
	}
	return []Key{
		advertise("rtmp", func(c *Config) *string { return &c.Advertise.RTMP }),
		advertise("rtmps", func(c *Config) *string { return &c.Advertise.RTMPS }),
		advertise("http", func(c *Config) *string { return &c.Advertise.HTTP }),
		advertise("https", func(c *Config) *string { return &c.Advertise.HTTPS }),
		advertise("fabric", func(c *Config) *string { return &c.Advertise.Fabric }),
		advertise("gossip", func(c *Config) *string { return &c.Advertise.Gossip }),
	}
}

func clusterKeys() []Key {
	file := func(name, doc string, at func(*Config) *string) Key {
		return text("cluster."+name, "", fileRule, doc, at, nil)
	}
	return []Key{
		list("cluster.voters", "[]", "NAME@HOST:PORT each, with the node's name and its fabric's address, none twice",
			"The origins that vote in the raft group, 1, 3 or 5; the same on every node. With it or cluster.join the node "+
				"is one of a cluster.", setVoters),
		list("cluster.join", "[]", "HOST:PORT each, none twice",
			"The gossip of some members, any of them; this node may be among them.", setJoin),
		file("gossip_key_file", "The keys of the gossip, base64 of 16, 24 or 32 bytes, one a line; the first is in use.",
			func(c *Config) *string { return &c.Cluster.GossipKeyFile }),
		text("cluster.gossip_preset", "lan", "lan or wan", "The network that the gossip's timeouts are made for.",
			func(c *Config) *string { return &c.Cluster.GossipPreset }, oneOf("lan", "wan")),
		file("ca_file", "The authority that signs the nodes' certificates.",
			func(c *Config) *string { return &c.Cluster.CAFile }),
		file("cert_file", "This node's certificate.", func(c *Config) *string { return &c.Cluster.CertFile }),
		file("key_file", "The key of this node's certificate.", func(c *Config) *string { return &c.Cluster.KeyFile }),
		text(joinTokenFile, "", "a readable file, as long as cluster.cert_file is not there; empty: none",
			"A token of tmms token join. A node without a certificate gets it by this from an origin of cluster.voters, and "+
				"writes cert_file, key_file, ca_file and gossip_key_file itself; it renews them too.",
			func(c *Config) *string { return &c.Cluster.JoinTokenFile }, nil),
		text(caKeyFile, "", "a readable file, for origins; empty: none",
			"The key of a CA in cluster.ca_file, by which this origin gives certificates to nodes with a token and renews "+
				"them; tmms cert issuer makes one.",
			func(c *Config) *string { return &c.Cluster.CAKeyFile }, nil),
		span("cluster.lease", defaultLease, minLease, maxLease, "How long a silent node counts as alive.",
			func(c *Config) *time.Duration { return &c.Cluster.Lease }),
		toggle("cluster.balance", true,
			"Whether a leader moves streams away from an origin that has too much to do; the same on every voter.",
			func(c *Config) *bool { return &c.Cluster.Balance }),
	}
}

func edgeKeys() []Key {
	return []Key{
		number("edge.loops", 0, 0, maxLoops, "Reactor loops; 0 is one fewer than the cores, at least 1.",
			func(c *Config) *int { return &c.Edge.Loops }),
		text("edge.engine", "auto", "auto, epoll or io_uring",
			"How the loops send; auto is io_uring where the kernel has it (Linux 6.1) and allows it, else epoll.",
			func(c *Config) *string { return &c.Edge.Engine }, oneOf("auto", "epoll", "io_uring")),
		duration("edge.flush", flushTick, maxFlush,
			"How often this node's viewers are sent to, whatever their app says; 0 leaves it to the apps.",
			func(c *Config) *time.Duration { return &c.Edge.Flush }),
		text("edge.redirect", RedirectOff, "off, load or region",
			"Which viewers who come are sent on to another edge: load is while this one is full (a load above 200 of "+
				"255), region those too whose own region has an edge with room.",
			func(c *Config) *string { return &c.Edge.Redirect }, oneOf(RedirectOff, RedirectLoad, RedirectRegion)),
		number("edge.limits.viewers", 0, 0, maxCount, "Streaming viewers on this node; 0 is no limit.",
			func(c *Config) *int { return &c.Edge.Limits.Viewers }),
		number("edge.limits.conns_per_ip", 0, 0, maxCount,
			"Connections of one IPv4 address or one IPv6 /64; 0 is no limit.",
			func(c *Config) *int { return &c.Edge.Limits.ConnsPerIP }),
	}
}

func originKeys() []Key {
	return []Key{
		text("origin.redirect", RedirectOff, "off or region",
			"Which publishers who can reconnect are asked to, at another origin: region is those whose own region has "+
				"an origin with room.",
			func(c *Config) *string { return &c.Origin.Redirect }, oneOf(RedirectOff, RedirectRegion)),
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
