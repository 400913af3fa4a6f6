package origin_test

import (
	"errors"
	"net"
	"os"
	"time"

	"tmms/origin/ingest"
)

// readers is ingest.Sockets by a goroutine a socket, for pipes too.
type readers struct{}

func (readers) Watch(c net.Conn, w ingest.Watcher) (stop func(), err error) {
	stopped := make(chan struct{})
	go func() {
		b := make([]byte, 4096)
		for {
			if err := c.SetReadDeadline(time.Now().Add(w.Patience())); err != nil {
				break
			}
			n, err := c.Read(b)
			select {
			case <-stopped:
				err = net.ErrClosed
			default:
			}
			switch {
			case errors.Is(err, os.ErrDeadlineExceeded):
				w.OnEnd(c, ingest.ErrSilence)
				return
			case err != nil:
				c.Close()
				w.OnEnd(nil, err)
				return
			case !w.OnData(sender{c}, b[:n]):
				w.OnEnd(c, nil)
				return
			}
		}
		c.Close()
		w.OnEnd(nil, net.ErrClosed)
	}()
	return func() {
		close(stopped)
		c.SetReadDeadline(time.Unix(1, 0)) //nolint:errcheck // it is closed already then
	}, nil
}

// sender sends what the peer takes within a moment, as a socket has room or not.
type sender struct{ c net.Conn }

func (s sender) Send(b []byte) (int, error) {
	if err := s.c.SetWriteDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return 0, err
	}
	n, err := s.c.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return n, err
}
