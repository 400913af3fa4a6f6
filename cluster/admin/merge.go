package admin

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"tmms/cluster/state"
)

// mergeStreams makes one list of what the nodes have: each stream as its owner
// tells it, with the viewers of all nodes. names are those of nodes by id.
func mergeStreams(parts []part[streamsAnswer], names map[string]string, limit int) streamsReply {
	byKey := make(map[string]*StreamInfo)
	total := 0
	for _, p := range parts {
		total += p.answer.Owned
		for i := range p.answer.Streams {
			addStream(byKey, p.node, &p.answer.Streams[i])
		}
	}
	list := make([]StreamInfo, 0, len(byKey))
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		s := byKey[key]
		if s.Pulled {
			total++ // its owner did not count it
		}
		s.OwnerName = names[s.Owner]
		slices.SortFunc(s.Edges, func(a, b EdgeInfo) int { return strings.Compare(a.Name, b.Name) })
		list = append(list, *s)
	}
	return streamsReply{Streams: list[:min(limit, len(list))], Total: total}
}

// addStream takes what node tells of a stream into account.
func addStream(byKey map[string]*StreamInfo, node Peer, told *StreamInfo) {
	s := byKey[told.Key]
	if s == nil {
		s = new(StreamInfo)
		byKey[told.Key] = s
	}
	viewers, edges := s.Viewers, s.Edges
	if viewers == nil {
		viewers = make(map[string]int)
		*s = *told
	} else if s.Pulled != told.Pulled && s.Pulled || s.Pulled == told.Pulled && told.Epoch > s.Epoch {
		*s = *told
	}
	serves := told.Pulled
	for proto, n := range told.Viewers {
		viewers[proto] += n
		serves = serves || n > 0
	}
	if serves {
		edges = append(edges, EdgeInfo{ID: node.ID, Name: node.Name, Viewers: orEmpty(told.Viewers)})
	}
	s.Viewers, s.Edges = viewers, edges
	if s.Codecs == nil {
		s.Codecs = []string{}
	}
}

func orEmpty(m map[string]int) map[string]int {
	if m == nil {
		return map[string]int{}
	}
	return m
}

// mergeViewers makes one list of what the nodes have, this node's viewers first.
func mergeViewers(parts []part[viewersAnswer], limit int) viewersReply {
	reply := viewersReply{Viewers: []ViewerInfo{}}
	for _, p := range parts {
		reply.Total += p.answer.Total
		for _, v := range p.answer.Viewers[:min(len(p.answer.Viewers), limit-len(reply.Viewers))] {
			v.Node = p.node.Name
			reply.Viewers = append(reply.Viewers, v)
		}
	}
	return reply
}

// RaftView is what a node knows of the raft group, as node ids.
type RaftView struct {
	Self   string
	Leader string // "": none is known
	Voters []string
}

// stateUnknown is that of a node while nothing was heard of any other.
const stateUnknown = "unknown"

// MergeNodes makes the list of the cluster's nodes, ordered by name: known are
// those of the replicated state, seen those of the gossip with their State, Load
// and what they say of themselves, which is newer. A node that the others' gossip
// does not know is dead, or was replaced by one of its name.
func MergeNodes(known []state.Node, seen []NodeInfo, raft RaftView) []NodeInfo {
	byID := make(map[string]NodeInfo, len(known))
	company := slices.ContainsFunc(seen, func(n NodeInfo) bool { return n.ID != raft.Self && n.State == "alive" })
	for _, n := range known {
		info := NodeInfo{
			ID: n.ID, Name: n.Name, Roles: n.Roles, Region: n.Region, Zone: n.Zone, Version: n.Version,
			Addresses: n.Addresses, State: stateUnknown,
		}
		sameName := func(o NodeInfo) bool { return o.Name == n.Name && o.ID != n.ID }
		if company || slices.ContainsFunc(seen, sameName) {
			info.State = "dead"
		}
		byID[n.ID] = info
	}
	for _, n := range seen {
		if old, ok := byID[n.ID]; ok {
			n.Addresses = join(old.Addresses, n.Addresses)
			n.Version = cmp.Or(old.Version, n.Version) // the gossip's may be cut
		}
		byID[n.ID] = n
	}
	list := make([]NodeInfo, 0, len(byID))
	for id, n := range byID {
		n.Self, n.Leader, n.Voter = id == raft.Self, id == raft.Leader, slices.Contains(raft.Voters, id)
		if n.Self {
			n.State = "alive"
		}
		if n.Roles == nil {
			n.Roles = []string{}
		}
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b NodeInfo) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return list
}

// join lays newer addresses over older ones.
func join(older, newer map[string]string) map[string]string {
	all := maps.Clone(older)
	if all == nil {
		return newer
	}
	maps.Copy(all, newer)
	return all
}
