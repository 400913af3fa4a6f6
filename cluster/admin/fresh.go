package admin

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

const (
	// readTimeout bounds the wait for the leader before replicated state is shown.
	readTimeout = 1500 * time.Millisecond
	// changeTimeout bounds it before something is made of that state, as the wait for
	// a leader that takes a command is bounded.
	changeTimeout = 15 * time.Second
)

// staleHeader of an answer says why it may lack what was acknowledged before the
// request came.
const staleHeader = "X-Tmms-Stale"

// The values of the query parameter consistency.
const (
	consistent = "linearizable" // the default
	fromCopy   = "local"
)

// freshen waits until this node's copy of the replicated state has everything
// that was acknowledged anywhere before the request came. Where that cannot be
// had in time, or is not asked for, the copy is shown as it is; what is known of
// its age goes into the answer's head.
func (s *Server) freshen(w http.ResponseWriter, r *http.Request) error {
	switch c := r.URL.Query().Get("consistency"); c {
	case "", consistent:
		s.mark(w, s.catchUp(r.Context()) == nil)
	case fromCopy:
		_, _, led := s.deps.Group.Leader()
		s.mark(w, led)
	default:
		return refuse(http.StatusBadRequest, "consistency", "consistency is %.32q, it must be %s or %s",
			c, consistent, fromCopy)
	}
	return nil
}

// catchUp is freshen's wait, for who can do without.
func (s *Server) catchUp(ctx context.Context) error { return s.catchUpIn(ctx, readTimeout) }

// awaitCurrent is catchUp for who can't: a change that depends on what there is.
func (s *Server) awaitCurrent(ctx context.Context) error { return s.catchUpIn(ctx, changeTimeout) }

func (s *Server) catchUpIn(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_, err := s.deps.Group.ReadIndex(ctx)
	if err != nil {
		s.deps.Log.Debug("a read may be out of date", slog.Any("err", err))
	}
	return err
}

// mark says in the answer's head why it may be out of date, unless it is current.
func (s *Server) mark(w http.ResponseWriter, current bool) {
	if current {
		return
	}
	reason := fmt.Sprintf("not up with the leader within %s", readTimeout)
	if _, _, led := s.deps.Group.Leader(); !led {
		reason = "no leader is known"
	}
	w.Header().Set(staleHeader, reason)
}
