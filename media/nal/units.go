package nal

// Scanner walks the NAL units of an access unit that has a length of LengthSize
// bytes (1, 2 or 4) in front of each (ISO/IEC 14496-15 section 4.3.3). Units of
// length zero are left out; a length that leads past the end, or is itself cut
// off, ends the walk, as nothing behind it can be located. Both are counted.
type Scanner struct {
	Rest       []byte // what is still to be walked
	LengthSize int
	Dropped    int
}

// Next gives the next NAL unit; it aliases the access unit and is never empty.
func (s *Scanner) Next() (nalu []byte, ok bool) {
	for len(s.Rest) > 0 {
		if len(s.Rest) < s.LengthSize {
			break
		}
		var n uint32
		for _, c := range s.Rest[:s.LengthSize] {
			n = n<<8 | uint32(c)
		}
		body := s.Rest[s.LengthSize:]
		if uint64(n) > uint64(len(body)) {
			break
		}
		nalu, s.Rest = body[:n:n], body[n:]
		if n > 0 {
			return nalu, true
		}
		s.Dropped++
	}
	if len(s.Rest) > 0 {
		s.Dropped++
		s.Rest = nil
	}
	return nil, false
}

// AppendAnnexB appends NAL units, each behind a start code of four bytes
// (annex B of H.264 and of H.265).
func AppendAnnexB(dst []byte, nalus ...[]byte) []byte {
	for _, n := range nalus {
		dst = append(dst, 0, 0, 0, 1)
		dst = append(dst, n...)
	}
	return dst
}

// AppendRBSP appends a NAL unit without its emulation prevention bytes
// (H.264 section 7.3.1, H.265 section 7.3.1.1): 00 00 03 becomes 00 00.
func AppendRBSP(dst, nalu []byte) []byte {
	zeros := 0
	for _, c := range nalu {
		if zeros >= 2 && c == 3 {
			zeros = 0
			continue
		}
		if c == 0 {
			zeros++
		} else {
			zeros = 0
		}
		dst = append(dst, c)
	}
	return dst
}
