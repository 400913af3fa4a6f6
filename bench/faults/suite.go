package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Config of a suite.
type Config struct {
	Program string // tmms
	Bench   string // tmms-bench, for links
	Dir     string // for all files; it is there
	Cases   []string
	Kills   int           // of leaders; the other cases take a tenth of it as their rounds, at least one
	Random  time.Duration // of faults at random, after the cases
	Seed    uint64        // of those
	Out     io.Writer     // a line for each thing that is done
}

// Validate names the first value that is wrong.
func (c Config) Validate() error {
	switch {
	case c.Kills < 1 || c.Kills > 10_000:
		return fmt.Errorf("faults: %d kills are not in 1..10000", c.Kills)
	case c.Random < 0 || c.Random > 24*time.Hour:
		return fmt.Errorf("faults: %v of random faults are not in 0..24h", c.Random)
	}
	for _, name := range c.Cases {
		if !slices.Contains(CaseNames(), name) {
			return fmt.Errorf("faults: there is no case %q; there are %q", name, CaseNames())
		}
	}
	return nil
}

// suite is a run.
type suite struct {
	Config
	*Cluster
	*overseer

	began  time.Time
	report *Report
	airs   int
}

// Run runs the cases and the random faults on a cluster of its own. The error is
// about the run itself; what was found is in the report.
func Run(ctx context.Context, cfg Config) (report *Report, err error) {
	if err = cfg.Validate(); err != nil {
		return nil, err
	}
	s := &suite{Config: cfg, began: time.Now()}
	s.report = &Report{Seed: cfg.Seed, Began: s.began.UTC().Truncate(time.Second), Cases: []*Result{}}
	s.Cluster, err = Start(ctx, cfg.Program, cfg.Bench, cfg.Dir)
	defer func() {
		ended := &Result{Name: "the end", Rounds: 1}
		if ended.check(s.Cluster.Stop()); len(ended.Faults) > 0 {
			ended.Close()
			s.report.Cases, s.report.Pass = append(s.report.Cases, ended), false
		}
	}()
	if err != nil {
		return nil, err
	}
	if s.overseer, err = s.Cluster.oversee(ctx); err != nil {
		return nil, err
	}
	err = s.all(ctx)
	s.overseer.end()
	s.judge()
	return s.report, err
}

// all runs what is to be run.
func (s *suite) all(ctx context.Context) error {
	if err := s.calm(ctx); err != nil {
		return err
	}
	for _, c := range cases() {
		if slices.Contains(s.Cases, c.name) {
			s.run(ctx, c)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("faults: %w", ctx.Err())
		}
	}
	if s.Random > 0 {
		s.run(ctx, scenario{"random", func(s *suite) runner { return s.random }})
	}
	return nil
}

// run runs one case, and calms the cluster down behind it.
func (s *suite) run(ctx context.Context, c scenario) {
	r := &Result{Name: c.name}
	s.say("%s", c.name)
	r.check(c.run(s)(ctx, r))
	r.check(s.calm(ctx))
	if bad := s.took(); bad != "" {
		r.fault("%s", bad)
	}
	r.Close()
	s.report.Cases = append(s.report.Cases, r)
	s.say("%s: %v, faults %q", c.name, map[bool]string{true: "PASS", false: "FAIL"}[r.Pass], r.Faults)
}

// judge closes the report.
func (s *suite) judge() {
	s.report.History = s.recorder.Check()
	s.report.Seconds = time.Since(s.began).Seconds()
	s.report.Pass = s.report.History.Fault == "" && len(s.report.Cases) > 0
	for _, c := range s.report.Cases {
		s.report.Pass = s.report.Pass && c.Pass
	}
}

func (s *suite) say(format string, args ...any) {
	fmt.Fprintf(s.Out, "%6.1f s  "+format+"\n", append([]any{time.Since(s.began).Seconds()}, args...)...)
}

// calm ends all faults, and waits until the cluster is whole and has kept what it
// has acknowledged.
func (s *suite) calm(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("faults: %w", ctx.Err())
	}
	err := s.Network.Heal(ctx)
	for _, n := range s.nodes {
		if n.disk == diskSmall {
			err = errors.Join(err, n.empty())
		}
		switch {
		case !n.running():
			err = errors.Join(err, s.Restart(ctx, n))
		case !n.there():
			err = errors.Join(err, n.Thaw())
		}
		err = errors.Join(err, n.process.clock.Move(0))
	}
	if err = errors.Join(err, s.settle(ctx)); err != nil {
		return err
	}
	for _, n := range s.nodes {
		var last error
		err = errors.Join(err, s.until(ctx, startTimeout, n.Name+" has what was acknowledged", func() bool {
			last = s.kept(ctx, n)
			return last == nil
		}), last)
	}
	return err
}

// air puts a stream on the air, at one origin first, then in turn at the others.
func (s *suite) air(ctx context.Context, first *Node, by ...string) (*Air, error) {
	s.airs++
	names := []string{first.Name}
	for _, o := range s.Origins() {
		if o != first {
			names = append(names, o.Name)
		}
	}
	a, err := s.StartAir(ctx, fmt.Sprintf("air%d", s.airs), names, by)
	if err != nil {
		return nil, err
	}
	if a.PublisherAt() != first.Name {
		a.Stop()
		return nil, fmt.Errorf("faults: %s was not taken by %s: %q", a.Stream, first.Name, a.PublisherTold())
	}
	s.watch(a.Stream, true)
	return a, nil
}

// scene is what most cases begin with: the leader, the other origins, and a stream on
// the air at the first of these, which ends with off.
func (s *suite) scene(ctx context.Context, by ...string) (leader *Node, others []*Node, a *Air, err error) {
	if leader, others, err = s.roles(ctx); err != nil {
		return nil, nil, nil, err
	}
	a, err = s.air(ctx, others[0], by...)
	return leader, others, a, err
}

// off takes a stream off the air.
func (s *suite) off(a *Air) {
	s.watch(a.Stream, false)
	a.Stop()
}

// rounds is how often a case is done that is not about leaders.
func (s *suite) rounds() int { return max(1, s.Kills/10) }

// owner waits until a stream has an owner, and gives it.
func (s *suite) owner(ctx context.Context, a *Air) (n *Node, err error) {
	err = s.until(ctx, startTimeout, a.Stream+" has an owner", func() bool {
		for _, o := range s.Origins() {
			if !o.there() {
				continue
			}
			if p, _, fault := o.Placed(ctx, a.Stream, true); fault == nil && p != nil && p.OwnerName != "" {
				n = s.Node(p.OwnerName)
				return n != nil && n.there()
			}
		}
		return false
	})
	return n, err
}

// roles gives the leader and the other origins.
func (s *suite) roles(ctx context.Context) (leader *Node, others []*Node, err error) {
	err = s.until(ctx, startTimeout, "there is a leader", func() (ok bool) {
		leader, ok = s.Leader(ctx)
		return ok
	})
	for _, o := range s.Origins() {
		if o != leader {
			others = append(others, o)
		}
	}
	return leader, others, err
}
