package gossip

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/hashicorp/memberlist"

	"tmms/media"
)

// events are memberlist's callbacks; none of them blocks.
type events struct{ g *Gossip }

// NodeMeta implements memberlist.Delegate.
func (e events) NodeMeta(int) []byte { return e.g.encoded() }

// NotifyMsg implements memberlist.Delegate; nothing is sent this way.
func (events) NotifyMsg([]byte) {}

// GetBroadcasts implements memberlist.Delegate; there are none of our own.
func (events) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState implements memberlist.Delegate; a state is the members alone.
func (events) LocalState(bool) []byte { return nil }

// MergeRemoteState implements memberlist.Delegate.
func (events) MergeRemoteState([]byte, bool) {}

var errFull = errors.New("too many members")

// NotifyAlive implements memberlist.AliveDelegate: an error keeps a node out.
func (e events) NotifyAlive(node *memberlist.Node) error {
	meta, _, err := parseMeta(node.Name, node.Meta)
	if err != nil {
		return err
	}
	if err := e.g.admits(meta); err != nil {
		return err
	}
	if !e.g.roster.room(node.Name) {
		return fmt.Errorf("%w: the limit is %d", errFull, media.MaxNodes)
	}
	return nil
}

// NotifyJoin implements memberlist.EventDelegate.
func (e events) NotifyJoin(node *memberlist.Node) {
	e.g.roster.seen(node, time.Now())
	if node.Name != e.g.self.Name {
		e.g.log.Info("member is alive", slog.String("node", node.Name), slog.String("addr", node.Address()))
	}
}

// NotifyUpdate implements memberlist.EventDelegate.
func (e events) NotifyUpdate(node *memberlist.Node) { e.g.roster.seen(node, time.Now()) }

// NotifyLeave implements memberlist.EventDelegate.
func (e events) NotifyLeave(node *memberlist.Node) {
	state := e.g.roster.gone(node.Name, time.Now())
	if node.Name != e.g.self.Name {
		e.g.log.Info("member is gone", slog.String("node", node.Name), slog.String("state", string(state)))
	}
}

// NotifyMerge implements memberlist.MergeDelegate: a join that meets another cluster
// takes nothing from it, not even doubts about nodes of the same names.
func (e events) NotifyMerge(peers []*memberlist.Node) error {
	for _, p := range peers {
		if meta, _, err := parseMeta(p.Name, p.Meta); err == nil {
			if err := e.g.admits(meta); err != nil {
				return fmt.Errorf("%s at %s: %w", p.Name, p.Address(), err)
			}
		}
	}
	return nil
}

// NotifyPingComplete implements memberlist.PingDelegate.
func (e events) NotifyPingComplete(node *memberlist.Node, rtt time.Duration, payload []byte) {
	e.g.roster.probed(node.Name, rtt, time.Now())
	e.g.measured(node.Name, rtt, payload)
}

// AckPayload implements memberlist.PingDelegate: an answer to a probe says where this
// node is, which so costs no packet and goes out as often as it is probed.
func (e events) AckPayload() []byte { return encodePlace(e.g.Here()) }

// conflict is a name at two addresses.
type conflict struct {
	name  string
	other netip.AddrPort
}

// NotifyConflict implements memberlist.ConflictDelegate. It is called for every
// message from the wrong side, and logs once for each.
func (e events) NotifyConflict(existing, other *memberlist.Node) {
	g := e.g
	if existing.Name == g.self.Name {
		g.contested.Store(true)
		g.hurry()
	}
	c := conflict{existing.Name, addrOf(other)}
	g.conflictMu.Lock()
	known := g.conflicts[c]
	if !known && len(g.conflicts) < media.MaxNodes {
		g.conflicts[c] = true
	}
	g.conflictMu.Unlock()
	if known {
		return
	}
	g.log.Warn("two nodes have one name, or a node has moved before its old address was given up",
		slog.String("node", existing.Name), slog.String("addr", existing.Address()),
		slog.String("remote", other.Address()))
}
