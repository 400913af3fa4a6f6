package pipeline

import (
	"time"

	"tmms/media"
)

// maxBehind is how far PROGRAM-DATE-TIME may fall behind the wall clock within
// a run, as it does when the timeline takes out a jump.
const maxBehind = 5 * time.Second

// wallClock maps stream time to the wall clock. It has an anchor per run and
// never goes back.
type wallClock struct {
	known   bool
	dts     media.Timestamp // the anchor
	wall    time.Time
	newRun  bool // the next frame may move the anchor
	runWall time.Time
}

// startRun lets the next frame move the anchor.
func (c *wallClock) startRun(wall time.Time) { c.newRun, c.runWall = true, wall }

// observe sees a frame that came at the time wall.
func (c *wallClock) observe(dts media.Timestamp, wall time.Time) {
	if wall.Before(c.runWall) {
		wall = c.runWall
	}
	behind := wall.Sub(c.at(dts))
	if !c.known || behind > maxBehind || c.newRun && behind > 0 {
		c.known, c.dts, c.wall = true, dts, wall.Round(0)
	}
	c.newRun = false
}

// at is the wall clock time of a stream time.
func (c *wallClock) at(dts media.Timestamp) time.Time { return c.wall.Add((dts - c.dts).Duration()) }
