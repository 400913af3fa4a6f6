package fabric

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// messages are what QUIC reads into: fewer than packets come.
func messages(n int) []ipv4.Message {
	ms := make([]ipv4.Message, n)
	for i := range ms {
		ms[i] = ipv4.Message{Buffers: [][]byte{make([]byte, 1452)}, OOB: make([]byte, 128)}
	}
	return ms
}

// What one system call sends as many packets comes as many packets, in order and
// each as it was, the shorter last one too, however few are read at a time.
func TestJoinedPacketsAreTakenApart(t *testing.T) {
	from, to := localSocket(t), localSocket(t)
	in := newInlet(to)
	if in.joined == nil {
		t.Fatal("the kernel does not join packets")
	}
	if err := to.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var want [][]byte
	send := func(size, total int) {
		t.Helper()
		b := make([]byte, total)
		for i := range b {
			b[i] = byte(len(want) + i/size)
		}
		var oob []byte
		if total > size {
			oob = message(nil, unix.IPPROTO_UDP, unix.UDP_SEGMENT, binary.NativeEndian.AppendUint16(nil, uint16(size))...)
		}
		if _, _, err := from.WriteMsgUDP(b, oob, to.LocalAddr().(*net.UDPAddr)); err != nil {
			t.Fatal(err)
		}
		for rest := b; len(rest) > 0; {
			n := min(size, len(rest))
			want, rest = append(want, rest[:n]), rest[n:]
		}
	}
	send(1280, 10*1280+7)
	send(1433, 1433)
	send(1400, 40*1400)
	send(1, 1)
	for len(want) > 0 {
		ms := messages(3)
		n, err := in.read(ms, 0)
		if err != nil {
			t.Fatalf("%v, %d packets are missing", err, len(want))
		}
		for _, m := range ms[:n] {
			if b := m.Buffers[0][:m.N]; !bytes.Equal(b, want[0]) {
				t.Fatalf("got %d bytes of %d, want %d of %d", len(b), b[0], len(want[0]), want[0][0])
			}
			if m.Addr.String() != from.LocalAddr().String() {
				t.Fatalf("from %v", m.Addr)
			}
			want = want[1:]
		}
	}
}

// A size that the kernel would never tell takes nothing apart.
func TestOddSizesOfJoinedPackets(t *testing.T) {
	size := func(n int32) []byte {
		return message(nil, unix.IPPROTO_UDP, unix.UDP_GRO, binary.NativeEndian.AppendUint32(nil, uint32(n))...)
	}
	for _, oob := range [][]byte{nil, size(0), size(-1), size(1 << 30), {1, 2, 3}} {
		in := &inlet{joined: messages(1), n: 1}
		in.joined[0].N = copy(in.joined[0].Buffers[0], "whole")
		in.joined[0].NN = copy(in.joined[0].OOB, oob)
		ms := messages(2)
		if n := in.part(ms); n != 1 || string(ms[0].Buffers[0][:ms[0].N]) != "whole" || in.at != 1 {
			t.Errorf("%v: %d packets, the first of %d bytes", oob, n, ms[0].N)
		}
	}
}
