package signal

import (
	"fmt"
	"slices"
	"time"
)

// Track of the signal.
type Track int

// The tracks.
const (
	Audio Track = iota
	Video
)

// String names it.
func (t Track) String() string { return [2]string{"audio", "video"}[t] }

const (
	// sourceBits of a number tell publishers of one stream apart, see [Source.Number].
	sourceBits = 28
	// SourceStep is the distance between the first numbers of two publishers.
	SourceStep = 1 << sourceBits
	// steady is how far a frame's time may be from that of its marker without being a
	// step of the clock: times are in ms, and audio frames last 23 of them.
	steady = 40 * time.Millisecond
	// maxSeams bounds what is kept of one stretch.
	maxSeams = 1000
	// maxMissing bounds the stretches of missing numbers that are remembered.
	maxMissing = 256
	// maxPending is how many frames of a track may come before it takes the step that
	// the other one has taken: what a segment has of one track behind the other.
	maxPending = 150
	lagStep    = 10 * time.Millisecond
	lagSteps   = 3000 // what is later is in the last
)

// Arrival is one frame as a viewer gets it.
type Arrival struct {
	Track  Track
	Marker Marker
	Time   time.Duration // its decoding time on the stream's clock
	Now    time.Time     // when it came
}

// Ledger accounts for every frame of a stream that one viewer gets: what is lost,
// comes twice, late or damaged, how the clock goes, and how far sound and picture
// are apart. It belongs to one goroutine.
type Ledger struct {
	tracks  [2]ledgerTrack
	current Stretch
	sources [2][]uint32 // that were seen, by track; the last one is on the air
	lags    [lagSteps]uint32
}

// ledgerTrack is where a track stands.
type ledgerTrack struct {
	begun   bool
	next    uint32 // the number that is due
	last    Arrival
	skew    time.Duration // of the last frame: its time minus its marker's
	paired  bool          // skew is of the present course of the clock
	pending int           // frames until that is so anyway, after a step that only the other track has taken
	missing []span
}

// span is numbers from first up to and without end.
type span struct{ first, end uint32 }

// Count is what came of one track.
type Count struct {
	Frames   int64 // all that came
	Lost     int64 // numbers that did not come
	Repeated int64 // that had come before
	Late     int64 // behind a later one
	Damaged  int64 // wrong checksums
	Back     int64 // times before the one before
}

// Seam is a place where frames are missing, or the clock takes a step.
type Seam struct {
	Track   Track
	At      time.Time     // when its far side came
	Lost    int64         // frames; -1: another publisher begins
	Step    time.Duration // of the clock, against the time between the frames' markers
	Forward time.Duration // on the stream's clock
	Sent    time.Duration // between the markers
}

// String gives it in a line.
func (s Seam) String() string {
	return fmt.Sprintf("%s at %s: %d lost, clock +%v for %v", s.Track, s.At.Format("15:04:05.000"), s.Lost,
		s.Forward.Round(time.Millisecond), s.Sent.Round(time.Millisecond))
}

// Stretch is what a viewer got in a time.
type Stretch struct {
	Tracks   [2]Count      // by [Track]
	Seams    []Seam        // the first 1,000
	Silence  time.Duration // the longest without a picture, up to the end too
	Apart    time.Duration // sound and picture, at most
	LagP99   time.Duration // from a frame's marker to its arrival
	LagMax   time.Duration
	Returned int64 // times that a publisher was seen again behind another one, of each track
}

// Faults are the counts that no fault of a node or network excuses: what is
// repeated, late, damaged or back in time, and a publisher that comes back.
func (s *Stretch) Faults() (n int64) {
	for _, c := range s.Tracks {
		n += c.Repeated + c.Late + c.Damaged + c.Back
	}
	return n + s.Returned
}

// Lost is the frames that did not come.
func (s *Stretch) Lost() int64 { return s.Tracks[Audio].Lost + s.Tracks[Video].Lost }

// See takes one frame in the order of arrival.
func (l *Ledger) See(a Arrival) {
	t, c := &l.tracks[a.Track], &l.current.Tracks[a.Track]
	c.Frames++
	if !a.Marker.Intact {
		c.Damaged++
		return // its number says nothing
	}
	l.lag(a.Now.Sub(a.Marker.Sent))
	if t.begun && a.Time < t.last.Time {
		c.Back++
	}
	if a.Track == Video && t.begun {
		l.current.Silence = max(l.current.Silence, a.Now.Sub(t.last.Now))
	}
	switch ahead := int32(a.Marker.Seq - t.next); {
	case !t.begun:
		l.source(a)
	case a.Marker.Seq>>sourceBits != (t.next-1)>>sourceBits: // the frame before may have been the last of its range
		l.source(a)
		l.seam(t, a, -1)
		t.missing = nil
	case ahead < 0:
		t.again(c, a.Marker.Seq)
		t.last.Now = a.Now
		return
	default:
		c.Lost += int64(ahead)
		t.miss(span{t.next, a.Marker.Seq})
		l.seam(t, a, int64(ahead))
	}
	t.begun, t.next, t.last = true, a.Marker.Seq+1, a
	l.pair(a)
}

// Rejoin says that the viewer begins anew: what it misses until its next frame is
// not lost, and the clock may be another one.
func (l *Ledger) Rejoin() {
	for i := range l.tracks {
		l.tracks[i] = ledgerTrack{last: Arrival{Now: l.tracks[i].last.Now}}
	}
}

// Cut gives what came since the last cut, and begins a new stretch.
func (l *Ledger) Cut(now time.Time) Stretch {
	s := l.current
	if last := l.tracks[Video].last.Now; !last.IsZero() {
		s.Silence = max(s.Silence, now.Sub(last))
	}
	s.LagP99 = l.lagP99()
	l.current, l.lags = Stretch{}, [lagSteps]uint32{}
	return s
}

// Since is when the last picture came; zero: none has.
func (l *Ledger) Since() time.Time { return l.tracks[Video].last.Now }

// source notes who publishes.
func (l *Ledger) source(a Arrival) {
	s, seen := a.Marker.Seq>>sourceBits, l.sources[a.Track]
	if n := len(seen); n > 0 && seen[n-1] == s {
		return
	}
	if at := slices.Index(seen, s); at >= 0 {
		l.current.Returned++
		seen = slices.Delete(seen, at, at+1)
	}
	l.sources[a.Track] = append(seen, s)
}

// seam notes what lies between a frame and the one before.
func (l *Ledger) seam(t *ledgerTrack, a Arrival, lost int64) {
	s := Seam{
		Track: a.Track, At: a.Now, Lost: lost, Forward: a.Time - t.last.Time, Sent: a.Marker.Sent.Sub(t.last.Marker.Sent),
	}
	s.Step = s.Forward - s.Sent
	if s.Step.Abs() > steady {
		l.step(a.Track)
	}
	if (lost != 0 || s.Step.Abs() > steady) && len(l.current.Seams) < maxSeams {
		l.current.Seams = append(l.current.Seams, s)
	}
}

// step notes that a track has taken a step of the clock: sound and picture are
// compared when both have.
func (l *Ledger) step(track Track) {
	t, other := &l.tracks[track], &l.tracks[1-track]
	if t.pending > 0 {
		t.pending = 0
		return
	}
	t.paired, other.paired, other.pending = false, false, maxPending
}

// pair compares sound and picture.
func (l *Ledger) pair(a Arrival) {
	t, other := &l.tracks[a.Track], &l.tracks[1-a.Track]
	if t.pending > 0 {
		t.pending--
		return
	}
	t.skew, t.paired = a.Time-time.Duration(a.Marker.Sent.UnixNano()), true
	if other.paired {
		l.current.Apart = max(l.current.Apart, (t.skew - other.skew).Abs())
	}
}

func (l *Ledger) lag(d time.Duration) {
	l.current.LagMax = max(l.current.LagMax, d)
	l.lags[min(max(d/lagStep, 0), lagSteps-1)]++
}

func (l *Ledger) lagP99() time.Duration {
	var all, below uint64
	for _, n := range l.lags {
		all += uint64(n)
	}
	for i, n := range l.lags {
		if below += uint64(n); below*100 >= all*99 && all > 0 {
			return time.Duration(i+1) * lagStep
		}
	}
	return 0
}

// miss remembers numbers that have not come; the oldest are forgotten.
func (t *ledgerTrack) miss(s span) {
	if s.first == s.end {
		return
	}
	if t.missing = append(t.missing, s); len(t.missing) > maxMissing {
		t.missing = t.missing[1:]
	}
}

// again takes a number below the one that is due.
func (t *ledgerTrack) again(c *Count, number uint32) {
	for i, s := range t.missing {
		if number-s.first < s.end-s.first {
			t.missing = slices.Replace(t.missing, i, i+1, span{s.first, number}, span{number + 1, s.end})
			c.Late++
			return
		}
	}
	c.Repeated++
}
