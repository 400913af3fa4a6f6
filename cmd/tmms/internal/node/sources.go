package node

import (
	"fmt"
	"time"

	"tmms/cluster/admin"
	"tmms/cluster/relay"
	"tmms/edge"
	"tmms/media"
	"tmms/origin/session"
)

// view shows the node to the admin port.
type view struct{ n *Node }

// Streams implements admin.StreamSource: what sessions own here, with what the
// hub knows of it.
func (v view) Streams() []admin.StreamInfo {
	sessions := v.n.origin.Streams()
	lives := make(map[media.StreamKey]*relay.Live)
	for _, l := range v.n.hub.Lives() {
		lives[l.Key()] = l
	}
	watching := v.viewersByStream()
	now := time.Now()
	list := make([]admin.StreamInfo, 0, len(sessions))
	for _, s := range sessions {
		info := streamInfo(s, now)
		info.Owner = v.n.raft.ID()
		info.Viewers = watching[s.Key]
		if info.Viewers == nil {
			info.Viewers = map[string]int{}
		}
		if l := lives[s.Key]; l != nil {
			info.HLS = hlsInfo(l)
		}
		list = append(list, info)
	}
	return list
}

func streamInfo(s session.Info, now time.Time) admin.StreamInfo {
	info := admin.StreamInfo{
		Key: s.Key.String(), State: s.State, Epoch: s.Epoch, Run: s.Run, Codecs: []string{},
		Width: s.Tracks.Video.Width, Height: s.Tracks.Video.Height, FPS: s.Tracks.Video.FPS,
		UptimeSeconds: now.Sub(s.Since).Seconds(),
	}
	for _, c := range []media.Codec{s.Tracks.Video.Codec, s.Tracks.Audio.Codec} {
		if c != media.CodecUnknown {
			info.Codecs = append(info.Codecs, c.String())
		}
	}
	if p := s.Publisher; p != nil {
		info.Publisher = &admin.PublisherInfo{Remote: p.Remote, Since: p.Since, BitrateBPS: p.BitrateBPS}
	}
	return info
}

func hlsInfo(l *relay.Live) *admin.HLSInfo {
	x := l.Index()
	if x == nil {
		return nil
	}
	msn, _ := x.LastMSN()
	return &admin.HLSInfo{Segments: x.Listed, MSN: msn, TargetSeconds: x.Target.Seconds()}
}

func (v view) viewersByStream() map[media.StreamKey]map[string]int {
	byStream := make(map[media.StreamKey]map[string]int)
	for _, w := range v.n.viewers() {
		m := byStream[w.Key]
		if m == nil {
			m = make(map[string]int)
			byStream[w.Key] = m
		}
		m[w.Proto]++
	}
	return byStream
}

// Viewers implements admin.ViewerSource.
func (v view) Viewers(key string, limit int) (list []admin.ViewerInfo, total int) {
	now := time.Now()
	for _, w := range v.n.viewers() {
		if key != "" && w.Key.String() != key {
			continue
		}
		if total++; len(list) < limit {
			list = append(list, viewerInfo(w, now))
		}
	}
	return list, total
}

func viewerInfo(w edge.Info, now time.Time) admin.ViewerInfo {
	return admin.ViewerInfo{
		ID: fmt.Sprintf("%s/%s", w.Proto, w.Remote), Key: w.Key.String(), Proto: w.Proto, Remote: w.Remote.String(),
		Since: now.Add(-w.Since).UTC().Truncate(time.Millisecond), SentBytes: w.Sent,
	}
}

// Nodes implements admin.NodeSource.
func (v view) Nodes() []admin.NodeInfo {
	leader, _, _ := v.n.raft.Leader()
	nodes := v.n.raft.Nodes()
	list := make([]admin.NodeInfo, 0, len(nodes))
	for _, d := range nodes {
		info := admin.NodeInfo{
			ID: d.ID, Name: d.Name, Roles: d.Roles, Region: d.Region, Zone: d.Zone, Version: d.Version,
			Addresses: d.Addresses, Self: d.ID == v.n.raft.ID(), Leader: d.ID == leader, State: "unknown",
		}
		if info.Self { // the others are known by gossip
			info.State = "alive"
		}
		list = append(list, info)
	}
	return list
}
