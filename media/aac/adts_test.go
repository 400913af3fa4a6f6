package aac

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"tmms/media"
	"tmms/media/bitio"
	"tmms/media/flv"
)

// checkADTS compares every field of an ADTS frame with the configuration.
func checkADTS(t *testing.T, c *Config, b, frame []byte) {
	t.Helper()
	r := bitio.NewReader(b)
	index := uint32(0)
	for i, rate := range sampleRates {
		if rate == c.SampleRate {
			index = uint32(i)
		}
	}
	for _, f := range []struct {
		name string
		bits int
		want uint32
	}{
		{"syncword", 12, 0xFFF},
		{"ID", 1, 0},
		{"layer", 2, 0},
		{"protection_absent", 1, 1},
		{"profile_ObjectType", 2, uint32(c.ObjectType) - 1},
		{"sampling_frequency_index", 4, index},
		{"private_bit", 1, 0},
		{"channel_configuration", 3, uint32(c.ChannelConfig)},
		{"original_copy", 1, 0},
		{"home", 1, 0},
		{"copyright_identification_bit", 1, 0},
		{"copyright_identification_start", 1, 0},
		{"aac_frame_length", 13, uint32(len(b))},
		{"adts_buffer_fullness", 11, 0x7FF},
		{"number_of_raw_data_blocks_in_frame", 2, 0},
	} {
		if got := r.U(f.bits); got != f.want {
			t.Errorf("%s is %d, want %d", f.name, got, f.want)
		}
	}
	if len(b) != ADTSHeaderSize+len(c.pce)+len(frame) || !bytes.HasSuffix(b, frame) {
		t.Errorf("frame of %d bytes became %d", len(frame), len(b))
	}
	if c.ChannelConfig == 0 && r.U(3) != idPCE {
		t.Error("channel configuration 0 without a program config element")
	}
}

// Requirement: S16: every ADTS field agrees with the config. Case asc-adts.
// Requirement: S18: what ADTS cannot carry is refused by name.
func TestAppendADTS(t *testing.T) {
	for _, c := range configCases {
		t.Run("asc-adts/"+c.name, func(t *testing.T) {
			cfg, err := ParseConfig(c.asc)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range []int{0, 1, 300, 8191 - ADTSHeaderSize - len(cfg.pce)} {
				frame := bytes.Repeat([]byte{0x5A}, n)
				b, err := cfg.AppendADTS([]byte("x"), frame)
				if c.adts != "" {
					if !errors.Is(err, ErrADTS) || err.Error() != c.adts || string(b) != "x" {
						t.Fatalf("error %v, want %s", err, c.adts)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				checkADTS(t, cfg, b[1:], frame)
			}
			if _, err := cfg.AppendADTS(nil, make([]byte, 8192-ADTSHeaderSize-len(cfg.pce))); !errors.Is(err, ErrADTS) {
				t.Errorf("a frame of 8192 bytes: error %v, want %v", err, ErrADTS)
			}
		})
	}
}

// The copy of a program config element has the same content behind 3 other bits.
func TestPCE(t *testing.T) {
	cfg, err := ParseConfig(bitString("00010 0100 0000 000" + pce51))
	if err != nil {
		t.Fatal(err)
	}
	// 53 bits up to the alignment: 3 of padding behind the 16 of the record's
	// head, none behind the id.
	want := bitString("101 0000 01 0100 0010 0000 0001 01 000 0000 0 0 0 0 0000 1 0000 1 0000 0000" +
		" 00000010 01101000 01101001")
	if !bytes.Equal(cfg.pce, want) {
		t.Errorf("got % x, want % x", cfg.pce, want)
	}
}

// Case asc-adts: ffmpeg encodes, ffprobe decodes the ADTS stream: profiles, rates,
// layouts with a channel configuration, and ones that need a program config element.
func TestADTSPlays(t *testing.T) {
	for _, c := range []struct {
		layout   string
		rate     int
		channels int
		pce      bool
		profile  string
		object   ObjectType
	}{
		{"mono", 48000, 1, false, "aac_low", LC},
		{"stereo", 44100, 2, false, "aac_low", LC},
		{"stereo", 48000, 2, false, "aac_main", Main},
		{"stereo", 48000, 2, false, "aac_ltp", LTP},
		{"mono", 96000, 1, false, "aac_low", LC},
		{"stereo", 88200, 2, false, "aac_low", LC},
		{"stereo", 64000, 2, false, "aac_low", LC},
		{"stereo", 24000, 2, false, "aac_low", LC},
		{"stereo", 16000, 2, false, "aac_low", LC},
		{"mono", 12000, 1, false, "aac_low", LC},
		{"mono", 11025, 1, false, "aac_low", LC},
		{"mono", 8000, 1, false, "aac_low", LC},
		{"mono", 7350, 1, false, "aac_low", LC},
		{"5.1", 48000, 6, false, "aac_low", LC},
		{"7.1", 48000, 8, false, "aac_low", LC},
		{"7.1(wide)", 48000, 8, true, "aac_low", LC},
		{"quad", 32000, 4, true, "aac_low", LC},
		{"hexagonal", 22050, 6, true, "aac_low", LC},
	} {
		t.Run(c.layout+"-"+c.profile+"-"+strconv.Itoa(c.rate), func(t *testing.T) {
			src := "anoisesrc=d=1:r=" + strconv.Itoa(c.rate) + ",aformat=channel_layouts=" + c.layout
			file := run(t, nil, "ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", src, "-strict", "-2", "-c:a", "aac", "-profile:a", c.profile,
				"-f", "mp4", "-movflags", "frag_keyframe+empty_moov", "-")
			file = run(t, file, "ffmpeg", "-v", "error", "-f", "mp4", "-i", "-", "-c", "copy", "-f", "flv", "-")
			adts, frames, cfg := toADTS(t, file)
			if (cfg.pce != nil) != c.pce || cfg.Channels != c.channels || cfg.ObjectType != c.object {
				t.Errorf("object type %d, channel configuration %d with %d channels, want %d, %d",
					cfg.ObjectType, cfg.ChannelConfig, cfg.Channels, c.object, c.channels)
			}
			var probed struct {
				Streams []struct {
					Codec    string `json:"codec_name"`
					Rate     string `json:"sample_rate"`
					Frames   string `json:"nb_read_frames"`
					Channels int
				}
			}
			out := run(t, adts, "ffprobe", "-v", "error", "-show_streams", "-count_frames", "-of", "json", "-f", "aac", "-")
			if err := json.Unmarshal(out, &probed); err != nil {
				t.Fatal(err)
			}
			s := probed.Streams[0]
			if s.Codec != "aac" || s.Rate != strconv.Itoa(c.rate) || s.Channels != c.channels || s.Frames != strconv.Itoa(frames) {
				t.Errorf("ffprobe says %+v, want %d Hz, %d channels, %d frames", s, c.rate, c.channels, frames)
			}
		})
	}
}

// toADTS reads an FLV file.
func toADTS(t *testing.T, b []byte) (adts []byte, frames int, cfg *Config) {
	t.Helper()
	_, n, err := flv.ParseHeader(b)
	if err != nil {
		t.Fatal(err)
	}
	for b = b[n:]; len(b) > 0; b = b[n:] {
		var tag flv.Tag
		if tag, n, err = flv.ParseTag(b); err != nil {
			t.Fatal(err)
		}
		if tag.Type != media.TypeAudio {
			continue
		}
		info, err := flv.Describe(tag.Type, tag.Body)
		switch {
		case err != nil:
		case info.Kind == media.KindConfig:
			cfg, err = ParseConfig(info.Payload)
		case len(info.Payload) > 0:
			frames++
			adts, err = cfg.AppendADTS(adts, info.Payload)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return adts, frames, cfg
}

// run runs a program that the test cannot do without.
func run(t *testing.T, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, errs.String())
	}
	if errs.Len() > 0 {
		t.Errorf("%s: %s", name, errs.String())
	}
	return out.Bytes()
}
