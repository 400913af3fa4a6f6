package secure

import (
	"container/list"
	"sync"

	"tmms/edge/viewer"
	"tmms/media"
)

// queue is the handshakes under way, oldest first. The zero value is empty.
type queue struct {
	mu   sync.Mutex
	list list.List // guarded by mu; of *handshake
}

// enter counts h in. Too many at once are most likely not meant well, and those
// that are finish soon: so the oldest goes.
func (q *queue) enter(h *handshake) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.list.Len() >= media.MaxTLSHandshakes {
		if oldest, ok := q.list.Remove(q.list.Front()).(*handshake); ok {
			oldest.place = nil
			oldest.feed.end(viewer.ErrFull)
		}
	}
	h.place = q.list.PushBack(h)
}

func (q *queue) leave(h *handshake) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if h.place != nil {
		q.list.Remove(h.place)
		h.place = nil
	}
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.list.Len()
}
