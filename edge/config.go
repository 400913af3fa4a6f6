package edge

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"

	"tmms/edge/fanout"
)

// Config of an edge. Start from [DefaultConfig].
type Config struct {
	// RTMP and HTTP, and RTMPS and HTTPS for the same over TLS, are the addresses to
	// listen at, "host:port" or ":port"; empty: not at all.
	RTMP, RTMPS, HTTP, HTTPS string
	// Loops is the number of reactor loops, each with a thread: 1 to 1,024.
	Loops int
	// Engine is how the loops send: "auto", "epoll" or "io_uring"; empty is auto.
	Engine string
	// Flush overrides the flush interval of every app, 5 ms to 1 s in steps of
	// 5 ms; 0 leaves it to the apps.
	Flush  time.Duration
	Limits Limits
}

// Limits of an edge.
type Limits struct {
	// Viewers bounds the streaming viewers of the node; 0: no bound.
	Viewers int
	// ConnsPerIP bounds the connections of one IPv4 address or IPv6 /64; 0: no bound.
	ConnsPerIP int
}

// DefaultConfig gives the values that a node runs with.
func DefaultConfig() Config {
	return Config{RTMP: ":1935", HTTP: ":8080", Loops: max(1, runtime.NumCPU()-1)}
}

// Validate joins a fault for each value that is out of its range.
func (c Config) Validate() error {
	var faults []error
	check := func(ok bool, path string, value any, rule string) {
		if !ok {
			faults = append(faults, fmt.Errorf("%s: %v: must be %s", path, value, rule))
		}
	}
	listeners := []struct{ path, addr string }{
		{"listen.rtmp", c.RTMP}, {"listen.rtmps", c.RTMPS}, {"listen.http", c.HTTP}, {"listen.https", c.HTTPS},
	}
	for i, l := range listeners {
		check(l.addr == "" || isAddress(l.addr), l.path, l.addr, "host:port or :port")
		for _, other := range listeners[:i] {
			check(l.addr == "" || l.addr != other.addr || portZero(l.addr), l.path, l.addr, "another address than "+other.path)
		}
	}
	check(c.Loops >= 1 && c.Loops <= 1024, "edge.loops", c.Loops, "1 to 1024")
	check(c.Flush >= 0 && c.Flush <= time.Second && c.Flush%fanout.Tick == 0, "edge.flush", c.Flush,
		"0 or a multiple of 5ms up to 1s")
	check(c.Limits.Viewers >= 0, "edge.limits.viewers", c.Limits.Viewers, "0 or more")
	check(c.Limits.ConnsPerIP >= 0, "edge.limits.conns_per_ip", c.Limits.ConnsPerIP, "0 or more")
	return errors.Join(faults...)
}

func isAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	return err == nil && port != ""
}

func portZero(s string) bool {
	_, port, err := net.SplitHostPort(s)
	return err == nil && port == "0"
}
