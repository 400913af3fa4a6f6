package faults

import (
	"context"
	"time"

	"tmms/bench/history"
)

// apart cuts some nodes off all others for a time, while during runs; then it heals.
func (s *suite) apart(ctx context.Context, names []string, d time.Duration, during func() error) error {
	began := time.Now()
	if err := s.Network.Cut(ctx, names, s.others(names...), true); err != nil {
		return err
	}
	err := during()
	pause(ctx, time.Until(began.Add(d)))
	if heal := s.Network.Heal(ctx); heal != nil {
		return heal
	}
	return err
}

// healed wants streams to play again everywhere after a heal, and not to change
// their owner again and again.
func (s *suite) healed(ctx context.Context, r *Result, airs ...*Air) {
	healed := time.Now()
	before := map[string]int{}
	for _, a := range airs {
		before[a.Stream] = s.epochsBegun(a.Stream)
	}
	for _, a := range airs {
		if r.check(a.Playing(ctx, maxReturn)) {
			r.took("all play after the heal", time.Since(healed), maxReturn)
		}
	}
	pause(ctx, time.Until(healed.Add(steadyFor)))
	for _, a := range airs {
		if n := s.epochsBegun(a.Stream) - before[a.Stream]; n > maxFlips {
			r.fault("%s has begun %d epochs within %v of the heal", a.Stream, n, steadyFor)
		}
		r.check(a.Playing(ctx, maxReturn))
	}
}

// partitionMinority cuts off the leader with an edge. The others choose another
// leader; the one that is cut off acknowledges no write, and goes on with the
// stream that it owns for the viewers at its edge. A second publisher of that
// stream comes to the others: nobody who has seen it sees the first one again.
func (s *suite) partitionMinority(ctx context.Context, r *Result) error {
	leader, others, err := s.roles(ctx)
	if err != nil {
		return err
	}
	edge := s.Edges()[2]
	inside, err := s.air(ctx, leader, "flv", "rtmp")
	if err != nil {
		return err
	}
	defer s.off(inside)
	outside, err := s.air(ctx, others[0], "flv", "rtmp")
	if err != nil {
		return err
	}
	defer s.off(outside)
	rival, end := context.WithCancel(ctx)
	defer end()
	inside.Cut()
	outside.Cut()
	err = s.apart(ctx, []string{leader.Name, edge.Name}, cutFor, func() error {
		cut := time.Now()
		next, fault := s.newLeader(ctx, r, others, cut)
		if fault != nil {
			return fault
		}
		inside.publish(rival, []string{others[0].Name, others[1].Name}, 1)
		s.writes(ctx, r, leader, next)
		return nil
	})
	if err != nil {
		return err
	}
	list := inside.Cut()
	for _, v := range list {
		r.sane(v)
		if v.Edge == edge.Name && v.Lost() > 0 {
			r.fault("%s lost %d frames of the owner on its side", v.Name, v.Lost())
		}
	}
	r.gapless(outside.Cut(), edge.Name)
	s.healed(ctx, r, inside, outside)
	for _, v := range append(inside.Cut(), outside.Cut()...) {
		r.sane(v)
	}
	return nil
}

// writes wants the node on the small side to acknowledge nothing, and that on the
// other side to.
func (s *suite) writes(ctx context.Context, r *Result, small, large *Node) {
	asking, end := context.WithTimeout(ctx, cutFor/2)
	defer end()
	if o, _ := s.write(asking, small); o == history.Applied {
		r.fault("%s, which has no majority, acknowledges a write", small.Name)
	}
	s.takesWrites(ctx, r, large)
}

// partitionMajority cuts off an origin that does not lead, with an edge: for the
// others nothing changes.
func (s *suite) partitionMajority(ctx context.Context, r *Result) error {
	leader, others, err := s.roles(ctx)
	if err != nil {
		return err
	}
	edge := s.Edges()[2]
	a, err := s.air(ctx, leader, "flv", "rtmp")
	if err != nil {
		return err
	}
	defer s.off(a)
	a.Cut()
	err = s.apart(ctx, []string{others[0].Name, edge.Name}, cutFor, func() error {
		s.writes(ctx, r, others[0], leader)
		return nil
	})
	if err != nil {
		return err
	}
	r.gapless(a.Cut(), edge.Name)
	epochs := s.epochsBegun(a.Stream)
	s.healed(ctx, r, a)
	if n := s.epochsBegun(a.Stream); n != epochs {
		r.fault("%s, whose owner was on the large side, has begun %d epochs more", a.Stream, n-epochs)
	}
	for _, v := range a.Cut() {
		r.sane(v)
	}
	return nil
}

// partitionAsymmetric stops what goes from the leader to another origin, but not
// what comes back.
func (s *suite) partitionAsymmetric(ctx context.Context, r *Result) error {
	leader, others, err := s.roles(ctx)
	if err != nil {
		return err
	}
	a, err := s.air(ctx, others[1], "flv", "rtmp")
	if err != nil {
		return err
	}
	defer s.off(a)
	a.Cut()
	cut := time.Now()
	if err = s.Network.Cut(ctx, []string{leader.Name}, []string{others[0].Name}, false); err != nil {
		return err
	}
	err = s.until(ctx, maxReturn, "a write is acknowledged", func() bool {
		o, _ := s.write(ctx, others[1])
		return o == history.Applied
	})
	if r.check(err) {
		r.took("a write is acknowledged", time.Since(cut), 2*maxLeader)
	}
	pause(ctx, time.Until(cut.Add(cutFor)))
	r.gapless(a.Cut())
	if err = s.Network.Heal(ctx); err != nil {
		return err
	}
	s.healed(ctx, r, a)
	r.gapless(a.Cut())
	return nil
}

// partitionFlapping cuts the leader off and heals it again, every second.
func (s *suite) partitionFlapping(ctx context.Context, r *Result) error {
	leader, _, a, err := s.scene(ctx, "flv", "rtmp")
	if err != nil {
		return err
	}
	defer s.off(a)
	a.Cut()
	for end := time.Now().Add(cutFor); time.Now().Before(end) && ctx.Err() == nil; {
		if err = s.apart(ctx, []string{leader.Name}, flapEvery, func() error { return nil }); err != nil {
			return err
		}
		pause(ctx, flapEvery)
	}
	r.gapless(a.Cut())
	s.healed(ctx, r, a)
	r.gapless(a.Cut())
	return nil
}
