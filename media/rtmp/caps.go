package rtmp

import (
	"tmms/media"
	"tmms/media/amf0"
	"tmms/media/flv"
)

// Caps are what a peer says it can do beyond RTMP 1.0: capsEx of Enhanced RTMP v2.
type Caps uint32

// The capabilities (CapsExMask).
const (
	CapsReconnect  Caps = 1 << iota // takes a request to reconnect
	CapsMultitrack                  // several tracks of a type
	CapsModEx                       // packets with modifiers in front
	CapsNano                        // the modifier with nanoseconds
)

// ServerCaps are those of a ServerConn: media goes to players as it came, with
// tracks and modifiers, and a node that is emptied asks its peers to reconnect.
const ServerCaps = CapsReconnect | CapsMultitrack | CapsModEx | CapsNano

// What can be done with a codec (FourCcInfoMask).
const (
	canDecode  = 1
	canForward = 4
)

// fourCCs reads what a connect command, or its answer, announces: the codecs that
// the peer decodes or passes on. At most [media.MaxFourCCs] of each list count.
func fourCCs(o amf0.Value) (s flv.FourCCs) {
	list := o.Get("fourCcList")
	for i := range list.Props[:min(len(list.Props), media.MaxFourCCs)] {
		s |= flv.ParseFourCC(list.Props[i].Value.Text())
	}
	s |= infoMap(o.Get("videoFourCcInfoMap")) & flv.VideoFourCCs
	return s | infoMap(o.Get("audioFourCcInfoMap"))&flv.AudioFourCCs
}

// infoMap reads a map from FourCC to what can be done with it.
func infoMap(m amf0.Value) (s flv.FourCCs) {
	for _, p := range m.Props[:min(len(m.Props), media.MaxFourCCs)] {
		if toUint32(p.Value.Float())&(canDecode|canForward) != 0 {
			s |= flv.ParseFourCC(p.Name)
		}
	}
	return s
}

// capsProps is what we announce: all that is in the lists, to be passed on with
// the mask's rights, and caps.
func capsProps(video, audio []string, mask float64, caps Caps) []amf0.Property {
	list := amf0.Value{Kind: amf0.KindStrictArray}
	table := func(names []string) amf0.Value {
		o := amf0.Object()
		for _, name := range names {
			list.Props = append(list.Props, amf0.Property{Value: amf0.String(name)})
			o.Props = append(o.Props, amf0.Property{Name: name, Value: amf0.Number(mask)})
		}
		return o
	}
	v, a := table(video), table(audio)
	return []amf0.Property{
		{Name: "capsEx", Value: amf0.Number(float64(caps))},
		{Name: "fourCcList", Value: list},
		{Name: "videoFourCcInfoMap", Value: v},
		{Name: "audioFourCcInfoMap", Value: a},
	}
}
