package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// fullYAML sets every key of this version.
const fullYAML = `
domains:
- name: Live.Example.COM.
  aliases: ["*.example.org", "192.0.2.7", "[2001:DB8::0:1]", "*"]
  apps:
  - name: live
    rtmp: false
    flv: true
    hls: {enabled: false, segment: 4s, window: 5, low_latency: true, part: 300ms}
    latency: 1500ms
    flush: low_latency
    gop_cache: {bytes: 8MiB, time: 6s}
    grace: 0s
    idle_timeout: 1m
    busy_policy: replace
    auth: {publish: {keys: [` + testStored + `]}}
  - name: open
`

func TestParseYAML(t *testing.T) {
	doc, err := ParseYAML([]byte(fullYAML))
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := NewConfig(9, doc)
	if err != nil {
		t.Fatal(err)
	}
	d := cfg.Domains()[0]
	if d.Name != "live.example.com" || cfg.Revision() != 9 ||
		!slices.Equal(d.Aliases, []string{"*.example.org", "192.0.2.7", "2001:db8::1", "*"}) {
		t.Errorf("domain %q, aliases %q", d.Name, d.Aliases)
	}
	live := *d.Apps()[0]
	live.keys, live.stored = nil, nil
	want := App{
		Domain: "live.example.com", Name: "live", FLV: true,
		HLS: HLS{Segment: 4 * time.Second, Window: 5, LowLatency: true, Part: 300 * time.Millisecond}, Latency: 1500 * time.Millisecond, Flush: 35 * time.Millisecond, FlushLimit: 105 * time.Millisecond,
		GOPCache:    GOPCache{Bytes: 8 << 20, Time: 6 * time.Second},
		IdleTimeout: time.Minute, BusyPolicy: BusyReplace,
	}
	if fmt.Sprintf("%+v", live) != fmt.Sprintf("%+v", want) {
		t.Errorf("got  %+v\nwant %+v", live, want)
	}
	open := *d.Apps()[1]
	want = App{
		Domain: "live.example.com", Name: "open", RTMP: true, FLV: true,
		HLS:     HLS{Enabled: true, Segment: 2 * time.Second, Window: 6},
		Latency: 3 * time.Second, Flush: 100 * time.Millisecond, FlushLimit: 350 * time.Millisecond,
		GOPCache: GOPCache{Bytes: 32 << 20, Time: 10 * time.Second}, Grace: 20 * time.Second,
		IdleTimeout: 30 * time.Second, BusyPolicy: BusyReplaceSameToken,
	}
	if fmt.Sprintf("%+v", open) != fmt.Sprintf("%+v", want) {
		t.Errorf("defaults\ngot  %+v\nwant %+v", open, want)
	}
}

func TestEmptyDocuments(t *testing.T) {
	for _, s := range []string{"", "domains: []", "domains:"} {
		if doc, err := ParseYAML([]byte(s)); err != nil || len(doc.Domains) != 0 {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// faultyYAML breaks each rule once; the faults are expected in this order.
const faultyYAML = `
colour: red
domains:
- name: "*"
  aliases: ["a.*.b", "*.*.x", "host:1935", "bad_host!", 7, "same.example", "a..b", "c.."]
  apps:
  - name: ""
  - name: live
  - name: live
- name: same.example
  apps:
  - name: a
    rtmp: "yes"
    hls: {segment: 500ms, window: 2, low_latency: true, part: 90ms, parts: 3}
    latency: 5
    flush: 7ms
    gop_cache: {bytes: 1KiB, time: 2s}
    grace: 11m
    idle_timeout: 100ms
    busy_policy: first
    acl: {allow: [x]}
    limits: {viewers: 1}
    auth: {publish: {keys: ["", "with space", "pbkdf2-sha256$x", "(redacted)"]}, play: token, tokens: [], hooks: {}}
  - []
`

// Requirement: S5 (all faults of a config at once, each with path, value and rule).
func TestAllFaultsAtOnce(t *testing.T) {
	_, err := ParseYAML([]byte(faultyYAML))
	var faults *FaultsError
	if !errors.As(err, &faults) {
		t.Fatalf("got %v", err)
	}
	rule := map[string]string{}
	for _, f := range faults.Faults {
		rule[f.Path] += f.String() + "\n"
	}
	const hls, auth = "domains[1].apps[0].hls", "domains[1].apps[0].auth"
	for path, want := range map[string]string{
		"colour":                             "unknown key; known here: domains",
		"domains[0].name":                    `"*": a pattern can only be an alias`,
		"domains[0].aliases[0]":              `"a.*.b": only one * is allowed`,
		"domains[0].aliases[1]":              `"*.*.x": only one * is allowed`,
		"domains[0].aliases[2]":              `"host:1935": must be a host without a port`,
		"domains[0].aliases[3]":              `has the byte '!'`,
		"domains[0].aliases[4]":              `7: must be a text`,
		"domains[0].aliases[6]":              `"a..b": has an empty label`,
		"domains[0].aliases[7]":              `"c..": has an empty label`,
		"domains[0].apps[0].name":            `app is empty`,
		"domains[0].apps[2].name":            `"live": the name is used at domains[0].apps[1].name already`,
		"domains[1].name":                    `"same.example": the name is used at domains[0].aliases[5] already`,
		"domains[1].apps[0].rtmp":            `"yes": must be true or false`,
		hls + ".segment":                     `500ms: must be 1s to 30s`,
		hls + ".window":                      `2: must be 3 to 60 segments`,
		hls + ".part":                        `90ms: must be 100ms to 1s`,
		hls + ".parts":                       `unknown key; known here: enabled, low_latency, part, segment, window`,
		"domains[1].apps[0].latency":         `must be a duration such as 3s or 250ms, not "5"`,
		"domains[1].apps[0].flush":           `"7ms": must be balanced, low_latency, economy, or PERIOD or PERIOD..LIMIT in multiples of 5ms`,
		"domains[1].apps[0].gop_cache.bytes": `1KiB: must be 256KiB to 256MiB`,
		"domains[1].apps[0].gop_cache.time":  `2s: must not be shorter than the latency, 3s`,
		"domains[1].apps[0].grace":           `11m: must be 0s to 10m`,
		"domains[1].apps[0].idle_timeout":    `100ms: must be 1s to 10m`,
		"domains[1].apps[0].busy_policy":     `"first": must be reject, replace or replace_same_token`,
		"domains[1].apps[0].acl":             `not supported in this version`,
		"domains[1].apps[0].limits":          `not supported in this version`,
		auth + ".play":                       `not supported in this version`,
		auth + ".tokens":                     `not supported in this version`,
		auth + ".hooks":                      `not supported in this version`,
		auth + ".publish.keys[0]":            `is empty`,
		auth + ".publish.keys[1]":            `must be printable ASCII without spaces`,
		auth + ".publish.keys[2]":            `must be pbkdf2-sha256$iterations$salt$hash`,
		"domains[1].apps[1]":                 `a list: must be a group of keys`,
	} {
		if !strings.Contains(rule[path], want) {
			t.Errorf("%s: got %q, want %q", path, rule[path], want)
		}
		delete(rule, path)
	}
	delete(rule, "domains[1].apps[1].name") // the empty app that is left after its fault
	delete(rule, "domains[0].aliases[4]")
	if len(rule) > 0 {
		t.Errorf("more faults: %v", rule)
	}
	if strings.Contains(err.Error(), "with space") {
		t.Error("a publish key is shown")
	}
}

func TestTooMuch(t *testing.T) {
	many := func(n int) (names []string) {
		for i := range n {
			names = append(names, fmt.Sprintf("n%d.example", i))
		}
		return names
	}
	apps := func(n int) (list []AppDoc) {
		for _, name := range many(n) {
			list = append(list, AppDoc{Name: name})
		}
		return list
	}
	for name, doc := range map[string]*Document{
		"domains": docOf(many(1025)...),
		"aliases": {Domains: []DomainDoc{{Name: "d", Aliases: many(65)}}},
		"apps":    {Domains: []DomainDoc{{Name: "d", Apps: apps(16000)}, {Name: "e", Apps: apps(385)}}},
		"keys":    keyed(many(17)...),
		"key":     keyed(strings.Repeat("k", 256)),
		"name":    docOf(strings.Repeat("n", 256)),
	} {
		if err := doc.Validate(); err == nil {
			t.Errorf("too many or too long %s are taken", name)
		}
	}
	faults := docOf(many(1000)...)
	for i := range faults.Domains {
		faults.Domains[i].Name = "!"
	}
	var fe *FaultsError
	if err := faults.Validate(); !errors.As(err, &fe) || len(fe.Faults) > maxFaults {
		t.Errorf("the report is not bounded: %d faults", len(fe.Faults))
	}
}

func TestNotADocument(t *testing.T) {
	for _, s := range []string{"", "{", "[]", "3", `{"domains":[]} {}`, `{"domains":{}}`, "\xff"} {
		if _, err := ParseJSON([]byte(s)); err == nil {
			t.Errorf("%q is taken as JSON", s)
		}
	}
	for _, s := range []string{"a: [", "- 1", "3", "\tx: 1"} {
		if _, err := ParseYAML([]byte(s)); err == nil {
			t.Errorf("%q is taken as YAML", s)
		}
	}
}

func TestNormalizedIsWrittenAndReadBack(t *testing.T) {
	doc, err := ParseYAML([]byte(fullYAML))
	if err != nil {
		t.Fatal(err)
	}
	once, err := json.Marshal(doc.Normalize())
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseJSON(once)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := json.Marshal(back.Normalize())
	if err != nil || !bytes.Equal(once, twice) {
		t.Errorf("%v\n%s\n%s", err, once, twice)
	}
}

func TestUnits(t *testing.T) {
	for in, want := range map[string]Duration{
		"3s": Duration(3 * time.Second), "1m": Duration(time.Minute), "2h": Duration(2 * time.Hour), "0s": 0,
		"1m30s": Duration(90 * time.Second), "250ms": Duration(250 * time.Millisecond),
	} {
		var d Duration
		if err := d.UnmarshalText([]byte(in)); err != nil || d != want || d.String() != in {
			t.Errorf("%s: %v, %v", in, d, err)
		}
	}
	for in, want := range map[string]ByteSize{
		"0": 0, "1000": 1000, "64KiB": 64 << 10, "3MiB": 3 << 20, "1GiB": 1 << 30, "1025": 1025,
	} {
		var s ByteSize
		if err := s.UnmarshalText([]byte(in)); err != nil || s != want || s.String() != in {
			t.Errorf("%s: %v, %v", in, s, err)
		}
	}
	for _, in := range []string{"", "-1", "1.5MiB", "9223372036854775807KiB", "MiB", "5MB"} {
		var s ByteSize
		if err := s.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("size %q is taken as %d", in, s)
		}
	}
}

// FuzzParseJSON: no input panics, and what is valid normalizes to something
// valid that normalizes to itself and compiles once its keys are hashed.
func FuzzParseJSON(f *testing.F) {
	for _, s := range []string{fullYAML, faultyYAML, "domains:\n- {name: a.example, apps: [{name: live}]}"} {
		var tree any
		if err := DecodeYAML([]byte(s), &struct{ D any }{}); err == nil {
			f.Fatal("the seed has no domains")
		}
		doc, err := ParseYAML([]byte(s))
		if err == nil {
			tree = doc.Normalize()
		}
		b, err := json.Marshal(tree)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"domains":[{"name":"::1","aliases":["*","*.a"],"apps":[{"name":"x","latency":"1s"}]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		doc, err := ParseJSON(b)
		if err != nil {
			return
		}
		once := doc.Normalize()
		if err := once.Validate(); err != nil {
			t.Fatalf("normalized is invalid: %v", err)
		}
		a, errA := json.Marshal(once)
		c, errC := json.Marshal(once.Normalize())
		if errors.Join(errA, errC) != nil || !bytes.Equal(a, c) {
			t.Fatalf("normalized twice:\n%s\n%s", a, c)
		}
		for i := range once.Domains {
			for j := range once.Domains[i].Apps {
				once.Domains[i].Apps[j].Auth = nil // hashing is slow
			}
		}
		if _, err := NewConfig(1, once); err != nil {
			t.Fatalf("valid, but does not compile: %v", err)
		}
	})
}

// TestPartIsWrittenOutWithLowLatency: a later version with another default does
// not change a running app, and an app without parts says nothing of them.
func TestPartIsWrittenOutWithLowLatency(t *testing.T) {
	for _, low := range []bool{false, true} {
		doc := &Document{Domains: []DomainDoc{{Name: "d", Apps: []AppDoc{{Name: "a", HLS: &HLSDoc{LowLatency: low}}}}}}
		h := doc.Normalize().Domains[0].Apps[0].HLS
		if h.LowLatency != low || (h.Part != nil) != low || low && *h.Part != Duration(200*time.Millisecond) {
			t.Errorf("low latency %t: %+v", low, h)
		}
	}
}
