package fabric

import "tmms/cluster/pki"

// ALPN names the protocol of a session (RFC 7301).
type ALPN string

// The protocols between nodes.
const (
	ALPNRaft    ALPN = "tmms-raft/1"
	ALPNControl ALPN = "tmms-control/1"
	ALPNRelay   ALPN = "tmms-relay/1"
)

// admits reports whether a peer may dial this protocol: voters are origins,
// the rest is for every node, and nothing for those that are none.
func (a ALPN) admits(p pki.Peer) bool {
	if a == ALPNRaft {
		return p.Has(pki.RoleOrigin)
	}
	return p.Has(pki.RoleOrigin) || p.Has(pki.RoleEdge)
}
