package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// pick is a fault drawn from the seed: its kind, and numbers that say who and how
// long. Who leads or owns when it comes is the cluster's.
type pick struct {
	kind string
	who  [2]int
	hold time.Duration
}

// kinds are the faults that are drawn, the frequent ones more than once.
func kinds() []string {
	return []string{
		"kill-leader", "kill-leader", "kill-owner", "kill-owner", "kill-origin", "kill-edge",
		"stop-leader", "stop-owner", "stop-edge",
		"cut-node", "cut-two", "cut-one-way", "flap", "loss",
		"slow-disk", "full-disk", "clock",
	}
}

// Bounds of how long a random fault lasts.
const (
	shortestHold = time.Second
	longestHold  = 15 * time.Second
)

// draw gives the next fault of a seed.
func draw(rnd *rand.Rand) pick {
	all := kinds()
	return pick{
		kind: all[rnd.IntN(len(all))], who: [2]int{rnd.IntN(6), rnd.IntN(5)},
		hold: shortestHold + time.Duration(rnd.Int64N(int64(longestHold-shortestHold))).Truncate(100*time.Millisecond),
	}
}

// random draws faults until the time is over. Behind each the cluster has to become
// whole: viewers play again, and nothing has happened that no fault excuses.
func (s *suite) random(ctx context.Context, r *Result) error {
	var airs []*Air
	for _, o := range s.Origins() {
		a, err := s.air(ctx, o, protos()...)
		if err != nil {
			return err
		}
		defer s.off(a)
		airs = append(airs, a)
	}
	rnd := rand.New(rand.NewPCG(s.Seed, 0))
	for end := time.Now().Add(s.Random); time.Now().Before(end) && ctx.Err() == nil; {
		r.Rounds++
		p := draw(rnd)
		began := time.Now()
		what, err := s.strike(ctx, p, airs[p.who[0]%len(airs)])
		s.say("random %d: %s %s for %v", r.Rounds, p.kind, what, p.hold)
		if err = errors.Join(err, s.calm(ctx)); err != nil {
			return fmt.Errorf("faults: %s %s: %w", p.kind, what, err)
		}
		healed := time.Now()
		for _, a := range airs {
			if r.check(a.Playing(ctx, maxReturn)) {
				r.took("all play after the heal", time.Since(healed), maxReturn)
			}
			for _, v := range a.Cut() {
				r.sane(v)
			}
		}
		r.took("the fault and its end", time.Since(began), 0)
		if bad := s.took(); bad != "" {
			r.fault("%s", bad)
		}
	}
	return nil
}

// strike breaks something for a time, and tells what. What is not whole again by
// itself calm mends.
func (s *suite) strike(ctx context.Context, p pick, a *Air) (what string, err error) {
	origins, edges := s.Origins(), s.Edges()
	n := s.nodes[p.who[0]]
	switch p.kind {
	case "kill-leader", "stop-leader":
		if n, _, err = s.roles(ctx); err != nil {
			return "", err
		}
	case "kill-owner", "stop-owner":
		if n, err = s.owner(ctx, a); err != nil {
			return "", err
		}
	case "kill-origin":
		n = origins[p.who[0]%len(origins)]
	case "kill-edge", "stop-edge", "loss":
		n = edges[p.who[0]%len(edges)]
	}
	return n.Name, s.harm(ctx, p, n)
}

// harm does to a node what was drawn.
func (s *suite) harm(ctx context.Context, p pick, n *Node) error {
	others := s.others(n.Name)
	other := others[p.who[1]%len(others)]
	switch p.kind {
	case "kill-leader", "kill-owner", "kill-origin", "kill-edge":
		err := n.Kill()
		pause(ctx, p.hold)
		return err
	case "stop-leader", "stop-owner", "stop-edge":
		err := n.Freeze()
		pause(ctx, p.hold)
		return err
	case "cut-node":
		return s.apart(ctx, []string{n.Name}, p.hold, func() error { return nil })
	case "cut-two":
		return s.apart(ctx, []string{n.Name, other}, p.hold, func() error { return nil })
	case "cut-one-way":
		err := s.Network.Cut(ctx, []string{n.Name}, []string{other}, false)
		pause(ctx, p.hold)
		return err
	case "flap":
		return s.flap(ctx, n, p.hold)
	}
	return s.ail(ctx, p, n)
}

// flap cuts a node off and heals it again, every second.
func (s *suite) flap(ctx context.Context, n *Node, d time.Duration) error {
	for end := time.Now().Add(d); time.Now().Before(end) && ctx.Err() == nil; {
		if err := s.apart(ctx, []string{n.Name}, flapEvery, func() error { return nil }); err != nil {
			return err
		}
		pause(ctx, flapEvery)
	}
	return nil
}

// ail lets a node go on with a way, a disk or a clock that is not right.
func (s *suite) ail(ctx context.Context, p pick, n *Node) error {
	switch p.kind {
	case "loss":
		ways, err := s.detours(ctx, n)
		pause(ctx, p.hold)
		return errors.Join(err, closeAll(ways))
	case "slow-disk":
		slowing, end := context.WithTimeout(ctx, p.hold)
		defer end()
		return s.on(diskFrozen).slow(slowing, slowWrite)
	case "full-disk":
		err := s.on(diskSmall).fill()
		pause(ctx, p.hold)
		return err
	case "clock":
		step := clockStep
		if p.who[1]%2 == 1 {
			step = -step
		}
		err := n.process.clock.Move(step)
		pause(ctx, p.hold)
		return err
	}
	return fmt.Errorf("faults: there is no fault %q", p.kind)
}
