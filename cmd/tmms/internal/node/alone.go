package node

import (
	"crypto/rand"
	"time"

	"tmms/cluster/pki"
	"tmms/cmd/tmms/internal/nodeconfig"
)

// withinMachine is where a node that is alone has its fabric and gossip.
const withinMachine = "127.0.0.1:0"

// gossipKeySize is that of AES-256.
const gossipKeySize = 32

// alone tells that the config names no other node: what a cluster's nodes are
// given, such a node makes for itself, in memory.
func (n *Node) alone() bool { return !n.cfg.Cluster.Enabled() }

// newIdentity is a certificate from a CA that nobody else has, and that signs
// no other.
func newIdentity(self nodeconfig.Node) (*pki.Identity, error) {
	now := time.Now()
	ca, err := pki.NewCA(now)
	if err != nil {
		return nil, err
	}
	roles := make([]string, len(self.Roles))
	for i, r := range self.Roles {
		roles[i] = string(r)
	}
	cert, key, err := ca.Issue(self.Name, roles, now)
	if err != nil {
		return nil, err
	}
	return pki.NewIdentity(cert, key, ca.CertPEM())
}

func newGossipKey() []byte {
	key := make([]byte, gossipKeySize)
	rand.Read(key)
	return key
}
