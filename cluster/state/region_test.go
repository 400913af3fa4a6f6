package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"tmms/media"
)

const regionsYAML = `
domains: [{name: default, aliases: ["*"], apps: [{name: live}]}]
regions:
- {name: eu, networks: [10.1.0.0/16, "2001:db8:1::/48", 192.0.2.7]}
- {name: us, networks: [10.0.0.0/8, 10.1.2.0/24, "2001:DB8::/32"]}
- {name: here, networks: ["::ffff:172.16.0.0/108", "fe80::1"]}
`

func TestRegionOf(t *testing.T) {
	cfg := compile(t, regionsYAML)
	for address, want := range map[string]string{
		"10.1.9.9": "eu", "10.2.0.1": "us", "10.1.2.3": "us", "11.0.0.1": "", "192.0.2.7": "eu", "192.0.2.8": "",
		"::ffff:10.1.9.9": "eu", "2001:db8:1::5": "eu", "2001:db8:2::5": "us", "2001:db9::": "",
		"172.16.0.9": "here", "172.32.0.1": "", "fe80::1%eth0": "here", "fe80::2": "",
	} {
		got, ok := cfg.RegionOf(netip.MustParseAddr(address))
		if got != want || ok != (want != "") {
			t.Errorf("%s is in %q, %v, want %q", address, got, ok, want)
		}
	}
	if got, ok := cfg.RegionOf(netip.Addr{}); ok {
		t.Errorf("no address is in %q", got)
	}
	if got, ok := (&Config{}).RegionOf(netip.MustParseAddr("10.1.9.9")); ok {
		t.Errorf("without a table an address is in %q", got)
	}
}

// The longest prefix wins, whatever the order of the list, and an address is looked up
// without memory.
func TestRegionOfTheLongestPrefix(t *testing.T) {
	doc := &Document{}
	for bits := range 33 {
		network := fmt.Sprintf("%s/%d", netip.PrefixFrom(netip.MustParseAddr("10.1.2.3"), bits).Masked().Addr(), bits)
		doc.Regions = append(doc.Regions, RegionDoc{Name: fmt.Sprint("r", bits), Networks: []string{network}})
	}
	cfg, err := NewConfig(1, doc)
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddr("10.1.2.3")
	for bits := range 33 {
		away := at.As4()
		if bits < 32 {
			away[bits/8] ^= 0x80 >> (bits % 8) // the first bit that is other
		}
		if got, _ := cfg.RegionOf(netip.AddrFrom4(away)); got != fmt.Sprint("r", bits) {
			t.Errorf("%v is in %s, want r%d", away, got, bits)
		}
	}
	if n := testing.AllocsPerRun(100, func() { cfg.RegionOf(at) }); n != 0 {
		t.Errorf("a look-up allocates %v times", n)
	}
}

// Requirement: S5 (all faults of a config at once, each with path, value and rule).
func TestAllFaultsOfRegions(t *testing.T) {
	_, err := ParseYAML([]byte(`
domains: []
regions:
- {name: eu, networks: [10.1.0.0/16, 10.1.0.0/33, 10.1.2.3/16, nonsense, "fe80::1%eth0", "::/0", "::ffff:0.0.0.0/95"]}
- {name: "e u", networks: [10.1.0.0/16, "::ffff:10.1.0.0/112"]}
- {name: eu, networks: []}
- {name: "", networks: [1.2.3.4], colour: red}
- {name: .x, networks: [7]}
- {name: ` + strings.Repeat("r", media.MaxPlace+1) + `, networks: [1.2.3.4/32]}
`))
	var faults *FaultsError
	if !errors.As(err, &faults) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{
		`regions[0].networks[1]: "10.1.0.0/33": must be a network such as`,
		`regions[0].networks[2]: "10.1.2.3/16": has bits behind its prefix; 10.1.0.0/16 is meant`,
		`regions[0].networks[3]: "nonsense": must be a network`,
		`regions[0].networks[4]: "fe80::1%eth0": must be a network`,
		`regions[0].networks[6]: "::ffff:0.0.0.0/95": has`,
		`regions[1].name: "e u": has the byte ' '`,
		`regions[1].networks[0]: "10.1.0.0/16": the network is at regions[0].networks[0] already`,
		`regions[1].networks[1]: "::ffff:10.1.0.0/112": the network is at regions[0].networks[0] already`,
		`regions[2].name: "eu": the region is at regions[0].name already`,
		`regions[2].networks: is empty`,
		`regions[3].name: "": is empty`,
		`regions[3].colour: unknown key; known here: name, networks`,
		`regions[4].name: ".x": must not begin with a dot`,
		`regions[4].networks[0]: 7: must be a text`,
		`regions[5].name: "rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr": has 32 bytes, the limit is 31`,
		`regions[5].networks[0]: "1.2.3.4/32": the network is at regions[3].networks[0] already`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not told: %s", want)
		}
	}
	if len(faults.Faults) != 17 { // the empty text in place of the 7 too
		t.Errorf("%d faults:\n%v", len(faults.Faults), err)
	}
}

func TestTooManyRegions(t *testing.T) {
	many := func(n int) (list []RegionDoc) {
		for i := range n {
			list = append(list, RegionDoc{Name: fmt.Sprint("r", i), Networks: []string{fmt.Sprintf("10.0.%d.%d", i>>8, i&255)}})
		}
		return list
	}
	if err := (&Document{Regions: many(media.MaxRegions)}).Validate(); err != nil {
		t.Error(err)
	}
	if err := (&Document{Regions: many(media.MaxRegions + 1)}).Validate(); err == nil {
		t.Error("too many regions are taken")
	}
	networks := make([]string, media.MaxRegionNetworks+1)
	for i := range networks {
		networks[i] = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String()
	}
	doc := &Document{Regions: []RegionDoc{{Name: "eu", Networks: networks[1:]}}}
	if err := doc.Validate(); err != nil {
		t.Error(err)
	}
	if b, err := json.Marshal(doc.Normalize()); err != nil || len(b) > media.MaxConfigBytes/2 {
		t.Errorf("all that may be takes %d bytes, %v", len(b), err)
	}
	doc.Regions[0].Networks = networks
	if err := doc.Validate(); err == nil {
		t.Error("too many networks are taken")
	}
}

// A table of regions is written in one form, and is told as a difference.
func TestRegionsAreNormalizedAndCompared(t *testing.T) {
	doc, err := ParseYAML([]byte(regionsYAML))
	if err != nil {
		t.Fatal(err)
	}
	once := doc.Normalize()
	b, err := json.Marshal(once.Regions)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"name":"eu","networks":["10.1.0.0/16","2001:db8:1::/48","192.0.2.7/32"]},` +
		`{"name":"us","networks":["10.0.0.0/8","10.1.2.0/24","2001:db8::/32"]},` +
		`{"name":"here","networks":["172.16.0.0/12","fe80::1/128"]}]`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	if d := Compare(once, once.Normalize()); !d.Empty() {
		t.Errorf("normalized twice: %+v", d)
	}
	other := once.Normalize()
	other.Regions[0].Networks = other.Regions[0].Networks[1:]
	other.Regions[1].Name = "as"
	d := Compare(once, other)
	var lines []string
	for _, c := range d.Changes {
		lines = append(lines, c.String())
	}
	const changes = "+ regions.as: 3 networks\n~ regions.eu: 3 networks -> 2 networks (0 added, 1 removed)\n- regions.us: 3 networks"
	if got := strings.Join(lines, "\n"); got != changes {
		t.Errorf("got\n%s\nwant\n%s", got, changes)
	}
	if got := d.Summary(); got != "1 region added, 1 region removed, 1 region changed" {
		t.Errorf("summary %q", got)
	}
	other = once.Normalize()
	other.Regions[0], other.Regions[1] = other.Regions[1], other.Regions[0]
	if got := Compare(once, other).Summary(); got != "only the order" {
		t.Errorf("another order: %q", got)
	}
}

// A release without the table would stop at it, so it takes the level that it came with.
func TestRegionsNeedTheirLevel(t *testing.T) {
	if got := Needs(SetConfig{Document: Document{Regions: []RegionDoc{{Name: "eu"}}}}); got != 1 {
		t.Errorf("a config with regions needs level %d", got)
	}
	if got := Needs(SetConfig{}); got != 0 {
		t.Errorf("a config without regions needs level %d", got)
	}
}

// FuzzParseNetwork: nothing panics, and what is a network is written in a form that is
// read back as the same one.
func FuzzParseNetwork(f *testing.F) {
	for _, s := range []string{
		"10.0.0.0/8", "::/0", "::ffff:10.0.0.0/104", "::ffff:0:0/95", "1.2.3.4", "fe80::1%a", "/", "1/1", "1.2.3.4/-1", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parseNetwork(s)
		if err != nil {
			return
		}
		again, err := parseNetwork(p.String())
		if err != nil || again != p || p.Masked() != p || p.Addr().Is4In6() {
			t.Fatalf("%q is %v, read back %v, %v", s, p, again, err)
		}
		table, err := newNetworkTable([]RegionDoc{{Name: "r", Networks: []string{s}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := table.find(p.Addr()); !ok {
			t.Fatalf("%v is not in itself", p)
		}
	})
}

func BenchmarkRegionOf(b *testing.B) {
	cfg := compile(b, regionsYAML)
	at := netip.MustParseAddr("11.0.0.1")
	b.ReportAllocs()
	for b.Loop() {
		cfg.RegionOf(at)
	}
}
