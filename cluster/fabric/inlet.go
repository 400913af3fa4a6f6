package fabric

import (
	"net"

	"golang.org/x/net/ipv4"
)

// inlet reads the socket. Packets that came one behind another are joined by the
// kernel where it can (udp(7), UDP_GRO): a burst then costs it little more than one
// packet, and on one machine the sender's is never taken apart. It has one owner,
// QUIC's reader.
type inlet struct {
	batch  *ipv4.PacketConn
	joined []ipv4.Message // nil: each packet comes by itself
	n      int            // of joined, those that were read last
	at     int            // of these, the one whose packets are given now
	off    int            // bytes of it that were given
}

// Joined packets that are read at once, as long as UDP's length allows: 256 KiB of
// buffers for a node.
const (
	joinedBatch = 4
	joinedBytes = 1<<16 - 1
	joinedOOB   = 256
)

func newInlet(socket *net.UDPConn) *inlet {
	in := &inlet{batch: ipv4.NewPacketConn(socket)}
	if !joinPackets(socket) {
		return in
	}
	in.joined = make([]ipv4.Message, joinedBatch)
	for i := range in.joined {
		in.joined[i] = ipv4.Message{Buffers: [][]byte{make([]byte, joinedBytes)}, OOB: make([]byte, joinedOOB)}
	}
	return in
}

// read fills ms as ipv4.PacketConn.ReadBatch does.
func (in *inlet) read(ms []ipv4.Message, flags int) (int, error) {
	if in.joined == nil {
		return in.batch.ReadBatch(ms, flags)
	}
	if in.at == in.n {
		in.at, in.n, in.off = 0, 0, 0
		n, err := in.batch.ReadBatch(in.joined, flags)
		if err != nil {
			return 0, err
		}
		in.n = n
	}
	return in.part(ms), nil
}

// part fills ms with packets of those that were read.
func (in *inlet) part(ms []ipv4.Message) (n int) {
	for n < len(ms) && in.at < in.n {
		m := &in.joined[in.at]
		rest, oob := m.Buffers[0][in.off:m.N], m.OOB[:m.NN]
		size := joinedSize(oob)
		if size <= 0 || size > len(rest) {
			size = len(rest)
		}
		put(&ms[n], rest[:size], oob, m.Addr)
		n++
		if in.off += size; in.off >= m.N {
			in.at, in.off = in.at+1, 0
		}
	}
	return n
}
