package gossip

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"tmms/cluster/placement"
	"tmms/media"
)

// State says how a member is, as far as this node knows.
type State string

// The states of a member.
const (
	StateAlive State = "alive"
	// StateSuspect did not answer this node's last probe, nor those of others for it.
	StateSuspect State = "suspect"
	// StateDead did not answer in time, and said nothing before.
	StateDead State = "dead"
	// StateLeft said farewell.
	StateLeft State = "left"
)

// Gone reports whether a member is dead or has left.
func (s State) Gone() bool { return s == StateDead || s == StateLeft }

// Member is a node of the cluster, this one included.
type Member struct {
	Meta
	State State
	Since time.Time            // when the state began, as seen from here
	Addr  netip.AddrPort       // of its gossip port
	RTT   time.Duration        // to it, the shorter of late probes; 0: it was not probed yet
	Place placement.Coordinate // as it says itself
	Known bool                 // Place is
}

// roster is what is known of the members; memberlist's callbacks write it. They
// hold memberlist's lock, so nothing of memberlist is called under mu.
type roster struct {
	mu      sync.Mutex
	members map[string]*Member // guarded by mu; by name
	leaving map[string]bool    // guarded by mu; those that have said so
	changed chan struct{}      // guarded by mu; closed at the next change
}

func newRoster() *roster {
	return &roster{members: make(map[string]*Member), leaving: make(map[string]bool), changed: make(chan struct{})}
}

// list gives the members that are there, and those that were not long ago,
// ordered by name.
func (r *roster) list(now time.Time) []Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.prune(now)
	list := make([]Member, 0, len(r.members))
	for _, m := range r.members {
		list = append(list, m.clone())
	}
	slices.SortFunc(list, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

func (m *Member) clone() Member {
	c := *m
	c.Roles = slices.Clone(m.Roles)
	return c
}

func (r *roster) watch() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// wake tells the watchers of a change; mu is held.
func (r *roster) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// prune forgets who has been gone for long; mu is held.
func (r *roster) prune(now time.Time) {
	for name, m := range r.members {
		if m.State.Gone() && now.Sub(m.Since) >= forgetAfter {
			delete(r.members, name)
		}
	}
}

// room reports whether a member of that name can be remembered; for it the one
// that is gone for the longest is forgotten.
func (r *roster) room(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.members[name] != nil || len(r.members) < media.MaxNodes {
		return true
	}
	var oldest *Member
	for _, m := range r.members {
		if m.State.Gone() && (oldest == nil || m.Since.Before(oldest.Since)) {
			oldest = m
		}
	}
	if oldest == nil {
		return false
	}
	delete(r.members, oldest.Name)
	return true
}

// seen is a member that came, came back, or said something new.
func (r *roster) seen(node *memberlist.Node, now time.Time) {
	meta, flags, err := parseMeta(node.Name, node.Meta)
	if err != nil {
		return // NotifyAlive has refused it before
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m := &Member{Meta: meta, State: StateAlive, Since: now, Addr: addrOf(node)}
	if old := r.members[meta.Name]; old != nil && old.State == StateAlive && old.ID == meta.ID {
		m.Since, m.RTT, m.Place, m.Known = old.Since, old.RTT, old.Place, old.Known
	}
	r.members[meta.Name] = m
	delete(r.leaving, meta.Name)
	if flags&flagLeaving != 0 {
		r.leaving[meta.Name] = true
	}
	r.wake()
}

// gone is a member that memberlist counts out; it gives what became of it.
func (r *roster) gone(name string, now time.Time) State {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[name]
	if m == nil {
		return StateDead
	}
	m.State, m.Since = StateDead, now
	if r.leaving[name] {
		m.State = StateLeft
	}
	delete(r.leaving, name)
	r.prune(now)
	r.wake()
	return m.State
}

// doubt moves a member between alive and suspect.
func (r *roster) doubt(name string, to State, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[name]
	if m == nil || m.State.Gone() || m.State == to {
		return
	}
	m.State, m.Since = to, now
	r.wake()
}

// rttWeight is that of the newest probe in a member's RTT, if it took longer than the
// ones before: one in so many. A busy processor is no longer way.
const rttWeight = 8

// probed is a member that answered a probe.
func (r *roster) probed(name string, rtt time.Duration, now time.Time) {
	r.doubt(name, StateAlive, now)
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[name]
	switch {
	case m == nil || rtt <= 0:
	case m.RTT == 0, rtt < m.RTT:
		m.RTT = rtt
	default:
		m.RTT += (rtt - m.RTT) / rttWeight
	}
}

// located is a member that has said where it is; it gives the round trip to it.
func (r *roster) located(name string, at placement.Coordinate) (rtt time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[name]
	if m == nil {
		return 0, false
	}
	m.Place, m.Known = at, true
	return m.RTT, m.RTT > 0
}

func addrOf(n *memberlist.Node) netip.AddrPort {
	ip, _ := netip.AddrFromSlice(n.Addr)
	return netip.AddrPortFrom(ip.Unmap(), n.Port)
}

// Health is memberlist's awareness of this node's own state: 0 is healthy; it rises
// with probes that fail and doubts about itself, such as those of a process that gets
// no processor, and timeouts grow with it. 0 before Run.
func (g *Gossip) Health() int {
	if list := g.list.Load(); list != nil {
		return list.GetHealthScore()
	}
	return 0
}
