package gossip

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

// clusterTag is the length of what tells clusters apart, in bytes: 48 bits of a hash
// of the cluster's id, in base64.
const clusterTag = 8

// errForeign keeps a node of another cluster out.
var errForeign = errors.New("it is of another cluster")

// SetCluster says which cluster this node belongs to, by its id, as soon as that is
// known: from then on nodes of other clusters are kept out, should they have the same
// keys, as copies of a cluster have. Those that do not say it, of an earlier release or
// as long as they don't know it themselves, are members as before.
func (g *Gossip) SetCluster(id string) {
	sum := sha256.Sum256([]byte("tmms gossip " + id))
	tag := base64.RawURLEncoding.EncodeToString(sum[:clusterTag*6/8])
	if old := g.cluster.Swap(&tag); old == nil || *old != tag {
		g.update()
	}
}

func (g *Gossip) tag() string {
	if tag := g.cluster.Load(); tag != nil {
		return *tag
	}
	return ""
}

// admits refuses a node that is certainly of another cluster.
func (g *Gossip) admits(m Meta) error {
	if own := g.tag(); own != "" && m.Cluster != "" && m.Cluster != own {
		return fmt.Errorf("%w: %s, this node's is %s", errForeign, m.Cluster, own)
	}
	return nil
}
