package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"tmms/bench/shape"
	"tmms/cmd/tmms-bench/internal/relayend"
)

// A bottleneck for fairness: what TCP shares with as much as half of it.
const (
	fairRateBPS = 40_000_000
	fairMTU     = 1500
	// fairShare is what a TCP flow keeps at least beside the relay, of what it
	// gets beside constant UDP of the same bit rate.
	fairShare = 0.6
)

// errUnfair says that TCP kept too little.
var errUnfair = errors.New("path: unfair")

// fairnessReport is what "path -fairness -o json" prints: goodputs of one TCP flow
// with CUBIC and of what shared the bottleneck with it.
type fairnessReport struct {
	BottleneckBPS  int     `json:"bottleneck_bits_per_second"`
	QueuePackets   int     `json:"queue_packets"`
	RoundTripMS    float64 `json:"round_trip_ms"`
	Seconds        float64 `json:"seconds"`
	TCPBesideUDP   float64 `json:"tcp_beside_udp_bits_per_second"`
	UDP            float64 `json:"udp_bits_per_second"`
	TCPBesideRelay float64 `json:"tcp_beside_relay_bits_per_second"`
	Relay          float64 `json:"relay_bits_per_second"`
	Ratio          float64 `json:"ratio"` // of the first TCP flow that the second got
	Missing        int64   `json:"relay_frames_missing"`
	P50MS          float64 `json:"relay_delay_p50_ms"`
	P99MS          float64 `json:"relay_delay_p99_ms"`
	DroppedPercent float64 `json:"packets_dropped_percent"` // beside the relay, of both flows
}

// fairness measures a TCP flow beside constant UDP, and beside the relay.
func (b *pathBench) fairness(ctx context.Context) (figures pathFigures, err error) {
	ends, err := newPathEnds(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ends.close()) }()
	report := &fairnessReport{
		BottleneckBPS: fairRateBPS, RoundTripMS: ms(2 * b.delay), Seconds: b.duration.Seconds(),
		QueuePackets: max(1, int((2*b.delay).Seconds()*fairRateBPS/8/fairMTU)), // a bandwidth-delay product
	}
	if err = b.besideUDP(ctx, ends, report); err != nil {
		return nil, err
	}
	if err = b.besideRelay(ctx, ends, report); err != nil {
		return nil, err
	}
	report.Ratio = report.TCPBesideRelay / report.TCPBesideUDP
	return report, nil
}

// fairLink joins the ends by the bottleneck.
func (b *pathBench) fairLink(ctx context.Context, ends pathEnds, queue int) (*shape.Process, error) {
	there := shape.DefaultParams()
	there.Delay = b.delay
	back := there
	there.RateBPS, there.Queue = fairRateBPS, queue
	return b.link(ctx, ends, there, back)
}

func (b *pathBench) besideUDP(ctx context.Context, ends pathEnds, r *fairnessReport) (err error) {
	link, err := b.fairLink(ctx, ends, r.QueuePackets)
	if err != nil {
		return err
	}
	defer func() {
		_, fault := link.Stop()
		err = errors.Join(err, fault)
	}()
	udp, err := ends.startConstant(ctx, b.streams*b.shape.BitrateBPS)
	if err != nil {
		return err
	}
	defer udp.stop()
	r.TCPBesideUDP, r.UDP, err = b.goodputs(ctx, ends, func() (int64, error) { return udp.got.Load(), nil })
	return err
}

func (b *pathBench) besideRelay(ctx context.Context, ends pathEnds, r *fairnessReport) (err error) {
	link, err := b.fairLink(ctx, ends, r.QueuePackets)
	if err != nil {
		return err
	}
	defer func() {
		status, fault := link.Stop()
		there := status.Counters[shape.AtoB]
		r.DroppedPercent = 100 * float64(there.Dropped) / float64(max(1, there.Offered))
		err = errors.Join(err, fault)
	}()
	pair, err := b.startPathPair(ctx, ends)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pair.stop()) }()
	if err = pair.open(b.streams); err != nil {
		return err
	}
	if _, err = pair.sink.ask(relayend.ActWatch); err != nil {
		return err
	}
	r.TCPBesideRelay, r.Relay, err = b.goodputs(ctx, ends, func() (int64, error) {
		reply, fault := pair.sink.ask(relayend.ActUsage)
		return reply.Usage.Bytes, fault
	})
	if err != nil {
		return err
	}
	var run pathRun
	err = pair.settle(&run)
	r.Missing, r.P50MS, r.P99MS = run.got.Missing, ms(run.delay.P50), ms(run.delay.P99)
	return err
}

// goodputs starts a TCP flow beside another, whose bytes so far other gives, and
// counts both, in bit/s.
func (b *pathBench) goodputs(
	ctx context.Context, ends pathEnds, other func() (int64, error),
) (tcp, rest float64, err error) {
	f, err := ends.startCubic(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer f.stop()
	if err = pass(ctx, b.warmup); err != nil {
		return 0, 0, err
	}
	before, err := other()
	if err != nil {
		return 0, 0, err
	}
	began, got := time.Now(), f.got.Load()
	if err = pass(ctx, b.duration); err != nil {
		return 0, 0, err
	}
	got = f.got.Load() - got
	after, err := other()
	seconds := time.Since(began).Seconds()
	return float64(got) * 8 / seconds, float64(after-before) * 8 / seconds, err
}

func (r *fairnessReport) print(out io.Writer, format string) error {
	if format == "json" {
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return fmt.Errorf("path: %w", err)
		}
		return nil
	}
	_, err := fmt.Fprintf(out, "bottleneck %.0f Mbit/s, queue %d packets, round trip %g ms, %g s each; "+
		"goodputs in Mbit/s\nTCP (CUBIC) %.1f beside constant UDP, which got %.1f\n"+
		"TCP (CUBIC) %.1f beside the relay, which got %.1f (delay p50 %.0f ms, p99 %.0f ms, %d frames missing)\n"+
		"TCP keeps %.0f %%; at least %.0f %% are wanted\n",
		float64(r.BottleneckBPS)/1e6, r.QueuePackets, r.RoundTripMS, r.Seconds, r.TCPBesideUDP/1e6, r.UDP/1e6,
		r.TCPBesideRelay/1e6, r.Relay/1e6, r.P50MS, r.P99MS, r.Missing,
		100*r.Ratio, 100*fairShare)
	return err //nolint:wrapcheck // the output is gone
}

// chart shows the goodputs.
func (r *fairnessReport) chart() *chart {
	mbps := func(name string, bps float64) bar { return bar{name, bps / 1e6, fmt.Sprintf("%.1f", bps/1e6)} }
	return &chart{title: "Sharing a bottleneck with TCP (CUBIC): goodputs, Mbit/s", groups: []chartGroup{
		{label: "constant UDP", bars: []bar{mbps("TCP", r.TCPBesideUDP), mbps("UDP", r.UDP)}},
		{label: "the relay", bars: []bar{mbps("TCP", r.TCPBesideRelay), mbps("relay", r.Relay)}},
	}}
}

// verdict is an error if TCP kept too little.
func (r *fairnessReport) verdict() error {
	if r.Ratio >= fairShare {
		return nil
	}
	return fmt.Errorf("%w: beside the relay TCP keeps %.0f %%, want %.0f %%", errUnfair, 100*r.Ratio, 100*fairShare)
}
