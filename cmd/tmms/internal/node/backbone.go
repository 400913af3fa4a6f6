package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"tmms/cluster/consensus"
	"tmms/cluster/control"
	"tmms/cluster/enroll"
	"tmms/cluster/fabric"
	"tmms/cluster/gossip"
	"tmms/cluster/pki"
	"tmms/cluster/relay"
	"tmms/cluster/replica"
	"tmms/cmd/tmms/internal/nodeconfig"
	"tmms/origin"
)

// backbone is what a node has to work with the others. That of a node which is
// alone is the same, within this machine.
type backbone struct {
	identity *pki.Identity
	fabric   *fabric.Fabric
	control  *control.Client
	gossip   *gossip.Gossip
	relay    *relay.Server
	puller   *relay.Puller
	keeper   *relay.Keeper // nil without the role origin
	pusher   *relay.Pusher
	enroll   *enroll.Server // nil without the role origin, and alone
}

// newGroup makes the node's part in the cluster's state and the ways to the
// other nodes.
func (n *Node) newGroup(ctx context.Context) (err error) {
	b, listen := n.backbone, n.cfg.Listen.Fabric
	if n.alone() {
		listen = withinMachine
		b.identity, err = newIdentity(n.cfg.Node)
	} else {
		b.identity, err = n.identity(ctx)
	}
	if err != nil {
		return err
	}
	if err = n.recallRevocations(); err != nil {
		return err
	}
	b.fabric, err = fabric.New(fabric.Config{Listen: listen}, b.identity, fabric.Deps{
		Log: n.opt.Log, Registerer: n.registry,
	})
	if err != nil {
		return err
	}
	n.bound.Fabric = addr(b.fabric.Addr())
	b.control = control.NewClient(b.fabric, control.ClientConfig{Self: n.cfg.Node.Name, Voters: n.voters})
	server := control.ServerDeps{
		Log: n.opt.Log, Version: n.opt.Version, Query: n.answer, Seen: n.witness, Registerer: n.registry,
	}
	if _, ok := n.cfg.Cluster.Voter(n.cfg.Node.Name); ok || n.alone() {
		err = n.newVoter(&server)
	} else {
		err = n.newReplica(&server)
	}
	if err != nil {
		return err
	}
	controlServer, err := control.NewServer(server)
	if err != nil {
		return err
	}
	b.fabric.Handle(fabric.ALPNControl, controlServer.Serve)
	n.newEnroll()
	return n.newRelay()
}

// identity loads the node's certificate, once it has one, and checks that it is this
// node's.
func (n *Node) identity(ctx context.Context) (*pki.Identity, error) {
	if err := n.enroll(ctx); err != nil {
		return nil, err
	}
	c := n.cfg.Cluster
	id, err := pki.LoadIdentity(c.CertFile, c.KeyFile, c.CAFile)
	if err != nil {
		return nil, err
	}
	if id.Name() != n.cfg.Node.Name {
		return nil, fmt.Errorf("cluster.cert_file %s is for the node %q, node.name is %q",
			c.CertFile, id.Name(), n.cfg.Node.Name)
	}
	for _, r := range n.cfg.Node.Roles {
		if !slices.Contains(id.Roles(), string(r)) {
			return nil, fmt.Errorf("cluster.cert_file %s has the roles %v, node.roles has %q", c.CertFile, id.Roles(), r)
		}
	}
	return id, nil
}

// voters are the nodes that may lead, as far as this one knows.
func (n *Node) voters() []fabric.Target {
	configured := n.configuredVoters()
	if n.group == nil { // before the node is made
		return control.Targets(configured, nil)
	}
	return control.Targets(configured, n.group.Nodes())
}

func (n *Node) configuredVoters() []consensus.Voter {
	voters := make([]consensus.Voter, len(n.cfg.Cluster.Voters))
	for i, v := range n.cfg.Cluster.Voters {
		voters[i] = consensus.Voter{Name: v.Name, Address: v.Address}
	}
	return voters
}

func (n *Node) newVoter(server *control.ServerDeps) error {
	raft, err := consensus.New(consensus.Config{ // without voters it leads itself
		DataDir: n.cfg.Node.DataDir, Name: n.cfg.Node.Name, Voters: n.configuredVoters(),
		CAFingerprint: n.backbone.identity.CAFingerprint(), Lease: n.cfg.Cluster.Lease,
		NoBalance: !n.cfg.Cluster.Balance,
	}, consensus.Deps{
		Log: n.opt.Log, Layer: n.backbone.fabric.RaftLayer, Peers: n.backbone.control,
		Serial: n.backbone.identity.Serial, Self: n.describe, Registerer: n.registry,
		Witnesses: witnesses{n.backbone.fabric, n.backbone.control}, Busy: n.busy,
		GiveAway: n.giveAway,
	})
	if err != nil {
		return err
	}
	n.group, server.Group = raft, raft
	return nil
}

func (n *Node) newReplica(server *control.ServerDeps) error {
	follower, err := replica.New(replica.Config{
		DataDir: n.cfg.Node.DataDir, Name: n.cfg.Node.Name,
		CAFingerprint: n.backbone.identity.CAFingerprint(), Lease: n.cfg.Cluster.Lease,
		Owns: n.cfg.Node.Has(nodeconfig.RoleOrigin),
	}, replica.Deps{Log: n.opt.Log, Cluster: n.backbone.control, Registerer: n.registry})
	if err != nil {
		return err
	}
	n.group, server.Self = follower, follower.Hello
	return nil
}

func (n *Node) newRelay() (err error) {
	b, deps := n.backbone, relay.Deps{Log: n.opt.Log, Registerer: n.registry}
	if b.relay, err = relay.NewServer(n.hub, n.group, deps); err != nil {
		return err
	}
	b.fabric.Handle(fabric.ALPNRelay, b.relay.Serve)
	b.pusher = relay.NewPusher(b.fabric, n.group, time.Now)
	return n.newPuller(deps)
}

// newGossip opens the gossip port, once the other addresses are known.
func (n *Node) newGossip(context.Context) error {
	c := n.cfg.Cluster
	cfg := gossip.Config{
		Listen: n.cfg.Listen.Gossip, Advertise: n.cfg.Advertise.Gossip, Join: c.Join, Preset: gossip.Preset(c.GossipPreset),
	}
	var err error
	if n.alone() {
		// Nobody is there to be probed: the preset that looks the least often will do.
		cfg = gossip.Config{Listen: withinMachine, Keys: [][]byte{newGossipKey()}, Preset: gossip.PresetWAN}
	} else if cfg.Keys, err = nodeconfig.LoadGossipKeys(c.GossipKeyFile); err != nil {
		return fmt.Errorf("cluster.gossip_key_file: %w", err)
	}
	self := n.describe()
	n.backbone.gossip, err = gossip.New(cfg, gossip.Meta{
		ID: n.group.ID(), Name: self.Name, Roles: self.Roles, Region: self.Region, Zone: self.Zone, Version: self.Version,
		Addrs: gossip.Addrs{
			Fabric: self.Addresses["fabric"], RTMP: self.Addresses["rtmp"], HTTP: self.Addresses["http"],
			Admin: self.Addresses["admin"],
		},
	}, gossip.Deps{Log: n.opt.Log, Registerer: n.registry})
	return err
}

// originDeps adds what an origin has of the cluster.
func (n *Node) originDeps(deps *origin.Deps) {
	deps.Placements, deps.Forward = n.group, n.backbone.pusher
	deps.Node, deps.Started = n.group.ID(), n.ready
	deps.PlayAt = func() string { return n.addressOf(nodeconfig.RoleEdge, "rtmp") }
	deps.PublishAt = func() string { return n.addressOf(nodeconfig.RoleOrigin, "rtmp") }
	deps.WatchAt = func() string { return n.addressOf(nodeconfig.RoleEdge, "http") }
	deps.Yield, deps.Nearer = n.yieldTo, n.publishNearer
}

// listQuery is the kind of the questions that admin.Local answers.
const listQuery = "list"

// answer tells another node what is here.
func (n *Node) answer(ctx context.Context, from pki.Peer, q control.Query) (json.RawMessage, error) {
	var what string
	switch q.Kind {
	case keyQuery:
		return n.answerStep(from, q.Args)
	case renewQuery:
		return n.answerRenew(from, q.Args)
	case giveQuery:
		return n.answerGive(ctx, from, q.Args)
	case leftQuery:
		return n.answerLeft(ctx, from, q.Args)
	case listQuery:
	default:
		return nil, fmt.Errorf("unknown query %q", q.Kind)
	}
	if err := json.Unmarshal(q.Args, &what); err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	return n.local.Answer(what)
}

// errNoSuchNode refuses a question to a node that is not known.
var errNoSuchNode = errors.New("no such node")

// ask asks another node for its part of a list.
func (n *Node) ask(ctx context.Context, id, what string) ([]byte, error) {
	d, ok := n.group.Node(id)
	if !ok || d.Addresses["fabric"] == "" {
		return nil, fmt.Errorf("%w: %q", errNoSuchNode, id)
	}
	args, err := json.Marshal(what)
	if err != nil {
		return nil, err
	}
	to := fabric.Target{Name: d.Name, Addr: d.Addresses["fabric"]}
	return n.backbone.control.Query(ctx, to, control.Query{Kind: listQuery, Args: args})
}
