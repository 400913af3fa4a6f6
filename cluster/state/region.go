package state

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"tmms/media"
)

// RegionDoc says which networks of clients belong to a region. The region need not
// have nodes.
type RegionDoc struct {
	Name     string   `json:"name" yaml:"name"`
	Networks []string `json:"networks" yaml:"networks"` // prefixes in CIDR notation, or single addresses
}

// CheckRegion says what is wrong with the name of a region: 1 to media.MaxPlace
// letters, digits, '-', '_' or '.', not first a dot.
func CheckRegion(name string) error {
	if name == "" {
		return errors.New("is empty")
	}
	if len(name) > media.MaxPlace {
		return fmt.Errorf("has %d bytes, the limit is %d", len(name), media.MaxPlace)
	}
	if name[0] == '.' {
		return errors.New("must not begin with a dot")
	}
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return fmt.Errorf("has the byte %q; allowed are letters, digits, '-', '_' and '.'", c)
		}
	}
	return nil
}

// parseNetwork reads a prefix, RFC 4632 section 3.1 and RFC 4291 section 2.3, or an
// address, which is a prefix of its whole length. Bits behind the prefix are refused:
// they are a slip of the pen. IPv4 in IPv6 (::ffff:0:0/96) is IPv4.
func parseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, errors.New("must be a network such as 192.0.2.0/24 or 2001:db8::/32, or an address")
	}
	if p.Masked() != p {
		return netip.Prefix{}, fmt.Errorf("has bits behind its prefix; %s is meant, or one address", p.Masked())
	}
	if p.Addr().Is4In6() {
		const mapped = 96 // bits of ::ffff:0:0
		if p.Bits() < mapped {
			return netip.Prefix{}, errors.New("has IPv4 addresses and others; write IPv4 networks as such")
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped)
	}
	return p, nil
}

// regions checks the table of clients' networks.
func (v *validator) regions(list []RegionDoc) {
	if len(list) > media.MaxRegions {
		v.add("regions", len(list), "at most %d regions", media.MaxRegions)
		return
	}
	total := 0
	for i := range list {
		total += len(list[i].Networks)
	}
	if total > media.MaxRegionNetworks {
		v.add("regions", total, "at most %d networks in all regions", media.MaxRegionNetworks)
		return
	}
	names, networks := map[string]string{}, make(map[netip.Prefix]string, total)
	for i := range list {
		path := "regions[" + strconv.Itoa(i) + "]"
		if err := CheckRegion(list[i].Name); err != nil {
			v.add(path+".name", list[i].Name, "%s", err)
		} else if first, dup := names[list[i].Name]; dup {
			v.add(path+".name", list[i].Name, "the region is at %s already", first)
		} else {
			names[list[i].Name] = path + ".name"
		}
		v.networks(path+".networks", list[i].Networks, networks)
	}
}

// networks checks those of one region; seen has all networks so far with their paths.
func (v *validator) networks(path string, list []string, seen map[netip.Prefix]string) {
	if len(list) == 0 {
		v.add(path, nil, "is empty; leave the region out")
	}
	for i, s := range list {
		at := path + "[" + strconv.Itoa(i) + "]"
		p, err := parseNetwork(s)
		if err != nil {
			v.add(at, s, "%s", err)
			continue
		}
		if first, dup := seen[p]; dup {
			v.add(at, s, "the network is at %s already", first)
			continue
		}
		seen[p] = at
	}
}

// normalizeRegions writes each network in its one form.
func normalizeRegions(in []RegionDoc) []RegionDoc {
	if len(in) == 0 {
		return nil
	}
	out := make([]RegionDoc, len(in))
	for i := range in {
		out[i] = RegionDoc{Name: in[i].Name, Networks: make([]string, len(in[i].Networks))}
		for j, s := range in[i].Networks {
			if p, err := parseNetwork(s); err == nil {
				s = p.String()
			}
			out[i].Networks[j] = s
		}
	}
	return out
}

// networkTable finds the longest prefix with an address: one map look-up for each
// length of prefix that occurs, 32 and 128 at most, however many networks there are.
// It is immutable.
type networkTable struct {
	regions map[netip.Prefix]string
	v4, v6  []int // lengths that occur, longest first
}

// newNetworkTable compiles a valid list.
func newNetworkTable(list []RegionDoc) (t networkTable, err error) {
	for i := range list {
		for _, s := range list[i].Networks {
			p, err := parseNetwork(s)
			if err != nil {
				return t, fmt.Errorf("region %s: network %q %w", list[i].Name, clip(s), err)
			}
			if t.regions == nil {
				t.regions = map[netip.Prefix]string{}
			}
			t.regions[p] = list[i].Name
			lengths := &t.v4
			if p.Addr().Is6() {
				lengths = &t.v6
			}
			if !slices.Contains(*lengths, p.Bits()) {
				*lengths = append(*lengths, p.Bits())
			}
		}
	}
	longest := func(a, b int) int { return cmp.Compare(b, a) }
	slices.SortFunc(t.v4, longest)
	slices.SortFunc(t.v6, longest)
	return t, nil
}

func (t *networkTable) find(a netip.Addr) (region string, ok bool) {
	a = a.Unmap().WithZone("")
	lengths := t.v4
	if a.Is6() {
		lengths = t.v6
	}
	for _, bits := range lengths {
		p, err := a.Prefix(bits)
		if err != nil {
			return "", false
		}
		if region, ok = t.regions[p]; ok {
			return region, true
		}
	}
	return "", false
}

// RegionOf gives the region of a client's address, by the longest of the networks in
// the table of regions; false: none has it.
func (c *Config) RegionOf(client netip.Addr) (region string, ok bool) { return c.networks.find(client) }
