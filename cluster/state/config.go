package state

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"tmms/media"
)

// What a client asks for that the config does not have; both are refused with
// an error of the client's protocol.
var (
	ErrUnknownDomain = errors.New("unknown domain")
	ErrUnknownApp    = errors.New("unknown app")
)

// Config is one revision of the domains and apps, made for look-ups. It is
// immutable: any goroutine may hold and read it, and nobody may write to it.
type Config struct {
	revision uint64
	domains  []*Domain
	names    map[string]*Domain // canonical names
	aliases  map[string]*Domain // aliases without a pattern
	suffixes map[string]*Domain // "*.example.com" under "example.com"
	fallback *Domain            // the alias "*"
	networks networkTable       // of clients
}

// Domain is a domain with its apps; immutable.
type Domain struct {
	Name    string
	Aliases []string
	list    []*App
	apps    map[string]*App
}

// App is an app with all its settings; immutable.
type App struct {
	Domain      string // canonical name of the domain
	Name        string
	RTMP, FLV   bool // playing by these is allowed; publishing always is
	HLS         HLS
	Latency     time.Duration // a viewer joins at the oldest keyframe inside it
	Flush       time.Duration // period of a viewer's flushes, a multiple of 5 ms
	FlushLimit  time.Duration // up to which it stretches under load
	GOPCache    GOPCache
	Grace       time.Duration // how long a stream outlives its publisher
	IdleTimeout time.Duration // a publisher that sends no byte for so long is closed
	BusyPolicy  BusyPolicy
	keys        []storedKey
	stored      []string // keys as text, in the same order
}

// HLS is the HLS part of an app.
type HLS struct {
	Enabled bool
	Segment time.Duration // a cut comes at the first keyframe after it
	Window  int           // segments in a playlist
	// LowLatency adds a playlist of parts (LL-HLS).
	LowLatency bool
	Part       time.Duration // the fewest whole frames that last as long are a part; 0 without low latency
}

// GOPCache bounds what a stream's log keeps.
type GOPCache struct {
	Bytes int64
	Time  time.Duration
}

// NewConfig compiles a document. A faulty one is refused with a [FaultsError],
// and so are plain publish keys: see [Document.HashKeys].
func NewConfig(revision uint64, d *Document) (*Config, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	d = d.Normalize()
	c := &Config{
		revision: revision,
		names:    make(map[string]*Domain, len(d.Domains)),
		aliases:  map[string]*Domain{},
		suffixes: map[string]*Domain{},
	}
	for i := range d.Domains {
		dom, err := newDomain(&d.Domains[i])
		if err != nil {
			return nil, err
		}
		c.addDomain(dom)
	}
	var err error
	if c.networks, err = newNetworkTable(d.Regions); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Config) addDomain(d *Domain) {
	c.domains = append(c.domains, d)
	c.names[d.Name] = d
	for _, a := range d.Aliases {
		suffix, isPattern := strings.CutPrefix(a, "*.")
		switch {
		case a == "*":
			c.fallback = d
		case isPattern:
			c.suffixes[suffix] = d
		default:
			c.aliases[a] = d
		}
	}
}

func newDomain(doc *DomainDoc) (*Domain, error) {
	d := &Domain{Name: doc.Name, Aliases: doc.Aliases, apps: make(map[string]*App, len(doc.Apps))}
	for i := range doc.Apps {
		a, err := newApp(doc.Name, &doc.Apps[i])
		if err != nil {
			return nil, err
		}
		d.list = append(d.list, a)
		d.apps[a.Name] = a
	}
	return d, nil
}

// newApp takes a normalized document, in which no pointer is nil but Auth and,
// without low latency, Part.
func newApp(domain string, doc *AppDoc) (*App, error) {
	flush, limit, err := parseFlush(doc.Flush)
	if err != nil {
		return nil, err
	}
	a := &App{
		Domain: domain, Name: doc.Name, RTMP: *doc.RTMP, FLV: *doc.FLV,
		HLS: HLS{
			Enabled: *doc.HLS.Enabled, Segment: time.Duration(*doc.HLS.Segment), Window: *doc.HLS.Window,
			LowLatency: doc.HLS.LowLatency, Part: time.Duration(orElse(doc.HLS.Part, 0)),
		},
		Latency: time.Duration(*doc.Latency), Flush: flush, FlushLimit: limit,
		GOPCache: GOPCache{Bytes: int64(*doc.GOPCache.Bytes), Time: time.Duration(*doc.GOPCache.Time)},
		Grace:    time.Duration(*doc.Grace), IdleTimeout: time.Duration(*doc.IdleTimeout),
		BusyPolicy: doc.BusyPolicy, stored: doc.publishKeys(),
	}
	for _, s := range a.stored {
		k, err := parseStoredKey(s)
		if err != nil {
			return nil, fmt.Errorf("%s/%s: publish key: %w", domain, doc.Name, err)
		}
		a.keys = append(a.keys, k)
	}
	return a, nil
}

// Revision is the number of the config; 0 is the empty config before the first.
func (c *Config) Revision() uint64 { return c.revision }

// Domains lists the domains in the document's order; do not modify it.
func (c *Config) Domains() []*Domain { return c.domains }

// Resolve gives the domain that a client means. host is what its tcUrl or Host
// header says, with or without a port, in any case; override is the value of
// ?domain= or ?vhost= and wins if it is not empty. An exact name is tried
// first, then an alias, then the longest "*." suffix, then "*"; an override
// never falls back to "*". The error wraps [ErrUnknownDomain].
func (c *Config) Resolve(host, override string) (*Domain, error) {
	asked, fallback := override, (*Domain)(nil)
	if override == "" {
		asked, fallback = host, c.fallback
	}
	if d, _ := c.match(foldHost(asked)); d != nil {
		return d, nil
	}
	if fallback != nil {
		return fallback, nil
	}
	return nil, fmt.Errorf("%w %q", ErrUnknownDomain, clip(asked))
}

// match looks a folded host up, in as many maps as probes says: two, and one for each
// of its dots, however many domains there are.
func (c *Config) match(host string) (d *Domain, probes int) {
	if d := c.names[host]; d != nil {
		return d, 1
	}
	if d := c.aliases[host]; d != nil {
		return d, 2
	}
	probes = 2
	if len(c.suffixes) == 0 {
		return nil, probes
	}
	for rest, more := host, true; more; {
		if _, rest, more = strings.Cut(rest, "."); more {
			probes++
			if d := c.suffixes[rest]; d != nil {
				return d, probes
			}
		}
	}
	return nil, probes
}

// Domain gives the domain with a canonical name, as stream keys have it.
func (c *Config) Domain(name string) (*Domain, error) {
	if d := c.names[name]; d != nil {
		return d, nil
	}
	return nil, fmt.Errorf("%w %q", ErrUnknownDomain, clip(name))
}

// findApp is nil when the app, or the whole config, is not there.
func (c *Config) findApp(domain, app string) *App {
	if c == nil || c.names[domain] == nil {
		return nil
	}
	return c.names[domain].apps[app]
}

// App gives the app of a name; the error wraps [ErrUnknownApp].
func (d *Domain) App(name string) (*App, error) {
	if a := d.apps[name]; a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("%w %q in domain %q", ErrUnknownApp, clip(name), d.Name)
}

// Apps lists the apps in the document's order; do not modify it.
func (d *Domain) Apps() []*App { return d.list }

// Open reports whether the app has no publish key, so that anyone may publish.
func (a *App) Open() bool { return len(a.keys) == 0 }

// PublishKeys is the number of publish keys.
func (a *App) PublishKeys() int { return len(a.keys) }

// CheckPublishKey reports whether key may publish. An open app takes any key,
// also none. The comparison is constant-time over all keys and costs some
// milliseconds of CPU: never call it on a loop.
func (a *App) CheckPublishKey(key string) bool {
	return a.Open() || (len(key) <= media.MaxPublishKey && matchKey(a.keys, key) >= 0)
}

// storedKeys gives the stored forms of the keys; do not modify them.
func (a *App) storedKeys() []string {
	if a == nil {
		return nil
	}
	return a.stored
}

// storedForm gives the stored form of a plain key that the app already knows.
func (a *App) storedForm(key string) (string, bool) {
	if a == nil {
		return "", false
	}
	i := matchKey(a.keys, key)
	if i < 0 {
		return "", false
	}
	return a.stored[i], true
}
