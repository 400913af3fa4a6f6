package relay

import (
	"sync"
	"sync/atomic"
	"time"

	"tmms/media"
	"tmms/media/bytelog"
	"tmms/media/hls"
	"tmms/media/relaywire"
)

// State is where a life of a stream stands.
type State int32

// The states of a life.
const (
	StateLive  State = iota // a publisher is connected
	StateGrace              // the publisher is gone and may come back
	StateEnded              // nothing will follow
)

// String gives "live", "grace" or "ended".
func (s State) String() string {
	switch s {
	case StateLive:
		return "live"
	case StateGrace:
		return "grace"
	case StateEnded:
		return "ended"
	}
	return "unknown"
}

// Bounds of [LiveOptions].MaxLag. A link that pauses for less than the least is
// no reason to leave anything out.
const (
	defaultMaxLag = 4 * time.Second
	leastMaxLag   = 500 * time.Millisecond
)

// LiveOptions bound what a life keeps. Zero values mean the defaults.
type LiveOptions struct {
	// Keep is how much stream time is kept at least, besides the newest group;
	// default 6 s, twice the default latency target.
	Keep time.Duration
	// MaxBytes bounds the packets in the log; over it the oldest groups go first,
	// then the oldest blocks of the only group; default 64 MiB. The log's memory,
	// index included, is at most [media.LogMemory] times that, or its two newest blocks.
	MaxBytes int64
	// MaxLag is how far another node may be behind before whole groups are left out
	// for it; default 4 s, and at least 500 ms.
	MaxLag time.Duration
	// StartedAt is when this life began, for listings.
	StartedAt time.Time
}

func (o LiveOptions) withDefaults() LiveOptions {
	if o.Keep == 0 {
		o.Keep = 6 * time.Second
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 64 << 20
	}
	if o.MaxLag == 0 {
		o.MaxLag = defaultMaxLag
	}
	o.MaxLag = max(o.MaxLag, leastMaxLag)
	return o
}

// Header is the configuration of one track: an FLV tag body.
type Header struct {
	Type  media.Type
	Track media.TrackID
	Codec media.Codec
	Body  []byte
}

// Configs is what a decoder must have seen before the packets that follow:
// immutable, a new one is made when anything in it changes.
type Configs struct {
	Version  uint32 // rises with each change, from 1
	Metadata []byte // FLV script tag body, nil before any
	Headers  []Header
}

// Header finds the configuration of a track, nil if it has none.
func (c *Configs) Header(t media.Type, track media.TrackID) *Header {
	for i := range c.Headers {
		if h := &c.Headers[i]; h.Type == t && h.Track == track {
			return h
		}
	}
	return nil
}

// Join is a place in the log where a reader can start: the first frame of a
// group, with the configs that are in force there.
type Join struct {
	Offset  int64 // of the frame's entry in the log
	Epoch   uint64
	Group   uint64
	DTS     media.Timestamp
	Configs *Configs
}

// Live is one life of a stream on a node, from its first packet until it has
// ended; a publisher that comes back within the grace, and a new owner of the
// stream, continue it. Its methods are safe for concurrent use and, but for
// Derive and Drop, take no lock.
type Live struct {
	// Set at construction.
	key media.StreamKey
	opt LiveOptions
	log *bytelog.Log

	// Written by the writer.
	epoch   atomic.Uint64
	state   atomic.Int32
	lastDTS atomic.Int64
	packets atomic.Int64
	configs atomic.Pointer[Configs]
	joins   atomic.Pointer[[]Join] // oldest first
	index   atomic.Pointer[hls.Index]
	growing atomic.Pointer[piece] // what there is of the segment behind the newest index; nil: nothing, or it is pulled
	lost    atomic.Bool           // it has ended on this node, but the stream has not, as far as is known
	gate    atomic.Pointer[gate]  // nil: it never had a standby

	shifts atomic.Pointer[[]shift] // by rising epochs; nil: the log has the stream's times

	upstream atomic.Pointer[upstream] // written by the pull; nil: this node is the owner

	mu       sync.Mutex
	derived  map[any]*derivation  // guarded by mu
	watchers map[*func()]struct{} // guarded by mu; called when the index changes
	reported relaywire.Position   // guarded by mu; see Reported
}

type derivation struct {
	value any
	refs  int
}

// Key is the stream's key.
func (l *Live) Key() media.StreamKey { return l.key }

// Epoch is the newest ownership that this life has had; it only rises.
func (l *Live) Epoch() uint64 { return l.epoch.Load() }

// StartedAt is when this life began.
func (l *Live) StartedAt() time.Time { return l.opt.StartedAt }

// Log holds the packets as FLV tags.
func (l *Live) Log() *bytelog.Log { return l.log }

// State is where this life stands.
func (l *Live) State() State { return State(l.state.Load()) }

// LastDTS is the highest decoding time in the log, by the log's clock, see [Live.Ahead].
func (l *Live) LastDTS() media.Timestamp { return media.Timestamp(l.lastDTS.Load()) }

// Packets counts the packets of this life.
func (l *Live) Packets() int64 { return l.packets.Load() }

// Configs are those in force at the head; nil before the first.
func (l *Live) Configs() *Configs { return l.configs.Load() }

// Index is the newest segment index; nil before the first, and without HLS.
func (l *Live) Index() *hls.Index { return l.index.Load() }

// watch makes f be called after each change of the index, by whatever goroutine,
// until stop is called. f must not block, nor call the life.
func (l *Live) watch(f func()) (stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watchers == nil {
		l.watchers = map[*func()]struct{}{}
	}
	key := &f
	l.watchers[key] = struct{}{}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.watchers, key)
	}
}

// setIndex changes the index.
func (l *Live) setIndex(x *hls.Index) {
	l.index.Store(x)
	l.mu.Lock()
	defer l.mu.Unlock()
	for f := range l.watchers {
		(*f)()
	}
}

// Join finds where a new reader starts: the oldest keyframe that lies at most
// latency behind the head, else the newest one. ok = false while there is none.
func (l *Live) Join(latency time.Duration) (j Join, ok bool) {
	joins := l.joins.Load()
	if joins == nil {
		return Join{}, false
	}
	oldest := l.LastDTS() - media.Timestamp(latency.Milliseconds())
	tail := l.log.Tail()
	for _, j = range *joins {
		if j.DTS >= oldest && j.Offset >= tail {
			return j, true
		}
	}
	// None inside the target: the newest, which j holds now, unless it was retired.
	return j, len(*joins) > 0 && j.Offset >= tail
}

// NewestGroup is the join point of the newest group; ok = false while there is none.
func (l *Live) NewestGroup() (j Join, ok bool) {
	joins := l.joins.Load()
	if joins == nil || len(*joins) == 0 {
		return Join{}, false
	}
	return (*joins)[len(*joins)-1], true
}

// Derive returns the value that belongs to this life under key, made by create
// for the first caller; it is how readers share another format of the log. Each
// Derive needs one [Live.Drop]. create runs under the life's lock.
func (l *Live) Derive(key any, create func() any) any {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.derived[key]
	if d == nil {
		d = &derivation{value: create()}
		if l.derived == nil {
			l.derived = map[any]*derivation{}
		}
		l.derived[key] = d
	}
	d.refs++
	return d.value
}

// Drop gives a value of Derive back; with the last Drop it is forgotten.
func (l *Live) Drop(key any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.derived[key]
	if d == nil {
		return
	}
	d.refs--
	if d.refs == 0 {
		delete(l.derived, key)
	}
}
