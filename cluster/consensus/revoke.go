package consensus

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/raft"

	"tmms/cluster/member"
	"tmms/cluster/pki"
	"tmms/cluster/state"
	"tmms/media"
)

// Revocation asks for certificates to be taken out of use: all that a node has
// had until now, or one.
type Revocation struct {
	Node   string `json:"node,omitempty"`   // its name; the cluster forgets the node too
	Serial string `json:"serial,omitempty"` // as pki.Peer has it
	By     string `json:"by,omitempty"`     // who asks for it
}

// Check says what is wrong with it; the error wraps [ErrInvalid].
func (r Revocation) Check() error {
	if (r.Node == "") == (r.Serial == "") {
		return fmt.Errorf("%w: %w", ErrInvalid, state.ErrRevokesNothing)
	}
	if len(r.By) > media.MaxName {
		return fmt.Errorf("%w: a name of %d bytes asks, the limit is %d", ErrInvalid, len(r.By), media.MaxName)
	}
	if r.Node != "" {
		if err := pki.CheckName(r.Node); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		return nil
	}
	if serial, ok := pki.ParseSerial(r.Serial); !ok || serial != r.Serial {
		return fmt.Errorf("%w: serial number %.80q, want %d hex digits", ErrInvalid, r.Serial, media.CertificateSerial)
	}
	return nil
}

// Revoke takes certificates out of use on all nodes, which end their sessions
// with who shows one. A member of the raft group is taken out of it first. It
// refuses with [ErrQuorum] what would leave the group unable to decide.
func (n *Node) Revoke(ctx context.Context, r Revocation) (state.RevokeResult, error) {
	if n.peers == nil {
		return state.RevokeResult{}, fmt.Errorf("%w: this node is alone", ErrInvalid)
	}
	if err := r.Check(); err != nil {
		return state.RevokeResult{}, err
	}
	return member.Again(ctx, func(ctx context.Context) (state.RevokeResult, error) {
		if n.leads() == nil {
			return n.peers.Revoke(ctx, r)
		}
		return n.LeadRevoke(ctx, r)
	})
}

// LeadRevoke is Revoke on the leader; it is ErrNotLeader elsewhere, and on a
// leader whose own certificate is meant, once it has given its place up.
func (n *Node) LeadRevoke(ctx context.Context, r Revocation) (state.RevokeResult, error) {
	l := n.leads()
	if l == nil {
		return state.RevokeResult{}, ErrNotLeader
	}
	if err := r.Check(); err != nil {
		return state.RevokeResult{}, err
	}
	if list, _ := n.WatchRevocations(); list.Len() >= media.MaxRevocations {
		return state.RevokeResult{}, fmt.Errorf("%w: %d certificates are revoked, the limit is %d",
			ErrInvalid, list.Len(), media.MaxRevocations)
	}
	return l.revoke(ctx, r)
}

func (l *leadership) revoke(ctx context.Context, r Revocation) (result state.RevokeResult, err error) {
	n := l.node
	if r.Node == n.cfg.Name || r.Serial != "" && r.Serial == n.serial() {
		return result, l.stepAside(ctx)
	}
	if r.Serial != "" {
		err = l.spare(ctx, r.Serial)
	}
	for _, s := range l.servers() {
		if r.Node != "" && string(s.Address) == r.Node {
			err = l.remove(ctx, s)
		}
	}
	if err != nil {
		return result, err
	}
	at := n.now()
	answer, err := n.commandResult(l.raft, state.Revoke{Revocation: state.Revocation{
		Node: r.Node, Serial: r.Serial, By: r.By, AtUnixMS: at.UnixMilli(), UntilUnixMS: at.Add(pki.Lifetime).UnixMilli(),
	}})
	if err != nil {
		return result, notLeader(err)
	}
	result, ok := answer.(state.RevokeResult)
	if !ok {
		return result, fmt.Errorf("consensus: revoke: result %T", answer)
	}
	n.log.Warn("certificates were revoked", slog.String("name", r.Node), slog.String("serial", r.Serial),
		slog.String("by", r.By), slog.Int("streams", result.Lost))
	return result, nil
}

// stepAside gives the leadership up, since a leader can't commit what cuts it off.
func (l *leadership) stepAside(ctx context.Context) error {
	to, ok := l.successor(ctx)
	if !ok {
		return fmt.Errorf("%w: no other voter answers", ErrQuorum)
	}
	if err := l.raft.LeadershipTransferToServer(to.ID, to.Address).Error(); err != nil {
		return fmt.Errorf("%w: this node leads, and did not hand over to %s: %w", ErrQuorum, to.Address, err)
	}
	return fmt.Errorf("%w: %s leads now", ErrNotLeader, to.Address)
}

// spare refuses a serial number whose loss, while a voter still shows it, would
// leave the group without a majority; such a voter stays a member, and counts.
func (l *leadership) spare(ctx context.Context, serial string) error {
	voters, alive, holder := 0, 0, ""
	for _, s := range l.servers() {
		if s.Suffrage != raft.Voter {
			continue
		}
		voters++
		h, answers := Hello{Serial: l.node.serial()}, true
		if string(s.ID) != l.node.ID() {
			h, answers = l.hello(ctx, s)
		}
		switch {
		case answers && h.Serial == serial:
			holder = string(s.Address)
		case answers:
			alive++
		}
	}
	if holder != "" && alive < voters/2+1 {
		return fmt.Errorf("%w: %s shows this certificate, and without it %d of %d voters are alive; give it another first",
			ErrQuorum, holder, alive, voters)
	}
	return nil
}

// dropRevocations takes those off the list whose certificates have all ended.
func (l *leadership) dropRevocations(time.Time) error {
	at, ended := l.node.now().UnixMilli(), false
	list, _ := l.node.WatchRevocations()
	for _, r := range list.All() {
		ended = ended || r.UntilUnixMS <= at
	}
	if !ended {
		return nil
	}
	return l.node.command(l.raft, state.DropRevocations{AtUnixMS: at})
}

// serial is that of this node's certificate; "" if it is not known.
func (n *Node) serial() string {
	if n.ownSerial == nil {
		return ""
	}
	return n.ownSerial()
}
