package relaywire

import (
	"encoding/binary"

	"tmms/media"
)

// GroupHeader begins a group stream, behind the kind byte:
//
//	subscription | seq | epoch | run | group | first index | flags (1) | [configs] |
//	[hop (1) | sent | [skew | bound]]
//
// The flags are 1: configs follow, 2: hop and sent follow, 4: skew and bound too.
// Sent and skew are signed; both, and bound, are in microseconds.
type GroupHeader struct {
	Subscription uint64
	Seq          uint64 // number of this stream in its subscription, from 0: the order of the groups
	ID           media.PacketID
	Run          uint32
	// Configs are those in force at the first packet. They come with the first
	// group of a subscription that does not go on exactly where the subscriber
	// was, and with a group that follows a skipped one; else nil.
	Configs *Configs
	// Times are for subscribers of version 2; nil: there are none.
	Times *Times
}

const (
	flagConfigs = 1 << iota
	flagTimes
	flagSkew
)

// AppendGroupHeader appends the kind byte and h.
func AppendGroupHeader(b []byte, h *GroupHeader) []byte {
	b = append(b, byte(StreamGroup))
	b = binary.AppendUvarint(b, h.Subscription)
	b = binary.AppendUvarint(b, h.Seq)
	b = binary.AppendUvarint(b, h.ID.Epoch)
	b = binary.AppendUvarint(b, uint64(h.Run))
	b = binary.AppendUvarint(b, h.ID.Group)
	b = binary.AppendUvarint(b, uint64(h.ID.Index))
	flags := bit(h.Configs != nil, flagConfigs) | bit(h.Times != nil, flagTimes)
	b = append(b, flags|bit(h.Times != nil && h.Times.SkewKnown, flagSkew))
	if h.Configs != nil {
		b = h.Configs.append(b)
	}
	if h.Times != nil {
		b = h.Times.append(b)
	}
	return b
}

// ParseGroupHeader reads what follows the kind byte. Configs alias b.
func (v Version) ParseGroupHeader(b []byte) (h GroupHeader, n int, err error) {
	c := cursor{b: b}
	h.Subscription, h.Seq = c.uvarint(), c.uvarint()
	h.ID.Epoch = c.uvarint()
	h.Run = uint32(c.upTo("run", 1<<32-1))
	h.ID.Group, h.ID.Index = c.uvarint(), c.index()
	allowed := byte(flagConfigs)
	if v >= V2 {
		allowed |= flagTimes | flagSkew
	}
	flags := c.flags(allowed)
	if flags&flagSkew != 0 && flags&flagTimes == 0 {
		c.badf("group flags 0x%02x: skew without times", flags)
	}
	if flags&flagConfigs != 0 {
		h.Configs = c.configs()
	}
	if flags&flagTimes != 0 {
		h.Times = c.times(flags&flagSkew != 0)
	}
	if c.err != nil {
		return GroupHeader{}, 0, c.err
	}
	return h, c.off, nil
}

// ParseGroupHeader reads what follows the kind byte, as [Newest] does.
func ParseGroupHeader(b []byte) (h GroupHeader, n int, err error) { return Newest.ParseGroupHeader(b) }

// Packets codes the packets of one group stream, in which each is described
// relative to the one before. The zero value is not usable, see [GroupHeader.Packets].
type Packets struct {
	next     media.PacketID
	run      uint32
	dts      media.Timestamp
	ingested int64
}

// Packets returns the coder of the packets behind h, for either end.
func (h *GroupHeader) Packets() Packets { return Packets{next: h.ID, run: h.Run} }

// MaxPacketHead bounds the bytes in front of a packet's body.
const MaxPacketHead = 3 + 4*binary.MaxVarintLen64

// Append appends p, which must be the next of the group:
//
//	type and kind (1) | codec (1) | track (1) | DTS - last DTS | CTO | ingested - last ingested | length | body
//
// The type is in the upper four bits: 0 audio, 1 video, 2 data. The differences
// and CTO are signed; DTS and CTO in ms, ingested in microseconds.
func (g *Packets) Append(b []byte, p *media.Packet) []byte {
	b = g.AppendHead(b, p, len(p.Body))
	return append(b, p.Body...)
}

// AppendHead appends what is in front of a body of n bytes.
func (g *Packets) AppendHead(b []byte, p *media.Packet, n int) []byte {
	b = append(b, typeBits(p.Type)<<4|byte(p.Kind), byte(p.Codec), byte(p.Track))
	b = binary.AppendVarint(b, int64(p.DTS-g.dts))
	b = binary.AppendVarint(b, int64(p.CTO))
	b = binary.AppendVarint(b, p.Ingested-g.ingested)
	g.dts, g.ingested = p.DTS, p.Ingested
	g.next.Index++
	return binary.AppendUvarint(b, uint64(n))
}

// Next is the identity of the next packet.
func (g *Packets) Next() media.PacketID { return g.next }

// Parse reads the next packet; its body aliases b.
func (g *Packets) Parse(b []byte) (p media.Packet, n int, err error) {
	c := cursor{b: b}
	typ, ok := typeOf(c.byte())
	p = media.Packet{ID: g.next, Run: g.run, Type: typ.Type, Kind: typ.Kind, Codec: media.Codec(c.byte())}
	if !ok {
		c.badf("packet type 0x%02x", b[0])
	}
	p.Track = media.TrackID(c.byte())
	if p.Track >= media.MaxTracks {
		c.badf("track %d, the limit is %d", p.Track, media.MaxTracks-1)
	}
	p.DTS = g.dts + media.Timestamp(c.signed("DTS difference", maxDTS))
	p.CTO = int32(c.signed("composition offset", 1<<31-1))
	p.Ingested = g.ingested + c.signed("ingest time difference", maxTimeUS)
	p.Body = c.bytes("packet body", media.MaxMessageVideo)
	if c.err != nil {
		return media.Packet{}, 0, c.err
	}
	switch {
	case p.DTS < 0 || p.DTS > maxDTS:
		c.badf("DTS %d", p.DTS)
	case p.Ingested < 0 || p.Ingested > maxTimeUS:
		c.badf("ingest time %d", p.Ingested)
	case len(p.Body) == 0:
		c.badf("packet without a body")
	case g.next.Index == 1<<32-1:
		c.badf("packet index %d", g.next.Index)
	}
	if c.err != nil {
		return media.Packet{}, 0, c.err
	}
	g.dts, g.ingested = p.DTS, p.Ingested
	g.next.Index++
	return p, c.off, nil
}

func typeBits(t media.Type) byte {
	switch t {
	case media.TypeAudio:
		return 0
	case media.TypeVideo:
		return 1
	case media.TypeData:
		return 2
	}
	return 0xF
}

// packetType is the first byte of a packet.
type packetType struct {
	Type media.Type
	Kind media.Kind
}

func typeOf(b byte) (t packetType, ok bool) {
	types := [...]media.Type{media.TypeAudio, media.TypeVideo, media.TypeData}
	if int(b>>4) >= len(types) || media.Kind(b&0xF) > media.KindEnd {
		return packetType{}, false
	}
	return packetType{types[b>>4], media.Kind(b & 0xF)}, true
}
