package fabric

import (
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"tmms/media"
)

// refusalPause is the least time between two lines in the log about refusals,
// which strangers can cause.
const refusalPause = 10 * time.Second

// refused counts and logs that a peer was not let in.
func (f *Fabric) refused(remote netip.AddrPort, alpn ALPN, err error) {
	f.metrics.refused.Inc()
	suppressed, ok := f.refusals.allow(time.Now())
	if !ok {
		return
	}
	f.log.Warn("fabric: peer refused", slog.String("remote", remote.String()), slog.String("alpn", string(alpn)),
		slog.Int("others", suppressed), slog.Any("err", err))
}

// quiet lets one line in refusalPause through.
type quiet struct {
	mu         sync.Mutex
	next       time.Time // guarded by mu
	suppressed int       // guarded by mu
}

// allow reports whether to log now, and how much was left out since the last time.
func (q *quiet) allow(now time.Time) (suppressed int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Before(q.next) {
		q.suppressed++
		return 0, false
	}
	suppressed, q.suppressed, q.next = q.suppressed, 0, now.Add(refusalPause)
	return suppressed, true
}

// roomFor reports whether one more session of a peer is too many. f.mu is held.
func (f *Fabric) roomFor(key peerKey) error {
	if f.incoming >= media.MaxFabricSessions {
		return fmt.Errorf("%d sessions, limit %d", f.incoming, media.MaxFabricSessions)
	}
	limit := media.MaxFabricPlainSessions
	if key.alpn == ALPNRelay {
		limit = media.MaxFabricPeerSessions
	}
	if n := len(f.accepted[key]); n >= limit {
		return fmt.Errorf("%d sessions of %s for %s, limit %d", n, key.name, key.alpn, limit)
	}
	return nil
}
