package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"tmms/cluster/admin"
	"tmms/cluster/control"
	"tmms/cluster/fabric"
	"tmms/cluster/gossip"
	"tmms/cluster/member"
	"tmms/cluster/pki"
	"tmms/cluster/state"
	"tmms/cmd/tmms/internal/nodeconfig"
)

// rotation is a rotation of the gossip's key that this node is asked to lead.
type rotation struct {
	skipAbsent bool
	done       chan<- rotated
}

type rotated struct {
	report gossip.Report
	err    error
}

// RotateGossipKey leads a rotation; it goes on when ctx ends.
func (o operator) RotateGossipKey(ctx context.Context, skipAbsent bool) (gossip.Report, error) {
	if o.n.alone() {
		return gossip.Report{}, errAlone
	}
	if !slices.Contains(o.n.backbone.identity.Roles(), pki.RoleOrigin) {
		return gossip.Report{}, errNotOrigin
	}
	if o.n.operations.rotating.Swap(true) {
		return gossip.Report{}, fmt.Errorf("%w: %s leads it", gossip.ErrRotating, o.n.cfg.Node.Name)
	}
	done := make(chan rotated, 1)
	o.n.operations.rotations <- rotation{skipAbsent, done}
	select {
	case r := <-done:
		return r.report, r.err
	case <-ctx.Done():
		return gossip.Report{}, fmt.Errorf("the rotation goes on, see the log of %s: %w", o.n.cfg.Node.Name, ctx.Err())
	}
}

// rotateKeys leads rotations, one at a time, until ctx ends.
func (n *Node) rotateKeys(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case r := <-n.operations.rotations:
			report, err := n.rotateKey(ctx, r.skipAbsent)
			if err != nil {
				n.opt.Log.Error("gossip key was not rotated", slog.Any("err", err))
			}
			n.operations.rotating.Store(false)
			r.done <- rotated{report, err}
		}
	}
}

func (n *Node) rotateKey(ctx context.Context, skipAbsent bool) (gossip.Report, error) {
	there, absent := n.keyHolders()
	if len(absent) > 0 && !skipAbsent {
		return gossip.Report{}, fmt.Errorf("%w before it began: %s: not there, and would not understand the others "+
			"when it comes back; start it, or leave it out with --skip-absent and give it the new key file",
			gossip.ErrRotationStopped, strings.Join(absent, ", "))
	}
	report, err := gossip.Rotate(ctx, gossip.Plan{
		ID: member.NewUUID(), By: n.cfg.Node.Name, Nodes: names(there),
		Ask: func(ctx context.Context, node string, s gossip.Step) (gossip.StepAnswer, error) {
			if node == n.cfg.Node.Name {
				return n.rotationStep(s)
			}
			return n.askStep(ctx, fabric.Target{Name: node, Addr: there[node]}, s)
		},
		Unchanged: func() error { return n.sameHolders(names(there), absent) },
	})
	report.Skipped = absent
	return report, err
}

// keyHolders are the nodes that gossip, with the addresses of their fabric, and
// those that the cluster knows and that are not there.
func (n *Node) keyHolders() (there map[string]string, absent []string) {
	there = make(map[string]string)
	nodes := slices.DeleteFunc(view{n}.Nodes(), n.expelled)
	for _, d := range nodes {
		if d.Self || d.State == string(gossip.StateAlive) || d.State == string(gossip.StateSuspect) {
			there[d.Name] = d.Addresses["fabric"]
		}
	}
	for _, d := range nodes {
		_, known := n.group.Node(d.ID)
		if _, ok := there[d.Name]; !ok && known && !slices.Contains(absent, d.Name) {
			absent = append(absent, d.Name)
		}
	}
	return there, absent
}

// expelled tells of a node that still gossips, though its certificates were
// revoked and it has not come back with another: it is not to get the new key.
func (n *Node) expelled(d admin.NodeInfo) bool {
	if _, known := n.group.Node(d.ID); known {
		return false
	}
	list, _ := n.group.WatchRevocations()
	return slices.ContainsFunc(list.All(), func(r state.Revocation) bool { return r.Node == d.Name })
}

func names(there map[string]string) []string {
	all := make([]string, 0, len(there))
	for name := range there {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// sameHolders reports who came or went meanwhile.
func (n *Node) sameHolders(there, absent []string) error {
	now, gone := n.keyHolders()
	if slices.Equal(names(now), there) && slices.Equal(gone, absent) {
		return nil
	}
	return fmt.Errorf("the members have changed from %v to %v", there, names(now))
}

// keyQuery is the kind of the queries that carry a gossip.Step.
const keyQuery = "gossip-key"

func (n *Node) askStep(ctx context.Context, to fabric.Target, s gossip.Step) (a gossip.StepAnswer, err error) {
	args, err := json.Marshal(s)
	if err != nil {
		return a, err
	}
	q := control.Query{Kind: keyQuery, Args: args}
	b, err := n.backbone.control.Query(ctx, to, q)
	if worthAgain(err) {
		b, err = n.backbone.control.Query(ctx, to, q)
	}
	if err != nil {
		return a, err
	}
	if err = json.Unmarshal(b, &a); err != nil {
		return a, fmt.Errorf("its answer is not understood: %w", err)
	}
	return a, nil
}

// worthAgain tells of a session that was broken and not yet known to be, such as
// one with the former process of a node: a step may be asked for twice. Silence
// is not worth to wait for again, and an answer is one.
func worthAgain(err error) bool {
	_, answered := errors.AsType[*control.RemoteError](err)
	return err != nil && !answered && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, context.DeadlineExceeded)
}

// answerStep does a step for another node, which must be an origin.
func (n *Node) answerStep(from pki.Peer, args json.RawMessage) (json.RawMessage, error) {
	if !from.Has(pki.RoleOrigin) {
		return nil, errNotOrigin
	}
	s, err := decodeArgs[gossip.Step](args)
	if err != nil {
		return nil, err
	}
	s.By = from.Name
	a, err := n.rotationStep(s)
	if err != nil {
		return nil, err
	}
	return json.Marshal(a)
}

func (n *Node) rotationStep(s gossip.Step) (gossip.StepAnswer, error) {
	a, err := n.operations.keeper.Do(s, time.Now())
	if err == nil && a.Busy == "" {
		n.opt.Log.Info("step of a rotation of the gossip key", slog.String("step", string(s.Do)),
			slog.String("by", s.By), slog.Int("keys", len(a.Sums)))
	}
	return a, err
}

func (n *Node) saveGossipKeys(keys [][]byte) error {
	return nodeconfig.SaveGossipKeys(n.cfg.Cluster.GossipKeyFile, keys)
}
