package state

import (
	"errors"
	"strings"
	"testing"
	"time"
)

const resolveYAML = `
domains:
- name: default
  aliases: ["*"]
  apps: [{name: live}]
- name: live.example.com
  aliases: [cdn.example.net, "192.0.2.7", "2001:db8::7"]
  apps: [{name: live, latency: 1s, hls: {enabled: false}}, {name: other, latency: 2s}]
- name: wild
  aliases: ["*.example.com"]
  apps: [{name: live}]
- name: deeper
  aliases: ["*.eu.example.com"]
  apps: []
`

func compile(tb testing.TB, yaml string) *Config {
	tb.Helper()
	doc, err := ParseYAML([]byte(yaml))
	if err != nil {
		tb.Fatal(err)
	}
	cfg, err := NewConfig(1, doc)
	if err != nil {
		tb.Fatal(err)
	}
	return cfg
}

// Requirement: S5 (a domain is found by exact name, alias, longest suffix, "*").
// Case: url (tcUrl with and without port, IP host, vhost=/domain=).
func TestResolve(t *testing.T) {
	cfg := compile(t, resolveYAML)
	for _, c := range []struct{ host, override, want string }{
		{"live.example.com", "", "live.example.com"},
		{"LIVE.Example.Com:1935", "", "live.example.com"},
		{"live.example.com.", "", "live.example.com"},
		{"live.example.com.:8080", "", "live.example.com"},
		{"cdn.example.net", "", "live.example.com"},
		{"192.0.2.7:1935", "", "live.example.com"},
		{"[2001:db8::7]:1935", "", "live.example.com"},
		{"[2001:DB8:0:0::7]", "", "live.example.com"},
		{"2001:db8::7", "", "live.example.com"},
		{"::ffff:192.0.2.7", "", "live.example.com"},
		{"x.example.com", "", "wild"},
		{"a.b.example.com", "", "wild"},
		{"x.eu.example.com", "", "deeper"},
		{"eu.example.com", "", "wild"},
		{"example.com", "", "default"},
		{"other.test", "", "default"},
		{"", "", "default"},
		{"[::1]:1935", "", "default"},
		{"fe80::1%eth0", "", "default"},
		{"[", "", "default"},
		{"other.test", "live.example.com", "live.example.com"},
		{"live.example.com", "DEFAULT", "default"},
		{"live.example.com", "cdn.example.net:80", "live.example.com"},
		{"live.example.com", "x.example.com", "wild"},
		{"live.example.com", "unknown.test", ""},
		{"live.example.com", "*", ""},
		{"live.example.com", "*.example.net", ""},
	} {
		d, err := cfg.Resolve(c.host, c.override)
		switch {
		case c.want == "" && !errors.Is(err, ErrUnknownDomain):
			t.Errorf("%q override %q: %v, %v", c.host, c.override, d, err)
		case c.want != "" && (err != nil || d.Name != c.want):
			t.Errorf("%q override %q: got %v, %v, want %s", c.host, c.override, d, err, c.want)
		}
	}
}

func TestResolveWithoutFallback(t *testing.T) {
	cfg := compile(t, "domains: [{name: a.example, apps: []}]")
	_, err := cfg.Resolve(strings.Repeat("h", 10_000), "")
	if !errors.Is(err, ErrUnknownDomain) || len(err.Error()) > 2*maxShown {
		t.Errorf("got %v", err)
	}
	if _, err := (&Config{}).Resolve("a.example", ""); !errors.Is(err, ErrUnknownDomain) {
		t.Errorf("the empty config: %v", err)
	}
}

// Requirement: S5 (one domain with many apps, unknown ones refused, settings
// of one app not seen by another, nor by the same name in another domain).
func TestApps(t *testing.T) {
	cfg := compile(t, resolveYAML)
	d, err := cfg.Domain("live.example.com")
	if err != nil {
		t.Fatal(err)
	}
	for name, latency := range map[string]time.Duration{"live": time.Second, "other": 2 * time.Second} {
		a, err := d.App(name)
		if err != nil || a.Latency != latency || a.HLS.Enabled != (name == "other") {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	if a := cfg.findApp("wild", "live"); a.Latency != 3*time.Second || !a.HLS.Enabled {
		t.Errorf("the app of another domain: %+v", a)
	}
	if _, err := d.App("nope"); !errors.Is(err, ErrUnknownApp) {
		t.Errorf("got %v", err)
	}
	if _, err := cfg.Domain("cdn.example.net"); !errors.Is(err, ErrUnknownDomain) {
		t.Errorf("an alias is not a canonical name: %v", err)
	}
}

func FuzzResolve(f *testing.F) {
	for _, s := range []string{"a.example.com:80", "[::1]:9", "[", "]", "::", "%", ".", "*", "a.b.c.d.e.", "1.2.3.4:x"} {
		f.Add(s, "")
		f.Add("", s)
	}
	cfg := compile(f, resolveYAML)
	f.Fuzz(func(t *testing.T, host, override string) {
		d, err := cfg.Resolve(host, override)
		if (d == nil) == (err == nil) {
			t.Fatalf("domain %v, error %v", d, err)
		}
		if override == "" && d == nil {
			t.Fatal("* did not match")
		}
		if once := foldHost(host); foldHost(once) != once && !strings.ContainsAny(host, ":.[] \t") {
			t.Fatalf("%q folds to %q, then to %q", host, once, foldHost(once))
		}
	})
}

func BenchmarkResolve(b *testing.B) {
	cfg := compile(b, resolveYAML)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := cfg.Resolve("x.eu.example.com:1935", ""); err != nil {
			b.Fatal(err)
		}
	}
}
