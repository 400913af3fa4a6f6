package signal

import (
	"time"

	"tmms/media"
)

// Check follows what one viewer gets. It belongs to one goroutine.
type Check struct {
	Frames  int64 // marked video frames
	Gaps    int64 // missing frames between two that came
	Repeats int64 // frames that came again or too late
	Damaged int64 // wrong checksums
	Back    int64 // timestamps of a track that went back

	started bool
	next    uint32
	last    [2]uint32
	seen    [2]bool
}

// See takes one packet in the order of arrival; delay is set for an intact
// marked frame: from its publisher's marker to now.
func (c *Check) See(typ media.Type, timestamp uint32, body []byte, now time.Time) (delay time.Duration, marked bool) {
	c.clock(typ, timestamp)
	if typ != media.TypeVideo {
		return 0, false
	}
	m, ok := Read(body)
	if !ok {
		return 0, false
	}
	c.Frames++
	if !m.Intact {
		c.Damaged++
	}
	switch ahead := int32(m.Seq - c.next); {
	case !c.started || ahead == 0:
	case ahead > 0:
		c.Gaps += int64(ahead)
	default:
		c.Repeats++
	}
	c.started, c.next = true, m.Seq+1
	return now.Sub(m.Sent), m.Intact
}

func (c *Check) clock(typ media.Type, timestamp uint32) {
	i := 0
	switch typ {
	case media.TypeVideo:
		i = 1
	case media.TypeAudio:
	case media.TypeData:
		return
	}
	if c.seen[i] && int32(timestamp-c.last[i]) < 0 {
		c.Back++
	}
	c.last[i], c.seen[i] = timestamp, true
}

// Restart begins the counts anew; the order goes on from the last packet.
func (c *Check) Restart() {
	c.Frames, c.Gaps, c.Repeats, c.Damaged, c.Back = 0, 0, 0, 0, 0
}

// Add sums up another viewer's counts.
func (c *Check) Add(o *Check) {
	c.Frames += o.Frames
	c.Gaps += o.Gaps
	c.Repeats += o.Repeats
	c.Damaged += o.Damaged
	c.Back += o.Back
}
