package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"tmms/bench/procstat"
	"tmms/cmd/tmms-bench/internal/relayend"
)

// Processors of the two ends.
const (
	sourceCPU = 0
	sinkCPU   = 1
)

// relaySample is what both ends have used by a moment.
type relaySample struct {
	at           time.Time
	source, sink relayend.Usage
	soft         [2]time.Duration // of the softirq threads of both processors
}

// relayRun is what one run has measured.
type relayRun struct {
	streams, few     int            // pulled at last, and at first
	load             [2]relaySample // around the counting
	idle             [2]relaySample // around a time without a sink
	fewHeld, allHeld [2]relayend.Memory
	delay            relayend.Delay
	got              relayend.Got
}

// run measures every number of streams in turn, as often as asked.
func (b *relayBench) run(ctx context.Context) (*relayReport, error) {
	report := newRelayReport(b)
	for range b.runs {
		for _, n := range b.streams {
			r, err := b.one(ctx, n)
			if err != nil {
				return nil, fmt.Errorf("%d streams: %w", n, err)
			}
			report.add(r)
		}
	}
	return report, nil
}

// one starts both ends and measures once.
func (b *relayBench) one(ctx context.Context, streams int) (r *relayRun, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pair, err := b.startRelayPair(ctx, streams)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, pair.stop()) }()
	r = &relayRun{streams: streams, few: max(1, streams/10)}
	for _, phase := range []func(context.Context, *relayPair, *relayRun) error{
		b.few, b.fill, b.count, b.delay, b.all, b.idle,
	} {
		if err := phase(ctx, pair, r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// few is what both hold with a tenth of the streams.
func (b *relayBench) few(ctx context.Context, p *relayPair, r *relayRun) error {
	if err := p.open(r.few); err != nil {
		return err
	}
	if err := pass(ctx, b.phases.fill); err != nil {
		return err
	}
	return p.hold(&r.fewHeld)
}

// fill pulls all streams until nothing grows any more.
func (b *relayBench) fill(ctx context.Context, p *relayPair, r *relayRun) error {
	if err := p.open(r.streams); err != nil {
		return err
	}
	return pass(ctx, b.phases.fill)
}

// count is the counting.
func (b *relayBench) count(ctx context.Context, p *relayPair, r *relayRun) error {
	if err := b.profile(p, r.streams, true); err != nil {
		return err
	}
	if err := p.sampleAround(ctx, b.duration, &r.load); err != nil {
		return err
	}
	return b.profile(p, r.streams, false)
}

// delay is how long packets take.
func (b *relayBench) delay(ctx context.Context, p *relayPair, r *relayRun) error {
	if _, err := p.sink.ask(relayend.ActWatch); err != nil {
		return err
	}
	if err := pass(ctx, b.phases.watch); err != nil {
		return err
	}
	reply, err := p.sink.ask(relayend.ActDelay)
	r.delay = reply.Delay
	return err
}

// all is what both hold with all streams, and whether every packet has come.
func (b *relayBench) all(_ context.Context, p *relayPair, r *relayRun) error {
	if err := p.hold(&r.allHeld); err != nil {
		return err
	}
	sent, err := p.source.ask(relayend.ActSent)
	if err != nil {
		return err
	}
	reply, err := p.sink.exchange(relayend.Request{Do: relayend.ActVerify, Sent: sent.Sent})
	r.got = reply.Got
	return err
}

// idle is the source without a sink.
func (b *relayBench) idle(ctx context.Context, p *relayPair, r *relayRun) error {
	if err := p.sink.stop(); err != nil {
		return err
	}
	if err := pass(ctx, b.phases.calm); err != nil {
		return err
	}
	return p.sampleAround(ctx, b.duration/2, &r.idle)
}

// profile begins or ends CPU profiles of both ends; a later run's replace them.
func (b *relayBench) profile(p *relayPair, streams int, begin bool) error {
	if b.profiles == "" {
		return nil
	}
	for _, c := range []*relayChild{p.source, p.sink} {
		r := relayend.Request{Do: relayend.ActProfile}
		if begin {
			r.Path = filepath.Join(b.profiles, fmt.Sprintf("relay-%d-%s.pprof", streams, c.role))
		}
		if _, err := c.exchange(r); err != nil {
			return err
		}
	}
	return nil
}

// sampleAround takes samples before and after a time.
func (p *relayPair) sampleAround(ctx context.Context, d time.Duration, to *[2]relaySample) (err error) {
	if to[0], err = p.sample(); err != nil {
		return err
	}
	if err = pass(ctx, d); err != nil {
		return err
	}
	to[1], err = p.sample()
	return err
}

// sample asks the ends what they have used; a sink that has ended uses nothing.
func (p *relayPair) sample() (s relaySample, err error) {
	s.at = time.Now()
	for _, end := range []struct {
		child *relayChild
		to    *relayend.Usage
	}{{p.source, &s.source}, {p.sink, &s.sink}} {
		if end.child.ended {
			continue
		}
		reply, fault := end.child.ask(relayend.ActUsage)
		if fault != nil {
			return s, fault
		}
		*end.to = reply.Usage
	}
	for i, cpu := range []int{sourceCPU, sinkCPU} {
		if s.soft[i], err = procstat.SoftIRQ(cpu); err != nil {
			return s, fmt.Errorf("relay: %w", err)
		}
	}
	return s, nil
}

// open makes the sink pull n streams, and waits until all have come.
func (p *relayPair) open(n int) error {
	_, err := p.sink.exchange(relayend.Request{Do: relayend.ActOpen, N: n})
	return err
}

// hold asks what both ends hold.
func (p *relayPair) hold(to *[2]relayend.Memory) error {
	for i, c := range []*relayChild{p.source, p.sink} {
		reply, err := c.ask(relayend.ActMemory)
		if err != nil {
			return err
		}
		to[i] = reply.Memory
	}
	return nil
}

// pass waits.
func pass(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("relay: %w", ctx.Err())
	}
}
