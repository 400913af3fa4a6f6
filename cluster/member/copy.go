package member

import (
	"tmms/cluster/state"
)

// Copy is a local copy of the state with the right to change it. One goroutine
// at a time applies; everybody else has the [View].
type Copy struct {
	*View
}

// NewCopy gives the copy of a state before any command.
func NewCopy() *Copy {
	v := &View{state: state.New()}
	v.current.Store(&revision{config: v.state.Config(), next: make(chan struct{})})
	v.revoked.Store(&revoked{list: v.state.Revocations(), next: make(chan struct{})})
	return &Copy{View: v}
}

// Apply applies one command, see [state.State.Apply]; command is kept.
func (c *Copy) Apply(index uint64, command []byte) (any, error) {
	prepared := state.Prepare(command) // readers do not wait for it
	c.mu.Lock()
	defer c.mu.Unlock()
	result, err := c.state.ApplyPrepared(index, prepared)
	if err == nil {
		c.ring.add(entry{index: index, command: command})
	}
	c.publishLocked()
	return result, err
}

// Restore replaces the state by a snapshot, or leaves it unchanged and returns
// an error, see [state.State.Restore].
func (c *Copy) Restore(snapshot []byte) error {
	restored := state.New()
	if err := restored.Restore(snapshot); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = restored
	c.ring = ring{floor: restored.Index()}
	c.restored++
	c.publishLocked()
	return nil
}

// publishLocked shows a change to readers and wakes those who wait.
func (c *Copy) publishLocked() {
	old := c.current.Load()
	if cfg := c.state.Config(); cfg != old.config {
		c.current.Store(&revision{config: cfg, next: make(chan struct{})})
		close(old.next)
	}
	before := c.revoked.Load()
	if list := c.state.Revocations(); list != before.list {
		c.revoked.Store(&revoked{list: list, next: make(chan struct{})})
		close(before.next)
	}
	if c.moved != nil {
		close(c.moved)
		c.moved = nil
	}
}
