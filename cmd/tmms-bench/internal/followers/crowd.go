package followers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tmms/cluster/consensus"
	"tmms/cluster/control"
	"tmms/cluster/fabric"
	"tmms/cluster/pki"
	"tmms/cluster/replica"
	"tmms/media"
)

// Config of a [Crowd].
type Config struct {
	Voters []consensus.Voter // who is followed
	CA     *pki.CA           // of the cluster; it makes the certificates
	Count  int               // followers, 1 to media.MaxWatchers
}

// Validate names the first value out of range.
func (c Config) Validate() error {
	switch {
	case len(c.Voters) == 0 || c.CA == nil:
		return errors.New("followers: a voter and the CA are needed")
	case c.Count < 1 || c.Count > media.MaxWatchers:
		return fmt.Errorf("followers: %d is not in 1..%d", c.Count, media.MaxWatchers)
	}
	return nil
}

// Crowd is followers that run. Its methods are for one goroutine.
type Crowd struct {
	cfg   Config
	nodes []*replica.Node
	end   context.CancelFunc
	ended sync.WaitGroup
}

// starting bounds the followers that have begun and do not follow yet.
const starting = 16

// Start starts followers, and returns when all of them follow. Stop ends them, and
// must be called after an error too.
func Start(ctx context.Context, cfg Config) (*Crowd, error) {
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	c := &Crowd{cfg: cfg, end: end}
	if err := cfg.Validate(); err != nil {
		return c, err
	}
	var begun []*replica.Node
	for i := range cfg.Count {
		n, err := c.start(running, fmt.Sprintf("e%d", i), pki.RoleEdge)
		if err != nil {
			return c, err
		}
		c.nodes, begun = append(c.nodes, n), append(begun, n)
		if len(begun) < starting && i < cfg.Count-1 {
			continue
		}
		for _, each := range begun {
			if err = ready(ctx, each); err != nil {
				return c, err
			}
		}
		begun = begun[:0]
	}
	return c, nil
}

// start starts one node.
func (c *Crowd) start(ctx context.Context, name, role string) (*replica.Node, error) {
	cert, key, err := c.cfg.CA.Issue(name, []string{role}, time.Now())
	if err != nil {
		return nil, err
	}
	id, err := pki.NewIdentity(cert, key, c.cfg.CA.CertPEM())
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.DiscardHandler)
	f, err := fabric.New(fabric.Config{Listen: "127.0.0.1:0"}, id, fabric.Deps{Log: log})
	if err != nil {
		return nil, err
	}
	client := control.NewClient(f, control.ClientConfig{
		Self: name, Voters: func() []fabric.Target { return control.Targets(c.cfg.Voters, nil) },
	})
	n, err := replica.New(replica.Config{
		Name: name, CAFingerprint: id.CAFingerprint(), Owns: role == pki.RoleOrigin,
	}, replica.Deps{Log: log, Cluster: client})
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	c.ended.Go(func() { _ = f.Run(ctx) }) // it ends with ctx
	c.ended.Go(func() { _ = n.Run(ctx) })
	return n, nil
}

func ready(ctx context.Context, n *replica.Node) error {
	select {
	case <-n.Ready():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("followers: %s does not follow: %w", n.Hello().Name, context.Cause(ctx))
	}
}

// Stop ends all followers.
func (c *Crowd) Stop() {
	c.end()
	c.ended.Wait()
}

// Change makes changes of the state, so many a second, until ctx ends: a node claims
// a stream and gives it up again. It gives the number of changes that were made and
// how long after the last one all followers had it.
func (c *Crowd) Change(ctx context.Context, perSecond float64) (changes int, behind time.Duration, err error) {
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	owner, err := c.start(running, "o-bench", pki.RoleOrigin)
	if err != nil {
		return 0, 0, err
	}
	if err = ready(ctx, owner); err != nil {
		return 0, 0, err
	}
	key := media.StreamKey{Domain: "bench", App: "live", Stream: "s"}
	ticker := time.NewTicker(time.Duration(float64(time.Second) / perSecond))
	defer ticker.Stop()
	for epoch := uint64(0); ctx.Err() == nil; changes++ {
		if epoch, err = toggle(running, owner, key, epoch); err != nil {
			return changes, 0, err
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
	behind, err = c.wait(running, owner.AppliedIndex())
	return changes, behind, err
}

// toggle claims a stream, or gives up the one that is owned in an epoch that is not 0.
func toggle(ctx context.Context, n *replica.Node, key media.StreamKey, epoch uint64) (uint64, error) {
	if epoch != 0 {
		return 0, n.Release(ctx, key, epoch)
	}
	p, err := n.Claim(ctx, key)
	return p.Epoch, err
}

// catchUp bounds the wait for followers that are behind.
const catchUp = time.Minute

// wait waits until all followers have a change, and gives how long that took.
func (c *Crowd) wait(ctx context.Context, index uint64) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	since := time.Now()
	for _, n := range c.nodes {
		if err := n.WaitIndex(ctx, index); err != nil {
			return 0, err
		}
	}
	return time.Since(since), nil
}
