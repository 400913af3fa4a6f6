package flv

import (
	"slices"
	"testing"

	"tmms/media"
)

func TestFourCCs(t *testing.T) {
	names := append(VideoNames(), AudioNames()...)
	seen := FourCCs(0)
	for _, name := range names {
		s := ParseFourCC(name)
		if s == 0 || s&seen != 0 || s&fourCCOther != 0 {
			t.Errorf("%s is %b, beside %b", name, s, seen)
		}
		seen |= s
		if got := s.String(); got != name {
			t.Errorf("%s is written %q", name, got)
		}
	}
	if all := ParseFourCC("*"); all != seen|fourCCOther || AllFourCCs != all ||
		VideoFourCCs&AudioFourCCs != fourCCOther {
		t.Errorf("all are %b, those with a name %b", all, seen)
	}
	if got := AllFourCCs.Names(); !slices.Equal(got, append(names, "others")) {
		t.Errorf("names %q", got)
	}
	for _, name := range []string{"", "hvc", "hvc12", "**"} {
		if s := ParseFourCC(name); s != 0 {
			t.Errorf("%q is %v", name, s)
		}
	}
	if ParseFourCC("vvc1") != fourCCOther {
		t.Error("what is not known here does not count as another")
	}
}

func TestFourCCsOf(t *testing.T) {
	for _, c := range []struct {
		typ  media.Type
		body string
		want string
	}{
		{media.TypeVideo, "\x17\x01\x00\x00\x00nal", ""},
		{media.TypeVideo, "\x1c\x01\x00\x00\x00nal", ""}, // hevc-codecid12
		{media.TypeAudio, "\xaf\x01raw", ""},
		{media.TypeData, "\x91hvc1", ""},
		{media.TypeVideo, "", ""},
		{media.TypeVideo, "\x91hv", ""},
		{media.TypeVideo, "\xd1\x01", ""}, // a command
		{media.TypeVideo, "\xa3hvc1nal", "hvc1"},
		{media.TypeVideo, "\xa7\x02\x00\x01\x02\x03av01obu", "av01"},
		{media.TypeVideo, "\x96\x23hvc1\x05\x00\x00\x01xav01\x06\x00\x00\x01x", "hvc1, av01"},
		{media.TypeVideo, "\x96\x23hvc1\x05\x00\x00\x01xav01\x06\x00\x00\x09x", "hvc1"}, // cut short
		{media.TypeAudio, "\x95\x21Opus\x00\x00\x00\x01xac-3\x01\x00\x00\x01xfLaC\x02\x00\x00\x00", "Opus, ac-3, fLaC"},
		{media.TypeVideo, "\xa1zzzzx", "others"},
	} {
		if got := FourCCsOf(c.typ, []byte(c.body)).String(); got != c.want {
			t.Errorf("%q needs %q, want %q", c.body, got, c.want)
		}
	}
	body := []byte("\x96\x23hvc1\x05\x00\x00\x01xav01\x06\x00\x00\x01x")
	if n := testing.AllocsPerRun(100, func() { FourCCsOf(media.TypeVideo, body) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func TestCodecID(t *testing.T) {
	for _, c := range []struct {
		typ  media.Type
		body string
		want uint32
	}{
		{media.TypeVideo, "\x17\x01\x00\x00\x00nal", 7},
		{media.TypeVideo, "\x1c\x01\x00\x00\x00nal", 12},
		{media.TypeAudio, "\xaf\x01raw", 10},
		{media.TypeVideo, "\xa3hvc1nal", 0x68766331},
		{media.TypeAudio, "\x91Opusraw", 0x4F707573},
	} {
		info, err := Describe(c.typ, []byte(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if got := CodecID(c.typ, []byte(c.body), &info); got != c.want {
			t.Errorf("%q has the codec id %#x, want %#x", c.body, got, c.want)
		}
	}
}
