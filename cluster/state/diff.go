package state

import (
	"cmp"
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"tmms/media"
)

// ChangeKind says what has become of something.
type ChangeKind string

// The kinds of changes.
const (
	Added   ChangeKind = "added"
	Removed ChangeKind = "removed"
	Changed ChangeKind = "changed"
)

// Change is one difference between two configs: of a domain, an app or, with a
// key, one of its settings. Publish keys are only counted, never shown.
type Change struct {
	Kind   ChangeKind `json:"kind"`
	Domain string     `json:"domain,omitempty"` // canonical name
	App    string     `json:"app,omitempty"`
	Key    string     `json:"key,omitempty"` // as domains.yaml has it, such as hls.segment
	Old    string     `json:"old,omitempty"` // its value, if Changed
	New    string     `json:"new,omitempty"`
}

// String gives the change on a line: "~ example.org/live hls.segment: 2s -> 4s".
func (c Change) String() string {
	mark := map[ChangeKind]string{Added: "+", Removed: "-", Changed: "~"}[c.Kind]
	text := mark + " " + c.Domain
	if c.App != "" {
		text += "/" + c.App
	}
	if c.Key != "" {
		text = strings.TrimRight(text, " ") + " " + c.Key
	}
	switch c.Kind {
	case Added:
		return appendDetail(text, c.New)
	case Removed:
		return appendDetail(text, c.Old)
	case Changed:
	}
	return fmt.Sprintf("%s: %s -> %s", text, cmp.Or(c.Old, "none"), cmp.Or(c.New, "none"))
}

func appendDetail(text, detail string) string {
	if detail == "" {
		return text
	}
	return text + ": " + detail
}

// Tally counts domains or apps by what has become of them. An app of a domain that
// was added or removed counts as such too.
type Tally struct {
	Added   int `json:"added"`
	Removed int `json:"removed"`
	Changed int `json:"changed"`
}

func (t *Tally) add(kind ChangeKind) {
	switch kind {
	case Added:
		t.Added++
	case Removed:
		t.Removed++
	case Changed:
		t.Changed++
	}
}

func (t Tally) text(one, many string) []string {
	var parts []string
	for _, of := range []struct {
		n    int
		kind ChangeKind
	}{{t.Added, Added}, {t.Removed, Removed}, {t.Changed, Changed}} {
		noun := many
		if of.n == 1 {
			noun = one
		}
		if of.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s %s", of.n, noun, of.kind))
		}
	}
	return parts
}

// Diff is what one config has otherwise than another.
type Diff struct {
	Changes []Change `json:"changes"`        // by domain, then by app
	More    int      `json:"more,omitempty"` // beyond media.MaxConfigChanges
	Domains Tally    `json:"domains"`
	Apps    Tally    `json:"apps"`
	Regions Tally    `json:"regions"` // of clients' networks
}

// Empty reports whether there is no difference.
func (d *Diff) Empty() bool { return len(d.Changes) == 0 }

// Summary says it in a few words: "1 domain added, 2 apps changed".
func (d *Diff) Summary() string {
	parts := append(d.Domains.text("domain", "domains"), d.Apps.text("app", "apps")...)
	parts = append(parts, d.Regions.text("region", "regions")...)
	switch {
	case len(parts) > 0:
		return strings.Join(parts, ", ")
	case d.Empty():
		return "nothing"
	}
	return "only the order"
}

func (d *Diff) add(c Change) {
	if len(d.Changes) == media.MaxConfigChanges {
		d.More++
		return
	}
	d.Changes = append(d.Changes, c)
}

// Compare gives the differences of two normalized documents. It costs time in
// proportion to their apps, and nothing depends on how many keys are hashed.
func Compare(old, now *Document) *Diff {
	d := &Diff{Changes: []Change{}}
	was, is := byName(old.Domains, domainName), byName(now.Domains, domainName)
	if order(old.Domains, is, domainName) != order(now.Domains, was, domainName) {
		d.add(Change{Kind: Changed, Key: "domains", Old: "another order", New: "this order"})
	}
	for _, name := range both(was, is) {
		d.domain(name, was[name], is[name])
	}
	d.regions(old.Regions, now.Regions)
	return d
}

// regions adds what has become of the clients' networks: how many came and went, of
// each region.
func (d *Diff) regions(old, now []RegionDoc) {
	before := len(d.Changes) + d.More
	defer func() {
		if len(d.Changes)+d.More == before && !reflect.DeepEqual(old, now) {
			d.add(Change{Kind: Changed, Key: "regions", Old: "another order", New: "this order"})
		}
	}()
	was, is := byName(old, regionName), byName(now, regionName)
	for _, name := range both(was, is) {
		c := Change{Kind: Changed, Key: "regions." + name}
		switch o, n := was[name], is[name]; {
		case o == nil:
			c.Kind, c.New = Added, networksText(n.Networks)
		case n == nil:
			c.Kind, c.Old = Removed, networksText(o.Networks)
		default:
			added, removed := missingFrom(n.Networks, o.Networks), missingFrom(o.Networks, n.Networks)
			if added+removed == 0 {
				continue
			}
			c.Old = networksText(o.Networks)
			c.New = fmt.Sprintf("%s (%d added, %d removed)", networksText(n.Networks), added, removed)
		}
		d.add(c)
		d.Regions.add(c.Kind)
	}
}

func regionName(r *RegionDoc) string { return r.Name }

func networksText(list []string) string {
	if len(list) == 1 {
		return "1 network"
	}
	return strconv.Itoa(len(list)) + " networks"
}

// missingFrom counts the elements of a list that another one lacks, of lists that may
// be long.
func missingFrom(list, from []string) (n int) {
	have := make(map[string]bool, len(from))
	for _, s := range from {
		have[s] = true
	}
	for _, s := range list {
		if !have[s] {
			n++
		}
	}
	return n
}

func domainName(d *DomainDoc) string { return d.Name }
func appName(a *AppDoc) string       { return a.Name }

// byName makes the elements of a list found by their names.
func byName[T any](list []T, name func(*T) string) map[string]*T {
	m := make(map[string]*T, len(list))
	for i := range list {
		m[name(&list[i])] = &list[i]
	}
	return m
}

// both are the names in either, sorted.
func both[T any](a, b map[string]*T) []string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

// order is the order of those elements that are in the other list too.
func order[T any](list []T, other map[string]*T, name func(*T) string) string {
	var b strings.Builder
	for i := range list {
		if n := name(&list[i]); other[n] != nil {
			b.WriteString(n)
			b.WriteByte('/') // no name has one
		}
	}
	return b.String()
}

func (d *Diff) domain(name string, old, now *DomainDoc) {
	before, kind := len(d.Changes)+d.More, Changed
	switch {
	case old == nil:
		kind, old = Added, &DomainDoc{}
		d.add(Change{Kind: Added, Domain: name, New: aliasesText(now)})
	case now == nil:
		kind, now = Removed, &DomainDoc{}
		d.add(Change{Kind: Removed, Domain: name, Old: aliasesText(old)})
	case !slices.Equal(old.Aliases, now.Aliases):
		d.add(Change{
			Kind: Changed, Domain: name, Key: "aliases",
			Old: strings.Join(old.Aliases, " "), New: strings.Join(now.Aliases, " "),
		})
	}
	was, is := byName(old.Apps, appName), byName(now.Apps, appName)
	if order(old.Apps, is, appName) != order(now.Apps, was, appName) {
		d.add(Change{Kind: Changed, Domain: name, Key: "apps", Old: "another order", New: "this order"})
	}
	if kind != Changed || len(d.Changes)+d.More > before {
		d.Domains.add(kind)
	}
	for _, app := range both(was, is) {
		d.app(name, app, was[app], is[app])
	}
}

func aliasesText(d *DomainDoc) string {
	if len(d.Aliases) == 0 {
		return ""
	}
	return "aliases " + strings.Join(d.Aliases, " ")
}

func (d *Diff) app(domain, name string, old, now *AppDoc) {
	c := Change{Kind: Changed, Domain: domain, App: name}
	switch {
	case old == nil:
		c.Kind, c.New = Added, publishText(now.publishKeys())
		d.add(c)
	case now == nil:
		c.Kind, c.Old = Removed, publishText(old.publishKeys())
		d.add(c)
	case reflect.DeepEqual(old, now):
		return
	default:
		d.settings(c, old, now)
		d.keys(c, old.publishKeys(), now.publishKeys())
	}
	d.Apps.add(c.Kind)
}

// settings adds the settings that differ, in the document's order.
func (d *Diff) settings(c Change, old, now *AppDoc) {
	was, is := settingsOf(old), settingsOf(now)
	for i := range is { // both have all: what is not set has no value
		if was[i] != is[i] {
			c.Key, c.Old, c.New = is[i].key, was[i].value, is[i].value
			d.add(c)
		}
	}
}

// keys adds how the publish keys differ, without saying which they are.
func (d *Diff) keys(c Change, old, now []string) {
	added, removed := missing(now, old), missing(old, now)
	if slices.Equal(old, now) {
		return
	}
	how := "another order"
	if added+removed > 0 {
		how = fmt.Sprintf("%d added, %d removed", added, removed)
	}
	c.Key, c.Old, c.New = "auth.publish.keys", publishText(old), publishText(now)+" ("+how+")"
	d.add(c)
}

// missing counts the elements of a list that another one lacks.
func missing(list, from []string) (n int) {
	for _, k := range list {
		if !slices.Contains(from, k) {
			n++
		}
	}
	return n
}

func publishText(keys []string) string {
	switch len(keys) {
	case 0:
		return "open"
	case 1:
		return "1 key"
	}
	return strconv.Itoa(len(keys)) + " keys"
}

// setting is a leaf of an app's document.
type setting struct{ key, value string }

// settingsOf lists all settings of an app, set or not, but for its name and for
// what is secret.
func settingsOf(a *AppDoc) []setting {
	var list []setting
	collectSettings("", reflect.ValueOf(*a), &list)
	return list
}

func collectSettings(prefix string, v reflect.Value, into *[]setting) {
	for i := range v.NumField() {
		key, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if prefix == "" && (key == "name" || key == "auth") {
			continue
		}
		f, of := v.Field(i), v.Type().Field(i).Type
		if of.Kind() == reflect.Pointer {
			of = of.Elem()
			if f = f.Elem(); !f.IsValid() && of.Kind() == reflect.Struct {
				f = reflect.Zero(of)
			}
		}
		switch of.Kind() {
		case reflect.Struct:
			collectSettings(prefix+key+".", f, into)
		case reflect.Interface: // kept for later, and empty
		default:
			*into = append(*into, setting{prefix + key, leafText(f)})
		}
	}
}

// leafText is what a person writes; "" if there is nothing.
func leafText(v reflect.Value) string {
	if !v.IsValid() {
		return ""
	}
	if t, ok := reflect.TypeAssert[encoding.TextMarshaler](v); ok {
		if b, err := t.MarshalText(); err == nil {
			return string(b)
		}
	}
	return fmt.Sprint(v.Interface())
}
