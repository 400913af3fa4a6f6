package amf0

// Kind is the type of a [Value].
type Kind uint8

// The kinds of values. The zero Kind is undefined, so that the zero Value, a
// missing member and an absent argument all look alike.
const (
	KindUndefined Kind = iota
	KindNull
	KindNumber
	KindBool
	KindString
	KindObject
	KindECMAArray
	KindStrictArray
	KindDate
	KindXML
	KindTypedObject
	KindReference
	KindUnsupported
)

// Value is one AMF0 value. Which fields mean something depends on Kind.
type Value struct {
	Kind  Kind
	Num   float64    // Number; Date in ms since 1970; Bool as 0 or 1; index of a Reference
	Str   string     // String, XML; class name of a TypedObject
	Props []Property // members in wire order; elements of a StrictArray have empty names
}

// Property is a named member of an object or of an ECMA array.
type Property struct {
	Name  string
	Value Value
}

// Number gives a number value.
func Number(f float64) Value { return Value{Kind: KindNumber, Num: f} }

// Bool gives a boolean value.
func Bool(b bool) Value {
	if b {
		return Value{Kind: KindBool, Num: 1}
	}
	return Value{Kind: KindBool}
}

// String gives a string value; one longer than 65,535 bytes is written as a long string.
func String(s string) Value { return Value{Kind: KindString, Str: s} }

// Null gives a null value.
func Null() Value { return Value{Kind: KindNull} }

// Object gives an anonymous object.
func Object(props ...Property) Value { return Value{Kind: KindObject, Props: props} }

// ECMAArray gives an associative array.
func ECMAArray(props ...Property) Value { return Value{Kind: KindECMAArray, Props: props} }

// StrictArray gives an array that is indexed by position.
func StrictArray(elems ...Value) Value {
	props := make([]Property, len(elems))
	for i, e := range elems {
		props[i].Value = e
	}
	return Value{Kind: KindStrictArray, Props: props}
}

// Get returns the first member with that name, or the zero Value.
func (v Value) Get(name string) Value {
	for i := range v.Props {
		if v.Props[i].Name == name {
			return v.Props[i].Value
		}
	}
	return Value{}
}

// True reports whether v is the boolean true, or a number other than 0, which
// some encoders send in its place.
func (v Value) True() bool {
	return (v.Kind == KindBool || v.Kind == KindNumber) && v.Num != 0
}

// Text is the text of a string value, "" for any other kind.
func (v Value) Text() string {
	if v.Kind == KindString {
		return v.Str
	}
	return ""
}

// Float is the value of a number, 0 for any other kind.
func (v Value) Float() float64 {
	if v.Kind == KindNumber {
		return v.Num
	}
	return 0
}
