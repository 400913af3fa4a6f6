package amf0

import (
	"encoding/binary"
	"math"
)

// maxShort is the longest text with a 16-bit length; names are cut there.
const maxShort = math.MaxUint16

// Append writes v behind b. What Decode gave is written back to bytes that
// decode to the same value.
func Append(b []byte, v Value) []byte {
	switch v.Kind {
	case KindNumber:
		return AppendNumber(b, v.Num)
	case KindBool:
		return AppendBool(b, v.Num != 0)
	case KindString:
		return AppendString(b, v.Str)
	case KindNull:
		return AppendNull(b)
	case KindObject, KindTypedObject, KindECMAArray, KindStrictArray:
		return appendCompound(b, v)
	case KindDate:
		b = binary.BigEndian.AppendUint64(append(b, markerDate), math.Float64bits(v.Num))
		return append(b, 0, 0)
	case KindXML:
		return appendLong(append(b, markerXML), v.Str)
	case KindReference:
		return binary.BigEndian.AppendUint16(append(b, markerReference), uint16(v.Num))
	case KindUnsupported:
		return append(b, markerUnsupported)
	default:
		return append(b, markerUndefined)
	}
}

// AppendNumber writes a number.
func AppendNumber(b []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(append(b, markerNumber), math.Float64bits(f))
}

// AppendBool writes a boolean.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, markerBool, 1)
	}
	return append(b, markerBool, 0)
}

// AppendString writes a string, as a long string if it has more than 65,535 bytes.
func AppendString(b []byte, s string) []byte {
	if len(s) > maxShort {
		return appendLong(append(b, markerLongString), s)
	}
	return appendShort(append(b, markerString), s)
}

// AppendNull writes null.
func AppendNull(b []byte) []byte { return append(b, markerNull) }

// AppendObject writes an anonymous object.
func AppendObject(b []byte, props ...Property) []byte {
	return appendMembers(append(b, markerObject), props)
}

// AppendECMAArray writes an associative array.
func AppendECMAArray(b []byte, props ...Property) []byte {
	b = binary.BigEndian.AppendUint32(append(b, markerECMAArray), uint32(len(props)))
	return appendMembers(b, props)
}

func appendCompound(b []byte, v Value) []byte {
	switch v.Kind {
	case KindECMAArray:
		return AppendECMAArray(b, v.Props...)
	case KindTypedObject:
		return appendMembers(appendShort(append(b, markerTypedObject), v.Str), v.Props)
	case KindStrictArray:
		b = binary.BigEndian.AppendUint32(append(b, markerStrictArray), uint32(len(v.Props)))
		for i := range v.Props {
			b = Append(b, v.Props[i].Value)
		}
		return b
	default:
		return AppendObject(b, v.Props...)
	}
}

func appendMembers(b []byte, props []Property) []byte {
	for i := range props {
		b = Append(appendShort(b, props[i].Name), props[i].Value)
	}
	return append(b, 0, 0, markerObjectEnd)
}

func appendShort(b []byte, s string) []byte {
	s = s[:min(len(s), maxShort)]
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func appendLong(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}
