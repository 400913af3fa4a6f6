package hevc

import (
	"fmt"

	"tmms/media/nal"
)

// SPS is what a sequence parameter set says of the picture (H.265 section 7.3.2.2).
type SPS struct {
	ID uint32
	// Width and Height are the picture in its conformance window, in luma samples.
	Width, Height int
	// FrameRateNum / FrameRateDen are pictures per second; 0/0 if the SPS has no timing.
	FrameRateNum, FrameRateDen uint32
}

// Bounds of the syntax elements that size a picture or a loop.
const (
	maxSide      = 16888 // luma samples: sqrt(8 x 35651584), level 6.2 (H.265 section A.4.1)
	maxShortSets = 64    // num_short_term_ref_pic_sets
	maxLongSets  = 32    // num_long_term_ref_pics_sps
	maxSetPics   = 16    // MaxDpbSize
	maxLog2POC   = 16    // log2_max_pic_order_cnt_lsb_minus4 + 4
	extendedSAR  = 255
)

// ParseSPS reads a sequence parameter set NAL unit of the base layer, emulation
// prevention bytes included. What is wrong behind the picture's size costs only
// the frame rate. The error wraps [ErrMalformed].
func ParseSPS(nalu []byte) (SPS, error) {
	if len(nalu) < headerSize+13 {
		return SPS{}, fmt.Errorf("%w: SPS of %d bytes: % x", ErrMalformed, len(nalu), nalu)
	}
	if TypeOf(nalu) != nalSPS || layer(nalu) != 0 {
		return SPS{}, fmt.Errorf("%w: NAL unit type %d of layer %d is not an SPS of layer 0",
			ErrMalformed, TypeOf(nalu), layer(nalu))
	}
	r := nal.NewBits(nal.AppendRBSP(nil, nalu))
	r.Skip(8*headerSize + 4) // sps_video_parameter_set_id
	layers := int(r.U(3))    // sps_max_sub_layers_minus1
	r.Skip(1)                // sps_temporal_id_nesting_flag
	skipProfiles(r, layers)
	s := SPS{ID: r.UE()}
	if s.ID > maxSPSID {
		return SPS{}, fmt.Errorf("%w: SPS id %d, the limit is %d", ErrMalformed, s.ID, maxSPSID)
	}
	if err := s.readSize(r); err != nil {
		return SPS{}, err
	}
	if r.Short() {
		return SPS{}, fmt.Errorf("%w: SPS ends early: % x", ErrMalformed, nalu[:min(len(nalu), 64)])
	}
	if skipToVUI(r, layers) {
		s.readTiming(r)
	}
	return s, nil
}

// skipProfiles reads over profile_tier_level (H.265 section 7.3.3) with so many
// sub-layers beside the whole.
func skipProfiles(r *nal.Bits, layers int) {
	const profile, level = 88, 8
	r.Skip(profile + level)
	if layers == 0 {
		return
	}
	var has [8]uint32 // sub_layer_profile_present_flag, sub_layer_level_present_flag; then reserved
	for i := range has {
		has[i] = r.U(2)
	}
	for _, h := range has[:layers] {
		if h&2 != 0 {
			r.Skip(profile)
		}
		if h&1 != 0 {
			r.Skip(level)
		}
	}
}

// readSize reads the picture's size and conformance window.
func (s *SPS) readSize(r *nal.Bits) error {
	x, y := uint64(1), uint64(1)      // SubWidthC, SubHeightC (H.265 table 6-1)
	switch format := r.UE(); format { // chroma_format_idc
	case 0:
	case 1:
		x, y = 2, 2
	case 2:
		x = 2
	case 3:
		r.Flag() // separate_colour_plane_flag
	default:
		return fmt.Errorf("%w: chroma_format_idc %d is not 0..3", ErrMalformed, format)
	}
	width, height := uint64(r.UE()), uint64(r.UE())
	if width == 0 || height == 0 || width > maxSide || height > maxSide {
		return fmt.Errorf("%w: picture of %d x %d, the limit is %d a side", ErrMalformed, width, height, maxSide)
	}
	if r.Flag() { // conformance_window_flag
		left, right, top, bottom := uint64(r.UE()), uint64(r.UE()), uint64(r.UE()), uint64(r.UE())
		x, y = (left+right)*x, (top+bottom)*y
		if x >= width || y >= height {
			return fmt.Errorf("%w: window %d x %d less than a picture of %d x %d", ErrMalformed, x, y, width, height)
		}
		width, height = width-x, height-y
	}
	s.Width, s.Height = int(width), int(height)
	return nil
}

// skipToVUI reads from behind the conformance window to the VUI and says whether
// there is one.
func skipToVUI(r *nal.Bits, layers int) bool {
	r.UE()                // bit_depth_luma_minus8
	r.UE()                // bit_depth_chroma_minus8
	log2POC := r.UE() + 4 // log2_max_pic_order_cnt_lsb_minus4
	from := layers        // sps_sub_layer_ordering_info_present_flag: for all, or for the last
	if r.Flag() {
		from = 0
	}
	for range 3 * (layers - from + 1) { // pictures to hold and reorder, latency
		r.UE()
	}
	for range 6 { // sizes of coding and transform blocks, depths of their trees
		r.UE()
	}
	if r.Flag() { // scaling_list_enabled_flag
		skipScalingLists(r)
	}
	r.Skip(2)     // amp_enabled_flag, sample_adaptive_offset_enabled_flag
	if r.Flag() { // pcm_enabled_flag
		r.Skip(8) // bit depths
		r.UE()
		r.UE()
		r.Skip(1) // pcm_loop_filter_disabled_flag
	}
	if log2POC > maxLog2POC || !skipShortSets(r) || !skipLongPics(r, int(log2POC)) {
		return false
	}
	r.Skip(2) // sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag
	return r.Flag() && !r.Short()
}

// skipScalingLists follows H.265 section 7.3.4, if there are any but the default.
func skipScalingLists(r *nal.Bits) {
	if !r.Flag() { // sps_scaling_list_data_present_flag
		return
	}
	for size := range 4 {
		step := 1
		if size == 3 {
			step = 3
		}
		for matrix := 0; matrix < 6; matrix += step {
			if !r.Flag() { // scaling_list_pred_mode_flag
				r.UE() // scaling_list_pred_matrix_id_delta
				continue
			}
			if size > 1 {
				r.SE() // scaling_list_dc_coef_minus8
			}
			for range min(64, 1<<(4+size<<1)) {
				r.SE() // scaling_list_delta_coef
			}
		}
	}
}

// skipShortSets reads over the short-term reference picture sets (H.265 section
// 7.3.7); false: there is something wrong with them.
func skipShortSets(r *nal.Bits) bool {
	count := r.UE()
	if count > maxShortSets {
		return false
	}
	pics := uint32(0) // of the set before
	for i := range count {
		if i > 0 && r.Flag() { // inter_ref_pic_set_prediction_flag
			pics = skipPredictedSet(r, pics)
		} else {
			negative, positive := r.UE(), r.UE()
			if negative > maxSetPics || positive > maxSetPics {
				return false
			}
			pics = negative + positive
			for range pics {
				r.UE()    // delta_poc_minus1
				r.Skip(1) // used_by_curr_pic_flag
			}
		}
		if r.Short() || pics > 2*maxSetPics {
			return false
		}
	}
	return true
}

// skipPredictedSet reads a set that is told by the one before, which has so many
// pictures, and gives how many it has itself.
func skipPredictedSet(r *nal.Bits, before uint32) (pics uint32) {
	r.Skip(1) // delta_rps_sign
	r.UE()    // abs_delta_rps_minus1
	for range before + 1 {
		used := r.Flag()      // used_by_curr_pic_flag
		if used || r.Flag() { // use_delta_flag
			pics++
		}
	}
	return pics
}

// skipLongPics reads over the long-term reference pictures.
func skipLongPics(r *nal.Bits, log2POC int) bool {
	if !r.Flag() { // long_term_ref_pics_present_flag
		return true
	}
	count := r.UE()
	if count > maxLongSets {
		return false
	}
	r.Skip(int(count) * (log2POC + 1)) // lt_ref_pic_poc_lsb_sps, used_by_curr_pic_lt_sps_flag
	return true
}

// readTiming reads the VUI as far as the frame rate (H.265 section E.2.1).
func (s *SPS) readTiming(r *nal.Bits) {
	if r.Flag() && r.U(8) == extendedSAR { // aspect_ratio_info_present_flag
		r.Skip(32)
	}
	if r.Flag() { // overscan_info_present_flag
		r.Skip(1)
	}
	if r.Flag() { // video_signal_type_present_flag
		r.Skip(4)
		if r.Flag() { // colour_description_present_flag
			r.Skip(24)
		}
	}
	if r.Flag() { // chroma_loc_info_present_flag
		r.UE()
		r.UE()
	}
	r.Skip(3)     // neutral_chroma_indication_flag, field_seq_flag, frame_field_info_present_flag
	if r.Flag() { // default_display_window_flag
		for range 4 {
			r.UE()
		}
	}
	if !r.Flag() { // vui_timing_info_present_flag
		return
	}
	tick, scale := r.U(32), r.U(32)
	if r.Short() || tick == 0 || scale == 0 {
		return
	}
	s.FrameRateNum, s.FrameRateDen = scale, tick
}
