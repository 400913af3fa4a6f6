package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"tmms/media"
)

// peerTimeout is how long another node may take to answer.
const peerTimeout = time.Second

// part is what one node has of a list.
type part[T any] struct {
	node   Peer
	answer T
}

// partial tells whether an answer was cut.
type partial interface{ cut() bool }

// gather asks every other node for its part of a list, all at once, and gives
// this node's own first. Those that did not answer in time, or not with all they
// have, are named.
func gather[T partial](s *Server, r *http.Request, q query, own T) (parts []part[T], incomplete []string) {
	parts = []part[T]{{node: s.self(), answer: own}}
	if s.deps.Peers == nil || isTrue(r.URL.Query().Get("local")) {
		return parts, nil
	}
	peers := s.deps.Peers.Peers()
	ctx, cancel := context.WithTimeout(r.Context(), peerTimeout)
	defer cancel()
	answers := make([]chan T, len(peers))
	for i, p := range peers {
		answers[i] = make(chan T, 1) // so that a late answer leaves no goroutine behind
		go func() {
			a, err := askPeer[T](ctx, s, p, q)
			if err != nil {
				s.deps.Log.Debug("node did not answer", slog.String("node", p.Name), slog.Any("err", err))
				close(answers[i])
				return
			}
			answers[i] <- a
		}()
	}
	for i, p := range peers {
		a, ok := await(ctx, answers[i])
		if ok {
			parts = append(parts, part[T]{node: p, answer: a})
		}
		if !ok || a.cut() {
			incomplete = append(incomplete, p.Name)
		}
	}
	return parts, incomplete
}

// await gives an answer that is there or comes before ctx ends.
func await[T any](ctx context.Context, answer <-chan T) (a T, ok bool) {
	select {
	case a, ok = <-answer:
		return a, ok
	case <-ctx.Done():
	}
	select {
	case a, ok = <-answer:
	default:
	}
	return a, ok
}

var errTooLong = errors.New("admin: the answer is too long")

// askPeer asks one node, when it is its turn.
func askPeer[T any](ctx context.Context, s *Server, p Peer, q query) (answer T, err error) {
	select {
	case s.asking <- struct{}{}:
		defer func() { <-s.asking }()
	case <-ctx.Done():
		return answer, ctx.Err()
	}
	b, err := s.deps.Peers.Query(ctx, p.ID, q.String())
	if err != nil {
		return answer, err
	}
	if len(b) > media.MaxPeerAnswer {
		return answer, fmt.Errorf("%w: %d bytes, the limit is %d", errTooLong, len(b), media.MaxPeerAnswer)
	}
	err = json.Unmarshal(b, &answer) // a later version may say more
	return answer, err
}

// self is this node.
func (s *Server) self() Peer {
	for _, n := range s.deps.Nodes.Nodes() {
		if n.Self {
			return Peer{ID: n.ID, Name: n.Name}
		}
	}
	return Peer{}
}

func isTrue(text string) bool { return text == "true" || text == "1" }
