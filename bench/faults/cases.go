package faults

import (
	"context"
	"errors"
	"time"

	"tmms/bench/history"
)

// scenario is a case: how one thing is broken, and what must hold.
type scenario struct {
	name string
	run  func(s *suite) runner
}

// runner runs a case; an error ends it, as faults do not.
type runner func(ctx context.Context, r *Result) error

// each makes a case of rounds, all alike.
func each(round func(*suite, context.Context, *Result) error) func(*suite) runner {
	return func(s *suite) runner {
		return func(ctx context.Context, r *Result) error {
			for r.Rounds < s.rounds() && ctx.Err() == nil {
				r.Rounds++
				if err := round(s, ctx, r); err != nil {
					return err
				}
				r.check(s.calm(ctx))
			}
			return nil
		}
	}
}

// cases are those of CASES under "Cluster" that break something.
func cases() []scenario {
	return []scenario{
		{"kill-leader", func(s *suite) runner { return s.killLeader }},
		{"kill-origin", each((*suite).killOrigin)},
		{"kill-standby", each((*suite).killStandby)},
		{"restart-standby", each((*suite).restartStandby)},
		{"kill-edge", each((*suite).killEdge)},
		{"partition-minority", each((*suite).partitionMinority)},
		{"partition-majority", each((*suite).partitionMajority)},
		{"partition-asymmetric", each((*suite).partitionAsymmetric)},
		{"partition-flapping", each((*suite).partitionFlapping)},
		{"loss", each((*suite).loss)},
		{"slow-disk", each((*suite).slowDisk)},
		{"full-disk", each((*suite).fullDisk)},
		{"corrupt-snapshot", each((*suite).corruptSnapshot)},
		{"clock-jump", each((*suite).clockJump)},
		{"sigstop-leader", each((*suite).stopLeader)},
		{"sigstop-owner", each((*suite).stopOwner)},
		{"sigstop-edge", each((*suite).stopEdge)},
	}
}

// CaseNames are the names of all cases, in order.
func CaseNames() (names []string) {
	for _, c := range cases() {
		names = append(names, c.name)
	}
	return names
}

// killLeader ends leaders, one after the other. Streams that the other origins own
// go on as if nothing were.
func (s *suite) killLeader(ctx context.Context, r *Result) error {
	for range s.Kills {
		r.Rounds++
		if err := s.killOneLeader(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) killOneLeader(ctx context.Context, r *Result) error {
	leader, others, err := s.roles(ctx)
	if err != nil {
		return err
	}
	airs := make([]*Air, len(others))
	for i, o := range others {
		if airs[i], err = s.air(ctx, o, "flv"); err != nil {
			return err
		}
		defer s.off(airs[i])
	}
	for _, a := range airs {
		a.Cut()
	}
	killed := time.Now()
	if err = leader.Kill(); err != nil {
		return err
	}
	next, err := s.newLeader(ctx, r, others, killed)
	if err != nil {
		return err
	}
	s.say("round %d: %s killed, %s leads after %v", r.Rounds, leader.Name, next.Name,
		time.Since(killed).Round(time.Millisecond))
	s.takesWrites(ctx, r, next)
	if err = s.Restart(ctx, leader); err != nil {
		return err
	}
	r.check(s.settle(ctx))
	for _, a := range airs {
		r.gapless(a.Cut())
	}
	return nil
}

// takesWrites wants a leader to take one.
func (s *suite) takesWrites(ctx context.Context, r *Result, leader *Node) {
	if o, err := s.write(ctx, leader); o != history.Applied && o != history.Conflict {
		r.fault("%s, which leads, does not take a write: %v", leader.Name, err)
	}
}

// newLeader measures until one of the nodes leads.
func (s *suite) newLeader(ctx context.Context, r *Result, among []*Node, since time.Time) (next *Node, err error) {
	err = s.until(ctx, startTimeout, "there is a new leader", func() (ok bool) {
		next, ok = s.leaderOf(ctx, among)
		return ok
	})
	m := r.took("new leader", time.Since(since), maxLeader)
	m.HalfMax = ms(maxLeaderHalf)
	return next, err
}

// killOrigin ends the owner of a stream, in turn one that leads and one that does
// not. The encoder comes back to another origin.
func (s *suite) killOrigin(ctx context.Context, r *Result) error {
	leader, others, err := s.roles(ctx)
	if err != nil {
		return err
	}
	victim := []*Node{others[0], leader}[(r.Rounds-1)%2]
	a, err := s.air(ctx, victim, protos()...)
	if err != nil {
		return err
	}
	defer s.off(a)
	_, err = s.standby(ctx, r, a)
	r.check(err)
	a.Cut()
	killed := time.Now()
	if err = victim.Kill(); err != nil {
		return err
	}
	if err = s.newOwner(ctx, r, a, victim, killed); err != nil {
		return err
	}
	if err = a.Playing(ctx, maxReturn); err != nil {
		return err
	}
	pause(ctx, hlsSettle)
	r.Resumed(a.Cut(), maxResume)
	s.say("round %d: %s killed; the publisher: %q", r.Rounds, victim.Name, a.PublisherTold())
	return nil
}

// hlsSettle is a time in which the segments around a seam have been listed and
// fetched.
const hlsSettle = 8 * time.Second

// newOwner measures until the placement names another owner.
func (s *suite) newOwner(ctx context.Context, r *Result, a *Air, but *Node, since time.Time) error {
	err := s.until(ctx, startTimeout, a.Stream+" has another owner than "+but.Name, func() bool {
		for _, o := range s.Origins() {
			if o == but {
				continue
			}
			p, _, err := o.Placed(ctx, a.Stream, true)
			if err == nil && p != nil && p.OwnerName != "" && p.OwnerName != but.Name {
				return true
			}
		}
		return false
	})
	r.took("new placement", time.Since(since), maxPlacement)
	return err
}

// standby waits until a stream has a standby in sync, and gives it.
func (s *suite) standby(ctx context.Context, r *Result, a *Air, but ...*Node) (n *Node, err error) {
	since := time.Now()
	err = s.until(ctx, maxStandby, a.Stream+" has a standby", func() bool {
		owner, fault := s.owner(ctx, a)
		if fault != nil {
			return false
		}
		p, _, fault := owner.Placed(ctx, a.Stream, true)
		if fault != nil || p == nil || p.Standby == "" || !p.InSync {
			return false
		}
		n = s.Node(p.Standby)
		return n != nil && (len(but) == 0 || n != but[0])
	})
	r.took("standby in sync", time.Since(since), maxStandby)
	return n, err
}

// killStandby ends the standby of a stream, which nobody notices; another one
// takes its place.
func (s *suite) killStandby(ctx context.Context, r *Result) error {
	_, others, err := s.roles(ctx)
	if err != nil {
		return err
	}
	a, err := s.air(ctx, others[r.Rounds%2], protos()...)
	if err != nil {
		return err
	}
	defer s.off(a)
	n, err := s.standby(ctx, r, a)
	if err != nil {
		return err
	}
	a.Cut()
	if err = n.Kill(); err != nil {
		return err
	}
	_, err = s.standby(ctx, r, a, n)
	r.check(err)
	pause(ctx, hlsSettle)
	r.gapless(a.Cut())
	return nil
}

// restartStandby ends the standby of a stream, which starts again at once and has nothing
// of it, and the owner, in turn one that leads and one that does not. Nobody has the
// stream then: its publisher begins a new playlist, above the old one and on its clock.
// That the owner is dead the third origin alone can say, so its lease has to run out.
func (s *suite) restartStandby(ctx context.Context, r *Result) error {
	leader, others, err := s.roles(ctx)
	if err != nil {
		return err
	}
	victim := []*Node{others[0], leader}[(r.Rounds-1)%2]
	a, err := s.air(ctx, victim, protos()...)
	if err != nil {
		return err
	}
	defer s.off(a)
	n, err := s.standby(ctx, r, a)
	if err != nil {
		return err
	}
	a.Cut()
	killed := time.Now()
	if err = errors.Join(n.Kill(), n.start(s.program), victim.Kill()); err != nil {
		return err
	}
	err = s.until(ctx, startTimeout, "the publisher is at another origin", func() bool {
		at := a.PublisherAt()
		return at != "" && at != victim.Name
	})
	if err != nil {
		return err
	}
	r.took("the publisher is accepted", time.Since(killed), maxReturn)
	if err = a.Playing(ctx, maxReturn); err != nil {
		return err
	}
	pause(ctx, hlsSettle)
	for _, v := range a.Cut() {
		r.sane(v)
		r.stayed(v)
	}
	s.say("round %d: %s killed, %s started anew; the publisher: %q", r.Rounds, victim.Name, n.Name, a.PublisherTold())
	return nil
}

// killEdge ends an edge, in turn each; the others lose no frame, though one of
// them may have been its shield.
func (s *suite) killEdge(ctx context.Context, r *Result) error {
	_, _, a, err := s.scene(ctx, protos()...)
	if err != nil {
		return err
	}
	defer s.off(a)
	edges := s.Edges()
	victim := edges[(r.Rounds-1)%len(edges)]
	a.Cut()
	if err = victim.Kill(); err != nil {
		return err
	}
	pause(ctx, hlsSettle)
	if err = s.Restart(ctx, victim); err != nil {
		return err
	}
	back := time.Now()
	if err = a.Playing(ctx, maxReturn); err != nil {
		return err
	}
	r.took("its own viewers are back", time.Since(back), maxReturn)
	r.gapless(a.Cut(), victim.Name)
	return nil
}
