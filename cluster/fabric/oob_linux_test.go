package fabric

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// message appends a control message (cmsg(3)).
func message(b []byte, level, kind int32, data ...byte) []byte {
	m := make([]byte, unix.CmsgSpace(len(data)))
	binary.NativeEndian.PutUint64(m, uint64(unix.CmsgLen(len(data))))
	binary.NativeEndian.PutUint32(m[8:], uint32(level))
	binary.NativeEndian.PutUint32(m[12:], uint32(kind))
	copy(m[unix.CmsgLen(0):], data)
	return append(b, m...)
}

func TestSegmentsAreFoundAndReplaced(t *testing.T) {
	info := message(nil, unix.IPPROTO_IP, unix.IP_PKTINFO, make([]byte, 12)...)
	tos := message(nil, unix.IPPROTO_IP, unix.IP_TOS, 2)
	size := binary.NativeEndian.AppendUint16(nil, 1280)
	oob := append(message(append([]byte(nil), info...), unix.IPPROTO_UDP, unix.UDP_SEGMENT, size...), tos...)
	if n := segmentSize(oob); n != 1280 {
		t.Errorf("size %d", n)
	}
	without := withoutSegments(nil, oob)
	if n := segmentSize(without); n != 0 || len(without) != len(info)+len(tos) {
		t.Errorf("without: size %d in %d bytes", n, len(without))
	}
	with := withSegments(nil, oob, 1291)
	if n := segmentSize(with); n != 1291 || segmentSize(oob) != 1280 || len(with) != len(oob) {
		t.Errorf("with: size %d in %d bytes", n, len(with))
	}
	if segmentSize([]byte{1, 2, 3}) != 0 || len(withoutSegments(nil, []byte{1, 2, 3})) != 0 {
		t.Error("what is no control message has no segments")
	}
}

func TestOnlyMarkablePacketsAreMarked(t *testing.T) {
	class := func(bits byte) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(bits)) }
	for _, c := range []struct {
		name string
		oob  []byte
		want bool
	}{
		{"IPv4, capable", message(nil, unix.IPPROTO_IP, unix.IP_TOS, 2), true},
		{"IPv4, not capable", message(nil, unix.IPPROTO_IP, unix.IP_TOS, 0), false},
		{"IPv6, capable", message(nil, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, class(2)...), true},
		{"IPv6, not capable", message(nil, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, class(0)...), false},
		{"not told", nil, false},
	} {
		if got := markable(c.oob); got != c.want {
			t.Errorf("%s: markable %v", c.name, got)
		}
		markCE(c.oob)
		if bits := ecn(c.oob); bits != nil && (*bits&3 == 3) != c.want {
			t.Errorf("%s: marked as %#x", c.name, *bits)
		}
	}
}
