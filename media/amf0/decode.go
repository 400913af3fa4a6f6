package amf0

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"tmms/media"
)

// Errors that callers may branch on; every one that this package returns wraps one of them.
var (
	// ErrShort says that the bytes end inside a value.
	ErrShort = errors.New("amf0: short data")
	// ErrMarker says that a type marker is unknown or not allowed on the wire.
	ErrMarker = errors.New("amf0: bad marker")
	// ErrLimit says that a value is nested too deeply or has too many parts.
	ErrLimit = errors.New("amf0: over the limit")
)

// Decode reads the first value of b and says how many bytes it takes. The
// value shares no memory with b.
func Decode(b []byte) (Value, int, error) {
	d := decoder{b: b}
	v, err := d.value(0)
	if err != nil {
		return Value{}, 0, err
	}
	return v, d.pos, nil
}

// usualValues is how many values most commands have at most: play's name,
// transaction, object, stream and start.
const usualValues = 5

// DecodeAll reads values until b ends; the limit on nodes counts for all of
// them together. With an error it returns the whole values in front of it.
func DecodeAll(b []byte) ([]Value, error) {
	d := decoder{b: b}
	var all []Value
	for d.pos < len(b) {
		v, err := d.value(0)
		if err != nil {
			return all, err
		}
		if all == nil {
			all = make([]Value, 0, usualValues)
		}
		all = append(all, v)
	}
	return all, nil
}

type decoder struct {
	b     []byte
	pos   int
	nodes int
}

func (d *decoder) value(depth int) (Value, error) {
	if err := d.enter(depth); err != nil {
		return Value{}, err
	}
	m, err := d.take(1)
	if err != nil {
		return Value{}, err
	}
	switch m[0] {
	case markerAMF3:
		return (&amf3{decoder: d}).value(depth)
	case markerObject, markerECMAArray, markerStrictArray, markerTypedObject:
		return d.compound(m[0], depth)
	}
	return d.scalar(m[0])
}

// enter counts a value in.
func (d *decoder) enter(depth int) error {
	if depth >= media.MaxAMFDepth {
		return fmt.Errorf("%w: depth %d, the limit is %d", ErrLimit, depth+1, media.MaxAMFDepth)
	}
	if d.nodes++; d.nodes > media.MaxAMFNodes {
		return fmt.Errorf("%w: more than %d nodes", ErrLimit, media.MaxAMFNodes)
	}
	return nil
}

func (d *decoder) scalar(marker byte) (Value, error) {
	switch marker {
	case markerNumber:
		f, err := d.number()
		return Value{Kind: KindNumber, Num: f}, err
	case markerBool:
		x, err := d.take(1)
		if err != nil {
			return Value{}, err
		}
		return Bool(x[0] != 0), nil
	case markerString:
		s, err := d.text()
		return Value{Kind: KindString, Str: s}, err
	case markerLongString:
		s, err := d.longText()
		return Value{Kind: KindString, Str: s}, err
	case markerXML:
		s, err := d.longText()
		return Value{Kind: KindXML, Str: s}, err
	case markerDate:
		return d.date()
	case markerReference:
		x, err := d.take(2)
		if err != nil {
			return Value{}, err
		}
		return Value{Kind: KindReference, Num: float64(binary.BigEndian.Uint16(x))}, nil
	}
	return d.empty(marker)
}

// empty reads the kinds that have no payload of their own.
func (d *decoder) empty(marker byte) (Value, error) {
	switch marker {
	case markerNull:
		return Value{Kind: KindNull}, nil
	case markerUndefined:
		return Value{Kind: KindUndefined}, nil
	case markerUnsupported:
		return Value{Kind: KindUnsupported}, nil
	}
	return Value{}, fmt.Errorf("%w: 0x%02x at byte %d", ErrMarker, marker, d.pos-1)
}

func (d *decoder) compound(marker byte, depth int) (Value, error) {
	switch marker {
	case markerObject:
		p, err := d.members(depth)
		return Value{Kind: KindObject, Props: p}, err
	case markerECMAArray:
		// The count is a hint that many writers get wrong; the end marker decides.
		if _, err := d.take(4); err != nil {
			return Value{}, err
		}
		p, err := d.members(depth)
		return Value{Kind: KindECMAArray, Props: p}, err
	case markerTypedObject:
		class, err := d.text()
		if err != nil {
			return Value{}, err
		}
		p, err := d.members(depth)
		return Value{Kind: KindTypedObject, Str: class, Props: p}, err
	}
	return d.elements(depth)
}

func (d *decoder) members(depth int) ([]Property, error) {
	var props []Property
	for {
		name, err := d.text()
		if err != nil {
			return nil, err
		}
		if name == "" && d.pos < len(d.b) && d.b[d.pos] == markerObjectEnd {
			d.pos++
			return props, nil
		}
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		props = append(props, Property{Name: name, Value: v})
	}
}

func (d *decoder) elements(depth int) (Value, error) {
	x, err := d.take(4)
	if err != nil {
		return Value{}, err
	}
	v := Value{Kind: KindStrictArray}
	for range binary.BigEndian.Uint32(x) {
		e, err := d.value(depth + 1)
		if err != nil {
			return Value{}, err
		}
		v.Props = append(v.Props, Property{Value: e})
	}
	return v, nil
}

func (d *decoder) date() (Value, error) {
	f, err := d.number()
	if err != nil {
		return Value{}, err
	}
	// The time zone is reserved and must be ignored (AMF 0 section 2.13).
	if _, err := d.take(2); err != nil {
		return Value{}, err
	}
	return Value{Kind: KindDate, Num: f}, nil
}

func (d *decoder) number() (float64, error) {
	x, err := d.take(8)
	if err != nil {
		return 0, err
	}
	return math.Float64frombits(binary.BigEndian.Uint64(x)), nil
}

func (d *decoder) text() (string, error) {
	x, err := d.take(2)
	if err != nil {
		return "", err
	}
	s, err := d.take(uint64(binary.BigEndian.Uint16(x)))
	return string(s), err
}

func (d *decoder) longText() (string, error) {
	x, err := d.take(4)
	if err != nil {
		return "", err
	}
	s, err := d.take(uint64(binary.BigEndian.Uint32(x)))
	return string(s), err
}

func (d *decoder) take(n uint64) ([]byte, error) {
	if have := uint64(len(d.b) - d.pos); n > have {
		return nil, fmt.Errorf("%w: %d bytes wanted at byte %d, %d there", ErrShort, n, d.pos, have)
	}
	s := d.b[d.pos : d.pos+int(n)]
	d.pos += int(n)
	return s, nil
}
