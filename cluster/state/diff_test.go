package state

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"tmms/media"
)

// changes gives the differences of two documents, one a line.
func changes(tb testing.TB, old, now string) (*Diff, string) {
	tb.Helper()
	var docs [2]*Document
	for i, text := range []string{old, now} {
		doc, err := ParseYAML([]byte(text))
		if err != nil {
			tb.Fatal(err)
		}
		docs[i] = doc.Normalize()
	}
	d := Compare(docs[0], docs[1])
	lines := make([]string, len(d.Changes))
	for i, c := range d.Changes {
		lines[i] = c.String()
	}
	return d, strings.Join(lines, "\n")
}

func TestCompare(t *testing.T) {
	base := "domains: [{name: a.example, aliases: [x], apps: [{name: live}, {name: other, auth: {publish: {keys: [one, two]}}}]}, " +
		"{name: b.example, apps: [{name: live}]}]"
	for _, c := range []struct{ name, now, lines, summary string }{
		{"nothing", base, "", "nothing"},
		{
			"defaults written out", strings.Replace(base, "{name: live}", "{name: live, rtmp: true, latency: 3000ms}", 1), "", "nothing",
		},
		{
			"settings", strings.Replace(base, "{name: live}", "{name: live, rtmp: false, hls: {segment: 4s, low_latency: true}, "+
				"gop_cache: {bytes: 8MiB}, busy_policy: reject}", 1),
			"~ a.example/live rtmp: true -> false\n~ a.example/live hls.segment: 2s -> 4s\n" +
				"~ a.example/live hls.low_latency: false -> true\n~ a.example/live hls.part: none -> 200ms\n" +
				"~ a.example/live gop_cache.bytes: 32MiB -> 8MiB\n~ a.example/live busy_policy: replace_same_token -> reject",
			"1 app changed",
		},
		{
			"an app more", strings.Replace(base, "[{name: live}]", "[{name: live}, {name: new}]", 1),
			"+ b.example/new: open", "1 app added",
		},
		{"an app less", strings.Replace(base, "{name: live}, ", "", 1), "- a.example/live: open", "1 app removed"},
		{
			"a domain more", strings.Replace(base, "[{name: a", "[{name: c.example, apps: [{name: live}]}, {name: a", 1),
			"+ c.example\n+ c.example/live: open", "1 domain added, 1 app added",
		},
		{
			"all less", "domains: []",
			"- a.example: aliases x\n- a.example/live: open\n- a.example/other: 2 keys\n- b.example\n- b.example/live: open",
			"2 domains removed, 3 apps removed",
		},
		{
			"aliases", strings.Replace(base, "[x]", "[x, '*.y']", 1), "~ a.example aliases: x -> x *.y", "1 domain changed",
		},
		{
			"keys", strings.Replace(base, "[one, two]", "[two, three, four]", 1),
			"~ a.example/other auth.publish.keys: 2 keys -> 3 keys (2 added, 1 removed)", "1 app changed",
		},
		{
			"no key", strings.Replace(base, "[one, two]", "[]", 1),
			"~ a.example/other auth.publish.keys: 2 keys -> open (0 added, 2 removed)", "1 app changed",
		},
		{
			"the order of keys", strings.Replace(base, "[one, two]", "[two, one]", 1),
			"~ a.example/other auth.publish.keys: 2 keys -> 2 keys (another order)", "1 app changed",
		},
		{
			"the order of domains", "domains: [{name: b.example, apps: [{name: live}]}, {name: a.example, aliases: [x], " +
				"apps: [{name: live}, {name: other, auth: {publish: {keys: [one, two]}}}]}]",
			"~ domains: another order -> this order", "only the order",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, lines := changes(t, base, c.now)
			if lines != c.lines || d.Summary() != c.summary || d.Empty() != (c.lines == "") {
				t.Errorf("got\n%s\n%s\nwant\n%s\n%s", lines, d.Summary(), c.lines, c.summary)
			}
			if b, err := json.Marshal(d); err != nil || strings.Contains(string(b), `"one"`) {
				t.Errorf("%s, %v", b, err)
			}
		})
	}
}

// large is a config of so many domains with ten apps each: by name, by alias and by
// suffix, and one for all others.
func large(domains int) *Document {
	d := &Document{}
	for i := range domains {
		dom := DomainDoc{Name: fmt.Sprintf("d%04d.example", i), Aliases: []string{
			fmt.Sprintf("alias%04d.example", i), fmt.Sprintf("*.s%04d.example", i), fmt.Sprintf("*.deep.s%04d.example", i),
		}}
		if i == 0 {
			dom.Aliases = append(dom.Aliases, "*")
		}
		for j := range 10 {
			dom.Apps = append(dom.Apps, AppDoc{Name: fmt.Sprintf("app%d", j), Auth: &AuthDoc{Publish: &PublishAuthDoc{
				Keys: []string{testStored},
			}}})
		}
		d.Domains = append(d.Domains, dom)
	}
	return d.Normalize()
}

// The largest config that is asked for is within all bounds, and so is what is
// said about it.
func TestThousandDomains(t *testing.T) {
	doc := large(1000)
	s := initialized(t)
	command := mustEncode(t, SetConfig{By: "ops", Document: *doc})
	if len(command) > media.MaxConfigBytes*3/4 {
		t.Errorf("the command has %d bytes, the limit is %d", len(command), media.MaxConfigBytes)
	}
	if r := run(t, s, SetConfig{By: "ops", Document: *doc}); r != (SetConfigResult{Revision: 1, Changed: true}) {
		t.Fatalf("got %+v", r)
	}
	b, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	restored := New()
	if err = restored.Restore(b); err != nil || len(restored.Config().Domains()) != 1000 {
		t.Fatalf("%d domains, %v", len(restored.Config().Domains()), err)
	}
	d := Compare(&Document{}, doc)
	if len(d.Changes) != media.MaxConfigChanges || d.More != 11_000-media.MaxConfigChanges ||
		d.Summary() != "1000 domains added, 10000 apps added" {
		t.Errorf("%d changes, %d more: %s", len(d.Changes), d.More, d.Summary())
	}
	if !Compare(doc, doc).Empty() {
		t.Error("it differs from itself")
	}
}

// A look-up takes as many probes of a map with a thousand domains as with ten: two,
// and one for each dot.
func TestLookupDoesNotDependOnTheNumber(t *testing.T) {
	for _, host := range []string{
		"d0007.example", "alias0007.example", "x.s0007.example", "y.x.s0007.example", "a.b.deep.s0007.example", "unknown.test",
		"198.51.100.7", strings.Repeat("a.", 100) + "s0007.example",
	} {
		var probes [2]int
		var found [2]*Domain
		for i, n := range []int{10, 1000} {
			cfg, err := NewConfig(1, large(n))
			if err != nil {
				t.Fatal(err)
			}
			found[i], probes[i] = cfg.match(host)
		}
		if probes[0] != probes[1] || probes[1] > 2+strings.Count(host, ".") {
			t.Errorf("%.40s: %d probes of 10 domains, %d of 1,000", host, probes[0], probes[1])
		}
		if (found[0] == nil) != (found[1] == nil) || (found[1] == nil) != (host == "unknown.test" || host == "198.51.100.7") {
			t.Errorf("%.40s: %v and %v", host, found[0], found[1])
		}
	}
}

// The time of these does not depend on the number of domains.
func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{10, 1000} {
		cfg, err := NewConfig(1, large(n))
		if err != nil {
			b.Fatal(err)
		}
		for _, host := range []string{"d0007.example", "alias0007.example", "x.y.s0007.example", "x.deep.s0007.example", "no.test"} {
			b.Run(fmt.Sprintf("%d/%s", n, host), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					d, err := cfg.Resolve(host+":1935", "")
					if err != nil {
						b.Fatal(err)
					}
					if _, err = d.App("app7"); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func TestKeepKeys(t *testing.T) {
	old, err := NewConfig(1, docWithKeys(testStored, HashKey("other", []byte("0123456789abcdef"))))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		keys []string
		want string
	}{
		{[]string{Redacted, Redacted}, "1 2"},
		{[]string{Redacted, "new", Redacted}, "1 new 2"},
		{[]string{"new"}, "new"},
		{[]string{Redacted}, "fault"},
		{[]string{Redacted, Redacted, Redacted}, "fault"},
	} {
		doc := docWithKeys(c.keys...)
		fault := doc.KeepKeys(old)
		got := strings.Join(doc.Domains[0].Apps[0].publishKeys(), " ")
		for i, stored := range old.findApp("a.example", "live").stored {
			got = strings.ReplaceAll(got, stored, strconv.Itoa(i+1))
		}
		if fault != nil {
			got = "fault"
		}
		if got != c.want {
			t.Errorf("%q: got %s, want %s (%v)", c.keys, got, c.want, fault)
		}
	}
	if docWithKeys(Redacted).KeepKeys(nil) == nil || docWithKeys("a").KeepKeys(nil) != nil {
		t.Error("without a config")
	}
	marks := docWithKeys(Redacted)
	marks.HashKeys(nil, func() []byte { return []byte("0123456789abcdef") })
	if _, err = NewConfig(2, marks); err == nil {
		t.Error("a mark became a key")
	}
}

func docWithKeys(keys ...string) *Document {
	return &Document{Domains: []DomainDoc{{Name: "a.example", Apps: []AppDoc{
		{Name: "live", Auth: &AuthDoc{Publish: &PublishAuthDoc{Keys: keys}}},
	}}}}
}

// A fault never shows what may be a key or a token.
func TestFaultsShowNoSecrets(t *testing.T) {
	for _, auth := range []string{
		"{publish: {keys: s3cret}}", "{publish: {keys: [s 3cret]}}", "{publish: {keys: [{s3cret: s3cret}]}}", "{publish: s3cret}", "s3cret",
		"{tokens: s3cret}", "{play: {key: s3cret}}", "{key: s3cret}", "{publish: {keys: ['pbkdf2-sha256$s3cret']}}",
	} {
		_, err := ParseYAML([]byte("domains: [{name: a.example, apps: [{name: live, auth: " + auth + "}]}]"))
		if err == nil || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "3cret]") {
			t.Errorf("%s: %v", auth, err)
		}
	}
	s := New()
	_, err := s.Apply(1, []byte(`{"v":1,"type":"set_config","key":"s3cret`))
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("a command: %v", err)
	}
}
