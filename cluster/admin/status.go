package admin

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"tmms/cluster/state"
	"tmms/media"
)

// How many entries a list has if the caller does not say, and at most.
const (
	defaultLimit = 1000
	maxLimit     = 20000
)

type healthReply struct {
	Status string `json:"status"` // "ok"
}

type streamsReply struct {
	Streams []StreamInfo `json:"streams"` // ordered by key
	Total   int          `json:"total"`
	// Incomplete names the nodes that did not answer, or not with all they have.
	Incomplete []string `json:"incomplete,omitempty"`
}

type viewersReply struct {
	Viewers []ViewerInfo `json:"viewers"`
	Total   int          `json:"total"`
	// Incomplete names the nodes that did not answer, or not with all they have.
	Incomplete []string `json:"incomplete,omitempty"`
}

type nodesReply struct {
	Nodes []NodeInfo `json:"nodes"`
}

type domainsReply struct {
	Revision uint64       `json:"revision"`
	Domains  []DomainInfo `json:"domains"`
}

// DomainInfo is a domain in force.
type DomainInfo struct {
	Name    string    `json:"name"`
	Aliases []string  `json:"aliases"`
	Apps    []AppInfo `json:"apps"`
}

// AppInfo is an app in force.
type AppInfo struct {
	Name        string           `json:"name"`
	RTMP        bool             `json:"rtmp"`
	FLV         bool             `json:"flv"`
	HLS         bool             `json:"hls"`
	LowLatency  bool             `json:"low_latency"` // of HLS
	Open        bool             `json:"open"`        // anyone may publish
	PublishKeys int              `json:"publish_keys"`
	BusyPolicy  state.BusyPolicy `json:"busy_policy"`
	Latency     state.Duration   `json:"latency"`
	Flush       state.Duration   `json:"flush"`
	Grace       state.Duration   `json:"grace"`
}

type levelBody struct {
	Level string `json:"level"` // "debug", "info", "warn" or "error"
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request, _ caller) error {
	writeJSON(w, http.StatusOK, healthReply{Status: "ok"})
	return nil
}

func (s *Server) readiness(w http.ResponseWriter, _ *http.Request, _ caller) error {
	if err := s.deps.Ready(); err != nil {
		return refuse(http.StatusServiceUnavailable, "not_ready", "%s", err)
	}
	writeJSON(w, http.StatusOK, healthReply{Status: "ok"})
	return nil
}

func (s *Server) listStreams(w http.ResponseWriter, r *http.Request, _ caller) error {
	q, err := queryOf(listStreams, r.URL.Query())
	if err != nil {
		return err
	}
	parts, incomplete := gather(s, r, q, s.local.streamsAnswer(q))
	reply := mergeStreams(parts, s.names(), q.limit)
	reply.Incomplete = incomplete
	writeJSON(w, http.StatusOK, reply)
	return nil
}

// names are those of the nodes by id.
func (s *Server) names() map[string]string {
	names := make(map[string]string)
	for _, n := range s.deps.Nodes.Nodes() {
		names[n.ID] = n.Name
	}
	return names
}

func (s *Server) listViewers(w http.ResponseWriter, r *http.Request, _ caller) error {
	q, err := queryOf(listViewers, r.URL.Query())
	if err != nil {
		return err
	}
	parts, incomplete := gather(s, r, q, s.local.viewersAnswer(q))
	reply := mergeViewers(parts, q.limit)
	reply.Incomplete = incomplete
	writeJSON(w, http.StatusOK, reply)
	return nil
}

func (s *Server) listNodes(w http.ResponseWriter, r *http.Request, _ caller) error {
	nodes := append([]NodeInfo{}, s.deps.Nodes.Nodes()...)
	parts := []part[nodeAnswer]{{node: s.self(), answer: s.local.nodeAnswer()}}
	if r.URL.Query().Get("consistency") != fromCopy {
		parts, _ = gather(s, r, query{list: listNode}, s.local.nodeAnswer())
	}
	for _, p := range parts {
		if i := slices.IndexFunc(nodes, func(n NodeInfo) bool { return n.ID == p.node.ID }); i >= 0 {
			nodes[i].ConfigRevision = &p.answer.ConfigRevision
		}
	}
	writeJSON(w, http.StatusOK, nodesReply{Nodes: s.markDrains(nodes)})
	return nil
}

func (s *Server) listDomains(w http.ResponseWriter, _ *http.Request, _ caller) error {
	cfg := s.deps.Configs.Config()
	reply := domainsReply{Revision: cfg.Revision(), Domains: []DomainInfo{}}
	for _, d := range cfg.Domains() {
		info := DomainInfo{Name: d.Name, Aliases: append([]string{}, d.Aliases...), Apps: []AppInfo{}}
		for _, a := range d.Apps() {
			info.Apps = append(info.Apps, AppInfo{
				Name: a.Name, RTMP: a.RTMP, FLV: a.FLV, HLS: a.HLS.Enabled, LowLatency: a.HLS.Enabled && a.HLS.LowLatency,
				Open: a.Open(), PublishKeys: a.PublishKeys(),
				BusyPolicy: a.BusyPolicy, Latency: state.Duration(a.Latency), Flush: state.Duration(a.Flush),
				Grace: state.Duration(a.Grace),
			})
		}
		reply.Domains = append(reply.Domains, info)
	}
	writeJSON(w, http.StatusOK, reply)
	return nil
}

func (s *Server) showLevel(w http.ResponseWriter, _ *http.Request, _ caller) error {
	writeJSON(w, http.StatusOK, levelBody{Level: strings.ToLower(s.deps.Level.Level().String())})
	return nil
}

func (s *Server) setLevel(w http.ResponseWriter, r *http.Request, by caller) error {
	b, err := readBody(w, r, media.MaxAdminBody)
	if err != nil {
		return err
	}
	var body levelBody
	if err = decode(b, &body); err != nil {
		return err
	}
	var level slog.Level
	switch body.Level {
	case "debug", "info", "warn", "error":
		err = level.UnmarshalText([]byte(body.Level))
	default:
		err = refuse(http.StatusUnprocessableEntity, "invalid",
			"level is %.32q, it must be debug, info, warn or error", body.Level)
	}
	if err != nil {
		return err
	}
	s.deps.Level.Set(level)
	s.deps.Log.Info("log level was changed", slog.String("level", body.Level), slog.String("by", by.name))
	return s.showLevel(w, r, by)
}
