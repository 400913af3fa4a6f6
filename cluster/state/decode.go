package state

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ParseJSON reads and validates a document; the error is a [FaultsError] that
// names everything wrong with it at once, or says why it is no JSON at all.
func ParseJSON(b []byte) (*Document, error) { return parse(b, DecodeJSON) }

// ParseYAML is ParseJSON for YAML.
func ParseYAML(b []byte) (*Document, error) { return parse(b, DecodeYAML) }

func parse(b []byte, decode func([]byte, any) error) (*Document, error) {
	var d Document
	if err := JoinFaults(decode(b, &d), d.Validate()); err != nil {
		return nil, err
	}
	return &d, nil
}

// DecodeJSON fills *out, a pointer to a struct with json tags or to a list of such, strictly: an
// unknown key or a value of the wrong type is a fault with its path, and all of
// them are reported at once in a [FaultsError]. Fields without a fault are set.
func DecodeJSON(b []byte, out any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("not JSON: more than one value")
	}
	return fill(tree, out)
}

// DecodeYAML is DecodeJSON for YAML; the json tags name the keys there too.
func DecodeYAML(b []byte, out any) error {
	var tree any
	if err := yaml.Unmarshal(b, &tree); err != nil {
		return fmt.Errorf("not YAML: %w", err)
	}
	return fill(tree, out) // an empty file leaves every default
}

func fill(tree, out any) error {
	var faults faultList
	faults.fill("", tree, reflect.ValueOf(out).Elem())
	return faults.err()
}

// fill sets out from a decoded tree. A null leaves the default.
func (l *faultList) fill(path string, in any, out reflect.Value) {
	if in == nil {
		return
	}
	if t, ok := reflect.TypeAssert[encoding.TextUnmarshaler](out.Addr()); ok {
		l.fillText(path, in, t)
		return
	}
	switch out.Kind() {
	case reflect.Pointer:
		v, before := reflect.New(out.Type().Elem()), len(*l)
		l.fill(path, in, v.Elem())
		if len(*l) == before || v.Elem().Kind() == reflect.Struct {
			out.Set(v) // a value with a fault stays at its default: one fault is enough
		}
	case reflect.Struct:
		l.fillStruct(path, in, out)
	case reflect.Slice:
		l.fillSlice(path, in, out)
	case reflect.Interface:
		out.Set(reflect.ValueOf(in))
	default:
		l.fillScalar(path, in, out)
	}
}

func (l *faultList) fillStruct(path string, in any, out reflect.Value) {
	m, ok := in.(map[string]any)
	if !ok {
		l.add(at(path), in, "must be a group of keys")
		return
	}
	fields := map[string]reflect.Value{}
	collectFields(out, fields)
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if f, known := fields[key]; known {
			l.fill(join(path, key), m[key], f)
			continue
		}
		names := strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
		l.add(join(path, key), nil, "unknown key; known here: %s", names)
	}
}

func collectFields(v reflect.Value, into map[string]reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			collectFields(v.Field(i), into)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		into[name] = v.Field(i)
	}
}

func (l *faultList) fillSlice(path string, in any, out reflect.Value) {
	list, ok := in.([]any)
	if !ok {
		l.add(at(path), in, "must be a list")
		return
	}
	s := reflect.MakeSlice(out.Type(), len(list), len(list))
	for i, e := range list {
		l.fill(path+"["+strconv.Itoa(i)+"]", e, s.Index(i))
	}
	out.Set(s)
}

func (l *faultList) fillText(path string, in any, out encoding.TextUnmarshaler) {
	switch in.(type) {
	case string, int, json.Number:
	default:
		l.add(at(path), in, "must be a text or a number")
		return
	}
	if err := out.UnmarshalText([]byte(fmt.Sprint(in))); err != nil {
		l.add(at(path), nil, "%s", err)
	}
}

func (l *faultList) fillScalar(path string, in any, out reflect.Value) {
	switch out.Kind() {
	case reflect.String:
		if s, ok := in.(string); ok {
			out.SetString(s)
			return
		}
		l.add(at(path), in, "must be a text")
	case reflect.Bool:
		if b, ok := in.(bool); ok {
			out.SetBool(b)
			return
		}
		l.add(at(path), in, "must be true or false")
	case reflect.Int:
		if n, ok := integer(in); ok {
			out.SetInt(n)
			return
		}
		l.add(at(path), in, "must be a whole number")
	case reflect.Uint64:
		if n, ok := integer(in); ok && n >= 0 {
			out.SetUint(uint64(n))
			return
		}
		l.add(at(path), in, "must be a whole number, 0 or more")
	default:
		l.add(at(path), in, "this key takes no value of that type")
	}
}

func integer(in any) (int64, bool) {
	switch in.(type) {
	case int, json.Number:
		n, err := strconv.ParseInt(fmt.Sprint(in), 10, 64)
		return n, err == nil
	}
	return 0, false
}

// at names the root of a document.
func at(path string) string {
	if path == "" {
		return "(document)"
	}
	return path
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
