package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"tmms/cluster/fabric"
	"tmms/cluster/member"
	"tmms/media"
)

// Follower takes the state and its changes, in order, on one goroutine. An error
// ends the watch.
type Follower interface {
	Change(c member.Change) error
	Mark(m Mark) error
}

// Watch follows the state from one voter, the next one at every call: f gets
// what a copy of the cluster clusterID at index from lacks, and then every
// change, until ctx or the way to the voter ends. It always returns an error.
func (c *Client) Watch(ctx context.Context, clusterID string, from uint64, f Follower) error {
	voters := c.cfg.Voters()
	var faults []error
	at := int(c.start.Add(1) % uint32(max(len(voters), 1)))
	for i := range voters {
		to := voters[(at+i)%len(voters)]
		if to.Name == c.cfg.Self {
			continue
		}
		served, err := c.watchOne(ctx, to, watching{ClusterID: clusterID, From: from}, f)
		err = fmt.Errorf("watch %s: %w", to, err)
		if served || ctx.Err() != nil {
			return err
		}
		faults = append(faults, err)
	}
	if len(faults) == 0 {
		return fmt.Errorf("%w: no voter is known", member.ErrNotLeader)
	}
	return errors.Join(faults...)
}

// watchOne gives served if anything came.
func (c *Client) watchOne(ctx context.Context, to fabric.Target, at watching, f Follower) (served bool, err error) {
	body, err := json.Marshal(at)
	if err != nil {
		return false, err
	}
	x, err := c.open(ctx, to, methodWatch, body)
	if err != nil {
		return false, err
	}
	defer x.close()
	var snapshot []byte
	for {
		var s step
		if err = x.read(&s, markTimeout); err != nil {
			return served, err
		}
		if s.Error != nil {
			return served, s.Error.asError()
		}
		served = true
		if snapshot, err = deliver(f, s, snapshot); err != nil {
			return true, err
		}
	}
}

// deliver passes a frame on; parts of a snapshot are put together first.
func deliver(f Follower, s step, snapshot []byte) (rest []byte, err error) {
	switch {
	case s.Mark != nil:
		return snapshot, f.Mark(*s.Mark)
	case s.Part == nil:
		return snapshot, f.Change(member.Change{Index: s.Index, Command: s.Command})
	case len(snapshot)+len(s.Part) > media.MaxSnapshotBytes:
		return nil, fmt.Errorf("control: a snapshot of more than %d bytes", media.MaxSnapshotBytes)
	}
	snapshot = append(snapshot, s.Part...)
	if s.More {
		return snapshot, nil
	}
	return nil, f.Change(member.Change{Index: s.Index, Snapshot: snapshot})
}
