package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"tmms/cluster/consensus"
	"tmms/cluster/fabric"
	"tmms/cluster/member"
	"tmms/cluster/state"
	"tmms/media"
)

const (
	// dialTimeout bounds the wait for a session with one node.
	dialTimeout = 1500 * time.Millisecond
	// replyTimeout bounds the wait for an answer to one attempt; commands wait
	// for disks.
	replyTimeout   = 1500 * time.Millisecond
	commandTimeout = 3 * time.Second
	// maxHints bounds how often in a round another node is said to lead.
	maxHints = 2
)

// Sessions dials nodes: a *fabric.Fabric.
type Sessions interface {
	Session(ctx context.Context, to fabric.Target, alpn fabric.ALPN) (*fabric.Session, error)
}

// ClientConfig of a [Client].
type ClientConfig struct {
	// Self is this node's name; it is never asked.
	Self string
	// Voters gives the nodes that may lead, as far as they are known; see
	// [Targets]. It is called often and from any goroutine.
	Voters func() []fabric.Target
	// Leader is what this node knows of the leader, such as consensus.Node.Leader;
	// nil means nothing.
	Leader func() (id, name string, ok bool)
}

// Client asks other nodes. It may be used from any goroutine. Its methods go to
// the leader or to one node, each once; who wants an answer for sure asks
// again. It implements consensus.Peers.
type Client struct {
	sessions Sessions
	cfg      ClientConfig
	leader   atomic.Pointer[string] // name of who led last
	silent   atomic.Pointer[string] // name of who did not answer last
	start    atomic.Uint32          // which voter a watch tries first
}

// NewClient gives a client.
func NewClient(sessions Sessions, cfg ClientConfig) *Client {
	c := &Client{sessions: sessions, cfg: cfg}
	c.start.Store(rand.Uint32())
	return c
}

// Targets are the nodes that may lead: the configured voters, and every origin
// at the address that it told the cluster, should that be another one.
func Targets(configured []consensus.Voter, nodes []state.Node) []fabric.Target {
	list := make([]fabric.Target, 0, len(configured))
	seen := map[fabric.Target]bool{}
	add := func(t fabric.Target) {
		if t.Addr != "" && !seen[t] {
			seen[t] = true
			list = append(list, t)
		}
	}
	for _, v := range configured {
		add(fabric.Target{Name: v.Name, Addr: v.Address})
	}
	for _, n := range nodes {
		for _, r := range n.Roles {
			if r == "origin" {
				add(fabric.Target{Name: n.Name, Addr: n.Addresses["fabric"]})
			}
		}
	}
	return list
}

// Hello asks a node who it is.
func (c *Client) Hello(ctx context.Context, to fabric.Target) (consensus.Hello, error) {
	return ask[consensus.Hello](ctx, c, to, methodHello, struct{}{})
}

// Propose asks the leader for a command; see [member.Attempt].
func (c *Client) Propose(ctx context.Context, cmd state.Command) (index uint64, result any, err error) {
	b, err := state.Encode(cmd)
	if err != nil {
		return 0, nil, err
	}
	p, err := askLeader[proposed](ctx, c, methodPropose, json.RawMessage(b))
	if err != nil {
		return 0, nil, err
	}
	result, err = decodeResult(cmd, p)
	return p.Index, result, err
}

// ReadIndex asks the leader for the index of the last command committed.
func (c *Client) ReadIndex(ctx context.Context) (uint64, error) {
	p, err := askLeader[position](ctx, c, methodRead, struct{}{})
	return p.Index, asQuestion(err)
}

// Renew renews the lease of this node, whose id is given; starting: see
// [member.Lease.Starting].
func (c *Client) Renew(ctx context.Context, id string, starting bool) error {
	_, err := askLeader[struct{}](ctx, c, methodRenew, renewal{id, starting})
	return asQuestion(err)
}

// Join asks the leader to add a running node to the raft group.
func (c *Client) Join(ctx context.Context, name, address string) error {
	_, err := askLeader[struct{}](ctx, c, methodJoin, joining{name, address})
	return err
}

// Remove asks the leader to take a member out of the raft group.
func (c *Client) Remove(ctx context.Context, nameOrID string) error {
	_, err := askLeader[struct{}](ctx, c, methodRemove, joining{Name: nameOrID})
	return err
}

// Revoke asks the leader to take certificates out of use.
func (c *Client) Revoke(ctx context.Context, r consensus.Revocation) (state.RevokeResult, error) {
	return askLeader[state.RevokeResult](ctx, c, methodRevoke, r)
}

// Transfer asks the leader to hand over to another voter, any if the name is
// empty, and gives the name of who leads then.
func (c *Client) Transfer(ctx context.Context, nameOrID string) (string, error) {
	j, err := askLeader[joining](ctx, c, methodTransfer, joining{Name: nameOrID})
	return j.Name, err
}

// Level asks the leader for the feature levels of all nodes; if level is not 0,
// for the cluster to be raised to it. Asking twice does no harm.
func (c *Client) Level(ctx context.Context, level int) (consensus.Levels, error) {
	l, err := askLeader[consensus.Levels](ctx, c, methodLevel, leveling{level})
	return l, asQuestion(err)
}

// Status asks for the raft group, the leader first.
func (c *Client) Status(ctx context.Context) (consensus.Status, error) {
	s, err := askLeader[consensus.Status](ctx, c, methodStatus, struct{}{})
	return s, asQuestion(err)
}

// Query asks a node for a list that only it has: JSON of at most
// media.MaxControlReply bytes.
func (c *Client) Query(ctx context.Context, to fabric.Target, q Query) (json.RawMessage, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	x, err := c.open(ctx, to, methodQuery, body)
	if err != nil {
		return nil, err
	}
	defer x.close()
	var list []byte
	for {
		var r reply
		if err := x.read(&r, waitFor(methodQuery)); err != nil {
			return nil, err
		}
		if r.Error != nil {
			return nil, r.Error.asError()
		}
		if list = append(list, r.Part...); len(list) > media.MaxControlReply {
			return nil, fmt.Errorf("control: %s answers more than %d bytes", to, media.MaxControlReply)
		}
		if !r.More {
			return list, nil
		}
	}
}

// asQuestion is for what does no harm when it is asked again.
func asQuestion(err error) error {
	if errors.Is(err, member.ErrUncertain) {
		return fmt.Errorf("%w: %w", member.ErrNotLeader, err)
	}
	return err
}

// askLeader asks the nodes that may lead, one after the other, until one does.
// The error wraps ErrNotLeader if nobody does, and ErrUncertain if the answer of
// one is not known.
func askLeader[T any](ctx context.Context, c *Client, method string, body any) (T, error) {
	var none T
	var faults []error
	queue := c.candidates()
	for hints := 0; len(queue) > 0 && ctx.Err() == nil; {
		to := queue[0]
		queue = queue[1:]
		answer, err := ask[T](ctx, c, to, method, body)
		c.note(to, err)
		if !errors.Is(err, member.ErrNotLeader) {
			return answer, err
		}
		faults = append(faults, fmt.Errorf("%s: %w", to, err))
		remote, ok := errors.AsType[*RemoteError](err)
		if !ok || remote.Leader == "" {
			continue
		}
		if remote.Leader == c.cfg.Self {
			return none, fmt.Errorf("%w: %s says that this node does", member.ErrNotLeader, to)
		}
		if hints++; hints <= maxHints && remote.Leader != to.Name {
			queue = append(c.named(remote.Leader), queue...)
		}
	}
	if len(faults) == 0 {
		faults = append(faults, errors.New("no other node is known"))
	}
	return none, fmt.Errorf("%w: %w", member.ErrNotLeader, answers(faults))
}

// answers are the errors of several nodes, on one line.
type answers []error

// Error gives them in the order in which the nodes were asked.
func (a answers) Error() string {
	texts := make([]string, len(a))
	for i, err := range a {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap gives the errors.
func (a answers) Unwrap() []error { return a }

// note remembers who led, and who has left a request without an answer.
func (c *Client) note(to fabric.Target, err error) {
	switch {
	case err == nil:
		c.leader.Store(&to.Name)
		c.silent.Store(nil)
	case errors.Is(err, member.ErrUncertain):
		c.silent.Store(&to.Name)
	}
}

// candidates are the nodes that may lead: first the one that does, as far as
// this node knows, or did; last the one that did not answer.
func (c *Client) candidates() []fabric.Target {
	var first, rest, last []fabric.Target
	led, silent := c.known()
	for _, t := range c.cfg.Voters() {
		switch t.Name {
		case c.cfg.Self:
		case silent:
			last = append(last, t)
		case led:
			first = append(first, t)
		default:
			rest = append(rest, t)
		}
	}
	rand.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	return append(append(first, rest...), last...)
}

func (c *Client) known() (led, silent string) {
	if p := c.silent.Load(); p != nil {
		silent = *p
	}
	if p := c.leader.Load(); p != nil {
		led = *p
	}
	if c.cfg.Leader != nil {
		if _, name, ok := c.cfg.Leader(); ok {
			led = name
		}
	}
	return led, silent
}

func (c *Client) named(name string) (list []fabric.Target) {
	for _, t := range c.cfg.Voters() {
		if t.Name == name {
			list = append(list, t)
		}
	}
	return list
}

// waitFor is how long an answer is waited for.
func waitFor(method string) time.Duration {
	switch method {
	case methodJoin, methodRemove, methodRevoke, methodTransfer, methodLevel: // others are asked first
		return answerTimeout
	case methodPropose: // a claim may be held
		return commandTimeout + media.MaxClaimHold
	case methodQuery:
		return commandTimeout
	case methodSeen:
		return seenTimeout
	}
	return replyTimeout
}

// ask makes one request with one answer. If the request was certainly not
// served the error wraps ErrNotLeader, if that is not known ErrUncertain.
func ask[T any](ctx context.Context, c *Client, to fabric.Target, method string, body any) (answer T, err error) {
	b, err := json.Marshal(body)
	if err != nil {
		return answer, fmt.Errorf("control: encode: %w", err)
	}
	x, err := c.open(ctx, to, method, b)
	if err != nil {
		return answer, err
	}
	defer x.close()
	var r reply
	if err := x.read(&r, waitFor(method)+2*transfer(int64(len(b)))); err != nil { // to the leader, and on to the others
		return answer, fmt.Errorf("%w: %s of %s: %w", member.ErrUncertain, method, to, err)
	}
	if r.Error != nil {
		return answer, r.Error.asError()
	}
	if err := json.Unmarshal(r.Body, &answer); err != nil {
		return answer, fmt.Errorf("control: answer of %s to %s: %w", to, method, err)
	}
	return answer, nil
}
