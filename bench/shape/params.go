package shape

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Bounds of a direction's parameters.
const (
	maxDelay = 10 * time.Second // what a packet can wait in a bounded memory
	maxBurst = 1000             // packets
	minRate  = 8_000            // bit/s: 1.5 s for a full packet
	maxRate  = 10_000_000_000   // bit/s
	// maxHeld bounds the packets that a direction holds, waiting and on their way:
	// 1 Gbit/s for 190 ms, in 32 MiB.
	maxHeld = 16384
)

// Params are what one direction of a link does to packets. The zero value with a
// Burst of 1 lets everything pass at once.
type Params struct {
	// Delay is one way, from the end of the bottleneck: 0 to 10 s.
	Delay time.Duration
	// Jitter is how far the delay wanders up and down: 0 to Delay. It moves
	// slower than the time goes, so packets keep their order.
	Jitter time.Duration
	// Loss is the share of packets, 0 to 1, that are lost behind the bottleneck.
	Loss float64
	// Burst is how many packets in a row are lost each time: 1 to 1,000. The
	// share that is lost stays.
	Burst int
	// RateBPS is what the bottleneck carries, in bit/s of IP packets: 8,000 to
	// 10,000,000,000, or 0 for no bottleneck.
	RateBPS int64
	// Queue is how many packets wait before the bottleneck, besides the one it
	// sends: 1 to 16,384. One that comes when it is full is dropped.
	Queue int
}

// DefaultParams let everything pass at once; with a rate, 1,000 packets may wait.
func DefaultParams() Params { return Params{Burst: 1, Queue: 1000} }

// Validate reports every parameter out of range.
func (p Params) Validate() error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf("shape: "+format, args...)) }
	if p.Delay < 0 || p.Delay > maxDelay {
		bad("delay %s is not in 0..%s", p.Delay, maxDelay)
	}
	if p.Jitter < 0 || p.Jitter > p.Delay {
		bad("jitter %s is not in 0..%s, the delay", p.Jitter, p.Delay)
	}
	if math.IsNaN(p.Loss) || p.Loss < 0 || p.Loss > 1 {
		bad("loss %g is not in 0..1", p.Loss)
	}
	if p.Burst < 1 || p.Burst > maxBurst {
		bad("a burst of %d packets is not in 1..%d", p.Burst, maxBurst)
	}
	if p.RateBPS != 0 && (p.RateBPS < minRate || p.RateBPS > maxRate) {
		bad("rate %d bit/s is neither 0 nor in %d..%d", p.RateBPS, minRate, int64(maxRate))
	}
	if p.Queue < 1 || p.Queue > maxHeld {
		bad("a queue of %d packets is not in 1..%d", p.Queue, maxHeld)
	}
	return errors.Join(faults...)
}

// Set changes the parameters that text names, such as "delay 50ms loss 1% burst
// 10 rate 30M queue 50". With an error p is as it was.
func (p *Params) Set(text string) error {
	fields := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n,=", r) })
	if len(fields) == 0 || len(fields)%2 != 0 {
		return fmt.Errorf("shape: %q is not pairs of a name and a value", text)
	}
	to := *p
	for i := 0; i < len(fields); i += 2 {
		if err := to.set(fields[i], fields[i+1]); err != nil {
			return err
		}
	}
	if err := to.Validate(); err != nil {
		return err
	}
	*p = to
	return nil
}

func (p *Params) set(name, value string) (err error) {
	switch name {
	case "delay":
		p.Delay, err = time.ParseDuration(value)
	case "jitter":
		p.Jitter, err = time.ParseDuration(value)
	case "loss":
		p.Loss, err = shareOf(value)
	case "burst":
		p.Burst, err = strconv.Atoi(value)
	case "rate":
		p.RateBPS, err = rateOf(value)
	case "queue":
		p.Queue, err = strconv.Atoi(value)
	default:
		return fmt.Errorf("shape: %q is none of delay, jitter, loss, burst, rate, queue", name)
	}
	if err != nil {
		return fmt.Errorf("shape: %s %q: %w", name, value, err)
	}
	return nil
}

// shareOf reads "1%" or "0.01".
func shareOf(s string) (float64, error) {
	digits, percent := strings.CutSuffix(s, "%")
	share, err := strconv.ParseFloat(digits, 64)
	if percent {
		share /= 100
	}
	return share, err //nolint:wrapcheck // the caller does
}

// rateOf reads bit/s such as 800k, 2.5M or 1G.
func rateOf(s string) (int64, error) {
	digits, scale := s, 1.0
	for suffix, n := range map[string]float64{"k": 1e3, "M": 1e6, "G": 1e9} {
		if cut, ok := strings.CutSuffix(s, suffix); ok {
			digits, scale = cut, n
		}
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err == nil && (math.IsNaN(n) || math.Abs(n*scale) > maxRate) {
		err = strconv.ErrRange
	}
	return int64(n * scale), err //nolint:wrapcheck // the caller does
}

// String gives all parameters as [Params.Set] reads them.
func (p Params) String() string {
	return fmt.Sprintf("delay %s jitter %s loss %g%% burst %d rate %d queue %d",
		p.Delay, p.Jitter, p.Loss*100, p.Burst, p.RateBPS, p.Queue)
}
