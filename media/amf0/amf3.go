package amf0

import (
	"fmt"
	"strconv"

	"tmms/media"
)

// Type markers of AMF3 (Adobe, "Action Message Format -- AMF 3", 2013, section 3.1).
const (
	amf3Undefined  = 0x00
	amf3Null       = 0x01
	amf3False      = 0x02
	amf3True       = 0x03
	amf3Integer    = 0x04
	amf3Double     = 0x05
	amf3String     = 0x06
	amf3XMLDoc     = 0x07
	amf3Date       = 0x08
	amf3Array      = 0x09
	amf3Object     = 0x0A
	amf3XML        = 0x0B
	amf3ByteArray  = 0x0C
	amf3Inline     = 1 // bit of a length: what follows is here, not a reference
	amf3TraitsHere = 2 // bit of an object's: its names are too
	amf3Foreign    = 4 // bit: the class writes itself, in a way of its own
	amf3Dynamic    = 8 // bit: members follow beside those of the class
)

// traits are the names of an object's members, which later objects refer to.
type traits struct {
	class   string
	names   []string
	dynamic bool
}

// amf3 reads one AMF3 value in the middle of AMF0 as the AMF0 value that says the
// same. Its tables of references begin with it. References to strings and names are
// followed; one to an object is undefined, as values have no identity here, and what
// is referred to over and over is bounded in all by media.MaxMessageData.
type amf3 struct {
	*decoder

	strings []string
	traits  []traits
	text    int // bytes of all texts, each time they are referred to
}

func (a *amf3) value(depth int) (Value, error) {
	if err := a.enter(depth); err != nil {
		return Value{}, err
	}
	m, err := a.take(1)
	if err != nil {
		return Value{}, err
	}
	switch m[0] {
	case amf3Undefined:
		return Value{}, nil
	case amf3Null:
		return Null(), nil
	case amf3False, amf3True:
		return Bool(m[0] == amf3True), nil
	case amf3Integer:
		n, err := a.u29()
		return Number(float64(int32(n<<3) >> 3)), err //nolint:gosec // 29 bits with a sign
	case amf3Double:
		f, err := a.number()
		return Number(f), err
	case amf3String:
		s, err := a.string()
		return String(s), err
	case amf3Array:
		return a.array(depth)
	case amf3Object:
		return a.object(depth)
	}
	return a.blob(m[0])
}

// blob reads the kinds that have a length, or a date, or refer to one.
func (a *amf3) blob(marker byte) (Value, error) {
	if marker != amf3Date && marker != amf3XMLDoc && marker != amf3XML && marker != amf3ByteArray {
		return Value{}, fmt.Errorf("%w: AMF3 0x%02x at byte %d", ErrMarker, marker, a.pos-1)
	}
	n, err := a.u29()
	if err != nil || n&amf3Inline == 0 {
		return Value{}, err
	}
	if marker == amf3Date {
		v := Value{Kind: KindDate}
		v.Num, err = a.number()
		return v, err
	}
	b, err := a.take(uint64(n >> 1))
	switch {
	case err != nil:
		return Value{}, err
	case marker == amf3ByteArray: // AMF0 has none
		return Value{Kind: KindUnsupported}, nil
	}
	return Value{Kind: KindXML, Str: string(b)}, a.count(len(b))
}

// array reads its named members, and behind them the others by their number, or all
// as a strict array if none has a name (section 3.11).
func (a *amf3) array(depth int) (Value, error) {
	n, err := a.u29()
	if err != nil || n&amf3Inline == 0 {
		return Value{}, err
	}
	v := Value{Kind: KindStrictArray}
	if v.Props, err = a.members(depth); err != nil {
		return Value{}, err
	}
	named := len(v.Props) > 0
	if named {
		v.Kind = KindECMAArray
	}
	for i := range n >> 1 {
		var p Property
		if p.Value, err = a.value(depth + 1); err != nil {
			return Value{}, err
		}
		if named {
			p.Name = strconv.FormatUint(uint64(i), 10)
		}
		v.Props = append(v.Props, p)
	}
	return v, nil
}

// object reads the members of its class, and then those beside them (section 3.12).
func (a *amf3) object(depth int) (Value, error) {
	n, err := a.u29()
	if err != nil || n&amf3Inline == 0 {
		return Value{}, err
	}
	t, err := a.traitsOf(n)
	if err != nil {
		return Value{}, err
	}
	v := Value{Kind: KindObject}
	if t.class != "" {
		v.Kind, v.Str = KindTypedObject, t.class
	}
	for _, name := range t.names {
		if err = a.count(len(name)); err != nil {
			return Value{}, err
		}
		p := Property{Name: name}
		if p.Value, err = a.value(depth + 1); err != nil {
			return Value{}, err
		}
		v.Props = append(v.Props, p)
	}
	if !t.dynamic {
		return v, nil
	}
	more, err := a.members(depth)
	v.Props = append(v.Props, more...)
	return v, err
}

// traitsOf reads the names of an object with the head n, or finds them.
func (a *amf3) traitsOf(n uint32) (traits, error) {
	if n&amf3TraitsHere == 0 {
		i := int(n >> 2)
		if i >= len(a.traits) {
			return traits{}, fmt.Errorf("%w: AMF3 refers to class %d of %d", ErrMarker, i, len(a.traits))
		}
		return a.traits[i], nil
	}
	if n&amf3Foreign != 0 {
		return traits{}, fmt.Errorf("%w: AMF3 object of a class that writes itself", ErrMarker)
	}
	t := traits{dynamic: n&amf3Dynamic != 0}
	var err error
	if t.class, err = a.string(); err != nil {
		return traits{}, err
	}
	for range n >> 4 {
		name, err := a.string()
		if err != nil {
			return traits{}, err
		}
		if a.nodes++; a.nodes > media.MaxAMFNodes {
			return traits{}, fmt.Errorf("%w: more than %d nodes", ErrLimit, media.MaxAMFNodes)
		}
		t.names = append(t.names, name)
	}
	a.traits = append(a.traits, t)
	return t, nil
}

// members reads names and values up to an empty name.
func (a *amf3) members(depth int) ([]Property, error) {
	var props []Property
	for {
		name, err := a.string()
		if err != nil || name == "" {
			return props, err
		}
		v, err := a.value(depth + 1)
		if err != nil {
			return nil, err
		}
		props = append(props, Property{Name: name, Value: v})
	}
}

// string reads a text or finds it; an empty one is never referred to (section 1.3.2).
func (a *amf3) string() (string, error) {
	n, err := a.u29()
	if err != nil {
		return "", err
	}
	if n&amf3Inline == 0 {
		i := int(n >> 1)
		if i >= len(a.strings) {
			return "", fmt.Errorf("%w: AMF3 refers to string %d of %d", ErrMarker, i, len(a.strings))
		}
		return a.strings[i], a.count(len(a.strings[i]))
	}
	b, err := a.take(uint64(n >> 1))
	if err != nil || len(b) == 0 {
		return "", err
	}
	a.strings = append(a.strings, string(b))
	return string(b), a.count(len(b))
}

// count bounds what references make of few bytes.
func (a *amf3) count(n int) error {
	if a.text += n; a.text > media.MaxMessageData {
		return fmt.Errorf("%w: texts of more than %d bytes", ErrLimit, media.MaxMessageData)
	}
	return nil
}

// u29 reads an integer of 29 bits in 1 to 4 bytes (section 1.3.1).
func (a *amf3) u29() (uint32, error) {
	const last = 3 // bytes of 7 bits ahead of one of 8
	var n uint32
	for i := range last + 1 {
		b, err := a.take(1)
		if err != nil {
			return 0, err
		}
		if i == last {
			return n<<8 | uint32(b[0]), nil
		}
		n = n<<7 | uint32(b[0]&0x7F)
		if b[0]&0x80 == 0 {
			break
		}
	}
	return n, nil
}
