package crowd

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// Config of a crowd.
type Config struct {
	Edges   []Edge
	Stream  string        // APP/STREAM
	Viewers int           // 1 to 19,000: a process has 20,000 descriptors here
	Rate    int           // new viewers a second
	Sources int           // local addresses 127.0.0.1 and on to connect from; 1 to 250
	Timeout time.Duration // by which a viewer must have a picture, from its first byte on
}

// Edge is where viewers come to, HOST:PORT each.
type Edge struct{ HTTP, RTMP string }

// Validate names the first value out of range.
func (c Config) Validate() error {
	switch {
	case len(c.Edges) == 0:
		return fmt.Errorf("crowd: %d edges", len(c.Edges))
	case c.Viewers < 1 || c.Viewers > 19_000:
		return fmt.Errorf("crowd: %d viewers are not in 1..19000", c.Viewers)
	case c.Rate < 1 || c.Rate > 100_000:
		return fmt.Errorf("crowd: %d new viewers a second are not in 1..100000", c.Rate)
	case c.Sources < 1 || c.Sources > 250:
		return fmt.Errorf("crowd: %d sources are not in 1..250", c.Sources)
	case c.Timeout <= 0:
		return fmt.Errorf("crowd: time-out %v must be positive", c.Timeout)
	}
	return nil
}

// Protos are what viewers come by, in turn.
func Protos() []string { return []string{"flv", "rtmp", "hls"} }

// Result is what the viewers of a crowd got.
type Result struct {
	Asked  map[string]int           // viewers by protocol
	Got    map[string]int           // those that got a keyframe, of HLS a whole segment
	Waited map[string]time.Duration // of the last one, since since
	Faults []string                 // of some that got none
}

// maxFaults bounds what is kept of viewers that got nothing.
const maxFaults = 20

// Failed counts the viewers that got nothing.
func (r *Result) Failed() (n int) {
	for proto, asked := range r.Asked {
		n += asked - r.Got[proto]
	}
	return n
}

// crowd is a run of one.
type crowd struct {
	cfg   Config
	since time.Time

	mu     sync.Mutex
	result Result // guarded by mu
}

// Run opens the viewers and returns when each has got a picture or given up. One
// streaming viewer of each edge stays until stay ends. Waits are counted from since
// on, the zero time is now.
func Run(ctx, stay context.Context, cfg Config, since time.Time) (*Result, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if since.IsZero() {
		since = time.Now()
	}
	c := &crowd{cfg: cfg, since: since, result: Result{
		Asked: map[string]int{}, Got: map[string]int{}, Waited: map[string]time.Duration{},
	}}
	var wg sync.WaitGroup
	begin := time.Now()
	for i := range cfg.Viewers {
		due := begin.Add(time.Duration(i) * time.Second / time.Duration(cfg.Rate))
		if err := until(ctx, due); err != nil {
			break
		}
		wg.Add(1)
		v := c.viewer(i)
		go func() {
			c.watch(ctx, v, wg.Done)
			v.remain(stay)
		}()
	}
	wg.Wait()
	return &c.result, ctx.Err()
}

func until(ctx context.Context, t time.Time) error {
	d := time.Until(t)
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// viewer is number i of the crowd: protocols and edges take turns.
func (c *crowd) viewer(i int) *viewer {
	protos := Protos()
	edge := i / len(protos) % len(c.cfg.Edges)
	v := &viewer{
		proto: protos[i%len(protos)], edge: c.cfg.Edges[edge], stream: c.cfg.Stream,
		local: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(i%c.cfg.Sources+1))},
	}
	v.stays = v.proto == "flv" && i/len(protos) == edge
	return v
}

// watch waits for a viewer's picture and notes it.
func (c *crowd) watch(ctx context.Context, v *viewer, done func()) {
	defer done()
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	err := v.watch(ctx)
	if err != nil || !v.stays {
		v.close()
	}
	waited := time.Since(c.since)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.result.Asked[v.proto]++
	if err == nil {
		c.result.Got[v.proto]++
		c.result.Waited[v.proto] = max(c.result.Waited[v.proto], waited)
	} else if len(c.result.Faults) < maxFaults {
		c.result.Faults = append(c.result.Faults, fmt.Sprintf("%s at %s: %v", v.proto, cmp.Or(v.edge.HTTP, v.edge.RTMP), err))
		slices.Sort(c.result.Faults)
	}
}
