package hevc

import "fmt"

// NALType is the nal_unit_type of a NAL unit (H.265 table 7-1).
type NALType uint8

// The types that framing cares about.
const (
	nalIRAPFirst NALType = 16 // BLA_W_LP
	nalIRAPLast  NALType = 23 // RSV_IRAP_VCL23
	nalVCLLast   NALType = 31
	nalVPS       NALType = 32
	nalSPS       NALType = 33
	nalPPS       NALType = 34
	nalAUD       NALType = 35
)

// headerSize is the length in bytes of a NAL unit header (H.265 section 7.3.1.2):
//
//	0 (1 bit) | type (6 bits) | layer id (6 bits) | temporal id + 1 (3 bits)
const headerSize = 2

// String names the type for messages.
func (t NALType) String() string {
	switch t {
	case nalVPS:
		return "VPS"
	case nalSPS:
		return "SPS"
	case nalPPS:
		return "PPS"
	case nalAUD:
		return "AUD"
	default:
		return fmt.Sprintf("NAL type %d", uint8(t))
	}
}

// IRAP tells that the type is that of a picture that decoding can start at:
// IDR, CRA or BLA (H.265 section 3.69).
func (t NALType) IRAP() bool { return t >= nalIRAPFirst && t <= nalIRAPLast }

// TypeOf gives the type of a NAL unit, which must not be empty.
func TypeOf(nalu []byte) NALType { return NALType(nalu[0] >> 1 & 0x3F) }

// layer is nuh_layer_id: above 0 are what only scalable and multiview decoders read.
func layer(nalu []byte) byte { return nalu[0]&1<<5 | nalu[1]>>3 }
