package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tmms/bench/history"
)

// loss puts a link with 5 % loss and a round trip of 100 ms between an edge and all
// origins: every frame comes.
func (s *suite) loss(ctx context.Context, r *Result) (err error) {
	_, _, a, err := s.scene(ctx, "flv", "rtmp")
	if err != nil {
		return err
	}
	defer s.off(a)
	edge := s.Edges()[2]
	pause(ctx, 3*time.Second)
	normal := map[string]time.Duration{}
	for _, v := range a.Cut() {
		normal[v.Name] = v.LagP99
	}
	ways, err := s.detours(ctx, edge)
	defer func() { err = errors.Join(err, closeAll(ways)) }()
	if err != nil {
		return err
	}
	pause(ctx, brokenLinkOf)
	list := a.Cut()
	r.gapless(list)
	for _, v := range list {
		if v.Edge == edge.Name {
			r.took("added delay p99", v.LagP99-normal[v.Name], maxLossLag)
		}
	}
	for _, d := range ways {
		err = errors.Join(err, d.bit())
	}
	return err
}

// slowDisk lets each write of the owner's state wait: its streams do not notice,
// and what the cluster acknowledges is kept.
func (s *suite) slowDisk(ctx context.Context, r *Result) error {
	slow := s.on(diskFrozen)
	a, err := s.air(ctx, slow, "flv", "rtmp")
	if err != nil {
		return err
	}
	defer s.off(a)
	a.Cut()
	slowing, end := context.WithTimeout(ctx, slowFor)
	defer end()
	done := make(chan error, 1)
	go func() { done <- slow.slow(slowing, slowWrite) }()
	began, taken := time.Now(), 0
	for slowing.Err() == nil {
		if o, _ := s.write(slowing, s.another(slow)); o == history.Applied {
			taken++
		}
		pause(slowing, time.Second)
	}
	if err = <-done; err != nil {
		return err
	}
	if taken == 0 {
		r.fault("no write was acknowledged in %v", time.Since(began).Round(time.Second))
	}
	r.gapless(a.Cut())
	return nil
}

// on is the origin that has such a disk.
func (s *suite) on(d disk) *Node {
	for _, o := range s.Origins() {
		if o.disk == d {
			return o
		}
	}
	return nil
}

// another is an origin that is not n.
func (s *suite) another(n *Node) *Node {
	for _, o := range s.Origins() {
		if o != n {
			return o
		}
	}
	return nil
}

// fullDisk leaves the owner no byte for its state: its streams do not notice, and
// the cluster takes writes. When there is room again the node is a good one.
func (s *suite) fullDisk(ctx context.Context, r *Result) error {
	full := s.on(diskSmall)
	a, err := s.air(ctx, full, "flv", "rtmp")
	if err != nil {
		return err
	}
	defer s.off(a)
	a.Cut()
	if err = full.fill(); err != nil {
		return err
	}
	began := time.Now()
	err = s.until(ctx, maxReturn, "a write is acknowledged", func() bool {
		o, _ := s.write(ctx, s.another(full))
		return o == history.Applied
	})
	if r.check(err) {
		r.took("a write is acknowledged", time.Since(began), 2*maxLeader)
	}
	for end := began.Add(fullFor); time.Now().Before(end) && ctx.Err() == nil; {
		s.write(ctx, s.another(full)) //nolint:errcheck // some are to get into its log
		pause(ctx, time.Second)
	}
	r.gapless(a.Cut())
	r.check(full.said("no space left on device"))
	return full.empty()
}

// corruptSnapshot damages the newest snapshot of an origin that is down: it comes
// back all the same, with what was acknowledged.
func (s *suite) corruptSnapshot(ctx context.Context, r *Result) error {
	victim := s.Origins()[2]
	if err := s.snapshot(ctx, victim); err != nil {
		return err
	}
	a, err := s.air(ctx, s.another(victim), "flv", "rtmp")
	if err != nil {
		return err
	}
	defer s.off(a)
	a.Cut()
	if err = victim.Kill(); err != nil {
		return err
	}
	if err = damage(victim.dataDir()); err != nil {
		return err
	}
	began := time.Now()
	if err = s.Restart(ctx, victim); err != nil {
		return err
	}
	r.check(s.settle(ctx))
	r.took("it is back", time.Since(began), startTimeout)
	r.check(victim.said("snapshot is damaged"))
	r.gapless(a.Cut())
	return nil
}

// snapshot makes a node write one.
func (s *suite) snapshot(ctx context.Context, n *Node) error {
	cmd := n.space.Command(ctx, s.program, "raft", "snapshot", "--api", admin)
	return said(cmd)
}

// damage changes a byte in the middle of each file of the newest snapshot.
func damage(dataDir string) error {
	list, err := filepath.Glob(filepath.Join(dataDir, "*", "snapshots", "*", "state.bin"))
	if more, _ := filepath.Glob(filepath.Join(dataDir, "snapshots", "*", "state.bin")); err == nil {
		list = append(list, more...)
	}
	if err != nil || len(list) == 0 {
		return fmt.Errorf("faults: no snapshot below %s: %w", dataDir, err)
	}
	newest := list[len(list)-1] // their names begin with term and index
	b, err := os.ReadFile(newest)
	if err != nil || len(b) == 0 {
		return fmt.Errorf("faults: %s has %d bytes: %w", newest, len(b), err)
	}
	b[len(b)/2] ^= 0xFF
	if err = os.WriteFile(newest, b, 0o600); err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	return nil
}

// clockJump moves the wall clock of the leader, of an owner and of an edge an hour
// ahead and then an hour back: nobody notices.
func (s *suite) clockJump(ctx context.Context, r *Result) error {
	leader, others, a, err := s.scene(ctx, protos()...)
	if err != nil {
		return err
	}
	defer s.off(a)
	for _, victim := range []*Node{leader, others[0], s.Edges()[0]} {
		epochs := s.epochsBegun(a.Stream)
		a.Cut()
		for _, step := range []time.Duration{clockStep, -clockStep, 0} {
			if err = victim.process.clock.Move(step); err != nil {
				return err
			}
			s.say("the clock of %s is %v off", victim.Name, step)
			pause(ctx, clockFor)
			if o, fault := s.write(ctx, leader); o == history.Unknown {
				r.fault("the clock of %s is %v off: a write: %v", victim.Name, step, fault)
			}
		}
		r.gapless(a.Cut())
		if n := s.epochsBegun(a.Stream); n != epochs {
			r.fault("%s has begun %d epochs", a.Stream, n-epochs)
		}
	}
	return nil
}

// stopLeader lets the leader stand still.
func (s *suite) stopLeader(ctx context.Context, r *Result) error {
	leader, others, a, err := s.scene(ctx, "flv", "rtmp")
	if err != nil {
		return err
	}
	defer s.off(a)
	a.Cut()
	stopped := time.Now()
	if err = leader.Freeze(); err != nil {
		return err
	}
	next, err := s.newLeader(ctx, r, others, stopped)
	if err != nil {
		return err
	}
	s.takesWrites(ctx, r, next)
	pause(ctx, time.Until(stopped.Add(stopFor)))
	if err = leader.Thaw(); err != nil {
		return err
	}
	s.healed(ctx, r, a)
	r.gapless(a.Cut())
	return nil
}

// stopOwner lets the owner of a stream stand still, whose publisher does not notice:
// its connection stands. The owner that was learns that it is none any more.
func (s *suite) stopOwner(ctx context.Context, r *Result) error {
	_, others, a, err := s.scene(ctx, "flv", "rtmp")
	if err != nil {
		return err
	}
	defer s.off(a)
	a.Cut()
	stopped := time.Now()
	if err = others[0].Freeze(); err != nil {
		return err
	}
	pause(ctx, time.Until(stopped.Add(stopFor)))
	if err = others[0].Thaw(); err != nil {
		return err
	}
	s.healed(ctx, r, a)
	r.Resumed(a.Cut(), stopFor+maxResume)
	return nil
}

// stopEdge lets an edge stand still: the others lose no frame.
func (s *suite) stopEdge(ctx context.Context, r *Result) error {
	_, _, a, err := s.scene(ctx, protos()...)
	if err != nil {
		return err
	}
	defer s.off(a)
	edge := s.Edges()[r.Rounds%2]
	a.Cut()
	if err = edge.Freeze(); err != nil {
		return err
	}
	pause(ctx, stopFor)
	if err = edge.Thaw(); err != nil {
		return err
	}
	r.check(a.Playing(ctx, maxReturn))
	r.gapless(a.Cut(), edge.Name)
	return nil
}
