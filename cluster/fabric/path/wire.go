package path

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"tmms/media"
)

// Kind is the first byte of a packet. Its upper two bits are zero, which no
// QUIC packet of version 1 has (RFC 9000 section 17, RFC 9443).
type Kind byte

// The kinds of packets.
const (
	KindSource  Kind = 0x20 // a QUIC packet behind a header
	KindResend  Kind = 0x21 // the same once more, because it was requested
	KindRepair  Kind = 0x22 // a linear combination of sources
	KindRequest Kind = 0x23 // receiver to sender: send these again
	KindReport  Kind = 0x24 // receiver to sender: what has arrived
	KindProbe   Kind = 0x25 // sender to receiver: do you speak this, does this size pass
	KindAnswer  Kind = 0x26 // receiver to sender: yes
)

// Ours reports whether a datagram is none of QUIC's.
func Ours(datagram []byte) bool { return len(datagram) > 0 && datagram[0]&0xc0 == 0 }

// ID marks the packets of one direction between two nodes. It is drawn from
// the secrets of a session of theirs, so that strangers cannot guess it.
type ID uint32

// Seq numbers the sources of one direction; it wraps around.
type Seq uint32

// Sub is a - b, which is negative if a is before b.
func (a Seq) Sub(b Seq) int { return int(int32(a - b)) }

// Tick is a time in quarters of a millisecond, modulo 16.384 s.
type Tick uint16

// Ticks converts a time.
func Ticks(d time.Duration) Tick { return Tick(uint64(d / tickLength)) }

const (
	tickLength   = 250 * time.Microsecond
	maxRoundTrip = 8 * time.Second // that fits
)

// Sub is a - b; within 8 s of each other they come out right.
func (a Tick) Sub(b Tick) time.Duration { return time.Duration(int16(a-b)) * tickLength }

// ErrMalformed says that a packet is not what its first byte promises.
var ErrMalformed = errors.New("path: malformed packet")

// Sizes of headers, in bytes.
const (
	idSize      = 5 // kind and id, of every packet
	SourceSize  = idSize + 4 + 2
	repairSize  = idSize + 4 + 2 + 2 + 2 + 2
	requestSize = idSize + 1
	rangeSize   = 4 + 2
	reportSize  = idSize + 4 + 2 + 2 + 7*4 + 2 + 2 + 1
	probeSize   = idSize + 4 + 2
)

// Overhead is by how many bytes the largest packet is longer than the QUIC
// packet in it.
const Overhead = repairSize + lengthSize

// Open gives the kind and the id of a packet.
func Open(b []byte) (Kind, ID, error) {
	if len(b) < idSize {
		return 0, 0, fmt.Errorf("%w: %d bytes, at least %d", ErrMalformed, len(b), idSize)
	}
	return Kind(b[0]), ID(binary.BigEndian.Uint32(b[1:])), nil
}

func appendID(b []byte, k Kind, id ID) []byte {
	return binary.BigEndian.AppendUint32(append(b, byte(k)), uint32(id))
}

// Source is the header of a QUIC packet.
//
//	kind (1) | id (4) | seq (4) | sent (2) | QUIC packet
type Source struct {
	Seq  Seq
	Sent Tick // by the sender's clock
}

func (s Source) append(b []byte, k Kind, id ID) []byte {
	b = binary.BigEndian.AppendUint32(appendID(b, k, id), uint32(s.Seq))
	return binary.BigEndian.AppendUint16(b, uint16(s.Sent))
}

// ParseSource parses a source or a resend; packet is a part of b.
func ParseSource(b []byte) (s Source, packet []byte, err error) {
	if len(b) <= SourceSize || len(b) > SourceSize+media.MaxFabricPacket {
		return s, nil, fmt.Errorf("%w: source of %d bytes, %d to %d", ErrMalformed,
			len(b), SourceSize+1, SourceSize+media.MaxFabricPacket)
	}
	s.Seq = Seq(binary.BigEndian.Uint32(b[5:]))
	s.Sent = Tick(binary.BigEndian.Uint16(b[9:]))
	return s, b[SourceSize:], nil
}

// Repair is the header of a linear combination of count sources from first on.
//
//	kind (1) | id (4) | first (4) | count (2) | seed (2) | sent (2) | round trip (2) | combination
type Repair struct {
	First     Seq
	Count     int
	Seed      uint16 // of the coefficients
	Sent      Tick
	RoundTrip Tick // as the sender has measured it; 0: unknown
}

func (r Repair) append(b []byte, id ID) []byte {
	b = binary.BigEndian.AppendUint32(appendID(b, KindRepair, id), uint32(r.First))
	b = binary.BigEndian.AppendUint16(b, uint16(r.Count))
	b = binary.BigEndian.AppendUint16(b, r.Seed)
	b = binary.BigEndian.AppendUint16(b, uint16(r.Sent))
	return binary.BigEndian.AppendUint16(b, uint16(r.RoundTrip))
}

// ParseRepair parses a repair; combination is a part of b.
func ParseRepair(b []byte) (r Repair, combination []byte, err error) {
	if len(b) < repairSize+lengthSize || len(b) > repairSize+vectorSize {
		return r, nil, fmt.Errorf("%w: repair of %d bytes, %d to %d", ErrMalformed,
			len(b), repairSize+lengthSize, repairSize+vectorSize)
	}
	r.First = Seq(binary.BigEndian.Uint32(b[5:]))
	r.Count = int(binary.BigEndian.Uint16(b[9:]))
	r.Seed = binary.BigEndian.Uint16(b[11:])
	r.Sent = Tick(binary.BigEndian.Uint16(b[13:]))
	r.RoundTrip = Tick(binary.BigEndian.Uint16(b[15:]))
	if r.Count < 1 || r.Count > media.MaxFabricRepairWindow {
		return r, nil, fmt.Errorf("%w: repair of %d sources, 1 to %d", ErrMalformed, r.Count, media.MaxFabricRepairWindow)
	}
	return r, b[repairSize:], nil
}

// Range is n sources from First on.
type Range struct {
	First Seq
	N     int
}

// appendRequest asks for sources.
//
//	kind (1) | id (4) | count (1) | count x { first (4) | n (2) }
func appendRequest(b []byte, id ID, ranges []Range) []byte {
	b = append(appendID(b, KindRequest, id), byte(len(ranges)))
	for _, r := range ranges {
		b = binary.BigEndian.AppendUint32(b, uint32(r.First))
		b = binary.BigEndian.AppendUint16(b, uint16(r.N))
	}
	return b
}

// ParseRequest appends what a request asks for.
func ParseRequest(b []byte, to []Range) ([]Range, error) {
	if len(b) < requestSize {
		return to, fmt.Errorf("%w: request of %d bytes, at least %d", ErrMalformed, len(b), requestSize)
	}
	n := int(b[idSize])
	if n > maxRanges || len(b) != requestSize+n*rangeSize {
		return to, fmt.Errorf("%w: request of %d ranges in %d bytes, at most %d ranges", ErrMalformed, n, len(b), maxRanges)
	}
	for b = b[requestSize:]; len(b) > 0; b = b[rangeSize:] {
		r := Range{Seq(binary.BigEndian.Uint32(b)), int(binary.BigEndian.Uint16(b[4:]))}
		if r.N < 1 || r.N > maxHoles {
			return to, fmt.Errorf("%w: request of %d sources, 1 to %d", ErrMalformed, r.N, maxHoles)
		}
		to = append(to, r)
	}
	return to, nil
}

// Report says what has come of a direction since its beginning; the counters
// wrap around.
//
//	kind (1) | id (4) | top (4) | echo (2) | held (2) | received (4) | lost (4) | runs (4) | repaired (4) |
//	resent (4) | unrepaired (4) | crowded (4) | worst (2) | queue (2) | flags (1)
type Report struct {
	Top        Seq    // behind the highest source that has come
	Echo       Tick   // when the newest one was sent, by the sender's clock
	Held       Tick   // how long ago it has come
	Received   uint32 // sources that came by themselves
	Lost       uint32 // sources that did not
	Runs       uint32 // rows of lost ones next to each other
	Repaired   uint32 // of the lost ones, by a combination
	Resent     uint32 // of the lost ones, by being sent again
	Unrepaired uint32 // of the lost ones, given up
	Crowded    uint32 // of the missing ones, because a queue was full
	Worst      int    // the longest run of late
	Queue      Tick   // how much longer than at best packets were under way lately, at least
	Congested  bool   // losses come with a queue
}

func (r Report) append(b []byte, id ID) []byte {
	b = binary.BigEndian.AppendUint32(appendID(b, KindReport, id), uint32(r.Top))
	b = binary.BigEndian.AppendUint16(b, uint16(r.Echo))
	b = binary.BigEndian.AppendUint16(b, uint16(r.Held))
	for _, n := range []uint32{r.Received, r.Lost, r.Runs, r.Repaired, r.Resent, r.Unrepaired, r.Crowded} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(r.Worst))
	b = binary.BigEndian.AppendUint16(b, uint16(r.Queue))
	if r.Congested {
		return append(b, 1)
	}
	return append(b, 0)
}

// ParseReport parses a report.
func ParseReport(b []byte) (r Report, err error) {
	if len(b) != reportSize || b[reportSize-1] > 1 {
		return r, fmt.Errorf("%w: report of %d bytes, want %d", ErrMalformed, len(b), reportSize)
	}
	r.Top = Seq(binary.BigEndian.Uint32(b[5:]))
	r.Echo = Tick(binary.BigEndian.Uint16(b[9:]))
	r.Held = Tick(binary.BigEndian.Uint16(b[11:]))
	for i, n := range []*uint32{&r.Received, &r.Lost, &r.Runs, &r.Repaired, &r.Resent, &r.Unrepaired, &r.Crowded} {
		*n = binary.BigEndian.Uint32(b[13+4*i:])
	}
	r.Worst = int(binary.BigEndian.Uint16(b[41:]))
	r.Queue = Tick(binary.BigEndian.Uint16(b[43:]))
	r.Congested = b[45] == 1
	return r, nil
}

// Probe asks whether the other end speaks this and whether packets of the
// probe's size get there. An answer has the same fields and no padding.
//
//	kind (1) | id (4) | first (4) | size (2) | zeros up to size
type Probe struct {
	First Seq // the source that will be the first
	Size  int // of the whole packet, in bytes
}

// AppendProbe appends a probe; p.Size is at least 11.
func AppendProbe(b []byte, id ID, p Probe) []byte {
	n := len(b)
	b = p.append(b, KindProbe, id)
	return append(b, make([]byte, max(0, p.Size-(len(b)-n)))...)
}

// AppendAnswer appends the answer to a probe.
func AppendAnswer(b []byte, id ID, p Probe) []byte { return p.append(b, KindAnswer, id) }

func (p Probe) append(b []byte, k Kind, id ID) []byte {
	b = binary.BigEndian.AppendUint32(appendID(b, k, id), uint32(p.First))
	return binary.BigEndian.AppendUint16(b, uint16(p.Size))
}

// ParseProbe parses a probe, which must be as long as it says.
func ParseProbe(b []byte) (p Probe, err error) {
	if len(b) < probeSize || len(b) != int(binary.BigEndian.Uint16(b[9:])) {
		return p, fmt.Errorf("%w: probe of %d bytes", ErrMalformed, len(b))
	}
	return Probe{Seq(binary.BigEndian.Uint32(b[5:])), len(b)}, nil
}

// ParseAnswer parses the answer to a probe.
func ParseAnswer(b []byte) (p Probe, err error) {
	if len(b) != probeSize {
		return p, fmt.Errorf("%w: answer of %d bytes, want %d", ErrMalformed, len(b), probeSize)
	}
	return Probe{Seq(binary.BigEndian.Uint32(b[5:])), int(binary.BigEndian.Uint16(b[9:]))}, nil
}
