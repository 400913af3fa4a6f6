package amf0

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"tmms/media"
)

type valueCase struct {
	name string
	in   string // wire bytes
	want Value
}

func valueCases() []valueCase {
	long := strings.Repeat("x", math.MaxUint16+1)
	return []valueCase{
		{"number", "\x00\x3f\xf0\x00\x00\x00\x00\x00\x00", Number(1)},
		{"true", "\x01\x01", Bool(true)},
		{"false", "\x01\x00", Bool(false)},
		{"string", "\x02\x00\x02hi", String("hi")},
		{"empty string", "\x02\x00\x00", String("")},
		{"long string", "\x0c\x00\x01\x00\x00" + long, String(long)},
		{"null", "\x05", Null()},
		{"undefined", "\x06", Value{}},
		{"reference", "\x07\x01\x02", Value{Kind: KindReference, Num: 258}},
		{"unsupported", "\x0d", Value{Kind: KindUnsupported}},
		{"XML", "\x0f\x00\x00\x00\x03<a>", Value{Kind: KindXML, Str: "<a>"}},
		{"date", "\x0b\x3f\xf0\x00\x00\x00\x00\x00\x00\x00\x00", Value{Kind: KindDate, Num: 1}},
		{"empty object", "\x03\x00\x00\x09", Object()},
		{
			"object keeps its order", "\x03\x00\x01b\x05\x00\x01a\x01\x01\x00\x00\x09",
			Object(Property{"b", Null()}, Property{"a", Bool(true)}),
		},
		{
			"object with an empty name", "\x03\x00\x00\x05\x00\x00\x09",
			Object(Property{"", Null()}),
		},
		{
			"typed object", "\x10\x00\x01C\x00\x01b\x05\x00\x00\x09",
			Value{Kind: KindTypedObject, Str: "C", Props: []Property{{"b", Null()}}},
		},
		{
			"ECMA array", "\x08\x00\x00\x00\x01\x00\x01b\x05\x00\x00\x09",
			ECMAArray(Property{"b", Null()}),
		},
		{"strict array", "\x0a\x00\x00\x00\x02\x05\x02\x00\x01a", StrictArray(Null(), String("a"))},
		{
			"nested", "\x03\x00\x01o\x03\x00\x01a\x0a\x00\x00\x00\x01\x06\x00\x00\x09\x00\x00\x09",
			Object(Property{"o", Object(Property{"a", StrictArray(Value{})})}),
		},
	}
}

func TestValues(t *testing.T) {
	for _, tc := range valueCases() {
		t.Run(tc.name, func(t *testing.T) {
			in := []byte(tc.in)
			got, n, err := Decode(append(in, "behind"...)[:len(in)])
			if err != nil || n != len(in) || !reflect.DeepEqual(got, tc.want) {
				t.Fatalf("Decode: %+v, %d of %d bytes, error %v", got, n, len(in), err)
			}
			if out := Append([]byte("before"), tc.want); string(out) != "before"+tc.in {
				t.Errorf("Append: % x\nwant % x", out[6:min(len(out), 60)], in[:min(len(in), 54)])
			}
			for n := range in {
				if _, _, err := Decode(in[:n]); !errors.Is(err, ErrShort) {
					t.Fatalf("%d of %d bytes: error %v, want %v", n, len(in), err, ErrShort)
				}
				if n > 1000 {
					break
				}
			}
		})
	}
}

func TestDecodeWrongCount(t *testing.T) {
	// The count of an ECMA array is a hint; a strict array's is not.
	v, _, err := Decode([]byte("\x08\xff\xff\xff\xff\x00\x01b\x05\x00\x00\x09"))
	if err != nil || len(v.Props) != 1 {
		t.Errorf("ECMA array: %+v, %v", v, err)
	}
	if _, _, err := Decode([]byte("\x0a\xff\xff\xff\xff\x05")); !errors.Is(err, ErrShort) {
		t.Errorf("strict array: error %v", err)
	}
}

func TestDecodeAll(t *testing.T) {
	b := AppendNull(AppendNumber(AppendString(nil, "connect"), 1))
	got, err := DecodeAll(b)
	if want := []Value{String("connect"), Number(1), Null()}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = DecodeAll(append(b, 0x04))
	if !errors.Is(err, ErrMarker) || len(got) != 3 {
		t.Errorf("%d values in front of a bad marker, error %v", len(got), err)
	}
	if got, err := DecodeAll(nil); got != nil || err != nil {
		t.Errorf("nothing: %v, %v", got, err)
	}
}

func TestLimits(t *testing.T) {
	nest := func(depth int) []byte {
		v := Null()
		for range depth - 1 {
			v = StrictArray(v)
		}
		return Append(nil, v)
	}
	if _, _, err := Decode(nest(media.MaxAMFDepth)); err != nil {
		t.Errorf("depth %d: %v", media.MaxAMFDepth, err)
	}
	if _, _, err := Decode(nest(media.MaxAMFDepth + 1)); !errors.Is(err, ErrLimit) {
		t.Errorf("depth %d: error %v", media.MaxAMFDepth+1, err)
	}
	if _, err := DecodeAll(bytes.Repeat([]byte{markerNull}, media.MaxAMFNodes)); err != nil {
		t.Errorf("%d nodes: %v", media.MaxAMFNodes, err)
	}
	if _, err := DecodeAll(bytes.Repeat([]byte{markerNull}, media.MaxAMFNodes+1)); !errors.Is(err, ErrLimit) {
		t.Errorf("%d nodes: error %v", media.MaxAMFNodes+1, err)
	}
	for _, marker := range []byte{0x04, 0x09, 0x0e, 0x12, 0xff} {
		if _, _, err := Decode([]byte{marker, 0, 0, 0}); !errors.Is(err, ErrMarker) {
			t.Errorf("marker %#x: error %v", marker, err)
		}
	}
}

func TestAccessors(t *testing.T) {
	v := Object(Property{"n", Number(2)}, Property{"s", String("x")}, Property{"b", Bool(true)}, Property{"n", Number(3)})
	if v.Get("n").Float() != 2 || v.Get("s").Text() != "x" || !v.Get("b").True() || v.Get("none").Kind != KindUndefined {
		t.Errorf("%+v", v)
	}
	if v.Get("s").Float() != 0 || v.Get("n").Text() != "" || v.Get("s").True() || !Number(1).True() || Bool(false).True() {
		t.Error("an accessor of another kind gives something")
	}
}

// A name that is too long for its length field is cut, never written wrong.
func TestAppendLongName(t *testing.T) {
	b := AppendObject(nil, Property{strings.Repeat("n", math.MaxUint16+5), Null()})
	v, n, err := Decode(b)
	if err != nil || n != len(b) || len(v.Props[0].Name) != math.MaxUint16 {
		t.Errorf("%d of %d bytes, error %v", n, len(b), err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, tc := range valueCases() {
		if len(tc.in) < 1000 {
			f.Add([]byte(tc.in))
		}
	}
	for _, tc := range amf3Cases() {
		f.Add([]byte(tc.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		v, n, err := Decode(in)
		if _, errAll := DecodeAll(in); err != nil && errAll == nil && len(in) > 0 {
			t.Errorf("DecodeAll takes what Decode refuses: %v", err)
		}
		if err != nil {
			return
		}
		if n <= 0 || n > len(in) {
			t.Fatalf("%d of %d bytes", n, len(in))
		}
		out := Append(nil, v)
		again, m, err := Decode(out)
		if err != nil || m != len(out) {
			t.Fatalf("written back: %d of %d bytes, error %v", m, len(out), err)
		}
		if third := Append(nil, again); !bytes.Equal(out, third) {
			t.Errorf("% x\nthen % x", out, third)
		}
	})
}
