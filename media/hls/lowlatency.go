package hls

import (
	"strconv"
	"time"
)

// What a low-latency playlist promises, in target durations and part targets.
const (
	holdBack     = 3 // draft-pantos-hls-rfc8216bis section 4.4.3.8: at least 3
	partHoldBack = 3 // there: at least 2, should be 3
	skipUntil    = 6 // there: at least 6
	// partsWithin is how far from the end of the playlist parts are listed (there,
	// section 6.2.2), of partSegments whole segments at most: a player keeps three
	// parts behind the end, and validators count segments for target durations.
	partsWithin  = 3
	partSegments = 2
)

// AppendLowLatency appends the low-latency media playlist
// (draft-pantos-hls-rfc8216bis), which is served as APP/STREAM/ll.m3u8; only
// where x.PartTarget is above 0. suffix is that of [Index.AppendMedia]. skip asks
// for a delta update (_HLS_skip=YES), which is the full playlist where nothing
// may be skipped.
func (x *Index) AppendLowLatency(b []byte, suffix string, skip bool) []byte {
	b = x.appendHead(b, versionSkip)
	b = x.appendControl(b)
	b = x.appendSequence(b)
	listed, parts := x.Playlist(), x.firstWithParts()
	first := 0
	if skip {
		first = x.skippable()
	}
	if first > 0 {
		b = append(b, "#EXT-X-SKIP:SKIPPED-SEGMENTS="...)
		b = strconv.AppendInt(b, int64(first), 10)
		b = append(b, '\n')
	}
	var before *Segment // none: a delta update has its EXT-X-MAP again
	for i, s := range listed[first:] {
		b = s.appendTags(b, before, NameMP4, suffix)
		if first+i >= parts {
			b = s.appendParts(b, suffix)
		}
		b = s.append(b, NameMP4, suffix)
		before = s
	}
	if x.Ended {
		return append(b, "#EXT-X-ENDLIST\n"...)
	}
	return x.appendEdge(b, before, suffix)
}

// appendControl renders what the server can do (there, sections 4.4.3.7 and 4.4.3.8).
func (x *Index) appendControl(b []byte) []byte {
	b = append(b, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL="...)
	b = appendSeconds(b, skipUntil*x.Target)
	b = append(b, ",HOLD-BACK="...)
	b = appendSeconds(b, holdBack*x.Target)
	b = append(b, ",PART-HOLD-BACK="...)
	b = appendSeconds(b, partHoldBack*x.PartTarget)
	b = append(b, "\n#EXT-X-PART-INF:PART-TARGET="...)
	b = appendSeconds(b, x.PartTarget)
	return append(b, '\n')
}

// appendEdge renders the open segment, the part to come and where live.m3u8 is
// (there, sections 4.4.4.9, 4.4.5.3 and 4.4.5.4).
func (x *Index) appendEdge(b []byte, before *Segment, suffix string) []byte {
	if o := x.Open; o != nil {
		b = o.appendTags(b, before, NameMP4, suffix)
		b = o.appendParts(b, suffix)
	}
	b = append(b, `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="`...)
	b = x.nextPart().Append(b)
	b = append(b, suffix...)
	b = append(b, "\"\n"...)
	last, ok := x.LastMSN()
	if !ok {
		return b
	}
	b = append(b, `#EXT-X-RENDITION-REPORT:URI="live.m3u8`...)
	b = append(b, suffix...)
	b = append(b, `",LAST-MSN=`...)
	b = strconv.AppendUint(b, last, 10)
	return append(b, '\n')
}

// nextPart is the name of the first part that x does not have.
func (x *Index) nextPart() Name {
	if o := x.Open; o != nil {
		return Name{Kind: NamePart, Epoch: o.Epoch, MSN: o.MSN, Number: uint64(len(o.Parts))}
	}
	return Name{Kind: NamePart, Epoch: x.Epoch, MSN: x.NextMSN()}
}

func (s *Segment) appendParts(b []byte, suffix string) []byte {
	for i, p := range s.Parts {
		b = append(b, "#EXT-X-PART:DURATION="...)
		b = appendSeconds(b, p.Duration)
		b = append(b, `,URI="`...)
		b = Name{Kind: NamePart, Epoch: s.Epoch, MSN: s.MSN, Number: uint64(i)}.Append(b)
		b = append(b, suffix...)
		b = append(b, '"')
		if p.Independent {
			b = append(b, ",INDEPENDENT=YES"...)
		}
		b = append(b, '\n')
	}
	return b
}

// firstWithParts is the first of the listed segments whose parts are listed.
func (x *Index) firstWithParts() int {
	listed := x.Playlist()
	return max(x.endingBefore(partsWithin*x.Target), len(listed)-partSegments)
}

// skippable is how many listed segments a delta update leaves out: those that
// end before the skip boundary. The list of one that has ended is given whole.
func (x *Index) skippable() int {
	if x.Ended {
		return 0
	}
	return x.endingBefore(skipUntil * x.Target)
}

// endingBefore counts the listed segments that end so long, or longer, before the
// end of the playlist.
func (x *Index) endingBefore(d time.Duration) int {
	listed := x.Playlist()
	var rest time.Duration
	if x.Open != nil {
		rest = x.Open.Duration
	}
	for i := len(listed) - 1; i >= 0; i-- {
		if rest >= d {
			return i + 1
		}
		rest += listed[i].Duration
	}
	return 0
}
