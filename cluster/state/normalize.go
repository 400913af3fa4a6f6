package state

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// What an app has if its document does not say.
const (
	defaultLatency     = 3 * time.Second
	defaultGrace       = 20 * time.Second
	defaultIdleTimeout = 30 * time.Second
	defaultSegment     = 2 * time.Second
	defaultWindow      = 6
	defaultPart        = 200 * time.Millisecond
	defaultCacheBytes  = 32 << 20
	defaultCacheTime   = 10 * time.Second
	defaultFlush       = "balanced"
)

// Normalize gives a deep copy of a valid document in which nothing is left to a
// default and every host is folded. This form is replicated and kept, so that
// a later version with other defaults does not change a running app.
// Normalizing twice changes nothing.
func (d *Document) Normalize() *Document {
	out := &Document{Domains: make([]DomainDoc, len(d.Domains)), Regions: normalizeRegions(d.Regions)}
	for i := range d.Domains {
		in := &d.Domains[i]
		dom := DomainDoc{Name: foldHost(in.Name), Apps: make([]AppDoc, len(in.Apps))}
		for _, a := range in.Aliases {
			dom.Aliases = append(dom.Aliases, foldHost(a))
		}
		for j := range in.Apps {
			dom.Apps[j] = in.Apps[j].normalize()
		}
		out.Domains[i] = dom
	}
	return out
}

func (a *AppDoc) normalize() AppDoc {
	latency := orElse(a.Latency, Duration(defaultLatency))
	out := AppDoc{
		Name:        a.Name,
		RTMP:        new(orElse(a.RTMP, true)),
		FLV:         new(orElse(a.FLV, true)),
		HLS:         a.HLS.normalize(),
		Latency:     &latency,
		Flush:       a.Flush,
		GOPCache:    a.GOPCache.normalize(latency),
		Grace:       new(orElse(a.Grace, Duration(defaultGrace))),
		IdleTimeout: new(orElse(a.IdleTimeout, Duration(defaultIdleTimeout))),
		BusyPolicy:  a.BusyPolicy,
	}
	if out.Flush == "" {
		out.Flush = defaultFlush
	}
	if out.BusyPolicy == "" {
		out.BusyPolicy = BusyReplaceSameToken
	}
	if keys := a.publishKeys(); len(keys) > 0 {
		out.Auth = &AuthDoc{Publish: &PublishAuthDoc{Keys: slices.Clone(keys)}}
	}
	return out
}

func (h *HLSDoc) normalize() *HLSDoc {
	if h == nil {
		h = &HLSDoc{}
	}
	part := h.Part
	if h.LowLatency {
		part = new(orElse(h.Part, Duration(defaultPart)))
	}
	return &HLSDoc{
		Enabled:    new(orElse(h.Enabled, true)),
		Segment:    new(orElse(h.Segment, Duration(defaultSegment))),
		Window:     new(orElse(h.Window, defaultWindow)),
		LowLatency: h.LowLatency,
		Part:       part,
	}
}

// normalize gives the cache time for two latencies where nothing is said: a
// viewer is let go only when it is that far behind.
func (c *GOPCacheDoc) normalize(latency Duration) *GOPCacheDoc {
	if c == nil {
		c = &GOPCacheDoc{}
	}
	return &GOPCacheDoc{
		Bytes: new(orElse(c.Bytes, ByteSize(defaultCacheBytes))),
		Time:  new(orElse(c.Time, max(Duration(defaultCacheTime), 2*latency))),
	}
}

func orElse[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// stretch is how many times its period a flush may take under load where the
// config does not say.
const stretch = 4

// parseFlush reads how often a viewer is sent to, and up to which period that may
// stretch under load: a preset, "PERIOD" or "PERIOD..LIMIT", in steps of the tick.
func parseFlush(s string) (period, limit time.Duration, err error) {
	switch s {
	case "balanced":
		s = "100ms..350ms"
	case "low_latency":
		s = "35ms..105ms"
	case "economy":
		s = "350ms..1s"
	}
	first, last, both := strings.Cut(s, "..")
	period, ok := parsePeriod(first)
	limit = min(stretch*period, maxFlush)
	if both && ok {
		limit, ok = parsePeriod(last)
	}
	if !ok || limit < period {
		return 0, 0, fmt.Errorf(
			"must be balanced, low_latency, economy, or PERIOD or PERIOD..LIMIT in multiples of %s up to %s",
			flushTick, maxFlush)
	}
	return period, limit, nil
}

func parsePeriod(s string) (time.Duration, bool) {
	d, err := time.ParseDuration(s)
	return d, err == nil && d >= flushTick && d <= maxFlush && d%flushTick == 0 && !strings.HasPrefix(s, "+")
}
