package fabric

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// segmentSize finds in control messages how long the packets are that are to be
// made of one buffer (udp(7), UDP_SEGMENT); 0: it is one packet.
func segmentSize(oob []byte) int {
	for len(oob) > 0 {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return 0
		}
		if isSegment(&h) && len(data) >= 2 {
			return int(binary.NativeEndian.Uint16(data))
		}
		oob = rest
	}
	return 0
}

func isSegment(h *unix.Cmsghdr) bool {
	return h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_SEGMENT
}

// joinedSize finds in control messages how long the packets are that were joined to
// one buffer (UDP_GRO), the last of which may be shorter; 0: it is one packet.
func joinedSize(oob []byte) int {
	for len(oob) > 0 {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return 0
		}
		if h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && len(data) >= 4 {
			return int(int32(binary.NativeEndian.Uint32(data))) //nolint:gosec // an int of the kernel's
		}
		oob = rest
	}
	return 0
}

// withoutSegments appends the control messages of oob but that of segments.
func withoutSegments(to, oob []byte) []byte {
	for len(oob) > 0 {
		h, _, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			break
		}
		if !isSegment(&h) {
			to = append(to, oob[:len(oob)-len(rest)]...)
		}
		oob = rest
	}
	return to
}

// withSegments appends the control messages of oob with another size of segments.
func withSegments(to, oob []byte, size int) []byte {
	n := len(to)
	to = append(to, oob...)
	for b := to[n:]; len(b) > 0; {
		h, data, rest, err := unix.ParseOneSocketControlMessage(b)
		if err != nil {
			break
		}
		if isSegment(&h) && len(data) >= 2 {
			binary.NativeEndian.PutUint16(data, uint16(size)) //nolint:gosec // a packet's
		}
		b = rest
	}
	return to
}

// ecn finds the bits for explicit congestion notification (RFC 3168 section 5)
// of a packet that came; nil: the kernel does not tell.
func ecn(oob []byte) *byte {
	for len(oob) > 0 {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		switch {
		case err != nil:
			return nil
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_TOS && len(data) >= 1:
			return &data[0]
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_TCLASS && len(data) >= 4:
			if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
				return &data[0]
			}
			return &data[3]
		}
		oob = rest
	}
	return nil
}

// markable reports whether a packet says that its sender heeds marks.
func markable(oob []byte) bool {
	bits := ecn(oob)
	return bits != nil && *bits&3 != 0
}

// markCE marks a packet as having met congestion.
func markCE(oob []byte) {
	if bits := ecn(oob); bits != nil && *bits&3 != 0 {
		*bits |= 3
	}
}
