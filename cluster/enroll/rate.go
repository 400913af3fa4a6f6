package enroll

import (
	"net/netip"
	"sync"
	"time"

	"tmms/media"
)

// rate bounds the requests that are looked at, of all and of an address.
type rate struct {
	mu    sync.Mutex
	all   bucket                 // guarded by mu
	perIP map[netip.Addr]*bucket // guarded by mu; those that are full are left out
}

// bucket has tokens, which come back at a rate.
type bucket struct {
	left float64
	at   time.Time
}

func (b *bucket) take(now time.Time, perSecond, most float64) bool {
	if b.at.IsZero() {
		b.left = most
	} else {
		b.left = min(most, b.left+now.Sub(b.at).Seconds()*perSecond)
	}
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

func newRate() *rate { return &rate{perIP: make(map[netip.Addr]*bucket)} }

// allow reports whether one more request of an address is looked at. An IPv6 host has
// the whole /64.
func (r *rate) allow(ip netip.Addr, now time.Time) bool {
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			ip = p.Addr()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.perIP[ip]
	if b == nil {
		if len(r.perIP) >= media.MaxJoinRated {
			r.forget(now)
		}
		if len(r.perIP) >= media.MaxJoinRated {
			return false
		}
		b = &bucket{}
		r.perIP[ip] = b
	}
	return b.take(now, media.JoinRatePerIP, media.JoinBurstPerIP) && r.all.take(now, media.JoinRate, media.JoinBurst)
}

// forget drops the addresses whose buckets are full again.
func (r *rate) forget(now time.Time) {
	for ip, b := range r.perIP {
		if b.left+now.Sub(b.at).Seconds()*media.JoinRatePerIP >= media.JoinBurstPerIP {
			delete(r.perIP, ip)
		}
	}
}
