package mpegts

import "errors"

// State is what another muxer needs to go on exactly where this one is, between
// two segments: after Flush. It is a number for each thing, in this order:
// the next continuity counters of PAT, PMT, video, audio and metadata; the version
// of the PMT; the last DTS of video, audio and metadata; what is taken off the DTS
// of video; the clock reference; when the tables were written; a set of flags.
type State [stateSize]int64

// The places in a [State].
const (
	stateCounters = 0 // of five PIDs
	stateVersion  = 5
	stateLast     = 6 // of three streams
	stateLag      = 9
	statePCR      = 10
	stateTables   = 11
	stateFlags    = 12
	stateSize     = 13
)

// The flags of a [State]: three streams have begun; then the clock's.
const (
	flagBegun       = 1 // shifted by the stream
	flagStarted     = 8
	flagGiven       = 16
	flagJumped      = 32
	flagTablesKnown = 64
	flagTablesFresh = 128
	allFlags        = 255
)

// maxStateTime bounds the times of a [State], in ticks: 12,000 years.
const maxStateTime = 1 << 55

// ErrState refuses a [State] that no muxer has given.
var ErrState = errors.New("mpegts: no state of a muxer")

// State gives what [Config.Continue] takes.
func (m *Muxer) State() (s State) {
	for i, p := range m.pids() {
		s[stateCounters+i] = int64(p.next)
	}
	s[stateVersion] = int64(m.tables.version)
	flags := int64(0)
	for i, t := range m.streams() {
		s[stateLast+i] = t.last
		if t.started {
			flags |= flagBegun << i
		}
	}
	c := &m.clock
	s[stateLag], s[statePCR], s[stateTables] = m.video.lag, c.pcr, c.tablesAt
	for flag, on := range map[int64]bool{
		flagStarted: c.started, flagGiven: c.given, flagJumped: c.jumped,
		flagTablesKnown: c.tablesKnown, flagTablesFresh: c.tablesFresh,
	} {
		if on {
			flags |= flag
		}
	}
	s[stateFlags] = flags
	return s
}

// restore makes the muxer go on from s.
func (m *Muxer) restore(s *State) error {
	if err := s.check(); err != nil {
		return err
	}
	for i, p := range m.pids() {
		p.next = uint8(s[stateCounters+i]) //nolint:gosec // checked
	}
	m.tables.version = (byte(s[stateVersion]) + maxVersion) & maxVersion // raised to it
	flags := s[stateFlags]
	for i, t := range m.streams() {
		t.started, t.last = flags&(flagBegun<<i) != 0, s[stateLast+i]
	}
	m.video.lag = s[stateLag]
	return nil
}

func (s *State) clock() clock {
	flags := s[stateFlags]
	return clock{
		started: flags&flagStarted != 0, given: flags&flagGiven != 0, pcr: s[statePCR], jumped: flags&flagJumped != 0,
		tablesAt: s[stateTables], tablesKnown: flags&flagTablesKnown != 0, tablesFresh: flags&flagTablesFresh != 0,
	}
}

// check refuses what is out of range.
func (s *State) check() error {
	for i, v := range s {
		least, most := int64(-maxStateTime), int64(maxStateTime)
		switch {
		case i < stateVersion:
			least, most = 0, 15
		case i == stateVersion:
			least, most = 0, maxVersion
		case i == stateLag:
			least, most = 0, maxLag
		case i == stateFlags:
			least, most = 0, allFlags
		}
		if v < least || v > most {
			return ErrState
		}
	}
	return nil
}

func (m *Muxer) pids() [5]*pid {
	return [...]*pid{&m.tables.pat, &m.tables.pmt, &m.video.pid, &m.audio.pid, &m.metadata.stream.pid}
}

func (m *Muxer) streams() [3]*stream { return [...]*stream{&m.video, &m.audio, &m.metadata.stream} }

// Changed is the state with which another program goes on: receivers are told of
// its tables by their version.
func (s State) Changed() State {
	s[stateVersion] = (s[stateVersion] + 1) & maxVersion
	return s
}
