package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tmms/cluster/consensus"
	"tmms/cluster/fabric"
	"tmms/cluster/member"
	"tmms/cluster/pki"
	"tmms/cluster/state"
	"tmms/cluster/verdict"
	"tmms/media"
)

// Group is a voter: a *consensus.Node.
type Group interface {
	Hello() (consensus.Hello, error)
	Leader() (id, name string, ok bool)
	IsLeader() bool
	Lead(ctx context.Context, c state.Command) (index uint64, result any, err error)
	LeaderReadIndex(ctx context.Context) (uint64, error)
	RenewLease(id string, starting bool) error
	Join(ctx context.Context, name, address string) error
	Remove(ctx context.Context, nameOrID string) error
	LeadRevoke(ctx context.Context, r consensus.Revocation) (state.RevokeResult, error)
	LeadTransfer(ctx context.Context, nameOrID string) (name string, err error)
	LeadLevel(ctx context.Context, level int) (consensus.Levels, error)
	LocalStatus() (consensus.Status, error)
	Since(clusterID string, from uint64) (changes []member.Change, next <-chan struct{}, err error)
	ClusterID() string
	AppliedIndex() uint64
	Node(id string) (state.Node, bool)
}

// ServerDeps are what a [Server] works with.
type ServerDeps struct {
	Log *slog.Logger // required
	// Group is the voter here; nil on a node without a vote, which answers
	// hello, query and seen only.
	Group Group
	// Self is what hello answers on a node without a vote.
	Self func() consensus.Hello
	// Version is told in hello.
	Version string
	// Query answers for the lists of this node; nil means there are none.
	Query func(ctx context.Context, from pki.Peer, q Query) (json.RawMessage, error)
	// Seen says what this node has heard of another, by its id; nil: nothing is known.
	Seen func(id string) verdict.Report
	// Registerer takes the metrics; nil means none are kept.
	Registerer prometheus.Registerer
}

// Server answers the control requests of other nodes.
type Server struct {
	deps     ServerDeps
	began    time.Time
	metrics  *metrics
	watchers atomic.Int64
	crowd    *crowd
}

// slowestWay is what a way between two nodes carries at least, in bytes a second:
// 4 Mbit/s.
const slowestWay = 512 << 10

// transfer is how long so many bytes may be on their way, beside what a small request
// may take: nothing to speak of, but for configs.
func transfer(bytes int64) time.Duration {
	return time.Duration(bytes) * time.Second / slowestWay
}

const (
	requestTimeout = 5 * time.Second  // from a stream's first byte to the end of the request
	answerTimeout  = 10 * time.Second // for all but a watch
)

// NewServer gives a server; nothing runs before [Server.Serve].
func NewServer(deps ServerDeps) (*Server, error) {
	if deps.Log == nil || (deps.Group == nil && deps.Self == nil) {
		return nil, errors.New("control: a server needs a logger, and a group or what to say in hello")
	}
	s := &Server{deps: deps, began: time.Now(), crowd: newCrowd()}
	m, err := newMetrics(deps.Registerer, func() float64 { return float64(s.watchers.Load()) })
	s.metrics = m
	return s, err
}

// Serve answers the requests of one session until ctx ends or the session does:
// it is a fabric handler for [fabric.ALPNControl].
func (s *Server) Serve(ctx context.Context, session *fabric.Session) {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		stream, err := session.Accept(ctx)
		if err != nil {
			return
		}
		name := session.Peer().Name
		if !s.crowd.enter(name) {
			stream.CancelRead(codeBusy)
			stream.CancelWrite(codeBusy)
			continue
		}
		wg.Go(func() {
			defer s.crowd.leave(name)
			s.stream(ctx, session.Peer(), stream)
		})
	}
}

// stream answers one request.
func (s *Server) stream(ctx context.Context, peer pki.Peer, stream *fabric.Stream) {
	stop := context.AfterFunc(ctx, func() {
		stream.CancelRead(codeGone)
		stream.CancelWrite(codeGone)
	})
	defer stop()
	defer stream.CancelRead(codeGone)
	w := &writer{stream: stream, buf: bufio.NewWriterSize(stream, writeBuffer)}
	req, err := s.readRequest(peer, stream)
	if err == nil {
		ctx, cancel := context.WithCancel(stream.Context()) // ends with the stream, and so with the session
		defer cancel()
		err = s.answer(ctx, peer, req, w)
	}
	s.metrics.served(req.Method, err)
	if err == nil {
		_ = stream.Close() // a peer that went away is its own concern
		return
	}
	s.deps.Log.Debug("control request failed", slog.String("peer", peer.Name), slog.String("method", req.Method),
		slog.Any("err", err))
	_, leader := s.leader()
	if w.frame(reply{Error: asFault(err, leader)}) == nil && w.flush() == nil {
		_ = stream.Close()
		return
	}
	stream.CancelWrite(codeGone)
}

func (s *Server) readRequest(peer pki.Peer, stream *fabric.Stream) (req request, err error) {
	limit := media.MaxControlRequest
	if peer.Has(pki.RoleOrigin) {
		limit = media.MaxControlFrame
	}
	if err = stream.SetReadDeadline(time.Now().Add(requestTimeout)); err != nil {
		return req, err
	}
	n, err := readHead(stream, limit)
	if err == nil && n > media.MaxControlRequest {
		select {
		case s.crowd.large <- struct{}{}:
			defer func() { <-s.crowd.large }()
		default:
			return req, fmt.Errorf("%w: %d requests of more than %d bytes come in, the limit",
				ErrBusy, media.MaxControlLarge, media.MaxControlRequest)
		}
	}
	if err == nil {
		err = stream.SetReadDeadline(time.Now().Add(requestTimeout + transfer(n)))
	}
	if err == nil {
		err = readBody(stream, n, &req)
	}
	if err != nil {
		return request{}, fmt.Errorf("%w: %w", member.ErrInvalid, err)
	}
	if req.Version != version {
		return req, fmt.Errorf("%w: version %d, this node knows %d", member.ErrInvalid, req.Version, version)
	}
	return req, nil
}

// answer sends the answer, or gives the error to send.
func (s *Server) answer(ctx context.Context, peer pki.Peer, req request, w *writer) error {
	if err := mayCall(peer, req.Method); err != nil {
		return err
	}
	if req.Method == methodWatch {
		return s.watch(ctx, peer, req, w)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout+transfer(int64(len(req.Body))))
	defer cancel()
	if req.Method == methodQuery {
		return s.query(ctx, peer, req, w)
	}
	body, err := s.call(ctx, peer, req)
	if err != nil {
		return err
	}
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if err := w.frame(reply{Body: b}); err != nil {
		return err
	}
	return w.flush()
}

// leader gives the leader's id and name, if known here.
func (s *Server) leader() (id, name string) {
	if s.deps.Group == nil {
		return "", ""
	}
	id, name, _ = s.deps.Group.Leader()
	return id, name
}
