package vp9

// Fields of the uncompressed header (section 7.2).
const (
	frameMarker = 2
	syncCode    = 0x498342
	spaceRGB    = 7
)

// bitReader reads bits from the highest down; zeros past its end.
type bitReader struct {
	b   []byte
	pos int // in bits
}

// u reads n bits, n <= 32.
func (r *bitReader) u(n int) uint32 {
	var v uint32
	for range n {
		v <<= 1
		if r.pos < 8*len(r.b) {
			v |= uint32(r.b[r.pos>>3] >> (7 - r.pos&7) & 1)
		}
		r.pos++
	}
	return v
}

// flag reads one bit.
func (r *bitReader) flag() bool { return r.u(1) == 1 }

// ParseFrame gives the size of a keyframe's picture in pixels, 1 to 65536 each
// (section 6.2). ok is false if frame is none, or ends within its header. Of a
// superframe it reads the first frame.
func ParseFrame(keyframe []byte) (width, height int, ok bool) {
	r := &bitReader{b: keyframe}
	if r.u(2) != frameMarker {
		return 0, 0, false
	}
	profile := r.u(1) | r.u(1)<<1
	if profile == 3 {
		r.u(1)
	}
	if existing, delta := r.flag(), r.flag(); existing || delta { // show_existing_frame, frame_type
		return 0, 0, false
	}
	r.u(2) // show_frame, error_resilient_mode
	if r.u(24) != syncCode {
		return 0, 0, false
	}
	r.skipColor(profile)
	width, height = int(r.u(16))+1, int(r.u(16))+1
	return width, height, r.pos <= 8*len(r.b)
}

// skipColor follows color_config (section 6.2.2).
func (r *bitReader) skipColor(profile uint32) {
	if profile >= 2 {
		r.u(1) // ten_or_twelve_bit
	}
	odd := profile&1 == 1
	switch rgb := r.u(3) == spaceRGB; {
	case rgb && odd:
		r.u(1) // reserved_zero
	case rgb:
	case odd:
		r.u(4) // color_range, subsampling_x, subsampling_y, reserved_zero
	default:
		r.u(1) // color_range
	}
}
