package admin

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

// DrainInfo says whether a node is being drained, and what it has left.
type DrainInfo struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	State    string    `json:"state"` // as in the list of nodes
	Draining bool      `json:"draining"`
	Since    time.Time `json:"since,omitzero"`
	By       string    `json:"by,omitempty"`
	Leader   bool      `json:"leader"`   // of the raft group
	Answered bool      `json:"answered"` // the node has told what is left; else publishers and viewers are not known
	Empty    bool      `json:"empty"`    // nothing is left, and it does not lead
	Left     Left      `json:"left"`
}

// Left is what a node still has.
type Left struct {
	Streams    int            `json:"streams"`    // that it owns
	Standbys   int            `json:"standbys"`   // streams whose standby it is
	Publishers int            `json:"publishers"` // connections, those whose stream another node owns included
	Viewers    map[string]int `json:"viewers"`    // by protocol
}

// empty reports whether it is nothing at all.
func (l Left) empty() bool {
	viewers := 0
	for _, n := range l.Viewers {
		viewers += n
	}
	return l.Streams+l.Standbys+l.Publishers+viewers == 0
}

// Drains are the nodes that are being drained.
type Drains interface {
	// Drains lists them.
	Drains() []state.Drain
	// SetDrain says whether a node is to be emptied; by names who asks.
	SetDrain(ctx context.Context, nodeID string, on bool, by string) error
	// Left gives what a node has left. With release it ends the streams of its
	// viewers over HTTP, who come again and are sent to other nodes. The error says
	// that the node did not answer; the streams are known all the same.
	Left(ctx context.Context, nodeID string, release bool) (Left, error)
}

// drainBody asks for a drain.
type drainBody struct {
	// Release ends the streams of the node's viewers over HTTP, who come again and
	// are sent to other nodes; else they may stay.
	Release bool `json:"release"`
}

func (s *Server) showDrain(w http.ResponseWriter, r *http.Request, _ caller) error {
	n, err := s.findNode(r.PathValue("node"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, s.drainInfo(r.Context(), n, false))
	return nil
}

func (s *Server) beginDrain(w http.ResponseWriter, r *http.Request, by caller) error {
	b, err := readBody(w, r, media.MaxAdminBody)
	if err != nil {
		return err
	}
	var body drainBody
	if err = decode(b, &body); err != nil {
		return err
	}
	return s.setDrain(w, r, by, true, body.Release)
}

func (s *Server) endDrain(w http.ResponseWriter, r *http.Request, by caller) error {
	return s.setDrain(w, r, by, false, false)
}

// setDrain has the cluster decide, whatever this node's copy shows: it may be an old
// one, and a drain that is as it shall be is not changed.
func (s *Server) setDrain(w http.ResponseWriter, r *http.Request, by caller, on, release bool) error {
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	behind := s.catchUp(ctx)
	n, err := s.findNode(r.PathValue("node"))
	if err != nil {
		return cmp.Or(behind, err) // it may be one that has come since
	}
	if err = s.deps.Drains.SetDrain(ctx, n.ID, on, by.name); err != nil {
		return err
	}
	s.deps.Log.Info("a drain was asked for or called off", slog.String("node", n.Name), slog.Bool("on", on),
		slog.String("by", by.name))
	current := s.catchUp(ctx) == nil
	s.mark(w, current)
	info := s.drainInfo(ctx, n, release)
	if !current {
		info.Draining = on
	}
	writeJSON(w, http.StatusOK, info)
	return nil
}

// drainInfo asks the node what it has left.
func (s *Server) drainInfo(ctx context.Context, n NodeInfo, release bool) DrainInfo {
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	left, err := s.deps.Drains.Left(ctx, n.ID, release)
	if err != nil {
		s.deps.Log.Debug("node did not answer", slog.String("node", n.Name), slog.Any("err", err))
	}
	left.Viewers = orEmpty(left.Viewers)
	info := DrainInfo{ID: n.ID, Name: n.Name, State: n.State, Leader: n.Leader, Answered: err == nil, Left: left}
	info.Empty = info.Answered && !info.Leader && left.empty()
	if d, draining := s.drain(n.ID); draining {
		info.Draining, info.Since, info.By = true, time.UnixMilli(d.AtUnixMS).UTC(), d.By
	}
	return info
}

// drain gives the drain of a node, if there is one.
func (s *Server) drain(id string) (state.Drain, bool) {
	for _, d := range s.deps.Drains.Drains() {
		if d.Node == id {
			return d, true
		}
	}
	return state.Drain{}, false
}

// findNode finds a node by its name or id; of several with one name, which were
// replaced one by the other, that which is there.
func (s *Server) findNode(nameOrID string) (found NodeInfo, err error) {
	err = refuse(http.StatusNotFound, "not_found", "no node is called %.64q", nameOrID)
	for _, n := range s.deps.Nodes.Nodes() {
		if n.ID == nameOrID {
			return n, nil
		}
		if n.Name == nameOrID && (err != nil || n.State == "alive") {
			found, err = n, nil
		}
	}
	return found, err
}

// markDrains says of the nodes which are being drained.
func (s *Server) markDrains(nodes []NodeInfo) []NodeInfo {
	for i := range nodes {
		_, nodes[i].Draining = s.drain(nodes[i].ID)
	}
	return nodes
}
