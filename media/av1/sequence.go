package av1

import (
	"fmt"

	"tmms/media/bitio"
)

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
	r := bitio.NewReader(b)
	s := Sequence{Profile: uint8(r.U(3))}
	r.U(1)        // still_picture
	if r.Flag() { // reduced_still_picture_header
		r.U(5) // seq_level_idx[0]
	} else {
		s.readPoints(r, s.readTiming(r))
	}
	widthBits, heightBits := int(r.U(4))+1, int(r.U(4))+1
	s.Width, s.Height = int(r.U(widthBits))+1, int(r.U(heightBits))+1
	if r.Short() {
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
func (s *Sequence) readTiming(r *bitio.Reader) model {
	if !r.Flag() { // timing_info_present_flag
		return model{}
	}
	tick, scale := uint64(r.U(32)), uint64(r.U(32))
	if r.Flag() { // equal_picture_interval
		ticks := uint64(uvlc(r)) + 1
		if tick > 0 && scale > 0 {
			s.FrameRateNum, s.FrameRateDen = scale, tick*ticks
		}
	}
	if !r.Flag() { // decoder_model_info_present_flag
		return model{}
	}
	m := model{present: true, delayBits: int(r.U(5)) + 1}
	r.U(32)    // num_units_in_decoding_tick
	r.U(5 + 5) // lengths of removal and presentation times
	return m
}

// readPoints reads over the operating points.
func (s *Sequence) readPoints(r *bitio.Reader, m model) {
	display := r.Flag() // initial_display_delay_present_flag
	for range r.U(5) + 1 {
		r.U(12)         // operating_point_idc
		if r.U(5) > 7 { // seq_level_idx
			r.U(1) // seq_tier
		}
		if m.present && r.Flag() {
			r.U(m.delayBits) // decoder_buffer_delay
			r.U(m.delayBits) // encoder_buffer_delay
			r.U(1)           // low_delay_mode_flag
		}
		if display && r.Flag() {
			r.U(4) // initial_display_delay_minus_1
		}
	}
}
