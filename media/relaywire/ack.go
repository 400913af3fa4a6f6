package relaywire

import (
	"encoding/binary"

	"tmms/media"
)

// TypeAck is the type of [Ack]. Nodes of version 2 that do not know it ignore it.
const TypeAck MessageType = 0x60

// Ack says what a standby has of the stream, in memory of its own:
//
//	epoch | group | index | DTS | index epoch | index version
type Ack struct {
	ID  media.PacketID  // the last packet; all before it that were sent are there too
	DTS media.Timestamp // the highest decoding time
	// IndexEpoch and IndexVersion name the newest segment index of which all is there
	// that its playlists are made of, and the packets behind them; 0: of none is.
	IndexEpoch, IndexVersion uint64
}

func (Ack) messageType() MessageType { return TypeAck }

func (m Ack) appendBody(b []byte) []byte {
	b = binary.AppendUvarint(b, m.ID.Epoch)
	b = binary.AppendUvarint(b, m.ID.Group)
	b = binary.AppendUvarint(b, uint64(m.ID.Index))
	b = binary.AppendUvarint(b, uint64(m.DTS))
	b = binary.AppendUvarint(b, m.IndexEpoch)
	return binary.AppendUvarint(b, m.IndexVersion)
}

func (c *cursor) ack() Ack {
	return Ack{
		ID:         media.PacketID{Epoch: c.uvarint(), Group: c.uvarint(), Index: c.index()},
		DTS:        media.Timestamp(c.upTo("DTS", maxDTS)),
		IndexEpoch: c.uvarint(), IndexVersion: c.uvarint(),
	}
}
