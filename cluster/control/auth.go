package control

import (
	"fmt"

	"tmms/cluster/member"
	"tmms/cluster/pki"
	"tmms/cluster/state"
)

// mayCall tells whether a peer may use a method at all.
func mayCall(p pki.Peer, method string) error {
	allowed := p.Has(pki.RoleOrigin)
	switch method {
	case methodHello, methodPropose, methodRead, methodRenew, methodWatch, methodStatus, methodQuery,
		methodLevel: // to raise it is another matter
		allowed = allowed || p.Has(pki.RoleEdge)
	}
	if !allowed {
		return fmt.Errorf("%w: %s by %s, whose roles are %v", member.ErrForbidden, method, p.Name, p.Roles)
	}
	return nil
}

// mayPropose tells whether a peer may ask for a command. Only origins own
// streams and pass configs on; about a node only that node itself speaks. known
// finds what the cluster was told of a node.
func mayPropose(p pki.Peer, c state.Command, known func(id string) (state.Node, bool)) error {
	origin := p.Has(pki.RoleOrigin)
	allowed := false
	switch c := c.(type) {
	case state.Claim:
		allowed = origin && isPeer(p, c.Node, known)
	case state.Resume:
		allowed = origin && isPeer(p, c.Node, known)
	case state.Checked, state.SetConfig, state.SetStandby, state.Move, state.SetDrain, state.Restore:
		allowed = origin
	case state.UpsertNode:
		allowed = c.Node.Name == p.Name && hasRoles(p, c.Node.Roles) && isPeer(p, c.Node.ID, known)
	case state.RemoveNode:
		allowed = isPeer(p, c.Node, known)
	case state.ExpireNode:
		allowed = isPeer(p, c.Node, known)
	case state.FailOver:
		allowed = isPeer(p, c.Node, known)
	} // revocations go through the leader's own check
	if !allowed {
		return fmt.Errorf("%w: %T by %s, whose roles are %v", member.ErrForbidden, c, p.Name, p.Roles)
	}
	return nil
}

// isPeer reports whether a node id is the peer's, as far as the cluster knows:
// an id that nobody has told of yet may be anybody's.
func isPeer(p pki.Peer, id string, known func(id string) (state.Node, bool)) bool {
	n, ok := known(id)
	return !ok || n.Name == p.Name
}

func hasRoles(p pki.Peer, roles []string) bool {
	for _, r := range roles {
		if !p.Has(r) {
			return false
		}
	}
	return true
}
