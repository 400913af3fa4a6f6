package duties

import (
	"slices"
	"time"

	"tmms/cluster/state"
	"tmms/cluster/verdict"
	"tmms/media"
)

// View is the copy of the state that is decided from: a *member.View.
type View interface {
	Epoch() uint64
	FeatureLevel() int
	Config() *state.Config
	Nodes() []state.Node
	Draining(id string) bool
	Placement(key media.StreamKey) (state.Placement, bool)
	Orphans() []state.PlacedStream
	// RangePlacements gives each placement to do until that is false.
	RangePlacements(do func(key media.StreamKey, p state.Placement) bool)
}

// Court says who is dead: a *verdict.Court, or one of tests.
type Court interface {
	Verdict(id string, now time.Duration) verdict.Path
	Silent(id string, now time.Duration) time.Duration
	Age(id string, now time.Duration) time.Duration
	Suspect(id string, now time.Duration) bool
	// Starting says that a node's process has not got what it is a standby of.
	Starting(id string) bool
}

// Busy is what is known of a node that the state does not have.
type Busy struct {
	Load uint8         // 0 idle to 255 full, as it says itself
	RTT  time.Duration // to it; 0: not known
}

// Moment is what is decided from, at a time. Nothing of it is kept.
type Moment struct {
	View     View
	Court    Court
	Busy     map[string]Busy // by node; nil: nothing is known
	Now      time.Duration   // by the court's clock
	AtUnixMS int64           // stamps the commands
}

// Duties are what a leader remembers of its own term. They have one owner.
type Duties struct {
	orphans  map[media.StreamKey]orphan
	standbys map[media.StreamKey]chosen
	relief   relief
}

// New gives the duties of a leader that begins. relief is how long an origin has to
// have too much to do to be relieved, [ReliefTime] if 0.
func New(relief time.Duration) *Duties {
	return &Duties{
		orphans: map[media.StreamKey]orphan{}, standbys: map[media.StreamKey]chosen{}, relief: newRelief(relief),
	}
}

// levelStandbys is the feature level from which on there are standbys.
const levelStandbys = 1

// RoleOrigin is that of the nodes that own streams.
const RoleOrigin = "origin"

// IsOrigin reports whether a node may own streams.
func IsOrigin(n state.Node) bool { return slices.Contains(n.Roles, RoleOrigin) }

func (m *Moment) alive(id string) bool { return m.Court.Verdict(id, m.Now) == verdict.Alive }

// sound reports whether nobody doubts that a node lives, and is the process that the
// state speaks of.
func (m *Moment) sound(id string) bool {
	return m.alive(id) && !m.Court.Suspect(id, m.Now) && !m.Court.Starting(id)
}
