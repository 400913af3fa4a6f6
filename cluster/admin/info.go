package admin

import (
	"context"
	"time"

	"tmms/cluster/consensus"
	"tmms/cluster/gossip"
	"tmms/cluster/member"
	"tmms/cluster/state"
)

// StreamInfo is a stream: as one node sees it, or put together from all nodes.
type StreamInfo struct {
	Key           string         `json:"key"`   // domain/app/stream
	State         string         `json:"state"` // "live", "grace" or "ended"
	Epoch         uint64         `json:"epoch"`
	Run           uint32         `json:"run"`
	Owner         string         `json:"owner"` // node id
	OwnerName     string         `json:"owner_name,omitempty"`
	Publisher     *PublisherInfo `json:"publisher,omitempty"`
	Codecs        []string       `json:"codecs"` // such as "h264", "aac"
	Width         int            `json:"width,omitempty"`
	Height        int            `json:"height,omitempty"`
	FPS           float64        `json:"fps,omitempty"`
	Viewers       map[string]int `json:"viewers"` // by protocol
	UptimeSeconds float64        `json:"uptime_seconds"`
	HLS           *HLSInfo       `json:"hls,omitempty"`
	// Pulled says that the node has the stream for its viewers from the owner.
	// In a list of the whole cluster: that the owner was not there to tell.
	Pulled bool `json:"pulled,omitempty"`
	// Edges serve viewers, or have the stream for them; left to the admin port.
	Edges []EdgeInfo `json:"edges,omitempty"`
}

// EdgeInfo is a node that serves a stream.
type EdgeInfo struct {
	ID      string         `json:"id"`
	Name    string         `json:"name"`
	Viewers map[string]int `json:"viewers"` // by protocol
}

// PublisherInfo is the connection that a stream comes from.
type PublisherInfo struct {
	Remote     string    `json:"remote"`
	Encoder    string    `json:"encoder,omitempty"` // as it calls itself
	Since      time.Time `json:"since"`
	BitrateBPS int64     `json:"bitrate_bps"`
}

// HLSInfo is the state of a stream's playlist.
type HLSInfo struct {
	Segments      int     `json:"segments"` // in the playlist
	MSN           uint64  `json:"msn"`      // of the last segment
	TargetSeconds float64 `json:"target_seconds"`
}

// ViewerInfo is one viewer.
type ViewerInfo struct {
	ID        string    `json:"id"`
	Key       string    `json:"key"`
	Proto     string    `json:"proto"` // "rtmp", "flv", "ws", "hls"
	Remote    string    `json:"remote"`
	Since     time.Time `json:"since"`
	SentBytes int64     `json:"sent_bytes"`
	LagMS     int64     `json:"lag_ms"`         // behind the node's newest packet; 0 for hls
	Node      string    `json:"node,omitempty"` // name of the node that serves it; left to the admin port
}

// NodeInfo is a node of the cluster.
type NodeInfo struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Roles     []string          `json:"roles"`
	Region    string            `json:"region,omitempty"`
	Zone      string            `json:"zone,omitempty"`
	Version   string            `json:"version,omitempty"`
	Addresses map[string]string `json:"addresses,omitempty"` // "rtmp", "http", ... -> host:port
	Self      bool              `json:"self"`
	Leader    bool              `json:"leader"`
	Voter     bool              `json:"voter"`              // has a vote in the raft group
	State     string            `json:"state"`              // "alive", "suspect", "dead", "left", "unknown"
	Load      int               `json:"load,omitempty"`     // 0 idle .. 255 full
	Draining  bool              `json:"draining,omitempty"` // it is being emptied
	// ConfigRevision is what the node itself says that it runs; nil if it was not
	// asked, or did not answer. Left to the admin port.
	ConfigRevision *uint64 `json:"config_revision,omitempty"`
}

// StreamSource lists the streams that this node holds: those that it owns, and
// those that it has pulled.
type StreamSource interface {
	Streams() []StreamInfo
}

// ViewerSource lists up to limit viewers of the stream with that key, or of all
// streams if it is empty, and says how many there are.
type ViewerSource interface {
	Viewers(key string, limit int) (list []ViewerInfo, total int)
}

// NodeSource lists the nodes of the cluster, as [MergeNodes] makes it; one of
// them is this node.
type NodeSource interface {
	Nodes() []NodeInfo
}

// RevisionSource has the config in force on this node.
type RevisionSource interface {
	Config() *state.Config
}

// Peer is another node.
type Peer struct {
	ID   string // of the node
	Name string // unique
}

// Peers reach the other nodes of the cluster.
type Peers interface {
	// Peers lists the other nodes that are there, in a stable order.
	Peers() []Peer
	// Query asks one of them, by its id, and gives what [Local.Answer] answers
	// there. It returns when ctx ends.
	Query(ctx context.Context, nodeID, what string) ([]byte, error)
}

// ConfigStore is the cluster's config of domains and apps; a consensus.Node is one.
type ConfigStore interface {
	Config() *state.Config
	History() []state.Revision
	SetConfig(ctx context.Context, base uint64, doc *state.Document, by string) (revision uint64, err error)
	// PlanConfig gives what SetConfig would put in force, but for the hashes of new
	// publish keys, which stay plain.
	PlanConfig(ctx context.Context, doc *state.Document) (*state.Document, error)
}

// RaftGroup is the node's part in the raft group; a consensus.Node or a
// replica.Node is one.
type RaftGroup interface {
	// ReadIndex returns when the local copy has what was committed before.
	ReadIndex(ctx context.Context) (index uint64, err error)
	Leader() (id, name string, ok bool)
	Status(ctx context.Context) (consensus.Status, error)
	Join(ctx context.Context, name, address string) error
	Remove(ctx context.Context, nameOrID string) error
	// Transfer hands the leadership over, and gives the name of who leads then.
	Transfer(ctx context.Context, nameOrID string) (name string, err error)
	// Snapshot writes one of this node's raft log.
	Snapshot(ctx context.Context) (consensus.SnapshotInfo, error)
	// Backup is the whole state; Restore takes it back.
	Backup() ([]byte, error)
	Restore(ctx context.Context, backup []byte, opt member.RestoreOptions) (member.Restored, error)
	Levels(ctx context.Context) (consensus.Levels, error)
	RaiseLevel(ctx context.Context, level int) (consensus.Levels, error)
	// Revoke takes certificates of nodes out of use.
	Revoke(ctx context.Context, r consensus.Revocation) (state.RevokeResult, error)
}

// TokenStore has the tokens by which nodes get certificates.
type TokenStore interface {
	JoinTokens() []state.JoinToken
	PutToken(ctx context.Context, t state.JoinToken, lifeMS int64) (state.JoinToken, error)
	DropToken(ctx context.Context, id string) error
	// JoinInfo is what a token needs beside its secret, and what there is to warn of.
	JoinInfo() (JoinInfo, error)
}

// JoinInfo is about this cluster's tokens.
type JoinInfo struct {
	Pin     string // SHA-256 of the CA's public key, in base64 for URLs without padding
	Issuers string // which nodes give certificates, in words; "" if some do
}

// KeyRotator replaces the key of the gossip on all nodes.
type KeyRotator interface {
	// RotateGossipKey does what [gossip.Rotate] does; it goes on when ctx ends
	// before it has.
	RotateGossipKey(ctx context.Context, skipAbsent bool) (gossip.Report, error)
}
