package viewer

import "tmms/edge/reactor"

// Bounds of what the kernel holds for a viewer beyond what is on the way, in
// bytes: old bytes in there can't be skipped any more.
const (
	minNotSent = 32 << 10
	maxNotSent = 1 << 20
)

// Tune makes a socket fit for live bytes that come flush bytes at a time:
// little more than one flush unsent in the kernel, and a congestion control
// that does not fill the queues on the way. Best effort: a kernel without them
// serves as well, a bit later.
func Tune(c *reactor.Conn, flush int) {
	if c.SetNotSentLowat(min(max(flush, minNotSent), maxNotSent)) != nil {
		return
	}
	_ = c.SetCongestion("bbr")
}
