package web

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"tmms/cluster/relay"
	"tmms/edge/viewer"
	"tmms/media"
	"tmms/media/hls"
)

// linger is how long a stream without requests keeps its feed, and how long one
// that has ended can still be fetched.
const linger = 30 * time.Second

// sessionLife is how long an address counts as a viewer after it asked for a
// media playlist; a player asks at least once in a target duration.
const sessionLife = 15 * time.Second

// registry holds the streams that HLS viewers of a node ask for, whatever loop
// they are on.
type registry struct {
	hub   *relay.Hub
	files fileBudget

	mu      sync.Mutex
	streams media.Table[*hlsStream] // guarded by mu
	old     []*segmentFile          // guarded by mu: to be released by unlock
}

func newRegistry(hub *relay.Hub) *registry {
	return &registry{hub: hub}
}

// hlsStream is one stream as HLS viewers see it. It holds the feed from the
// first request on, and a life that has ended for as long as its last segments
// are wanted.
type hlsStream struct {
	// Set at construction.
	registry *registry
	key      media.StreamKey
	feed     *relay.Feed

	// For any goroutine.
	life     atomic.Pointer[relay.Live] // the last one that had an index
	rendered atomic.Pointer[rendered]

	// Guarded by registry.mu.
	refs     int           // requests under way
	used     time.Duration // when the last one ended
	ended    time.Duration // when life was seen to have ended; 0: it has not
	sessions map[netip.Addr]*session
	wanted   map[*hls.Media]demand // what was asked for lately
}

// session is an address that plays a stream by HLS.
type session struct {
	first, last time.Duration
	sent        atomic.Int64 // bytes
}

// open returns the stream and holds it until [hlsStream.release], or what does the
// same and more: [hlsStream.played], [hlsStream.fetched]; fresh tells
// that it was not there before.
func (r *registry) open(key media.StreamKey) (s *hlsStream, fresh bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s = r.streams.Get(key)
	if s == nil {
		feed, err := r.hub.Open(key)
		if err != nil {
			return nil, false, err
		}
		feed.WantHLS(true)
		s, fresh = &hlsStream{registry: r, key: key, feed: feed}, true
		r.streams.Set(key, s)
	}
	s.refs++
	return s, fresh, nil
}

// release ends a request at the loops' time now. A stream that has nothing to
// serve is forgotten with its last request.
func (s *hlsStream) release(now time.Duration) {
	s.registry.mu.Lock()
	defer s.registry.unlock()
	s.letGo(now)
}

// letGo is release with registry.mu held.
func (s *hlsStream) letGo(now time.Duration) {
	s.refs--
	s.used = now
	if s.refs == 0 && s.life.Load() == nil {
		s.drop()
	}
}

// drop gives the feed back. registry.mu is held.
func (s *hlsStream) drop() {
	s.feed.WantHLS(false)
	s.feed.Close()
	s.forget(true)
	s.registry.streams.Delete(s.key)
}

// live tells whether the stream is published, here or at another node.
func (r *registry) live(key media.StreamKey) bool {
	feed, err := r.hub.Open(key)
	if err != nil {
		return false
	}
	defer feed.Close()
	return feed.Placed()
}

// playlistIndex is the index that a playlist is made of, nil while there is
// none: that of the present life, or of the last one until a new one begins.
func (s *hlsStream) playlistIndex() *hls.Index {
	if live := s.feed.Live(); live != nil {
		x := live.Index()
		if x != nil && s.life.Load() != live {
			s.life.Store(live)
		}
		return x
	}
	if last := s.life.Load(); last != nil {
		return last.Index()
	}
	return nil
}

// find finds a file in the present life or the last one; nil if there is none.
func (s *hlsStream) find(name hls.Name) *hls.Media {
	last := s.life.Load()
	if x := s.playlistIndex(); x != nil {
		if m := x.Find(name); m != nil {
			return m
		}
	}
	if last != nil && last.Index() != nil {
		return last.Index().Find(name)
	}
	return nil
}

// How far a player may be ahead of this node's index: another node may have got
// one segment earlier, or the parts of a second, and the next while the request
// came. Of parts it asks for the one that comes next besides.
const (
	ahead      = 2
	partsAhead = 6
)

// coming tells whether a file that is not there may come soon.
func (s *hlsStream) coming(name hls.Name) bool {
	x := s.playlistIndex()
	if x == nil {
		return s.feed.Placed() // the index has not come yet
	}
	return follows(x, name) && s.find(name) == nil
}

// follows tells whether a file may be in one of the next indexes behind x.
func follows(x *hls.Index, name hls.Name) bool {
	if name.Kind == hls.NameInit {
		return !x.Ended && initFollows(x, name)
	}
	if x.Coming(name.Epoch, name.MSN) {
		return true // this node began a moment ago
	}
	next, parts := x.NextMSN(), 0
	if x.Ended || name.Epoch < x.Epoch || next == 0 {
		return false
	}
	if x.Open != nil {
		next = x.Open.MSN
	}
	if name.MSN < next || name.MSN-next >= ahead {
		return false
	}
	if name.Kind != hls.NamePart {
		return true
	}
	if x.Open != nil && name.MSN == next {
		parts = len(x.Open.Parts)
	}
	return x.PartTarget > 0 && name.Number < uint64(parts+partsAhead)
}

// initFollows is follows for initialization sections.
func initFollows(x *hls.Index, name hls.Name) bool {
	newest := uint64(0)
	for _, i := range x.Inits {
		if i.Epoch == name.Epoch {
			newest = max(newest, uint64(i.Version))
		}
	}
	return len(x.Inits) > 0 && name.Epoch >= x.Epoch && name.Number > newest && name.Number-newest <= ahead
}

// played is release for a media playlist: it notes that an address plays the
// stream; nil if there are too many.
func (s *hlsStream) played(addr netip.Addr, now time.Duration) *session {
	s.registry.mu.Lock()
	defer s.registry.unlock()
	defer s.letGo(now)
	if known := s.sessions[addr]; known != nil {
		known.last = now
		return known
	}
	if len(s.sessions) >= media.MaxHLSSessions {
		return nil
	}
	if s.sessions == nil {
		s.sessions = map[netip.Addr]*session{}
	}
	fresh := &session{first: now, last: now}
	s.sessions[addr] = fresh
	return fresh
}

// fetched is release for a file: it gives the session of an address that plays the
// stream; nil if there is none.
func (s *hlsStream) fetched(addr netip.Addr, now time.Duration) *session {
	s.registry.mu.Lock()
	defer s.registry.unlock()
	defer s.letGo(now)
	return s.sessions[addr]
}

// sweep forgets sessions and streams whose time is over; more tells that there
// are streams left.
func (r *registry) sweep(now time.Duration) (more bool) {
	r.mu.Lock()
	defer r.unlock()
	for _, s := range r.streams.All() {
		for addr, known := range s.sessions {
			if now-known.last > sessionLife {
				delete(s.sessions, addr)
			}
		}
		s.age(now)
		s.forget(false)
	}
	return r.streams.Len() > 0
}

// age forgets a life that has ended long ago, and a stream that nobody asks for.
// registry.mu is held.
func (s *hlsStream) age(now time.Duration) {
	last := s.life.Load()
	if last != nil && last.State() == relay.StateEnded && s.feed.Live() != last {
		if s.ended == 0 {
			s.ended = now
		}
		if now-s.ended > linger {
			s.life.Store(nil)
			s.rendered.Store(nil)
			s.ended = 0
		}
	} else {
		s.ended = 0
	}
	if s.refs == 0 && (now-s.used > linger || s.life.Load() == nil) {
		s.drop()
	}
}

// sessionCount is the number of addresses that play now.
func (r *registry) sessionCount() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.streams.All() {
		n += len(s.sessions)
	}
	return n
}

// list describes the sessions, at most limit.
func (r *registry) list(now time.Duration, limit int) []viewer.Info {
	r.mu.Lock()
	defer r.mu.Unlock()
	var infos []viewer.Info
	for _, s := range r.streams.All() {
		for addr, known := range s.sessions {
			if len(infos) >= limit {
				return infos
			}
			infos = append(infos, viewer.Info{
				Key: s.key, Proto: "hls", Remote: netip.AddrPortFrom(addr, 0), Since: now - known.first, Sent: known.sent.Load(),
				State: "playing",
			})
		}
	}
	return infos
}

// close gives all feeds back.
func (r *registry) close() {
	r.mu.Lock()
	defer r.unlock()
	for _, s := range r.streams.All() {
		s.drop()
	}
}
