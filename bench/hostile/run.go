package hostile

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Target is a server's ports and a stream that is live there.
type Target struct {
	RTMP, HTTP string // HOST:PORT
	Stream     string // of app live
}

// Config of a run.
type Config struct {
	Target   Target
	Case     string
	Duration time.Duration // positive
	// Conns and Rate, if positive, are used in place of the case's own: connections
	// at once, and new ones a second.
	Conns, Rate int
	Sources     int // local addresses 127.0.0.1 and on to connect from; 1 to 250
}

// Validate names the first value out of range.
func (c Config) Validate() error {
	for _, v := range []struct {
		name      string
		n, lo, hi int
	}{
		{"conns", c.Conns, 0, 15_000},
		{"rate", c.Rate, 0, 50_000},
		{"sources", c.Sources, 1, 250},
	} {
		if v.n < v.lo || v.n > v.hi {
			return fmt.Errorf("hostile: %s %d is not in %d..%d", v.name, v.n, v.lo, v.hi)
		}
	}
	if c.Duration <= 0 {
		return fmt.Errorf("hostile: duration %v must be positive", c.Duration)
	}
	return nil
}

// Result is what a run did.
type Result struct {
	Case    string  `json:"case"`
	Seconds float64 `json:"seconds"`
	Opened  int64   `json:"opened"` // connections
	Failed  int64   `json:"failed"` // that could not be opened
	Ended   int64   `json:"ended"`  // by the server, before the case was done with them
	Done    int64   `json:"done"`   // with which the case had done all that it wanted
}

// dialTimeout bounds one connect; over it the server's backlog is full.
const dialTimeout = 3 * time.Second

// run is one run of a case.
type run struct {
	cfg  Config
	kind Case
	end  time.Time
	gate chan struct{} // a token for each new connection

	opened, failed, ended, done atomic.Int64
}

// Run attacks until the time is over or ctx ends, and closes all it has opened.
func Run(ctx context.Context, cfg Config) (Result, error) {
	if err := cfg.Validate(); err != nil {
		return Result{}, err
	}
	kind, err := find(cfg.Case)
	if err != nil {
		return Result{}, err
	}
	if cfg.Conns > 0 {
		kind.Conns = cfg.Conns
	}
	if cfg.Rate > 0 {
		kind.Rate = cfg.Rate
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, cfg.Duration)
	defer cancel()
	r := &run{cfg: cfg, kind: kind, end: start.Add(cfg.Duration), gate: make(chan struct{}, kind.Rate)}
	var wg sync.WaitGroup
	wg.Go(func() { r.open(ctx) })
	for i := range kind.Conns {
		wg.Go(func() { r.work(ctx, i) })
	}
	wg.Wait()
	return Result{
		Case: kind.Name, Seconds: time.Since(start).Seconds(),
		Opened: r.opened.Load(), Failed: r.failed.Load(), Ended: r.ended.Load(), Done: r.done.Load(),
	}, nil
}

// gateTick is how often tokens are given.
const gateTick = 5 * time.Millisecond

// open lets connections through the gate at the case's rate.
func (r *run) open(ctx context.Context) {
	ticker := time.NewTicker(gateTick)
	defer ticker.Stop()
	start, given := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		due := int(time.Since(start).Seconds() * float64(r.kind.Rate))
		for ; given < due; given++ {
			select {
			case r.gate <- struct{}{}:
			default: // the workers are behind
			}
		}
	}
}

// work opens one connection after the other.
func (r *run) work(ctx context.Context, worker int) {
	rng := rand.New(rand.NewPCG(uint64(worker), 1))
	for n := worker; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-r.gate:
		}
		r.one(ctx, n, rng)
	}
}

// one attacks with one connection.
func (r *run) one(ctx context.Context, n int, rng *rand.Rand) {
	p := &peer{ctx: ctx, target: r.cfg.Target, rng: rng, n: n}
	addr := p.target.RTMP
	if r.kind.port == portHTTP || r.kind.port == portBoth && n%2 == 0 {
		addr, p.http = p.target.HTTP, true
	}
	d := net.Dialer{Timeout: dialTimeout}
	if source := n % r.cfg.Sources; source > 0 {
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(source+1))}
	}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		if ctx.Err() == nil {
			r.failed.Add(1)
		}
		return
	}
	defer c.Close()
	r.opened.Add(1)
	// A reset leaves no TIME_WAIT, of which a machine has room for 28,000 to one
	// port. Neither call can fail on a socket that is open.
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.SetDeadline(r.end)
	p.Conn = c
	switch err := r.kind.attack(p); {
	case err == nil:
		r.done.Add(1)
	case ctx.Err() == nil && time.Now().Before(r.end):
		r.ended.Add(1)
	}
}
