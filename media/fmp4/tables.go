package fmp4

import "tmms/media"

// openers lists what can be carried; a further codec is one more entry.
var openers = [...]opener{
	{codec: media.CodecH264, typ: media.TypeVideo, open: openH264},
	{codec: media.CodecHEVC, typ: media.TypeVideo, open: openHEVC},
	{codec: media.CodecAV1, typ: media.TypeVideo, open: openAV1},
	{codec: media.CodecVP9, typ: media.TypeVideo, open: openVP9},
	{codec: media.CodecAAC, typ: media.TypeAudio, open: openAAC},
	{codec: media.CodecMP3, typ: media.TypeAudio, open: openMP3},
	{codec: media.CodecOpus, typ: media.TypeAudio, open: openOpus},
	{codec: media.CodecAC3, typ: media.TypeAudio, open: openAC3},
	{codec: media.CodecEAC3, typ: media.TypeAudio, open: openEAC3},
	{codec: media.CodecFLAC, typ: media.TypeAudio, open: openFLAC},
}
