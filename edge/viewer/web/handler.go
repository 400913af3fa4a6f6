package web

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"tmms/edge/fanout"
	"tmms/edge/viewer"
	"tmms/media"
)

// Handler serves what the loops serve by HTTP/1.1 to requests that come by
// HTTP/2 and HTTP/3, each on a goroutine of its own: the same routes from the
// same store, with the same answers. Only WebSockets are left to HTTP/1.1.
//
// The server below bounds the requests, their headers, and connections; Handler
// bounds how long an answer may take. It is safe for concurrent use.
type Handler struct {
	// Set at construction.
	server *Server
	loops  []*Loop
	chunks *sync.Pool

	parking parking
	turn    atomic.Uint32 // of the loops
}

// Handler returns the handler of the server's loops, one at least, which run
// for as long as it is used.
func (s *Server) Handler(loops []*Loop) *Handler {
	return &Handler{server: s, loops: loops, chunks: newChunks(), parking: parking{now: s.now}}
}

// tally is that of all requests that come this way: they have no loop.
func (h *Handler) tally() *tally { return h.server.tallies[0] }

// now is the loops' time, or within milliseconds of it.
func (s *Server) now() time.Duration { return time.Since(s.started) }

// Wait returns when the handler's own goroutine has ended; no request may be
// under way.
func (h *Handler) Wait() { h.parking.working.Wait() }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{handler: h, request: r, remote: remoteOf(r), out: newSender(w)}
	defer x.out.end()
	x.serve()
	if x.err != nil {
		h.server.log.Debug("http exchange cut", slog.String("remote", x.remote.String()), slog.Any("err", x.err))
		panic(http.ErrAbortHandler) // resets the stream: the answer must not look whole
	}
}

// remoteOf is who asks; the zero value if the server below did not say.
func remoteOf(r *http.Request) netip.AddrPort {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// exchange is one request and its answer. It belongs to the request's goroutine.
type exchange struct {
	handler *Handler
	request *http.Request
	remote  netip.AddrPort
	out     *sender
	kind    Kind
	err     error // why the answer was cut short
}

func (x *exchange) serve() {
	r := x.request
	// Over HTTP/3 a body of unknown length can't be told from none.
	if r.ContentLength > 0 || r.ContentLength < 0 && r.ProtoMajor == 2 {
		x.answer(refused(errBody()))
		return
	}
	q, err := newRequest(r)
	if err != nil {
		x.answer(refused(err))
		return
	}
	s := x.handler.server
	decided := s.decide(asking{request: q, from: x.remote.Addr()}, s.now())
	x.kind = decided.kind
	x.follow(decided)
}

// follow does what was decided about the request.
func (x *exchange) follow(r reply) {
	if r.sweep {
		x.handler.sweep()
	}
	switch {
	case r.play != nil:
		x.play(r.play)
	case r.wait != nil:
		if answer, ok := x.handler.wait(x.request.Context(), r.wait, x.kind); ok {
			x.answer(answer)
		}
	default:
		x.answer(r)
	}
}

// sweep starts the sweeping of a stream that is held from now on. Should the
// loop have no room for that, the next such stream's will do.
func (h *Handler) sweep() { h.loops[0].loop.Post(h.loops[0].touched) }

// head sends the answer's head, at the latest with the first bytes of its body.
func (x *exchange) head(h *header) {
	x.handler.tally().answer(x.kind, h.status)
	h.set(x.out.w.Header())
	x.out.w.WriteHeader(h.status)
}

// answer sends an answer that is all there.
func (x *exchange) answer(r reply) {
	x.head(&r.header)
	for r.body.left > 0 && x.err == nil {
		piece := r.body.next(sendSize)
		n, err := x.out.send(piece)
		x.handler.server.count(r.hls, r.viewer, n)
		r.body.sent(n)
		x.err = err
	}
	if x.request.ProtoMajor == 3 && r.header.length < 0 {
		x.err = x.out.flush() // else its server adds a length
	}
}

// sendSize bounds one write, which is what a peer must take within StallTimeout.
const sendSize = 64 << 10

// sender writes an answer and cuts it when the peer takes too long over a write.
type sender struct {
	w       http.ResponseWriter
	control *http.ResponseController
	timer   *time.Timer

	mu    sync.Mutex
	ended bool // guarded by mu; w must not be used any more
	late  atomic.Bool
}

func newSender(w http.ResponseWriter) *sender {
	s := &sender{w: w, control: http.NewResponseController(w)}
	s.timer = time.AfterFunc(media.StallTimeout, s.cut)
	s.timer.Stop()
	return s
}

// cut makes the write under way fail.
func (s *sender) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.late.Store(true)
		_ = s.control.SetWriteDeadline(time.Unix(1, 0)) // both servers have it
	}
}

// send writes b, up to its end or for as long as the peer takes bytes; the error
// is fanout.ErrStalled, or io.EOF when the peer has gone.
func (s *sender) send(b []byte) (int, error) {
	s.timer.Reset(media.StallTimeout)
	n, err := s.w.Write(b)
	s.timer.Stop()
	return n, s.cause(err)
}

// flush sends what the server below has gathered; the errors are those of send.
func (s *sender) flush() error {
	s.timer.Reset(media.StallTimeout)
	err := s.control.Flush()
	s.timer.Stop()
	return s.cause(err)
}

// cause is why a write failed.
func (s *sender) cause(err error) error {
	switch {
	case err == nil:
		return nil
	case s.late.Load():
		return fanout.ErrStalled
	}
	return io.EOF
}

// end lets go of the answer.
func (s *sender) end() {
	s.timer.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// notJoined is the answer to a viewer that got nothing of the stream.
func notJoined(reason error) reply {
	switch {
	case errors.Is(reason, fanout.ErrNotCarried):
		return notCarried()
	case errors.Is(reason, fanout.ErrStopped):
		reason = viewer.ErrDraining
	}
	return unavailable(reason.Error(), false)
}
