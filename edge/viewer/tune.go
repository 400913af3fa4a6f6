package viewer

// Bounds of what the kernel holds for a viewer beyond what is on the way, in
// bytes: old bytes in there can't be skipped any more.
const (
	minNotSent = 32 << 10
	maxNotSent = 1 << 20
)

// Socket is what Tune needs of a connection; *reactor.Conn is one.
type Socket interface {
	SetNotSentLowat(n int) error
	SetCongestion(name string) error
}

// Tune makes a socket fit for live bytes that come flush bytes at a time:
// little more than one flush unsent in the kernel, and a congestion control
// that does not fill the queues on the way. Best effort, each by itself: a kernel
// without one of them serves as well, a bit later.
func Tune(s Socket, flush int) {
	_ = s.SetNotSentLowat(min(max(flush, minNotSent), maxNotSent))
	_ = s.SetCongestion("bbr")
}
