package gossip

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tmms/media"
)

func longest() Meta {
	text := func(n int) string { return strings.Repeat("x", n) }
	return Meta{
		ID: text(media.MaxNodeID), Name: text(media.MaxNodeName), Roles: []string{"origin", "edge"},
		Region: text(media.MaxPlace), Zone: text(media.MaxPlace), Version: text(media.MaxNodeVersion), Load: 255,
		Addrs: Addrs{
			text(media.MaxNodeAddress), text(media.MaxNodeAddress), text(media.MaxNodeAddress), text(media.MaxNodeAddress),
		},
		Cluster: text(clusterTag),
	}
}

func metaCases() map[string]Meta {
	return map[string]Meta{
		"longest":  longest(),
		"shortest": {ID: "i", Name: "n", Roles: []string{"edge"}},
		"usual":    meta("n1"),
	}
}

// Memberlist panics above 512 bytes.
func TestLongestMetaFits(t *testing.T) {
	m := longest()
	if err := m.validate(); err != nil {
		t.Fatal(err)
	}
	if n := len(appendMeta(nil, &m, 0xFF)); n > 512 || n != maxEncoded {
		t.Errorf("%d bytes, want %d", n, maxEncoded)
	}
}

func TestMeta(t *testing.T) {
	for name, m := range metaCases() {
		t.Run(name, func(t *testing.T) {
			b := appendMeta(nil, &m, flagLeaving)
			for _, more := range []string{"", "of a later version"} {
				got, flags, err := parseMeta(m.Name, append(slices.Clip(b), more...))
				if err != nil || flags != flagLeaving || !reflect.DeepEqual(got, m) {
					t.Errorf("got %+v, %d, %v", got, flags, err)
				}
			}
			old := len(b) - 1 - len(m.Cluster) // what earlier releases send ends there
			for i := range b {
				got, _, err := parseMeta(m.Name, b[:i])
				if i == old && err == nil && got.Cluster == "" && got.Addrs == m.Addrs {
					continue
				}
				if !errors.Is(err, errMetaShort) {
					t.Fatalf("%d of %d bytes: %v", i, len(b), err)
				}
			}
		})
	}
}

func TestMetaRefuses(t *testing.T) {
	m := meta("n1")
	usual := string(appendMeta(nil, &m, 0))
	for _, tc := range []struct {
		name, node, meta string
		want             error
	}{
		{"version", "n1", "\x02" + usual[1:], errMetaVersion},
		{"name", "N1", usual, errMetaValue},
		{"no-role", "n1", "\x01\x00" + usual[2:], errMetaValue},
		{"id", "n1", usual[:4] + "\x00" + usual[5+len(m.ID):], errMetaValue},
		{"long", "n1", usual[:4] + "\xFF" + strings.Repeat("i", 255) + usual[5+len(m.ID):], errMetaValue},
		{"control", "n1", strings.Replace(usual, "eu", "e\n", 1), errMetaValue},
	} {
		if _, _, err := parseMeta(tc.node, []byte(tc.meta)); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
		}
	}
}

func FuzzParseMeta(f *testing.F) {
	for _, m := range metaCases() {
		f.Add(m.Name, appendMeta(nil, &m, 0))
	}
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		m, flags, err := parseMeta(name, b)
		if err != nil {
			return
		}
		again := appendMeta(nil, &m, flags)
		if len(again) > maxMeta {
			t.Fatalf("%d bytes", len(again))
		}
		if got, _, err := parseMeta(name, again); err != nil || !reflect.DeepEqual(got, m) {
			t.Fatalf("%+v became %+v, %v", m, got, err)
		}
	})
}
