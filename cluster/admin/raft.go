package admin

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"tmms/cluster/consensus"
	"tmms/cluster/pki"
	"tmms/media"
)

// RaftInfo is the raft group, as the leader knows it if there is one.
type RaftInfo struct {
	ClusterID  string       `json:"cluster_id"`
	Leader     string       `json:"leader"` // node id; "" if none is known
	LeaderName string       `json:"leader_name"`
	By         string       `json:"by"` // node id of who says this
	Term       uint64       `json:"term"`
	Committed  uint64       `json:"committed"`  // index of the last entry that is
	LastIndex  uint64       `json:"last_index"` // of the log
	Level      int          `json:"level"`      // the cluster's feature level
	Servers    []RaftServer `json:"servers"`    // ordered by name
	// Trouble says why the node that says this can't take part in the group.
	Trouble string `json:"trouble,omitempty"`
}

// RaftServer is a member of the raft group.
type RaftServer struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Address string `json:"address"` // of its fabric port; "" if not known
	Voter   bool   `json:"voter"`   // else it is catching up
	Leader  bool   `json:"leader"`
	// SilentSeconds is how long the leader has not heard of it; only it knows.
	SilentSeconds float64 `json:"silent_seconds,omitempty"`
}

// serverBody names a member of the raft group.
type serverBody struct {
	Name    string `json:"name"`
	Address string `json:"address"` // HOST:PORT of its fabric
}

// serverReply says which server was added or removed.
type serverReply struct {
	Name string `json:"name"`
}

func (s *Server) showRaft(w http.ResponseWriter, r *http.Request, _ caller) error {
	status, err := s.raftStatus(r.Context())
	if err != nil {
		return err
	}
	if status.Leader == "" || status.By != status.Leader {
		s.mark(w, false)
	}
	writeJSON(w, http.StatusOK, s.raftInfo(status))
	return nil
}

func (s *Server) raftStatus(ctx context.Context) (consensus.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return s.deps.Group.Status(ctx)
}

func (s *Server) raftInfo(status consensus.Status) RaftInfo {
	info := RaftInfo{
		ClusterID: status.ClusterID, Leader: status.Leader, By: status.By, Term: status.Term,
		Committed: status.Committed, LastIndex: status.LastIndex,
		Level: status.Level, Trouble: status.Trouble, Servers: []RaftServer{},
	}
	names := s.names()
	for _, d := range status.Servers {
		if names[d.ID] != "" {
			d.Name = names[d.ID] // that of a node which is alone is its id
		}
		if d.Leader {
			info.LeaderName = d.Name
		}
		info.Servers = append(info.Servers, RaftServer{
			ID: d.ID, Name: d.Name, Address: d.Address, Voter: d.Voter, Leader: d.Leader,
			SilentSeconds: d.RenewedAgo.Round(time.Millisecond).Seconds(),
		})
	}
	slices.SortFunc(info.Servers, func(a, b RaftServer) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return info
}

func (s *Server) addServer(w http.ResponseWriter, r *http.Request, by caller) error {
	b, err := readBody(w, r, media.MaxAdminBody)
	if err != nil {
		return err
	}
	var body serverBody
	if err = decode(b, &body); err != nil {
		return err
	}
	if err = body.check(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	if err = s.deps.Group.Join(ctx, body.Name, body.Address); err != nil {
		return err
	}
	s.deps.Log.Info("a member of the raft group was added", slog.String("node", body.Name),
		slog.String("addr", body.Address), slog.String("by", by.name))
	writeJSON(w, http.StatusOK, serverReply{Name: body.Name})
	return nil
}

func (b serverBody) check() error {
	if err := pki.CheckName(b.Name); err != nil {
		return refuse(http.StatusBadRequest, "invalid", "%s", err)
	}
	host, port, err := net.SplitHostPort(b.Address)
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || host == "" || n == 0 || len(b.Address) > media.MaxName {
		return refuse(http.StatusBadRequest, "invalid", "address is %.128q, it must be HOST:PORT of the node's fabric",
			b.Address)
	}
	return nil
}

func (s *Server) removeServer(w http.ResponseWriter, r *http.Request, by caller) error {
	server := r.PathValue("name")
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	status, err := s.raftStatus(ctx)
	if err != nil {
		return err
	}
	known := func(d consensus.Server) bool { return d.ID == server || d.Name == server }
	if status.By == status.Leader && !slices.ContainsFunc(status.Servers, known) {
		return refuse(http.StatusNotFound, "not_found", "no member of the raft group is called %.64q", server)
	}
	if err = s.deps.Group.Remove(ctx, server); err != nil {
		return err
	}
	s.deps.Log.Info("a member of the raft group was removed", slog.String("node", server), slog.String("by", by.name))
	writeJSON(w, http.StatusOK, serverReply{Name: server})
	return nil
}
