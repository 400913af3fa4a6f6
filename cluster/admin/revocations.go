package admin

import (
	"context"
	"net/http"
	"time"

	"tmms/cluster/consensus"
	"tmms/cluster/state"
	"tmms/media"
)

// RevocationInfo is a revocation of certificates of nodes.
type RevocationInfo struct {
	Node   string    `json:"node,omitempty"`   // of all that the node was given up to At; or
	Serial string    `json:"serial,omitempty"` // of the one with this serial number
	At     time.Time `json:"at"`
	Until  time.Time `json:"until"` // when it is forgotten: none of them is in time then
	By     string    `json:"by,omitempty"`
}

// RevocationSource has the certificates that are not good any more; a
// member.View is one.
type RevocationSource interface {
	WatchRevocations() (*state.Revocations, <-chan struct{})
}

type revocationsReply struct {
	Revocations []RevocationInfo `json:"revocations"` // by node, then by serial number
}

// revocationBody asks for a revocation; one of both is set.
type revocationBody struct {
	Node   string `json:"node,omitempty"`
	Serial string `json:"serial,omitempty"`
}

// revocationReply is the revocation in force.
type revocationReply struct {
	Revocation RevocationInfo `json:"revocation"`
	Streams    int            `json:"streams"` // that have lost their owner
}

func revocationInfo(r state.Revocation) RevocationInfo {
	return RevocationInfo{
		Node: r.Node, Serial: r.Serial, By: r.By,
		At: time.UnixMilli(r.AtUnixMS).UTC(), Until: time.UnixMilli(r.UntilUnixMS).UTC(),
	}
}

func (s *Server) listRevocations(w http.ResponseWriter, _ *http.Request, _ caller) error {
	list, _ := s.deps.Revocations.WatchRevocations()
	reply := revocationsReply{Revocations: make([]RevocationInfo, 0, list.Len())}
	for _, r := range list.All() {
		reply.Revocations = append(reply.Revocations, revocationInfo(r))
	}
	writeJSON(w, http.StatusOK, reply)
	return nil
}

func (s *Server) revoke(w http.ResponseWriter, r *http.Request, by caller) error {
	b, err := readBody(w, r, media.MaxAdminBody)
	if err != nil {
		return err
	}
	var body revocationBody
	if err = decode(b, &body); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	result, err := s.deps.Group.Revoke(ctx, consensus.Revocation{Node: body.Node, Serial: body.Serial, By: by.name})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, revocationReply{Revocation: revocationInfo(result.Revocation), Streams: result.Lost})
	return nil
}
