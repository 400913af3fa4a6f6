package flv

import (
	"strings"

	"tmms/media"
)

// FourCCs is a set of the codecs that Enhanced RTMP v2 names by FourCC. One bit
// stands for all that are not known here.
type FourCCs uint16

// The members of a set.
const (
	fourCCAVC FourCCs = 1 << iota
	fourCCHEVC
	fourCCAV1
	fourCCVP8
	fourCCVP9
	fourCCAAC
	fourCCMP3
	fourCCOpus
	fourCCAC3
	fourCCEAC3
	fourCCFLAC
	fourCCOther
	fourCCEnd
)

// Sets of many.
const (
	AllFourCCs   = fourCCEnd - 1
	VideoFourCCs = fourCCAVC | fourCCHEVC | fourCCAV1 | fourCCVP8 | fourCCVP9 | fourCCOther
	AudioFourCCs = fourCCAAC | fourCCMP3 | fourCCOpus | fourCCAC3 | fourCCEAC3 | fourCCFLAC | fourCCOther
)

// VideoNames lists the FourCCs of video that are known here, as they are written.
func VideoNames() []string { return []string{"avc1", "hvc1", "av01", "vp08", "vp09"} }

// AudioNames lists those of audio.
func AudioNames() []string { return []string{"mp4a", ".mp3", "Opus", "ac-3", "ec-3", "fLaC"} }

// ParseFourCC gives the set that a name stands for; "*" is all, and what has not
// four bytes none.
func ParseFourCC(name string) FourCCs {
	if name == "*" {
		return AllFourCCs
	}
	if len(name) != 4 {
		return 0
	}
	fourCC := [4]byte([]byte(name))
	codec := fourCCVideo(fourCC)
	if codec == media.CodecUnknown {
		codec = fourCCAudio(fourCC)
	}
	return fourCCOf(codec)
}

// fourCCOf is the set of one codec.
func fourCCOf(c media.Codec) FourCCs {
	switch c {
	case media.CodecH264:
		return fourCCAVC
	case media.CodecHEVC:
		return fourCCHEVC
	case media.CodecAV1:
		return fourCCAV1
	case media.CodecVP8:
		return fourCCVP8
	case media.CodecVP9:
		return fourCCVP9
	case media.CodecAAC:
		return fourCCAAC
	case media.CodecMP3:
		return fourCCMP3
	case media.CodecOpus:
		return fourCCOpus
	case media.CodecAC3:
		return fourCCAC3
	case media.CodecEAC3:
		return fourCCEAC3
	case media.CodecFLAC:
		return fourCCFLAC
	default:
		return fourCCOther
	}
}

// Names lists the members, and "others" for those not known here.
func (s FourCCs) Names() []string {
	var names []string
	for _, name := range append(VideoNames(), AudioNames()...) {
		if s&ParseFourCC(name) != 0 {
			names = append(names, name)
		}
	}
	if s&fourCCOther != 0 {
		names = append(names, "others")
	}
	return names
}

// String is the members with commas between them.
func (s FourCCs) String() string { return strings.Join(s.Names(), ", ") }

// Enhanced tells by its first byte whether an audio or video body has a header
// of Enhanced RTMP.
func Enhanced(typ media.Type, body []byte) bool {
	switch {
	case len(body) == 0:
		return false
	case typ == media.TypeVideo:
		return body[0]&0x80 != 0
	}
	return typ == media.TypeAudio && body[0]>>4 == soundEx
}

// fourCCs is the set of the track's codec; none with a legacy header.
func (i *Info) fourCCs() FourCCs {
	if i.FourCC == [4]byte{} {
		return 0
	}
	return fourCCOf(i.Codec)
}

// FourCCsOf is what a player must take to play an audio or video body: none with
// a legacy header, which says nothing that could be announced, else the codecs of
// all its tracks. It does not allocate.
func FourCCsOf(typ media.Type, body []byte) (s FourCCs) {
	if !Enhanced(typ, body) {
		return 0
	}
	for info, err := range Tracks(typ, body) {
		if err != nil {
			break
		}
		s |= info.fourCCs()
	}
	return s
}
