package mpegts

import (
	"encoding/binary"
	"slices"
)

// packetSize is the size of a transport packet in bytes, headerSize that of its
// fixed header, roomSize what is left for a payload.
const (
	packetSize = 188
	headerSize = 4
	roomSize   = packetSize - headerSize
)

// PIDs of the program.
const (
	patPID      = 0x0000
	videoPID    = 0x0100
	audioPID    = 0x0101
	metadataPID = 0x0102
	pmtPID      = 0x1000
)

// Fields of the packet header and of the adaptation field
// (ISO/IEC 13818-1 sections 2.4.3.2 and 2.4.3.4).
const (
	unitStart       = 0x40
	withAdaptation  = 0x20
	withPayload     = 0x10
	afDiscontinuity = 0x80
	afRandomAccess  = 0x40
	afPCR           = 0x10
)

// pid is a packet id with its continuity counter.
type pid struct {
	id   uint16
	next uint8 // counter of the next packet with payload
}

// adaptation is what an adaptation field says.
type adaptation struct {
	pcr           int64 // ticks, stream time
	hasPCR        bool
	random        bool // random_access_indicator
	discontinuity bool // discontinuity_indicator
}

// size in bytes, length byte included; 0 if there is nothing to say.
func (a adaptation) size() int {
	switch {
	case a.hasPCR:
		return 2 + 6
	case a.random || a.discontinuity:
		return 2
	}
	return 0
}

// append appends the adaptation field with stuffing so that it has size bytes.
func (a adaptation) append(dst []byte, size int) []byte {
	end := len(dst) + size
	dst = append(dst, byte(size-1))
	if size == 1 {
		return dst
	}
	var flags byte
	if a.discontinuity {
		flags |= afDiscontinuity
	}
	if a.random {
		flags |= afRandomAccess
	}
	if a.hasPCR {
		flags |= afPCR
	}
	dst = append(dst, flags)
	if a.hasPCR { // base (33 bits) | reserved 111111 | extension 0 (9 bits)
		v := wrap(a.pcr)
		dst = append(dst, byte(v>>25), byte(v>>17), byte(v>>9), byte(v>>1), byte(v<<7)|0x7E, 0)
	}
	for len(dst) < end {
		dst = append(dst, 0xFF)
	}
	return dst
}

// appendPacket appends one packet. The payload fits beside the adaptation
// field, which is stuffed to fill up the packet; start says that the payload is
// the start of a unit. A packet without payload does not count.
func (p *pid) appendPacket(dst, payload []byte, start bool, af adaptation) []byte {
	field := roomSize - len(payload)
	high, control := byte(p.id>>8), byte(0)
	if start {
		high |= unitStart
	}
	if field > 0 {
		control = withAdaptation
	}
	counter := (p.next - 1) & 0x0F
	if len(payload) > 0 {
		control |= withPayload
		counter = p.next
		p.next = (p.next + 1) & 0x0F
	}
	dst = append(dst, 0x47, high, byte(p.id), control|counter)
	if field > 0 {
		dst = af.append(dst, field)
	}
	return append(dst, payload...)
}

// appendPackets appends a PES packet that carries no clock, in as many
// transport packets as it takes.
func (p *pid) appendPackets(dst, unit []byte) []byte {
	dst = slices.Grow(dst, (len(unit)+roomSize-1)/roomSize*packetSize)
	k := min(roomSize, len(unit))
	dst = p.appendPacket(dst, unit[:k], true, adaptation{})
	return p.appendRest(dst, unit[k:])
}

// appendRest appends what is left of a PES packet, in packets that have nothing
// else: almost all there are. dst must have room for them.
func (p *pid) appendRest(dst, unit []byte) []byte {
	at := len(dst)
	dst = dst[:at+len(unit)/roomSize*packetSize]
	head := 0x47<<24 | uint32(p.id)<<8 | withPayload
	for ; len(unit) >= roomSize; unit = unit[roomSize:] {
		b := (*[packetSize]byte)(dst[at:])
		binary.BigEndian.PutUint32(b[:], head|uint32(p.next))
		*(*[roomSize]byte)(b[headerSize:]) = *(*[roomSize]byte)(unit)
		p.next = (p.next + 1) & 0x0F
		at += packetSize
	}
	if len(unit) > 0 {
		dst = p.appendPacket(dst, unit, false, adaptation{})
	}
	return dst
}
