package control

import (
	"sync"

	"tmms/media"
)

// crowd counts the requests of each node that are being served, over all its
// sessions, and the places for large ones: a node that has gone wrong, or is
// hostile, must not cost the others their memory.
type crowd struct {
	large chan struct{} // a place for each large request

	mu       sync.Mutex
	requests map[string]int // guarded by mu; by name, no zeros
	watches  map[string]int // guarded by mu; among them
}

func newCrowd() *crowd {
	return &crowd{
		large:    make(chan struct{}, media.MaxControlLarge),
		requests: make(map[string]int), watches: make(map[string]int),
	}
}

// enter lets a node have one request more; each that it may needs one leave.
func (c *crowd) enter(name string) bool {
	return c.count(c.requests, name, media.MaxControlPeerRequests)
}
func (c *crowd) leave(name string) { c.end(c.requests, name) }

// follow is enter for a watch.
func (c *crowd) follow(name string) bool {
	return c.count(c.watches, name, media.MaxControlPeerWatches)
}
func (c *crowd) unfollow(name string) { c.end(c.watches, name) }

func (c *crowd) count(of map[string]int, name string, limit int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if of[name] >= limit {
		return false
	}
	of[name]++
	return true
}

func (c *crowd) end(of map[string]int, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if of[name]--; of[name] == 0 {
		delete(of, name)
	}
}
