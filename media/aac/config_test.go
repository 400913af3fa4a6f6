package aac

import (
	"errors"
	"testing"

	"tmms/media"
)

// bitString packs "0101 11..." into bytes, zeros at the end.
func bitString(s string) []byte {
	var w bitWriter
	for _, c := range s {
		if c != ' ' {
			w.u(uint32(c-'0'), 1)
		}
	}
	return w.b
}

// pce51 is a program config element, from the element tag to the comment, of
// 5.1: front centre and pair, back pair, LFE. The first 16 bits of the
// AudioSpecificConfig are in front of it.
const pce51 = "0000 01 0100 0010 0000 0001 01 000 0000 0 0 0" + // tag, LC, 44.1 kHz; 2 front, 0 side, 1 back, 1 LFE
	" 0 0000 1 0000 1 0000 0000" + // front: single, pair; back: pair; LFE
	" 000" + // to the byte
	" 00000010 01101000 01101001" // comment "hi"

// configCases feed the tests of the parser, of ADTS and the fuzz seeds.
var configCases = []struct {
	name  string
	asc   []byte
	want  Config
	codec string
	adts  string // error of CheckADTS
}{
	{
		"lc-44100-stereo",
		[]byte{0x12, 0x10},
		Config{ObjectType: LC, Signalled: LC, SampleRate: 44100, ChannelConfig: 2, Channels: 2, FrameSamples: 1024},
		"mp4a.40.2", "",
	},
	{
		"main-48000-mono", bitString("00001 0011 0001 000"),
		Config{ObjectType: Main, Signalled: Main, SampleRate: 48000, ChannelConfig: 1, Channels: 1, FrameSamples: 1024},
		"mp4a.40.1", "",
	},
	{
		"ssr-8000-3", bitString("00011 1011 0011 000"),
		Config{ObjectType: SSR, Signalled: SSR, SampleRate: 8000, ChannelConfig: 3, Channels: 3, FrameSamples: 1024},
		"mp4a.40.3", "",
	},
	{
		"ltp-7350-5.1", bitString("00100 1100 0110 000"),
		Config{ObjectType: LTP, Signalled: LTP, SampleRate: 7350, ChannelConfig: 6, Channels: 6, FrameSamples: 1024},
		"mp4a.40.4", "",
	},
	{
		"7.1", bitString("00010 0011 0111 000"),
		Config{ObjectType: LC, Signalled: LC, SampleRate: 48000, ChannelConfig: 7, Channels: 8, FrameSamples: 1024},
		"mp4a.40.2", "",
	},
	{
		"7.1-config-12", bitString("00010 0011 1100 000"),
		Config{ObjectType: LC, Signalled: LC, SampleRate: 48000, ChannelConfig: 12, Channels: 8, FrameSamples: 1024},
		"mp4a.40.2",
		"aac: ADTS cannot carry channel configuration 12, only 0 to 7",
	},
	{
		"frequency-index-15-of-the-table", bitString("00010 1111 000000001011101110000000 0010 000"),
		Config{ObjectType: LC, Signalled: LC, SampleRate: 48000, ChannelConfig: 2, Channels: 2, FrameSamples: 1024},
		"mp4a.40.2", "",
	},
	{
		"frequency-index-15-odd", bitString("00010 1111 000000001010110001000101 0010 000"),
		Config{ObjectType: LC, Signalled: LC, SampleRate: 44101, ChannelConfig: 2, Channels: 2, FrameSamples: 1024},
		"mp4a.40.2",
		"aac: ADTS cannot carry a sample rate of 44101 Hz, only those with a frequency index",
	},
	{
		"explicit-sbr", bitString("00101 0111 0010 0100 00010 000"),
		Config{ObjectType: LC, Signalled: SBR, SampleRate: 22050, ChannelConfig: 2, Channels: 2, SBR: true, ExtensionRate: 44100, FrameSamples: 1024},
		"mp4a.40.5", "",
	},
	{
		"explicit-ps", bitString("11101 0111 0001 0100 00010 000"),
		Config{ObjectType: LC, Signalled: PS, SampleRate: 22050, ChannelConfig: 1, Channels: 1, SBR: true, PS: true, ExtensionRate: 44100, FrameSamples: 1024},
		"mp4a.40.29", "",
	},
	{
		"implicit-sbr", bitString("00010 0111 0010 000 01010110111 00101 1 0100"),
		Config{ObjectType: LC, Signalled: LC, SampleRate: 22050, ChannelConfig: 2, Channels: 2, SBR: true, ExtensionRate: 44100, FrameSamples: 1024},
		"mp4a.40.2", "",
	},
	{
		"implicit-ps", bitString("00010 0111 0001 000 01010110111 00101 1 0100 10101001000 1"),
		Config{ObjectType: LC, Signalled: LC, SampleRate: 22050, ChannelConfig: 1, Channels: 1, SBR: true, PS: true, ExtensionRate: 44100, FrameSamples: 1024},
		"mp4a.40.2", "",
	},
	{
		"implicit-sbr-off", bitString("00010 0100 0010 000 01010110111 00101 0"),
		Config{ObjectType: LC, Signalled: LC, SampleRate: 44100, ChannelConfig: 2, Channels: 2, FrameSamples: 1024},
		"mp4a.40.2", "",
	},
	{
		"channel-config-0", bitString("00010 0100 0000 000" + pce51),
		Config{ObjectType: LC, Signalled: LC, SampleRate: 44100, Channels: 6, FrameSamples: 1024},
		"mp4a.40.2", "",
	},
	{
		"960-samples", bitString("00010 0100 0010 100"),
		Config{ObjectType: LC, Signalled: LC, SampleRate: 44100, ChannelConfig: 2, Channels: 2, FrameSamples: 960},
		"mp4a.40.2",
		"aac: ADTS cannot carry frames of 960 samples, only 1024",
	},
	{
		"ld", bitString("10111 0011 0010 000"),
		Config{ObjectType: 23, Signalled: 23, SampleRate: 48000, ChannelConfig: 2, Channels: 2, FrameSamples: 512},
		"mp4a.40.23",
		"aac: ADTS cannot carry audio object type 23, only 1 to 4",
	},
	{
		"eld", bitString("11111 000111 0011 0010 1 0"),
		Config{ObjectType: ELD, Signalled: ELD, SampleRate: 48000, ChannelConfig: 2, Channels: 2, FrameSamples: 480},
		"mp4a.40.39",
		"aac: ADTS cannot carry audio object type 39, only 1 to 4",
	},
	{
		"usac", bitString("11111 001010 0011 0010 0000"),
		Config{ObjectType: 42, Signalled: 42, SampleRate: 48000, ChannelConfig: 2, Channels: 2, FrameSamples: 1024},
		"mp4a.40.42",
		"aac: ADTS cannot carry audio object type 42, only 1 to 4",
	},
	{
		"core-coder-and-er-flags", bitString("10001 0100 0010 0 1 00000000000001 1 000 0"),
		Config{ObjectType: 17, Signalled: 17, SampleRate: 44100, ChannelConfig: 2, Channels: 2, FrameSamples: 1024},
		"mp4a.40.17",
		"aac: ADTS cannot carry audio object type 17, only 1 to 4",
	},
}

// Case asc-adts, the parsing.
func TestParseConfig(t *testing.T) {
	for _, c := range configCases {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseConfig(c.asc)
			if err != nil {
				t.Fatal(err)
			}
			if s := got.CodecString(); s != c.codec {
				t.Errorf("codec string %s, want %s", s, c.codec)
			}
			if (got.pce != nil) != (c.want.ChannelConfig == 0) {
				t.Errorf("program config element % x with channel configuration %d", got.pce, c.want.ChannelConfig)
			}
			got.pce = nil
			if diff := differences(*got, c.want); diff {
				t.Errorf("got %+v, want %+v", *got, c.want)
			}
			if _, err := ParseConfig(c.asc[:1]); !errors.Is(err, ErrMalformed) {
				t.Errorf("one byte: error %v, want %v", err, ErrMalformed)
			}
		})
	}
}

func differences(a, b Config) bool {
	return a.ObjectType != b.ObjectType || a.Signalled != b.Signalled || a.SampleRate != b.SampleRate ||
		a.ChannelConfig != b.ChannelConfig || a.Channels != b.Channels || a.SBR != b.SBR || a.PS != b.PS ||
		a.ExtensionRate != b.ExtensionRate || a.FrameSamples != b.FrameSamples
}

func TestParseConfigMalformed(t *testing.T) {
	for name, b := range map[string][]byte{
		"missing":            nil,
		"object-type-0":      bitString("00000 0100 0010 000"),
		"reserved-frequency": bitString("00010 1101 0010 000"),
		"rate-0":             bitString("00010 1111 000000000000000000000000 0010 000"),
		"pce-cut":            bitString("00010 0100 0000 000 0000 01 0100"),
		"pce-no-channel":     append(bitString("00010 0100 0000 000"), make([]byte, 16)...),
		"huge":               make([]byte, media.MaxCodecConfig+1),
	} {
		if c, err := ParseConfig(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %+v, error %v, want %v", name, c, err, ErrMalformed)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	for _, c := range configCases {
		f.Add(c.asc, []byte("frame"))
	}
	f.Fuzz(func(t *testing.T, asc, frame []byte) {
		c, err := ParseConfig(asc)
		if err != nil {
			return
		}
		if c.SampleRate <= 0 || c.FrameSamples <= 0 || c.ObjectType == 0 {
			t.Fatalf("accepted %+v", c)
		}
		b, err := c.AppendADTS([]byte("x"), frame)
		if err != nil {
			if !errors.Is(err, ErrADTS) || string(b) != "x" {
				t.Fatalf("error %v, dst %q", err, b)
			}
			return
		}
		checkADTS(t, c, b[1:], frame)
	})
}
