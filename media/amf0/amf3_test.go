package amf0

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"tmms/media"
)

// amf3Cases feed TestAMF3, every truncation, and the fuzz seeds.
func amf3Cases() []struct {
	name, in string
	want     Value
} {
	one := "\x3f\xf0\x00\x00\x00\x00\x00\x00"
	return []struct {
		name, in string
		want     Value
	}{
		{"undefined", "\x11\x00", Value{}},
		{"null", "\x11\x01", Null()},
		{"false", "\x11\x02", Bool(false)},
		{"true", "\x11\x03", Bool(true)},
		{"integer", "\x11\x04\x05", Number(5)},
		{"integer of 2 bytes", "\x11\x04\x81\x00", Number(128)},
		{"integer of 3 bytes", "\x11\x04\x81\x80\x00", Number(1 << 14)},
		{"largest integer", "\x11\x04\xbf\xff\xff\xff", Number(1<<28 - 1)},
		{"-1", "\x11\x04\xff\xff\xff\xff", Number(-1)},
		{"least integer", "\x11\x04\xc0\x80\x80\x00", Number(-1 << 28)},
		{"double", "\x11\x05" + one, Number(1)},
		{"string", "\x11\x06\x05hi", String("hi")},
		{"empty string", "\x11\x06\x01", String("")},
		{"XML", "\x11\x0b\x07<a>", Value{Kind: KindXML, Str: "<a>"}},
		{"XML document", "\x11\x07\x07<a>", Value{Kind: KindXML, Str: "<a>"}},
		{"date", "\x11\x08\x01" + one, Value{Kind: KindDate, Num: 1}},
		{"bytes", "\x11\x0c\x05ab", Value{Kind: KindUnsupported}},
		{"strict array", "\x11\x09\x05\x01\x01\x03", StrictArray(Null(), Bool(true))},
		{
			"array with names", "\x11\x09\x03\x03a\x01\x01\x03",
			ECMAArray(Property{"a", Null()}, Property{"0", Bool(true)}),
		},
		{
			"object", "\x11\x0a\x0b\x01\x03a\x04\x01\x05bc\x06\x05hi\x01",
			Object(Property{"a", Number(1)}, Property{"bc", String("hi")}),
		},
		{
			"object of a class", "\x11\x0a\x13\x03C\x03a\x01",
			Value{Kind: KindTypedObject, Str: "C", Props: []Property{{"a", Null()}}},
		},
		{
			"a string again", "\x11\x09\x05\x01\x06\x05hi\x06\x00",
			StrictArray(String("hi"), String("hi")),
		},
		{
			"a class again", "\x11\x09\x05\x01\x0a\x13\x01\x03a\x02\x0a\x01\x03",
			StrictArray(Object(Property{"a", Bool(false)}), Object(Property{"a", Bool(true)})),
		},
		{"an object again", "\x11\x09\x05\x01\x0a\x0b\x01\x01\x0a\x02", StrictArray(Object(), Value{})},
	}
}

func TestAMF3(t *testing.T) {
	for _, tc := range amf3Cases() {
		t.Run(tc.name, func(t *testing.T) {
			in := []byte(tc.in)
			got, n, err := Decode(append(in, "behind"...)[:len(in)])
			if err != nil || n != len(in) || !reflect.DeepEqual(got, tc.want) {
				t.Fatalf("%+v, %d of %d bytes, error %v; want %+v", got, n, len(in), err, tc.want)
			}
			for n := range in {
				if _, _, err = Decode(in[:n]); !errors.Is(err, ErrShort) {
					t.Fatalf("%d of %d bytes: error %v, want %v", n, len(in), err, ErrShort)
				}
			}
			// AMF0 goes on behind it.
			all, err := DecodeAll(AppendString(in, "behind"))
			if err != nil || len(all) != 2 || all[1].Text() != "behind" {
				t.Errorf("%+v, %v", all, err)
			}
		})
	}
}

func TestAMF3Refuses(t *testing.T) {
	long := "\x11\x09" + "\xa0\x01\x01" + "\x06\x88\x01" + strings.Repeat("x", 512) + strings.Repeat("\x06\x00", 1023)
	for _, tc := range []struct {
		name, in string
		want     error
	}{
		{"marker", "\x11\x12", ErrMarker},
		{"vector", "\x11\x0d\x01\x00", ErrMarker},
		{"a string that was not", "\x11\x06\x00", ErrMarker},
		{"a class that was not", "\x11\x0a\x01", ErrMarker},
		{"a class that writes itself", "\x11\x0a\x07\x03C", ErrMarker},
		{"a text referred to over and over", long, ErrLimit},
		{"nested", "\x11" + strings.Repeat("\x09\x03\x01", media.MaxAMFDepth) + "\x01", ErrLimit},
		{"names without an end", "\x11\x0a\xbf\xff\xff\xff\x01" + strings.Repeat("\x01", media.MaxAMFNodes+1), ErrMarker},
		{"more values than there may be", "\x11\x09\xbf\xff\xff\xff\x01" + strings.Repeat("\x01", media.MaxAMFNodes+1), ErrLimit},
	} {
		if _, _, err := Decode([]byte(tc.in)); !errors.Is(err, tc.want) {
			t.Errorf("%s: error %v, want %v", tc.name, err, tc.want)
		}
	}
}
