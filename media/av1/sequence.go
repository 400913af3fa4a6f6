package av1

import "fmt"

// Sequence is what a sequence header says of the pictures (section 5.5).
type Sequence struct {
	Profile uint8 // 0 to 2
	// Width and Height are the largest picture, in pixels, 1 to 65536 each.
	Width, Height int
	// FrameRateNum / FrameRateDen are frames per second; 0/0 if they are not constant, or not told.
	FrameRateNum, FrameRateDen uint64
}

// parseSequence reads the body of a sequence header OBU as far as the size of
// the picture.
func parseSequence(b []byte) (Sequence, error) {
	r := &bitReader{b: b}
	s := Sequence{Profile: uint8(r.u(3))}
	r.u(1)        // still_picture
	if r.flag() { // reduced_still_picture_header
		r.u(5) // seq_level_idx[0]
	} else {
		s.readPoints(r, s.readTiming(r))
	}
	widthBits, heightBits := int(r.u(4))+1, int(r.u(4))+1
	s.Width, s.Height = int(r.u(widthBits))+1, int(r.u(heightBits))+1
	if r.short {
		return Sequence{}, fmt.Errorf("%w: sequence header ends early: % x", ErrMalformed, head(b))
	}
	return s, nil
}

// model says what the operating points carry of the decoder's model.
type model struct {
	present   bool
	delayBits int
}

// readTiming reads timing_info and decoder_model_info (sections 5.5.3, 5.5.4).
func (s *Sequence) readTiming(r *bitReader) model {
	if !r.flag() { // timing_info_present_flag
		return model{}
	}
	tick, scale := uint64(r.u(32)), uint64(r.u(32))
	if r.flag() { // equal_picture_interval
		ticks := uint64(r.uvlc()) + 1
		if tick > 0 && scale > 0 {
			s.FrameRateNum, s.FrameRateDen = scale, tick*ticks
		}
	}
	if !r.flag() { // decoder_model_info_present_flag
		return model{}
	}
	m := model{present: true, delayBits: int(r.u(5)) + 1}
	r.u(32)    // num_units_in_decoding_tick
	r.u(5 + 5) // lengths of removal and presentation times
	return m
}

// readPoints reads over the operating points.
func (s *Sequence) readPoints(r *bitReader, m model) {
	display := r.flag() // initial_display_delay_present_flag
	for range r.u(5) + 1 {
		r.u(12)         // operating_point_idc
		if r.u(5) > 7 { // seq_level_idx
			r.u(1) // seq_tier
		}
		if m.present && r.flag() {
			r.u(m.delayBits) // decoder_buffer_delay
			r.u(m.delayBits) // encoder_buffer_delay
			r.u(1)           // low_delay_mode_flag
		}
		if display && r.flag() {
			r.u(4) // initial_display_delay_minus_1
		}
	}
}
