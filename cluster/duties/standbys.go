package duties

import (
	"maps"
	"slices"
	"time"

	"tmms/cluster/placement"
	"tmms/cluster/state"
	"tmms/media"
)

// standbyPause is how long a stream whose owner has taken its standby out has none:
// a node that could not keep up would not at once either.
const standbyPause = 10 * time.Second

// chosen is the last choice of a stream's standby.
type chosen struct {
	epoch uint64
	to    string
	at    time.Duration
}

// Standbys gives a standby to streams that have none, or one that goes: at most
// [media.MaxStandbyChoices] at a time.
func (d *Duties) Standbys(m Moment) (choices []state.SetStandby) {
	if m.View.FeatureLevel() < levelStandbys {
		return nil
	}
	origins := m.origins()
	if len(origins) < 2 {
		return nil
	}
	for _, s := range d.without(m, origins) {
		if c, ok := d.choose(m, s, origins); ok {
			choices = append(choices, c)
		}
	}
	return choices
}

// origins are the nodes that may own streams, by id, with what they have to do.
func (m *Moment) origins() map[string]*placement.Origin {
	all := map[string]*placement.Origin{}
	for _, n := range m.View.Nodes() {
		if IsOrigin(n) {
			all[n.ID] = &placement.Origin{
				ID: n.ID, Region: n.Region, Zone: n.Zone, Load: m.Busy[n.ID].Load, RTT: m.Busy[n.ID].RTT,
				Draining: m.View.Draining(n.ID), Healthy: m.sound(n.ID),
			}
		}
	}
	m.View.RangePlacements(func(_ media.StreamKey, p state.Placement) bool {
		for _, id := range []string{p.Owner, p.Standby} {
			if o := all[id]; o != nil {
				o.Streams++
			}
		}
		return true
	})
	return all
}

// without are streams that need a standby. It also forgets what was chosen for
// streams that are no more.
func (d *Duties) without(m Moment, origins map[string]*placement.Origin) (streams []state.PlacedStream) {
	placed := make(map[media.StreamKey]chosen, len(d.standbys))
	m.View.RangePlacements(func(key media.StreamKey, p state.Placement) bool {
		last, known := d.standbys[key]
		if known = known && last.epoch == p.Epoch; known {
			placed[key] = last
		}
		standby := origins[p.Standby]
		settled := p.Standby != "" && standby != nil && !standby.Draining
		waits := p.Standby == "" && known && m.Now-last.at < standbyPause
		if len(streams) < media.MaxStandbyChoices && !p.Orphan() && !settled && !waits {
			streams = append(streams, state.PlacedStream{Key: key, Placement: p})
		}
		return true
	})
	d.standbys = placed
	return streams
}

// choose gives the command that gives a stream its standby; false: no other origin
// is fit for it.
func (d *Duties) choose(
	m Moment, s state.PlacedStream, origins map[string]*placement.Origin,
) (c state.SetStandby, ok bool) {
	owner := origins[s.Owner]
	if owner == nil || !owner.Healthy {
		return c, false
	}
	former := d.standbys[s.Key].to // it could not keep up: another one, if there is one
	var others, all []placement.Origin
	for _, id := range slices.Sorted(maps.Keys(origins)) {
		if o := *origins[id]; id != s.Owner && id != s.Standby {
			all = append(all, o)
			if id != former {
				others = append(others, o)
			}
		}
	}
	to, ok := placement.Standby(*owner, others)
	if !ok {
		to, ok = placement.Standby(*owner, all)
	}
	if !ok {
		return c, false
	}
	d.standbys[s.Key] = chosen{s.Epoch, to, m.Now}
	origins[to].Streams++
	return state.SetStandby{Key: state.Key(s.Key), Epoch: s.Epoch, From: s.Standby, To: to}, true
}
