package hostile

import (
	"io"
	"net"
	"testing"
	"time"
)

// sink takes every connection and what it sends, and says nothing.
func sink(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(io.Discard, c)
			}()
		}
	}()
	return ln.Addr().String()
}

// Every attack opens connections and ends in time, whatever the server does.
func TestEveryCaseEnds(t *testing.T) {
	addr := sink(t)
	for _, c := range append(Cases(), Accepts()...) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			r, err := Run(t.Context(), Config{
				Target: Target{RTMP: addr, HTTP: addr, Stream: "bench"}, Case: c.Name,
				Duration: time.Second, Conns: 4, Rate: 100, Sources: 3,
			})
			if err != nil {
				t.Fatal(err)
			}
			if r.Opened == 0 || r.Case != c.Name || r.Seconds < 1 || r.Seconds > 30 {
				t.Errorf("%+v", r)
			}
			if r.Done+r.Ended > r.Opened {
				t.Errorf("%d done and %d ended of %d", r.Done, r.Ended, r.Opened)
			}
		})
	}
}

func TestConfigValidate(t *testing.T) {
	good := Config{Case: "silent", Duration: time.Second, Sources: 1}
	for name, change := range map[string]func(*Config){
		"case":     func(c *Config) { c.Case = "none" },
		"conns":    func(c *Config) { c.Conns = 15_001 },
		"rate":     func(c *Config) { c.Rate = -1 },
		"sources":  func(c *Config) { c.Sources = 0 },
		"duration": func(c *Config) { c.Duration = 0 },
	} {
		bad := good
		change(&bad)
		if _, err := Run(t.Context(), bad); err == nil {
			t.Errorf("a wrong %s was accepted", name)
		}
	}
}
