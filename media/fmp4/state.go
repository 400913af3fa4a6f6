package fmp4

import (
	"errors"
	"math"
)

// State is what another muxer needs to write the next fragments of a file, while
// nothing is gathered: the number of the last fragment; where the last one of
// video ended and that of audio, in ticks of their clocks; whether the clock of
// audio runs, and when its next frame begins.
type State [5]int64

// maxStateTime bounds the times of a [State], in ticks.
const maxStateTime = maxTime * 1000

// ErrState refuses a [State] that no muxer has given.
var ErrState = errors.New("fmp4: no state of a muxer")

// State gives what Continue takes.
func (m *Muxer) State() State {
	s := State{int64(m.sequence), m.video.end, m.audio.end, 0, m.clock.next}
	if m.clock.started {
		s[3] = 1
	}
	return s
}

// Continue makes a new muxer go on as the one that gave s, which was made with the
// same tracks. The error is [ErrState]; nothing has changed then.
func (m *Muxer) Continue(s State) error {
	for i, most := range [...]int64{math.MaxUint32, maxStateTime, maxStateTime, 1, maxStateTime} {
		if s[i] < 0 && most <= math.MaxUint32 || s[i] > most || s[i] < -most {
			return ErrState
		}
	}
	m.sequence = uint32(s[0]) //nolint:gosec // checked
	m.video.end, m.audio.end = s[1], s[2]
	m.clock = clock{started: s[3] == 1, next: s[4]}
	return nil
}
