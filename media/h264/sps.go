package h264

import (
	"fmt"

	"tmms/media/nal"
)

// SPS is what a sequence parameter set says of the picture (H.264 section 7.3.2.1.1).
type SPS struct {
	Profile     uint8 // profile_idc
	Constraints uint8 // constraint_set0_flag is the highest bit
	Level       uint8 // level_idc, ten times the level
	ID          uint32
	// Width and Height are the displayed picture, cropped, in luma samples.
	Width, Height int
	// FrameRateNum / FrameRateDen are frames per second; 0/0 if the SPS has no timing.
	FrameRateNum, FrameRateDen uint32
	FixedFrameRate             bool
}

// Bounds of the syntax elements that size a picture or a loop.
const (
	maxSPSID         = 31
	maxPicSide       = 1055 // macroblocks: sqrt(8 x 139264), level 6.2 (H.264 section A.3.1)
	maxFrameNumCycle = 255
	extendedSAR      = 255
)

// CodecString is the RFC 6381 name, "avc1.PPCCLL".
func (s SPS) CodecString() string {
	return fmt.Sprintf("avc1.%02x%02x%02x", s.Profile, s.Constraints, s.Level)
}

// ParseSPS reads a sequence parameter set NAL unit, emulation prevention bytes
// included. VUI that is cut short costs only the frame rate. The error wraps
// [ErrMalformed].
func ParseSPS(nalu []byte) (SPS, error) {
	if len(nalu) < 5 {
		return SPS{}, fmt.Errorf("%w: SPS of %d bytes: % x", ErrMalformed, len(nalu), nalu)
	}
	if TypeOf(nalu) != nalSPS {
		return SPS{}, fmt.Errorf("%w: NAL unit type %d is not SPS", ErrMalformed, TypeOf(nalu))
	}
	r := nal.NewBits(nal.AppendRBSP(nil, nalu)[1:])
	s := SPS{Profile: uint8(r.U(8)), Constraints: uint8(r.U(8)), Level: uint8(r.U(8)), ID: r.UE()}
	if s.ID > maxSPSID {
		return SPS{}, fmt.Errorf("%w: SPS id %d, the limit is %d", ErrMalformed, s.ID, maxSPSID)
	}
	f, err := readFormat(r, s.Profile)
	if err != nil {
		return SPS{}, err
	}
	r.UE() // log2_max_frame_num_minus4
	if err := skipPicOrder(r); err != nil {
		return SPS{}, err
	}
	r.UE()   // max_num_ref_frames
	r.Flag() // gaps_in_frame_num_value_allowed_flag
	if err := s.readSize(r, f); err != nil {
		return SPS{}, err
	}
	vui := r.Flag() // vui_parameters_present_flag
	if r.Short() {
		return SPS{}, fmt.Errorf("%w: SPS ends early: % x", ErrMalformed, nalu[:min(len(nalu), 64)])
	}
	if vui {
		s.readTiming(r)
	}
	return s, nil
}

// chroma is the unit of cropping, in luma samples.
type chroma struct{ x, y int }

// readFormat reads the part that only the High profiles have.
func readFormat(r *nal.Bits, profile uint8) (chroma, error) {
	format := uint32(1)
	switch profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		format = r.UE()
		if format > 3 {
			return chroma{}, fmt.Errorf("%w: chroma_format_idc %d is not 0..3", ErrMalformed, format)
		}
		lists := 8
		if format == 3 {
			lists = 12
			if r.Flag() { // separate_colour_plane_flag: ChromaArrayType 0
				format = 0
			}
		}
		r.UE()        // bit_depth_luma_minus8
		r.UE()        // bit_depth_chroma_minus8
		r.Flag()      // qpprime_y_zero_transform_bypass_flag
		if r.Flag() { // seq_scaling_matrix_present_flag
			skipScalingLists(r, lists)
		}
	}
	switch format { // SubWidthC, SubHeightC (H.264 table 6-1)
	case 1:
		return chroma{2, 2}, nil
	case 2:
		return chroma{2, 1}, nil
	}
	return chroma{1, 1}, nil
}

// skipScalingLists follows H.264 section 7.3.2.1.1.1.
func skipScalingLists(r *nal.Bits, lists int) {
	for i := range lists {
		if !r.Flag() {
			continue
		}
		size := 16
		if i >= 6 {
			size = 64
		}
		last, next := int32(8), int32(8)
		for range size {
			if next != 0 {
				next = (last + r.SE()%256 + 256) % 256
			}
			if next != 0 {
				last = next
			}
		}
	}
}

// skipPicOrder reads over the picture order count fields.
func skipPicOrder(r *nal.Bits) error {
	switch typ := r.UE(); typ {
	case 0:
		r.UE() // log2_max_pic_order_cnt_lsb_minus4
	case 1:
		r.Flag() // delta_pic_order_always_zero_flag
		r.SE()   // offset_for_non_ref_pic
		r.SE()   // offset_for_top_to_bottom_field
		cycle := r.UE()
		if cycle > maxFrameNumCycle {
			return fmt.Errorf("%w: num_ref_frames_in_pic_order_cnt_cycle %d, the limit is %d",
				ErrMalformed, cycle, maxFrameNumCycle)
		}
		for range cycle {
			r.SE()
		}
	case 2:
	default:
		return fmt.Errorf("%w: pic_order_cnt_type %d is not 0..2", ErrMalformed, typ)
	}
	return nil
}

// readSize reads the picture's size and cropping.
func (s *SPS) readSize(r *nal.Bits, f chroma) error {
	width, height := uint64(r.UE())+1, uint64(r.UE())+1 // in macroblocks, map units
	fields := 1
	if !r.Flag() { // frame_mbs_only_flag
		fields = 2
		r.Flag() // mb_adaptive_frame_field_flag
	}
	r.Flag() // direct_8x8_inference_flag
	if width > maxPicSide || height > maxPicSide {
		return fmt.Errorf("%w: picture of %d x %d macroblocks, the limit is %d a side",
			ErrMalformed, width, height, maxPicSide)
	}
	s.Width, s.Height = int(width)*16, int(height)*16*fields
	if !r.Flag() { // frame_cropping_flag
		return nil
	}
	left, right, top, bottom := uint64(r.UE()), uint64(r.UE()), uint64(r.UE()), uint64(r.UE())
	x, y := (left+right)*uint64(f.x), (top+bottom)*uint64(f.y*fields)
	if x >= uint64(s.Width) || y >= uint64(s.Height) {
		return fmt.Errorf("%w: cropping %d x %d off a picture of %d x %d", ErrMalformed, x, y, s.Width, s.Height)
	}
	s.Width -= int(x)
	s.Height -= int(y)
	return nil
}

// readTiming reads the VUI as far as the frame rate (H.264 section E.1.1).
func (s *SPS) readTiming(r *nal.Bits) {
	if r.Flag() && r.U(8) == extendedSAR { // aspect_ratio_info_present_flag
		r.U(32)
	}
	if r.Flag() { // overscan_info_present_flag
		r.Flag()
	}
	if r.Flag() { // video_signal_type_present_flag
		r.U(4)
		if r.Flag() { // colour_description_present_flag
			r.U(24)
		}
	}
	if r.Flag() { // chroma_loc_info_present_flag
		r.UE()
		r.UE()
	}
	if !r.Flag() { // timing_info_present_flag
		return
	}
	tick, scale, fixed := r.U(32), r.U(32), r.Flag()
	if r.Short() || tick == 0 || scale == 0 {
		return
	}
	// time_scale counts fields: two a frame.
	s.FrameRateNum, s.FrameRateDen, s.FixedFrameRate = scale, tick, fixed
	if scale%2 == 0 {
		s.FrameRateNum /= 2
	} else if tick <= 1<<31-1 {
		s.FrameRateDen *= 2
	}
}
