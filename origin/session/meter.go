package session

import "time"

// meterSpan is how many whole seconds a bitrate is taken over.
const meterSpan = 5

// meter measures a byte rate over the last seconds, in one bucket a second.
type meter struct {
	first   int64 // unix second of the first byte; 0 before
	seconds [meterSpan + 1]int64
	bytes   [meterSpan + 1]int64
}

func (m *meter) add(now time.Time, n int) {
	sec := now.Unix()
	if m.first == 0 {
		m.first = sec
	}
	i := sec % int64(len(m.seconds))
	if m.seconds[i] != sec {
		m.seconds[i], m.bytes[i] = sec, 0
	}
	m.bytes[i] += int64(n)
}

// bps is the rate in bits per second over the last whole seconds; within the
// first second, what came so far.
func (m *meter) bps(now time.Time) int64 {
	sec := now.Unix()
	var sum int64
	for i, s := range m.seconds {
		if s < sec && s >= sec-meterSpan || sec == m.first {
			sum += m.bytes[i]
		}
	}
	return sum * 8 / min(max(sec-m.first, 1), meterSpan)
}
