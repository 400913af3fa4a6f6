package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"tmms/cluster/consensus"
	"tmms/cluster/member"
	"tmms/cluster/pki"
	"tmms/cluster/state"
	"tmms/media"
)

// call gives the body of the answer to a method with one answer.
func (s *Server) call(ctx context.Context, peer pki.Peer, req request) (any, error) {
	if req.Method == methodHello {
		return s.hello()
	}
	if req.Method == methodSeen {
		return s.seen(peer, req.Body)
	}
	g := s.deps.Group
	if g == nil {
		return nil, fmt.Errorf("%w: this node has no vote", member.ErrNotLeader)
	}
	switch req.Method {
	case methodStatus:
		return g.LocalStatus()
	case methodRead:
		index, err := g.LeaderReadIndex(ctx)
		return position{index}, err
	case methodPropose:
		return s.propose(ctx, peer, req.Body)
	case methodRenew:
		return struct{}{}, s.renew(peer, req.Body)
	case methodRevoke:
		return s.revoke(ctx, req)
	case methodTransfer:
		return s.transfer(ctx, req)
	case methodLevel:
		return s.level(ctx, peer, req)
	case methodJoin, methodRemove:
		return struct{}{}, s.changeGroup(ctx, req)
	}
	return nil, fmt.Errorf("%w: method %.40q", member.ErrInvalid, req.Method)
}

func (s *Server) hello() (consensus.Hello, error) {
	if s.deps.Group == nil {
		h := s.deps.Self()
		h.Version = s.deps.Version
		return h, nil
	}
	h, err := s.deps.Group.Hello()
	h.Version = s.deps.Version
	return h, err
}

func (s *Server) propose(ctx context.Context, peer pki.Peer, body []byte) (proposed, error) {
	g := s.deps.Group
	if !g.IsLeader() {
		return proposed{}, member.ErrNotLeader
	}
	c, err := state.Decode(body)
	if err != nil {
		return proposed{}, fmt.Errorf("%w: %w", member.ErrLevel, err) // of a later release
	}
	if err = mayPropose(peer, c, g.Node); err != nil {
		return proposed{}, err
	}
	index, result, err := g.Lead(ctx, c)
	if errors.Is(err, context.DeadlineExceeded) {
		return proposed{}, fmt.Errorf("%w: %w", member.ErrUncertain, err)
	}
	if err != nil {
		return proposed{}, err
	}
	return encodeResult(index, result)
}

func (s *Server) renew(peer pki.Peer, body []byte) error {
	r, err := decodeBody[renewal](body)
	if err != nil {
		return err
	}
	if !isPeer(peer, r.ID, s.deps.Group.Node) {
		return fmt.Errorf("%w: %s renews the lease of %.40q", member.ErrForbidden, peer.Name, r.ID)
	}
	return s.deps.Group.RenewLease(r.ID, r.Starting)
}

func (s *Server) changeGroup(ctx context.Context, req request) error {
	j, err := decodeBody[joining](req.Body)
	if err != nil {
		return err
	}
	if !s.deps.Group.IsLeader() {
		return member.ErrNotLeader
	}
	if req.Method == methodRemove {
		return s.deps.Group.Remove(ctx, j.Name)
	}
	if err := pki.CheckName(j.Name); err != nil {
		return fmt.Errorf("%w: %w", member.ErrInvalid, err)
	}
	return s.deps.Group.Join(ctx, j.Name, j.Address)
}

func (s *Server) revoke(ctx context.Context, req request) (state.RevokeResult, error) {
	r, err := decodeBody[consensus.Revocation](req.Body)
	if err != nil {
		return state.RevokeResult{}, err
	}
	return s.deps.Group.LeadRevoke(ctx, r)
}

// transfer answers who leads then.
func (s *Server) transfer(ctx context.Context, req request) (joining, error) {
	j, err := decodeBody[joining](req.Body)
	if err != nil {
		return joining{}, err
	}
	name, err := s.deps.Group.LeadTransfer(ctx, j.Name)
	return joining{Name: name}, err
}

// level shows the feature levels to everybody, and raises the cluster's for origins.
func (s *Server) level(ctx context.Context, peer pki.Peer, req request) (consensus.Levels, error) {
	l, err := decodeBody[leveling](req.Body)
	if err != nil {
		return consensus.Levels{}, err
	}
	if l.Level != 0 && !peer.Has(pki.RoleOrigin) {
		return consensus.Levels{}, fmt.Errorf("%w: the feature level is raised by %s, whose roles are %v",
			member.ErrForbidden, peer.Name, peer.Roles)
	}
	return s.deps.Group.LeadLevel(ctx, l.Level)
}

// query sends a list in parts.
func (s *Server) query(ctx context.Context, peer pki.Peer, req request, w *writer) error {
	q, err := decodeBody[Query](req.Body)
	if err != nil {
		return err
	}
	if s.deps.Query == nil {
		return fmt.Errorf("%w: query %.40q", member.ErrInvalid, q.Kind)
	}
	b, err := s.deps.Query(ctx, peer, q)
	if err != nil {
		return err
	}
	if len(b) > media.MaxControlReply {
		return fmt.Errorf("%w: the list has %d bytes, the limit is %d", member.ErrInvalid, len(b), media.MaxControlReply)
	}
	for more := true; more; {
		n := min(len(b), media.ControlChunk)
		more = n < len(b)
		if err := w.frame(reply{Part: b[:n], More: more}); err != nil {
			return err
		}
		b = b[n:]
	}
	return w.flush()
}

func decodeBody[T any](b []byte) (v T, err error) {
	if err = json.Unmarshal(b, &v); err != nil {
		err = fmt.Errorf("%w: %w", member.ErrInvalid, err)
	}
	return v, err
}
