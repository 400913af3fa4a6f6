package admin

import (
	"net/http"
	"strings"
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

// WhyReply says all that the cluster knows of one stream: where it comes from,
// where it goes, and why it does not play. [WhyReply.Text] puts it into words.
type WhyReply struct {
	Asked string `json:"asked"` // as it was asked for
	Key   string `json:"key"`   // domain/app/stream, with the name of the domain that matched
	// Match is how the domain was found: "name", "alias", "suffix", "default", or
	// "" if there is none.
	Match   string `json:"match"`
	Domain  string `json:"domain,omitempty"`
	App     string `json:"app,omitempty"` // "": the domain has no such app
	HLS     bool   `json:"hls"`
	GraceMS int64  `json:"grace_ms"` // how long the stream is kept without a publisher
	// Playing says that the owner has a publisher. Problems are why it has not, and
	// what keeps nodes from having the stream, the gravest first.
	Playing   bool           `json:"playing"`
	Problems  []string       `json:"problems"`
	Placement *PlacementInfo `json:"placement,omitempty"` // left out: no node owns it
	// Nodes are those that have something to do with the stream, the owner first.
	Nodes      []NodeWhy `json:"nodes"`
	Incomplete []string  `json:"incomplete,omitempty"` // names of nodes that did not answer
	At         time.Time `json:"at"`
}

// PlacementInfo says which node owns a stream.
type PlacementInfo struct {
	Epoch      uint64    `json:"epoch"`
	Owner      string    `json:"owner,omitempty"` // node id; left out: it was lost
	OwnerName  string    `json:"owner_name,omitempty"`
	OwnerState string    `json:"owner_state,omitempty"` // as in the list of nodes
	Standby    string    `json:"standby,omitempty"`     // name of a node
	Since      time.Time `json:"since"`                 // of the claim
	LostBy     string    `json:"lost_by,omitempty"`     // name of the last owner
	LostAt     time.Time `json:"lost_at,omitzero"`
}

// NodeWhy is what one node knows of a stream.
type NodeWhy struct {
	ID            string            `json:"id"`
	Name          string            `json:"name"`
	Epoch         uint64            `json:"epoch,omitempty"`  // of the node's copy of the placement; left out: it has none
	Stream        *StreamInfo       `json:"stream,omitempty"` // the node owns it, or is about to
	HLSError      string            `json:"hls_error,omitempty"`
	Viewers       map[string]int    `json:"viewers"` // by protocol
	Subscriptions []SubscriptionWhy `json:"subscriptions,omitempty"`
	Pull          *PullWhy          `json:"pull,omitempty"`
	Peers         []PeerWhy         `json:"peers,omitempty"` // ways to the nodes that the stream comes from and goes to
}

// SubscriptionWhy is a node that gets the stream from this one.
type SubscriptionWhy struct {
	Node     string    `json:"node"` // name
	Since    time.Time `json:"since"`
	Shield   bool      `json:"shield"` // it asks this node as a shield
	HLS      bool      `json:"hls"`
	Version  int       `json:"version"` // of the relay's protocol
	Pending  bool      `json:"pending,omitempty"`
	BehindMS float64   `json:"behind_ms"`
}

// PullWhy is how a node gets the stream.
type PullWhy struct {
	State      string         `json:"state"`            // "connecting", "live", "grace" or "waiting"
	Source     string         `json:"source,omitempty"` // name of a node; left out: none
	Shield     bool           `json:"shield"`           // Source is a shield
	Hop        int            `json:"hop,omitempty"`    // nodes between, with the owner
	Reason     string         `json:"reason,omitempty"` // why that source
	Next       string         `json:"next,omitempty"`   // name of the node that is tried besides
	Candidates []CandidateWhy `json:"candidates,omitempty"`
	Version    int            `json:"version,omitempty"` // of the relay's protocol
	Way        *DelayWhy      `json:"way,omitempty"`     // from the source to this node
	Lag        *DelayWhy      `json:"lag,omitempty"`     // from the owner's stamp to this node
	Interrupts int            `json:"interrupts"`
	Hedges     int            `json:"hedges"`
	Moves      int            `json:"moves"`
	Error      string         `json:"error,omitempty"` // of the last interruption
	ErrorAt    time.Time      `json:"error_at,omitzero"`
}

// CandidateWhy is a node that could be the source of a pull.
type CandidateWhy struct {
	Node    string  `json:"node"` // name
	Owner   bool    `json:"owner"`
	Self    bool    `json:"self"`
	RTTMS   float64 `json:"rtt_ms"`
	Loss    float64 `json:"loss"` // 0 to 1
	Load    int     `json:"load"` // 0 to 255
	Verdict string  `json:"verdict"`
}

// DelayWhy is a measured delay.
type DelayWhy struct {
	MS        float64 `json:"ms"`
	BoundMS   float64 `json:"bound_ms"`  // how far off it may be
	Corrected bool    `json:"corrected"` // the clocks were compared; else it is as wrong as they are
}

// PeerWhy is the way to another node.
type PeerWhy struct {
	Node          string  `json:"node"` // name
	Connected     bool    `json:"connected"`
	RTTMS         float64 `json:"rtt_ms"`
	Loss          float64 `json:"loss"` // of what is sent to it, 0 to 1
	InBPS         float64 `json:"in_bps"`
	OutBPS        float64 `json:"out_bps"`
	Repair        *Repair `json:"repair,omitempty"` // left out: losses are not repaired on this way
	GroupsReset   uint64  `json:"groups_reset"`     // by this node
	GroupsDropped uint64  `json:"groups_dropped"`   // by the other
}

// Repair is what forward error correction does on a way.
type Repair struct {
	OverheadRatio float64 `json:"overhead_ratio"` // repair packets per packet sent
	RepairedRatio float64 `json:"repaired_ratio"` // packets repaired per packet received
}

// WhySource tells what this node knows of a stream. ID and Name are left to the
// admin port.
type WhySource interface {
	Why(key media.StreamKey) NodeWhy
}

func (NodeWhy) cut() bool { return false }

// involved tells whether the node has anything to do with the stream.
func (n *NodeWhy) involved() bool {
	return n.Stream != nil || n.Pull != nil || len(n.Viewers) > 0 || len(n.Subscriptions) > 0
}

func (l *Local) whyAnswer(q query) NodeWhy {
	key, err := media.ParseStreamKey(q.key)
	if err != nil || l.why == nil {
		return NodeWhy{}
	}
	return l.why.Why(key)
}

func (s *Server) showWhy(w http.ResponseWriter, r *http.Request, _ caller) error {
	asked := r.URL.Query().Get("key")
	reply := WhyReply{
		Asked: asked, Problems: []string{}, Nodes: []NodeWhy{}, At: time.Now().UTC().Truncate(time.Millisecond),
	}
	domain, app, stream, ok := splitKey(asked)
	if !ok {
		return refuse(http.StatusBadRequest, "key", "key is %.128q, it must be DOMAIN/APP/STREAM, or APP/STREAM", asked)
	}
	key := reply.resolve(s.deps.Configs.Config(), domain, app, stream)
	reply.Key = key.String()
	if err := key.Validate(); err != nil {
		return refuse(http.StatusBadRequest, "key", "%s", err)
	}
	if p, placed := s.deps.Placements.Placement(key); placed {
		reply.Placement = s.placementInfo(&p)
	}
	q := query{list: listWhy, key: reply.Key, limit: defaultLimit}
	parts, incomplete := gather(s, r, q, s.local.whyAnswer(q))
	reply.Incomplete = incomplete
	for _, p := range parts {
		p.answer.ID, p.answer.Name = p.node.ID, p.node.Name
		reply.add(p.answer)
	}
	reply.judge(s.deps.Configs.Config().Domains())
	writeJSON(w, http.StatusOK, reply)
	return nil
}

// splitKey takes DOMAIN/APP/STREAM apart; without a domain it is "".
func splitKey(text string) (domain, app, stream string, ok bool) {
	parts := strings.Split(text, "/")
	switch len(parts) {
	case 2:
		return "", parts[0], parts[1], parts[0] != "" && parts[1] != ""
	case 3:
		return parts[0], parts[1], parts[2], true
	}
	return "", "", "", false
}

// resolve notes which domain and app match, as for a viewer, and gives the key.
func (w *WhyReply) resolve(cfg *state.Config, domain, app, stream string) media.StreamKey {
	key := media.StreamKey{Domain: domain, App: app, Stream: stream}
	d, err := cfg.Resolve(domain, "")
	if err != nil {
		if domain == "" {
			key.Domain = "*" // for the message only
		}
		return key
	}
	key.Domain, w.Domain, w.Match = d.Name, d.Name, matched(d, domain)
	if a, err := d.App(app); err == nil {
		w.App, w.HLS, w.GraceMS = a.Name, a.HLS.Enabled, a.Grace.Milliseconds()
	}
	return key
}

// matched says how a domain was found.
func matched(d *state.Domain, host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if d.Name == host {
		return "name"
	}
	how := "default"
	for _, a := range d.Aliases {
		switch {
		case a == host:
			return "alias"
		case strings.HasPrefix(a, "*.") && strings.HasSuffix(host, a[1:]):
			how = "suffix"
		}
	}
	return how
}

// Placements is the node's copy of who owns which stream.
type Placements interface {
	Placement(key media.StreamKey) (state.Placement, bool)
}

func (s *Server) placementInfo(p *state.Placement) *PlacementInfo {
	info := &PlacementInfo{Epoch: p.Epoch, Owner: p.Owner, Since: time.UnixMilli(p.ClaimedAtMS).UTC()}
	for _, n := range s.deps.Nodes.Nodes() {
		switch n.ID {
		case p.Owner:
			info.OwnerName, info.OwnerState = n.Name, n.State
		case p.Standby:
			info.Standby = n.Name
		}
		if p.Orphan() && n.ID == p.LostBy {
			info.LostBy = n.Name
		}
	}
	if p.Orphan() {
		info.LostAt = time.UnixMilli(p.LostAtMS).UTC()
	}
	return info
}

// add takes what a node has told.
func (w *WhyReply) add(n NodeWhy) {
	owner := w.Placement != nil && n.ID == w.Placement.Owner
	if !owner && !n.involved() {
		return
	}
	if n.Viewers == nil {
		n.Viewers = map[string]int{}
	}
	if owner {
		w.Nodes = append([]NodeWhy{n}, w.Nodes...)
		return
	}
	w.Nodes = append(w.Nodes, n)
}
