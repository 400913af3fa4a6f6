package node

import (
	"log/slog"
	"net"
	"runtime"
	"time"

	"tmms/edge/reactor"
	"tmms/origin/ingest"
)

// coresPerReader is how many cores have one loop that reads for publishers: it
// takes in about 2,000 streams.
const coresPerReader = 8

// sockets lets a reactor read for the origin's publishers. Its loops are apart
// from the viewers', so that what a stream costs delays no viewer.
type sockets struct{ reactor *reactor.Reactor }

func newSockets(log *slog.Logger) (sockets, error) {
	cfg := reactor.DefaultConfig()
	cfg.Loops = max(1, runtime.NumCPU()/coresPerReader)
	cfg.Engine, cfg.Awake, cfg.Log = reactor.EngineEpoll, true, log
	r, err := reactor.New(cfg)
	return sockets{r}, err
}

// Watch implements ingest.Sockets.
func (s sockets) Watch(c net.Conn, w ingest.Watcher) (stop func(), err error) {
	p := &socket{watcher: w, gone: make(chan struct{})}
	l, err := s.reactor.Adopt(c, p.open)
	if err != nil {
		return nil, err
	}
	return func() { p.stop(l) }, nil
}

// stopRetry is the pause before a full mailbox is tried again.
const stopRetry = 10 * time.Millisecond

// socket is one publisher's, as the reactor has it.
type socket struct {
	watcher ingest.Watcher
	gone    chan struct{} // closed with the last callback
	conn    *reactor.Conn // owned by the loop; nil before and after
}

func (p *socket) open(c *reactor.Conn) reactor.Protocol {
	c.Identified()
	p.conn = c
	c.SetTimer(p.watcher.Patience())
	return p
}

// stop closes the connection, on its loop, if it is still there.
func (p *socket) stop(l *reactor.Loop) {
	for !l.Post(func() {
		if p.conn != nil {
			p.conn.Close(net.ErrClosed)
		}
	}) {
		select {
		case <-p.gone:
			return
		case <-time.After(stopRetry):
		}
	}
}

// OnData implements reactor.Protocol.
func (p *socket) OnData(c *reactor.Conn, b []byte) {
	if p.watcher.OnData(c, b) {
		c.SetTimer(p.watcher.Patience())
		return
	}
	p.release(c, nil)
}

// OnWritable implements reactor.Protocol; a short send gives the socket back.
func (p *socket) OnWritable(*reactor.Conn) {}

// OnTimer implements reactor.Protocol.
func (p *socket) OnTimer(c *reactor.Conn) { p.release(c, ingest.ErrSilence) }

// OnClose implements reactor.Protocol.
func (p *socket) OnClose(_ *reactor.Conn, reason error) { p.end(nil, reason) }

// release gives the socket back.
func (p *socket) release(c *reactor.Conn, why error) {
	fd, err := c.Detach()
	if err != nil {
		c.Close(err) // a failed send has condemned it already
		return
	}
	nc, err := reactor.NetConn(fd)
	if err != nil {
		why = err
	}
	p.end(nc, why)
}

func (p *socket) end(nc net.Conn, err error) {
	p.conn = nil
	close(p.gone)
	p.watcher.OnEnd(nc, err)
}
