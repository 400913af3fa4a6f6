package hls

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"tmms/media"
)

// Index is one version of a stream's list of segments. It is immutable once
// published, so any number of goroutines may read it; so are the segments,
// which successive versions share.
type Index struct {
	Version uint64 // rises with each index of the epoch
	Epoch   uint64 // the ownership that published this index
	// Target is the EXT-X-TARGETDURATION, whole seconds, the same in every
	// index of the epoch (RFC 8216 section 6.2.1).
	Target time.Duration
	// DiscontinuitySequence belongs to the first listed segment: the number of
	// discontinuities that came before it, its own not counted while it is
	// listed (RFC 8216 section 6.2.2).
	DiscontinuitySequence uint64
	// Segments are in order of MSN without a hole: first those that have left
	// the playlist but can still be fetched, then the Listed last ones.
	Segments []*Segment
	Listed   int
	// Behind is how many segments in front of Segments the owner can still give:
	// their bytes are on the way to this node, or have got lost on it. It is not
	// sent between nodes.
	Behind int
	// Independent says that every segment of the epoch so far starts with a
	// frame that decoding can start at. It never turns true again.
	Independent bool
	Ended       bool // the stream is over, nothing will follow
	Variant     Variant
	// Listing is the Version in which the list of whole segments, or Ended, changed
	// last: versions between differ by parts only.
	Listing uint64
	// PartTarget is the EXT-X-PART-INF PART-TARGET, the same in every index of the
	// epoch; 0: the stream has no low-latency playlist, and Open is nil.
	PartTarget time.Duration
	// Open is the segment that is being made: the one after the last of Segments,
	// with the parts so far, whose durations Duration sums up. nil: it has no part yet.
	Open *Segment
	// Inits are the initialization sections that Segments and Open need, oldest first.
	Inits []*Init
	// Cut is the decoding time of the first frame behind Segments, with which the open
	// segment begins; 0: it is not known. Only a standby is told.
	Cut media.Timestamp
	// Resume is what the next owner of the stream needs to close the segment behind
	// Segments from the packets, and to go on; only its standby has it. nil: it begins anew.
	Resume []byte
	// Held says that the stream has another owner by now, whose index this node can't
	// show yet: what is made of this one must not be kept. It is not sent between nodes.
	Held bool
}

// Segment is one media segment. It has the same media in one format or in both.
type Segment struct {
	Epoch, MSN    uint64        // its name; the epoch is the one that made it
	Duration      time.Duration // of the media; as EXTINF has it
	ProgramTime   time.Time     // wall clock of its first frame
	Discontinuity bool          // EXT-X-DISCONTINUITY stands before it
	Independent   bool          // starts with a frame that decoding can start at
	TS            *Media        // MPEG-TS; nil: the stream has codecs that it can't carry
	MP4           *Media        // fragmented MP4; nil: nothing asks for it
	Init          uint32        // the version of the Init, of the same epoch, that MP4 needs
	// Parts are those of MP4, one for each of its chunks; nil without low latency.
	Parts []Part
}

// Media is the bytes of a segment in one format. It is immutable.
type Media struct {
	Chunks [][]byte // in order
	Size   int      // of all chunks, in bytes
}

// Part is a partial segment.
type Part struct {
	Duration    time.Duration
	Independent bool // starts with a frame that decoding can start at
	Size        int  // bytes
}

// Init is an initialization section (EXT-X-MAP). It is immutable.
type Init struct {
	Epoch   uint64
	Version uint32 // counts up within the epoch, from 1
	Data    []byte
}

// Variant describes the stream in a multivariant playlist. Zero values are not
// known and left out there.
type Variant struct {
	VideoCodec string // RFC 6381, such as "avc1.64001f"; "" without video
	AudioCodec string // RFC 6381, such as "mp4a.40.2"; "" without audio
	Width      int    // pixels
	Height     int    // pixels
	FrameRate  float64
	PeakBPS    int // bits per second of the densest segment
	AverageBPS int // bits per second over the listed segments
}

// Playlist gives the segments that the media playlist lists, oldest first.
func (x *Index) Playlist() []*Segment {
	return x.Segments[len(x.Segments)-x.Listed:]
}

// Lookup finds a segment that can be fetched, listed or not; nil if there is none.
func (x *Index) Lookup(epoch, msn uint64) *Segment {
	i, found := slices.BinarySearchFunc(x.Segments, msn, func(s *Segment, msn uint64) int {
		return cmp.Compare(s.MSN, msn)
	})
	if !found || x.Segments[i].Epoch != epoch {
		return nil
	}
	return x.Segments[i]
}

// Coming says that a segment that Lookup does not find is one of Behind.
func (x *Index) Coming(epoch, msn uint64) bool {
	if x.Behind == 0 || len(x.Segments) == 0 {
		return false
	}
	first := x.Segments[0]
	return epoch <= first.Epoch && msn < first.MSN && first.MSN-msn <= uint64(x.Behind)
}

// Find finds the bytes that can be fetched under a name: a segment's, a part's,
// the open segment's parts included, or an initialization section's. nil: there
// is none. It allocates for parts and initialization sections only.
func (x *Index) Find(n Name) *Media {
	switch n.Kind {
	case NameTS:
		if s := x.Lookup(n.Epoch, n.MSN); s != nil {
			return s.TS
		}
	case NameMP4:
		if s := x.Lookup(n.Epoch, n.MSN); s != nil {
			return s.MP4
		}
	case NamePart:
		s := x.Lookup(n.Epoch, n.MSN)
		if o := x.Open; s == nil && o != nil && o.Epoch == n.Epoch && o.MSN == n.MSN {
			s = o
		}
		return s.part(n.Number)
	case NameInit:
		for _, i := range x.Inits {
			if i.Epoch == n.Epoch && uint64(i.Version) == n.Number {
				return &Media{Chunks: [][]byte{i.Data}, Size: len(i.Data)}
			}
		}
	}
	return nil
}

// part is the bytes of a part; nil if there is none, or no segment.
func (s *Segment) part(number uint64) *Media {
	if s == nil || s.MP4 == nil || number >= uint64(min(len(s.Parts), len(s.MP4.Chunks))) {
		return nil
	}
	return &Media{Chunks: s.MP4.Chunks[number : number+1], Size: s.Parts[number].Size}
}

// LastMSN is the number of the newest segment; ok is false if there is none.
func (x *Index) LastMSN() (msn uint64, ok bool) {
	if len(x.Segments) == 0 {
		return 0, false
	}
	return x.Segments[len(x.Segments)-1].MSN, true
}

// NextMSN is above the numbers of all segments, the open one's too; 0 if there is none.
func (x *Index) NextMSN() uint64 {
	if x.Open != nil {
		return x.Open.MSN + 1
	}
	if last, ok := x.LastMSN(); ok {
		return last + 1
	}
	return 0
}

// Discontinuities counts those of the stream so far, that before the open segment too.
func (x *Index) Discontinuities() uint64 {
	n := x.DiscontinuitySequence
	for _, s := range x.Playlist() {
		if s.Discontinuity {
			n++
		}
	}
	if x.Open != nil && x.Open.Discontinuity {
		n++
	}
	return n
}

// ETag is the strong entity tag of the low-latency playlist of this version,
// quotes included (RFC 9110 section 8.8.3).
func (x *Index) ETag() string { return x.tag(x.Version) }

// ListingETag is that of the other playlists, which parts do not change.
func (x *Index) ListingETag() string { return x.tag(x.Listing) }

func (x *Index) tag(version uint64) string {
	b := make([]byte, 0, 43)
	b = append(b, '"')
	b = strconv.AppendUint(b, x.Epoch, 10)
	b = append(b, '-')
	b = strconv.AppendUint(b, version, 10)
	return string(append(b, '"'))
}
