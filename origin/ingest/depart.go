package ingest

import (
	"context"
	"time"

	"tmms/media"
)

// Drain refuses new connections and empties the server: peers that can reconnect
// (Enhanced RTMP v2, Reconnect Request) are asked to, and have
// media.ReconnectTimeout to come to another node and go; all others are closed at
// once, as is who publishes nothing. It returns when none is left, after that
// time, or with ctx. Close must follow.
func (s *Server) Drain(ctx context.Context) {
	s.mu.Lock()
	s.shut()
	for c := range s.conns {
		c.ask()
	}
	s.mu.Unlock()
	empty := make(chan struct{})
	go func() {
		defer close(empty)
		s.wg.Wait()
	}()
	patience := time.NewTimer(media.ReconnectTimeout)
	defer patience.Stop()
	select {
	case <-empty:
	case <-patience.C:
	case <-ctx.Done():
	}
}

// ask tells the connection that it is to leave; its goroutine, which may be
// reading, looks at once, and Sockets gives the socket back with the next byte.
func (c *conn) ask() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asking.Do(func() { close(c.asked) })
	if c.nc != nil {
		_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // a socket that has failed is found out by reading
	}
}

// toDepart tells that the connection was told to leave, and has not begun to.
func (c *conn) toDepart() bool {
	select {
	case <-c.asked:
		return !c.leaving
	default:
		return false
	}
}

// depart asks the peer to reconnect, once it is to leave; the error ends a
// connection whose peer can't.
func (c *conn) depart() error {
	if !c.toDepart() {
		return nil
	}
	c.leaving = true
	if c.pub == nil || !c.rtmp.Reconnect(c.srv.publishAt(), "This node is being emptied.") {
		return ErrDraining
	}
	if err := c.flush(); err != nil {
		return err
	}
	until, _ := c.patience()
	c.mu.Lock() // ask has set a deadline by then
	defer c.mu.Unlock()
	return c.nc.SetReadDeadline(until)
}

// publishAt is where publishers are to reconnect at.
func (s *Server) publishAt() string {
	if s.deps.PublishAt == nil {
		return ""
	}
	return s.deps.PublishAt()
}
