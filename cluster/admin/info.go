package admin

import (
	"context"
	"time"

	"tmms/cluster/state"
)

// StreamInfo is a stream as this node sees it.
type StreamInfo struct {
	Key           string         `json:"key"`   // domain/app/stream
	State         string         `json:"state"` // "live", "grace" or "ended"
	Epoch         uint64         `json:"epoch"`
	Run           uint32         `json:"run"`
	Owner         string         `json:"owner"` // node id
	Publisher     *PublisherInfo `json:"publisher,omitempty"`
	Codecs        []string       `json:"codecs"` // such as "h264", "aac"
	Width         int            `json:"width,omitempty"`
	Height        int            `json:"height,omitempty"`
	FPS           float64        `json:"fps,omitempty"`
	Viewers       map[string]int `json:"viewers"` // by protocol
	UptimeSeconds float64        `json:"uptime_seconds"`
	HLS           *HLSInfo       `json:"hls,omitempty"`
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
	LagMS     int64     `json:"lag_ms"`
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
	State     string            `json:"state"` // "alive", "suspect", "dead", "left"
}

// StreamSource lists the streams that this node holds, in a stable order.
type StreamSource interface {
	Streams() []StreamInfo
}

// ViewerSource lists up to limit viewers of the stream with that key, or of all
// streams if it is empty, and says how many there are.
type ViewerSource interface {
	Viewers(key string, limit int) (list []ViewerInfo, total int)
}

// NodeSource lists the nodes of the cluster.
type NodeSource interface {
	Nodes() []NodeInfo
}

// ConfigStore is the cluster's config of domains and apps; a consensus.Node is one.
type ConfigStore interface {
	Config() *state.Config
	History() []state.Revision
	SetConfig(ctx context.Context, base uint64, doc *state.Document, by string) (revision uint64, err error)
}
