package publish

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Tally is what a fleet has sent since its streams were accepted.
type Tally struct {
	Messages int64 `json:"messages"` // with the codec headers
	Bytes    int64 `json:"bytes"`    // of the connections, with what frames the messages
}

// finish sends what waits, ends all streams in order, and waits until the server
// has read the last byte of each, for timeout at most.
func (r *fleetRun) finish() error {
	deadline := time.Now().Add(timeout)
	for _, slot := range r.slots {
		for _, m := range slot {
			if err := m.shut(&r.tally, deadline); err != nil {
				return fmt.Errorf("publish: %s: %w", m.url, err)
			}
		}
	}
	for _, slot := range r.slots {
		for _, m := range slot {
			if err := m.await(r.scratch[:], deadline); err != nil {
				return fmt.Errorf("publish: %s: the server has not read to the end: %w", m.url, err)
			}
		}
	}
	return nil
}

// shut sends what waits and ends the sending; the socket blocks from now on.
func (m *member) shut(tally *Tally, deadline time.Time) error {
	if err := unix.SetNonblock(m.fd, false); err != nil {
		return fmt.Errorf("setnonblock: %w", err)
	}
	if err := m.patience(unix.SO_SNDTIMEO, deadline); err != nil {
		return err
	}
	for out := m.conn.Output(); len(out) > 0; out = m.conn.Output() {
		n, err := unix.SendmsgN(m.fd, out, nil, nil, unix.MSG_NOSIGNAL)
		if err != nil {
			return fmt.Errorf("send: %w", err)
		}
		m.conn.Sent(n)
		tally.Bytes += int64(n)
	}
	if err := unix.Shutdown(m.fd, unix.SHUT_WR); err != nil {
		return fmt.Errorf("shutdown: %w", err)
	}
	return nil
}

// await reads to the server's end of the connection, which it makes after that
// of the publisher.
func (m *member) await(scratch []byte, deadline time.Time) error {
	for {
		if err := m.patience(unix.SO_RCVTIMEO, deadline); err != nil {
			return err
		}
		if n, _, err := unix.Recvfrom(m.fd, scratch, 0); err != nil || n == 0 {
			return err //nolint:wrapcheck // the caller says what it means
		}
	}
}

// patience bounds the socket's next send or receive.
func (m *member) patience(option int, deadline time.Time) error {
	left := unix.NsecToTimeval(max(time.Until(deadline), time.Millisecond).Nanoseconds())
	if err := unix.SetsockoptTimeval(m.fd, unix.SOL_SOCKET, option, &left); err != nil {
		return fmt.Errorf("setsockopt: %w", err)
	}
	return nil
}
