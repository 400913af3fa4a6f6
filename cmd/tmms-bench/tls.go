package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"tmms/bench/lab"
)

// securing compares viewers by HTTPS-FLV with the same viewers by HTTP-FLV.
type securing struct {
	lab              *lab.Lab
	viewers, bitrate int
	seconds, runs    int
	engine           string
	flush            time.Duration
	out              io.Writer
}

// maxTLSRatio is what TLS may cost: so many times the processor time for a MB.
const maxTLSRatio = 2.5

func tlsCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) (err error) {
	s := securing{out: out}
	flags.IntVar(&s.viewers, "viewers", 500, "viewers of one stream")
	flags.IntVar(&s.bitrate, "bitrate", 2_000_000, "bits per second of the stream")
	flags.IntVar(&s.seconds, "seconds", 10, "counting time of a run")
	flags.IntVar(&s.runs, "runs", 3, "runs of each, in turns; the medians are printed")
	flags.StringVar(&s.engine, "engine", "epoll", "how the server sends: auto, epoll or io_uring")
	flags.DurationVar(&s.flush, "flush", 100*time.Millisecond, "the server's flush interval")
	if err = parse(flags, args); err != nil {
		return err
	}
	if s.viewers < 1 || s.viewers > 19_000 || s.runs < 1 || s.seconds < 1 {
		return fmt.Errorf("tls: %d viewers are not in 1..19000, or %d runs of %d s are too few", s.viewers, s.runs, s.seconds)
	}
	if s.lab, err = lab.New(ctx, flags.Output()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.lab.Close()) }()
	var plain, secure []lab.Figures
	for range s.runs {
		for _, c := range []struct {
			url func(*lab.Server) string
			to  *[]lab.Figures
		}{
			{func(s *lab.Server) string { return s.FLV("bench") }, &plain},
			{func(s *lab.Server) string { return s.SecureFLV("bench") }, &secure},
		} {
			f, err := s.measure(ctx, c.url)
			if err != nil {
				return err
			}
			*c.to = append(*c.to, f)
		}
	}
	return s.print(plain, secure)
}

func (s *securing) measure(ctx context.Context, url func(*lab.Server) string) (lab.Figures, error) {
	server, err := s.lab.SecureTMMS(ctx, "tmms", "edge.engine="+s.engine, "edge.flush="+s.flush.String())
	if err != nil {
		return lab.Figures{}, err
	}
	defer server.Stop()
	stop, err := s.lab.Publish(ctx, server, 1, s.bitrate)
	if err != nil {
		return lab.Figures{}, err
	}
	defer stop()
	const tlsConnectRate = 200 // a handshake costs both ends about 1 ms
	return s.lab.Measure(ctx, server, lab.Load{
		URL: url(server), Viewers: s.viewers, ConnectRate: tlsConnectRate, Warmup: minWarmup,
		Duration: time.Duration(s.seconds) * time.Second,
	}, s.bitrate)
}

func (s *securing) print(plain, secure []lab.Figures) error {
	all := func(f lab.Figures) float64 { return f.MSPerMB }
	loop := func(f lab.Figures) float64 { return f.LoopMSPerMB }
	p99 := func(f lab.Figures) float64 { return f.P99MS }
	delivered := func(f lab.Figures) float64 { return 100 * f.Delivered }
	fmt.Fprintf(s.out, "%d viewers x %.2f Mbit/s, flush %v, %s, medians of %d\n%10s %18s %18s %8s %10s %6s %7s\n",
		s.viewers, float64(s.bitrate)/1e6, s.flush, s.engine, s.runs,
		"", "process CPU ms/MB", "loop CPU ms/MB", "p99 ms", "delivered", "lost", "faults")
	for _, c := range []struct {
		name string
		runs []lab.Figures
	}{{"HTTP-FLV", plain}, {"HTTPS-FLV", secure}} {
		lost, faults := 0, int64(0)
		for _, f := range c.runs {
			lost, faults = lost+f.Lost, faults+f.Faults
		}
		fmt.Fprintf(s.out, "%10s %18.3f %18.3f %8.1f %9.1f%% %6d %7d\n", c.name, lab.Median(c.runs, all),
			lab.Median(c.runs, loop), lab.Median(c.runs, p99), lab.Median(c.runs, delivered), lost, faults)
	}
	ratio := lab.Median(secure, all) / lab.Median(plain, all)
	_, err := fmt.Fprintf(s.out, "TLS costs %.2f x, the limit is %.1f\n", ratio, maxTLSRatio)
	return err //nolint:wrapcheck // the writer's own
}
