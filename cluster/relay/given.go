package relay

import (
	"cmp"
	"slices"
	"time"

	"tmms/media"
)

// SubscriptionInfo is a node that gets a stream from this one.
type SubscriptionInfo struct {
	Node    string // its name
	Since   time.Time
	Shield  bool          // it asked this node as a shield, not as the owner
	HLS     bool          // it has HLS viewers
	Standby bool          // it is the stream's standby
	Version int           // of the protocol that both speak
	Pending bool          // the stream is only about to start
	Behind  time.Duration // stream time that is written here and was not sent
}

// Subscriptions lists the nodes that get a stream from this one, by name.
func (s *Server) Subscriptions(key media.StreamKey) []SubscriptionInfo {
	s.mu.Lock()
	var all []*subscription
	for p := range s.peers {
		all = p.list(all)
	}
	s.mu.Unlock()
	var list []SubscriptionInfo
	for _, sub := range all {
		if sub.request.Key == key {
			list = append(list, sub.info())
		}
	}
	slices.SortFunc(list, func(a, b SubscriptionInfo) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), a.Since.Compare(b.Since))
	})
	return list
}

func (s *subscription) info() SubscriptionInfo {
	live := s.live.Load()
	s.mu.Lock()
	hls := s.hls != nil
	s.mu.Unlock()
	info := SubscriptionInfo{
		Node: s.peer.session.Peer().Name, Since: s.began, Shield: s.request.Shield, HLS: hls, Standby: s.standby.Load(),
		Version: int(max(s.peer.agreed.version(), 1)), Pending: live == nil,
	}
	if live != nil && s.begun() {
		info.Behind = max(live.LastDTS()-media.Timestamp(s.sentDTS.Load()), 0).Duration()
	}
	return info
}

// begun tells that a group was begun.
func (s *subscription) begun() bool { return s.position.Load() != nil }

// enter and leave keep the list of sessions.
func (s *Server) enter(p *peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peers[p] = struct{}{}
}

func (s *Server) leave(p *peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.peers, p)
}
