package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tmms/bench/procstat"
	"tmms/bench/shape"
	"tmms/cmd/tmms-bench/internal/relayend"
)

// pathRun is what one case has measured.
type pathRun struct {
	load  [2]pathSample // around the counting
	idle  [2]pathSample // around a time of the source alone
	delay relayend.Delay
	got   relayend.Got
}

// pathSample is what ends and link have done by a moment.
type pathSample struct {
	at           time.Time
	source, sink relayend.Usage
	there, back  shape.Counters
	socketDrops  int64 // UDP packets that found no room in the sink's socket
}

// run measures every case.
func (b *pathBench) run(ctx context.Context) (figures pathFigures, err error) {
	ends, err := newPathEnds(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ends.close()) }()
	report := newPathReport(b)
	for _, c := range b.cases {
		r, err := b.one(ctx, ends, c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		report.add(c, r)
	}
	return report, nil
}

// one measures one case.
func (b *pathBench) one(ctx context.Context, ends pathEnds, c pathCase) (r *pathRun, err error) {
	there, back, err := b.params(c)
	if err != nil {
		return nil, err
	}
	link, err := b.link(ctx, ends, there, back)
	if err != nil {
		return nil, err
	}
	defer func() {
		_, fault := link.Stop()
		err = errors.Join(err, fault)
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pair, err := b.startPathPair(ctx, ends)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, pair.stop()) }()
	r = &pathRun{}
	return r, b.measure(ctx, &pathWorld{ends, link, pair}, r)
}

// startPathPair starts both ends, each in its namespace.
func (b *pathBench) startPathPair(ctx context.Context, ends pathEnds) (*relayPair, error) {
	source, sink, err := relayend.NewConfigs(b.streams, b.shape, time.Now())
	if err != nil {
		return nil, err //nolint:wrapcheck // it says where it comes from
	}
	addresses := defaultAddresses()
	source.Listen, sink.Listen = addresses[0].Addr().String()+":0", addresses[1].Addr().String()+":0"
	sink.MayMiss = true
	source.Recovery, sink.Recovery = b.recovery, b.recovery
	p := &relayPair{}
	p.source, sink.Source, err = relayPlace{b.program, sourceCPU, ends.source}.start(ctx, source)
	if err != nil {
		return nil, err
	}
	if p.sink, _, err = (relayPlace{b.program, sinkCPU, ends.sink}).start(ctx, sink); err != nil {
		return nil, errors.Join(err, p.source.stop())
	}
	return p, nil
}

// measure measures the source alone, and then both ends.
func (b *pathBench) measure(ctx context.Context, w *pathWorld, r *pathRun) error {
	if err := w.sampleAround(ctx, b.calm, &r.idle); err != nil {
		return err
	}
	if err := w.pair.open(b.streams); err != nil {
		return err
	}
	if err := pass(ctx, b.warmup); err != nil {
		return err
	}
	if _, err := w.pair.sink.ask(relayend.ActWatch); err != nil {
		return err
	}
	if err := w.sampleAround(ctx, b.duration, &r.load); err != nil {
		return err
	}
	return w.pair.settle(r)
}

// settle waits for what is on its way, and tells delays and what is missing.
func (p *relayPair) settle(r *pathRun) error {
	sent, err := p.source.ask(relayend.ActSent)
	if err != nil {
		return err
	}
	verified, err := p.sink.exchange(relayend.Request{Do: relayend.ActVerify, Sent: sent.Sent})
	if err != nil {
		return err
	}
	delay, err := p.sink.ask(relayend.ActDelay)
	r.got, r.delay = verified.Got, delay.Delay
	return err
}

// pathWorld is what runs in a case.
type pathWorld struct {
	ends pathEnds
	link *shape.Process
	pair *relayPair
}

// sampleAround takes samples before and after a time.
func (w *pathWorld) sampleAround(ctx context.Context, d time.Duration, to *[2]pathSample) (err error) {
	if to[0], err = w.sample(); err != nil {
		return err
	}
	if err = pass(ctx, d); err != nil {
		return err
	}
	to[1], err = w.sample()
	return err
}

func (w *pathWorld) sample() (s pathSample, err error) {
	s.at = time.Now()
	source, err := w.pair.source.ask(relayend.ActUsage)
	if err != nil {
		return s, err
	}
	sink, err := w.pair.sink.ask(relayend.ActUsage)
	if err != nil {
		return s, err
	}
	s.source, s.sink = source.Usage, sink.Usage
	err = w.ends.sink.Do(func() (err error) {
		s.socketDrops, err = procstat.UDPDrops()
		return err //nolint:wrapcheck // it says where it comes from
	})
	if err != nil {
		return s, err //nolint:wrapcheck // it says where it comes from
	}
	status, err := w.link.Do("")
	s.there, s.back = status.Counters[shape.AtoB], status.Counters[shape.BtoA]
	return s, err //nolint:wrapcheck // it says where it comes from
}
