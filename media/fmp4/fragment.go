package fmp4

import (
	"encoding/binary"
	"slices"

	"tmms/media"
)

// Sizes in bytes of the boxes in front of a fragment's payload; that of trun is
// without its table.
const (
	mfhdSize = fullBoxHeader + 4
	tfhdSize = fullBoxHeader + 4
	tfdtSize = fullBoxHeader + 8
	trunSize = fullBoxHeader + 4 + 4
	trafSize = boxHeader + tfhdSize + tfdtSize + trunSize
)

// defaultBaseIsMoof says that offsets count from the begin of the moof box
// (ISO/IEC 14496-12 section 8.8.7.1).
const defaultBaseIsMoof = 0x020000

// What a trun box tells (ISO/IEC 14496-12 section 8.8.8.1).
const (
	trunDataOffset  = 0x000001
	trunDuration    = 0x000100
	trunSampleSize  = 0x000200
	trunFlags       = 0x000400
	trunComposition = 0x000800
	trunAudio       = trunDataOffset | trunDuration | trunSampleSize
	trunVideo       = trunAudio | trunFlags | trunComposition
)

// AppendSegmentStart appends the styp box that may stand in front of a segment's
// first fragment.
func (m *Muxer) AppendSegmentStart(dst []byte) []byte {
	dst = appendBoxHeader(dst, "styp", boxHeader+12)
	return append(dst, "msdh\x00\x00\x00\x00msdh"...)
}

// AppendFragment appends what is gathered, if there are frames: emsg, moof and
// mdat. end is the stream time at which the next fragment's video begins, which
// ends the last picture. Afterwards nothing is gathered.
func (m *Muxer) AppendFragment(dst []byte, end media.Timestamp) []byte {
	if !m.Gathers() {
		return dst
	}
	m.video.finish(int64(min(max(end, 0), maxTime)) * ticksPerMS)
	m.audio.finish(m.clock.next)
	moof := boxHeader + mfhdSize + m.video.size() + m.audio.size()
	dst = slices.Grow(dst, len(m.events.boxes)+moof+boxHeader+m.Size())
	dst = append(dst, m.events.boxes...)
	dst = appendBoxHeader(dst, "moof", moof)
	m.sequence++
	dst = appendFullBoxHeader(dst, "mfhd", mfhdSize, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, m.sequence)
	dst = m.video.append(dst, videoID, trunVideo, moof+boxHeader)
	dst = m.audio.append(dst, audioID, trunAudio, moof+boxHeader+len(m.video.data))
	dst = appendBoxHeader(dst, "mdat", boxHeader+m.Size())
	dst = append(dst, m.video.data...)
	dst = append(dst, m.audio.data...)
	m.Reset()
	return dst
}

// size of the traf box in bytes; 0 if there are no samples.
func (r *run) size() int {
	if len(r.table) == 0 {
		return 0
	}
	return trafSize + len(r.table)
}

// append appends the traf box, if there are samples; offset is where their data
// begins, from the begin of the moof box.
func (r *run) append(dst []byte, id, what uint32, offset int) []byte {
	if len(r.table) == 0 {
		return dst
	}
	dst = appendBoxHeader(dst, "traf", r.size())
	dst = appendFullBoxHeader(dst, "tfhd", tfhdSize, 0, defaultBaseIsMoof)
	dst = binary.BigEndian.AppendUint32(dst, id)
	dst = appendFullBoxHeader(dst, "tfdt", tfdtSize, 1, 0)
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.first))
	dst = appendFullBoxHeader(dst, "trun", trunSize+len(r.table), 1, what)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(r.table)/r.entry))
	dst = binary.BigEndian.AppendUint32(dst, uint32(offset))
	return append(dst, r.table...)
}
