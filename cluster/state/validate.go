package state

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"tmms/media"
)

// The ranges of an app's settings.
const (
	minLatency     = 100 * time.Millisecond
	maxLatency     = time.Minute
	flushTick      = 5 * time.Millisecond // the reactor's tick
	maxFlush       = time.Second
	minCacheBytes  = 256 << 10
	maxCacheBytes  = 256 << 20
	minCacheTime   = time.Second
	maxCacheTime   = 5 * time.Minute
	maxGrace       = 10 * time.Minute
	minIdleTimeout = time.Second
	maxIdleTimeout = 10 * time.Minute
	minSegment     = time.Second // segments of at least 1 s keep MSN = unix second safe
	maxSegment     = 30 * time.Second
	minWindow      = 3 // RFC 8216 section 6.2.2: three target durations
	maxWindow      = 60
	minPart        = 100 * time.Millisecond // a playlist is asked for as often
	maxPart        = time.Second
)

// Validate checks d as a person wrote it and reports every fault at once in a
// [FaultsError].
func (d *Document) Validate() error {
	v := validator{names: map[string]string{}}
	v.regions(d.Regions)
	if len(d.Domains) > media.MaxDomains {
		v.add("domains", len(d.Domains), "at most %d domains", media.MaxDomains)
		return v.err()
	}
	for i := range d.Domains {
		v.domain("domains["+strconv.Itoa(i)+"]", &d.Domains[i])
	}
	if v.apps > media.MaxApps {
		v.add("domains", v.apps, "at most %d apps in all domains", media.MaxApps)
	}
	return v.err()
}

type validator struct {
	faultList
	names map[string]string // folded name or alias -> path of its first use
	apps  int
}

func (v *validator) domain(path string, d *DomainDoc) {
	v.hostName(path+".name", d.Name, checkDomainName)
	if len(d.Aliases) > media.MaxAliases {
		v.add(path+".aliases", len(d.Aliases), "at most %d aliases a domain", media.MaxAliases)
		return
	}
	for i, a := range d.Aliases {
		v.hostName(path+".aliases["+strconv.Itoa(i)+"]", a, checkAlias)
	}
	v.apps += len(d.Apps)
	if v.apps > media.MaxApps {
		return
	}
	seen := map[string]string{}
	for i := range d.Apps {
		p := path + ".apps[" + strconv.Itoa(i) + "]"
		name := d.Apps[i].Name
		if first, dup := seen[name]; dup {
			v.add(p+".name", name, "the name is used at %s already", first)
		} else {
			seen[name] = p + ".name"
		}
		v.app(p, &d.Apps[i])
	}
}

func (v *validator) hostName(path, name string, check func(string) error) {
	if err := check(name); err != nil {
		v.add(path, name, "%s", err)
		return
	}
	folded := foldHost(name)
	if first, dup := v.names[folded]; dup {
		v.add(path, name, "the name is used at %s already", first)
		return
	}
	v.names[folded] = path
}

func (v *validator) app(path string, a *AppDoc) {
	if err := media.CheckName("app", a.Name); err != nil {
		v.add(path+".name", a.Name, "%s", err)
	}
	v.hls(path+".hls", a.HLS)
	v.within(path+".latency", a.Latency, minLatency, maxLatency)
	v.flush(path+".flush", a.Flush)
	v.gopCache(path+".gop_cache", a)
	v.within(path+".grace", a.Grace, 0, maxGrace)
	v.within(path+".idle_timeout", a.IdleTimeout, minIdleTimeout, maxIdleTimeout)
	switch a.BusyPolicy {
	case "", BusyReject, BusyReplace, BusyReplaceSameToken:
	default:
		v.add(path+".busy_policy", string(a.BusyPolicy), "must be %s, %s or %s",
			BusyReject, BusyReplace, BusyReplaceSameToken)
	}
	v.unsupported(path+".acl", a.ACL)
	v.unsupported(path+".limits", a.Limits)
	v.auth(path+".auth", a.Auth)
}

func (v *validator) hls(path string, h *HLSDoc) {
	if h == nil {
		return
	}
	v.within(path+".segment", h.Segment, minSegment, maxSegment)
	if h.Window != nil && (*h.Window < minWindow || *h.Window > maxWindow) {
		v.add(path+".window", *h.Window, "must be %d to %d segments", minWindow, maxWindow)
	}
	v.within(path+".part", h.Part, minPart, maxPart)
}

func (v *validator) gopCache(path string, a *AppDoc) {
	c := a.GOPCache
	if c == nil {
		return
	}
	if c.Bytes != nil && (*c.Bytes < minCacheBytes || *c.Bytes > maxCacheBytes) {
		v.add(path+".bytes", *c.Bytes, "must be %s to %s", ByteSize(minCacheBytes), ByteSize(maxCacheBytes))
	}
	v.within(path+".time", c.Time, minCacheTime, maxCacheTime)
	latency := defaultLatency
	if a.Latency != nil {
		latency = time.Duration(*a.Latency)
	}
	if c.Time != nil && time.Duration(*c.Time) < latency {
		v.add(path+".time", *c.Time, "must not be shorter than the latency, %s", Duration(latency))
	}
}

func (v *validator) flush(path, s string) {
	if s == "" {
		return
	}
	if _, _, err := parseFlush(s); err != nil {
		v.add(path, s, "%s", err)
	}
}

func (v *validator) auth(path string, a *AuthDoc) {
	if a == nil {
		return
	}
	v.unsupported(path+".play", a.Play)
	v.unsupported(path+".tokens", a.Tokens)
	v.unsupported(path+".hooks", a.Hooks)
	if a.Publish == nil {
		return
	}
	keys := a.Publish.Keys
	if len(keys) > media.MaxPublishKeys {
		v.add(path+".publish.keys", len(keys), "at most %d keys an app", media.MaxPublishKeys)
		return
	}
	for i, k := range keys {
		if err := checkKey(k); err != nil {
			v.add(path+".publish.keys["+strconv.Itoa(i)+"]", nil, "%s", err) // never the key itself
		}
	}
}

func checkKey(k string) error {
	switch {
	case k == "":
		return errors.New("is empty; leave the list out to open the app")
	case k == Redacted: // see KeepKeys
		return nil
	case IsStoredKey(k):
		_, err := parseStoredKey(k)
		return err
	case len(k) > media.MaxPublishKey:
		return fmt.Errorf("has %d bytes, the limit is %d", len(k), media.MaxPublishKey)
	}
	for i := range len(k) {
		if k[i] <= ' ' || k[i] > '~' {
			return errors.New("must be printable ASCII without spaces")
		}
	}
	return nil
}

func (v *validator) within(path string, d *Duration, low, high time.Duration) {
	if d == nil {
		return
	}
	if t := time.Duration(*d); t < low || t > high {
		v.add(path, *d, "must be %s to %s", Duration(low), Duration(high))
	}
}

func (v *validator) unsupported(path string, value any) {
	if value != nil {
		v.add(path, value, "not supported in this version")
	}
}
