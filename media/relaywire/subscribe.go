package relaywire

import (
	"encoding/binary"

	"tmms/media"
)

// Position is how far a subscriber has got in a stream; the zero value: nowhere.
type Position struct {
	ID  media.PacketID  // the last packet that it has
	DTS media.Timestamp // the highest decoding time that it has
	// SegmentEpoch and MSN name the newest HLS segment up to which it has all of
	// an index; Discontinuities counts the stream's in what its viewers have seen.
	SegmentEpoch, MSN, Discontinuities uint64
	// Open says that they have seen parts of the segment behind MSN.
	Open bool
}

// maxDTS is 2^52 ms, 140,000 years: sums of two do not overflow.
const maxDTS = 1 << 52

func (p Position) append(b []byte) []byte {
	b = binary.AppendUvarint(b, p.ID.Epoch)
	b = binary.AppendUvarint(b, p.ID.Group)
	b = binary.AppendUvarint(b, uint64(p.ID.Index))
	b = binary.AppendUvarint(b, uint64(p.DTS))
	b = binary.AppendUvarint(b, p.SegmentEpoch)
	b = binary.AppendUvarint(b, p.MSN)
	b = binary.AppendUvarint(b, p.Discontinuities)
	return appendBool(b, p.Open)
}

func (c *cursor) position() Position {
	return Position{
		ID:           media.PacketID{Epoch: c.uvarint(), Group: c.uvarint(), Index: c.index()},
		DTS:          media.Timestamp(c.upTo("DTS", maxDTS)),
		SegmentEpoch: c.uvarint(), MSN: c.uvarint(), Discontinuities: c.uvarint(), Open: c.bool("open"),
	}
}

func (c *cursor) index() uint32 { return uint32(c.upTo("packet index", 1<<32-1)) }

// Subscribe asks for a stream:
//
//	id | domain | app | stream | epoch | position | flags (1) | tracks | hop count (1) | hops | [standby (1)]
//
// Strings have their length in front. The flags are 1: resume, 2: HLS, 4: as shield.
type Subscribe struct {
	ID  uint64 // names the subscription on its media streams; the subscriber's choice, once in a session
	Key media.StreamKey
	// Epoch is the ownership that the placement confirmed to the subscriber.
	Epoch uint64
	Seen  Position
	// Resume asks for what follows Seen, where the source still has it; else the
	// newest group comes first.
	Resume bool
	HLS    bool     // HLS viewers are present
	Shield bool     // the source shall act as a shield; reserved
	Tracks uint64   // a bit for each track wanted, 0: all; reserved
	Hops   []string // ids of the nodes that the request has passed, the subscriber's last
	// Standby says that the subscriber is the stream's standby, and will say what it
	// has, see [Ack]; from version 2 on.
	Standby bool
}

const (
	flagResume = 1 << iota
	flagHLS
	flagShield
)

func (Subscribe) messageType() MessageType { return TypeSubscribe }

func (m Subscribe) appendBody(b []byte) []byte {
	b = binary.AppendUvarint(b, m.ID)
	b = appendString(b, m.Key.Domain)
	b = appendString(b, m.Key.App)
	b = appendString(b, m.Key.Stream)
	b = binary.AppendUvarint(b, m.Epoch)
	b = m.Seen.append(b)
	b = append(b, bit(m.Resume, flagResume)|bit(m.HLS, flagHLS)|bit(m.Shield, flagShield))
	b = binary.AppendUvarint(b, m.Tracks)
	b = append(b, byte(len(m.Hops)))
	for _, h := range m.Hops {
		b = appendString(b, h)
	}
	return appendTrue(b, m.Standby)
}

// appendTrue appends a bool that may be left out.
func appendTrue(b []byte, v bool) []byte {
	if !v {
		return b
	}
	return appendBool(b, v)
}

// added reads a bool that version 2 has behind the fields of version 1, if it is there.
func (c *cursor) added(v Version, what string) bool {
	return v >= V2 && c.err == nil && c.off < len(c.b) && c.bool(what)
}

func bit(on bool, flag byte) byte {
	if on {
		return flag
	}
	return 0
}

func (c *cursor) subscribe(v Version) Subscribe {
	m := Subscribe{ID: c.uvarint(), Key: c.key(), Epoch: c.uvarint(), Seen: c.position()}
	flags := c.byte()
	if flags&^(flagResume|flagHLS|flagShield) != 0 {
		c.badf("subscribe flags 0x%02x", flags)
	}
	m.Resume, m.HLS, m.Shield = flags&flagResume != 0, flags&flagHLS != 0, flags&flagShield != 0
	m.Tracks = c.uvarint()
	hops := int(c.byte())
	if hops > media.MaxRelayHops {
		c.badf("%d hops, the limit is %d", hops, media.MaxRelayHops)
	}
	for range hops {
		if c.err != nil {
			break
		}
		m.Hops = append(m.Hops, c.string("node id", media.MaxNodeID))
	}
	m.Standby = c.added(v, "standby")
	return m
}

// key reads a stream key and checks its names.
func (c *cursor) key() media.StreamKey {
	k := media.StreamKey{
		Domain: c.string("domain", media.MaxName), App: c.string("app", media.MaxName),
		Stream: c.string("stream", media.MaxName),
	}
	if c.err == nil {
		if err := k.Validate(); err != nil {
			c.badf("stream key: %w", err)
		}
	}
	return k
}

// Update changes what a subscriber wants:
//
//	HLS (1) | segment epoch | MSN | [standby (1)]
type Update struct {
	HLS               bool   // HLS viewers are present
	SegmentEpoch, MSN uint64 // as in Position
	Standby           bool   // as in Subscribe
}

func (Update) messageType() MessageType { return TypeUpdate }

func (m Update) appendBody(b []byte) []byte {
	b = appendBool(b, m.HLS)
	b = binary.AppendUvarint(b, m.SegmentEpoch)
	return appendTrue(binary.AppendUvarint(b, m.MSN), m.Standby)
}

func (c *cursor) update(v Version) Update {
	m := Update{HLS: c.bool("HLS"), SegmentEpoch: c.uvarint(), MSN: c.uvarint()}
	m.Standby = c.added(v, "standby")
	return m
}
