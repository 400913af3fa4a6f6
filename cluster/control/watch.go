package control

import (
	"bufio"
	"context"
	"fmt"
	"time"

	"tmms/cluster/fabric"
	"tmms/cluster/member"
	"tmms/cluster/pki"
	"tmms/media"
)

const (
	// markEvery is the time between two marks. They also keep the sessions of edges
	// alive, see media.FabricQuietKeepAlive.
	markEvery = 3 * time.Second
	// markTimeout is how long a follower waits for the next frame.
	markTimeout = 3 * markEvery
	// leaderless is how many marks in a row may lack a leader.
	leaderless = 2
	// writeTimeout bounds one write to a peer that does not read.
	writeTimeout = 10 * time.Second
	writeBuffer  = 4 << 10 // large parts go past it
	// keepFrame is the largest frame whose memory a watch keeps for the next: a
	// config must not stay in memory once for each follower.
	keepFrame = 16 << 10
)

// writer sends frames. It belongs to one goroutine.
type writer struct {
	stream *fabric.Stream
	buf    *bufio.Writer
	frameb []byte
}

func (w *writer) frame(v any) error {
	b, err := appendFrame(w.frameb[:0], v)
	if err != nil {
		return err
	}
	return w.send(b)
}

// send sends a frame, whose memory the next one takes if it is small.
func (w *writer) send(frame []byte) (err error) {
	if w.frameb = frame; cap(frame) > keepFrame {
		w.frameb = nil
	}
	if err = w.stream.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err = w.buf.Write(frame)
	return err
}

func (w *writer) flush() error { return w.buf.Flush() }

// watch sends the state and its changes until the follower has enough, or no
// leader is known here for some time.
func (s *Server) watch(ctx context.Context, peer pki.Peer, req request, w *writer) error {
	at, err := decodeBody[watching](req.Body)
	if err != nil {
		return err
	}
	if s.deps.Group == nil {
		return member.ErrNotLeader
	}
	if !s.crowd.follow(peer.Name) {
		return fmt.Errorf("%w: %s follows %d times", ErrBusy, peer.Name, media.MaxControlPeerWatches)
	}
	defer s.crowd.unfollow(peer.Name)
	defer s.watchers.Add(-1)
	if s.watchers.Add(1) > media.MaxWatchers {
		return fmt.Errorf("%w: %d nodes follow this voter", ErrBusy, media.MaxWatchers)
	}
	timer := time.NewTimer(s.untilMark())
	defer timer.Stop()
	for missing, due := 0, true; ; {
		next, err := s.sendChanges(ctx, &at, w)
		if err != nil {
			return err
		}
		if due {
			known, err := s.sendMark(at, w)
			if err != nil {
				return err
			}
			if missing++; known {
				missing = 0
			}
		}
		if missing > leaderless {
			return ErrNoLeader
		}
		select {
		case <-ctx.Done():
			return nil
		case <-next:
			due = false
		case <-timer.C:
			due = true
			timer.Reset(s.untilMark())
		}
	}
}

// untilMark is the time until all followers are sent a mark. That they are at once
// is what makes a thousand of them cheap: the process wakes up for all, not for each.
func (s *Server) untilMark() time.Duration {
	return markEvery - time.Since(s.began)%markEvery
}

// sendChanges sends all that there is after at, and gives what to wait on.
func (s *Server) sendChanges(ctx context.Context, at *watching, w *writer) (next <-chan struct{}, err error) {
	for ctx.Err() == nil {
		changes, next, err := s.deps.Group.Since(at.ClusterID, at.From)
		if err != nil {
			return nil, err
		}
		if len(changes) == 0 {
			return next, w.flush()
		}
		for _, c := range changes {
			if err := w.change(c); err != nil {
				return nil, err
			}
			at.From = c.Index
		}
		at.ClusterID = s.deps.Group.ClusterID()
	}
	return nil, context.Cause(ctx)
}

func (w *writer) change(c member.Change) error {
	if c.Snapshot == nil {
		return w.send(appendCommand(w.frameb[:0], c))
	}
	for b, more := c.Snapshot, true; more; {
		n := min(len(b), media.ControlChunk)
		more = n < len(b)
		if err := w.frame(step{Index: c.Index, Part: b[:n], More: more}); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func (s *Server) sendMark(at watching, w *writer) (leader bool, err error) {
	id, name := s.leader()
	if err := w.frame(step{Mark: &Mark{Index: at.From, Leader: id, LeaderName: name}}); err != nil {
		return false, err
	}
	return id != "", w.flush()
}
