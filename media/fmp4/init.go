package fmp4

import "tmms/media"

// Track ids.
const (
	videoID = 1
	audioID = 2
)

// movieClock is the timescale of the movie's header, in Hz; nothing is timed by it.
const movieClock = 1000

// Flags of samples (ISO/IEC 14496-12 section 8.8.3.1).
const (
	flagsSync  = 0x02000000 // sample_depends_on: on no other
	flagsDelta = 0x01010000 // sample_depends_on: on others; sample_is_non_sync_sample
)

// Flags of a track's header: it is enabled, and in the movie.
const trackEnabled = 3

// AppendInit appends the file's beginning, ftyp and moov, which EXT-X-MAP names.
// It is the same for the life of the muxer, except that the size of a VP9
// picture may come to be known by its first keyframe only.
func (m *Muxer) AppendInit(dst []byte) []byte {
	var tracks, defaults []byte
	if v := m.video.codec; v != nil {
		tracks = append(tracks, trackBox(videoID, v)...)
		defaults = append(defaults, trackDefaults(videoID, flagsDelta)...)
	}
	if a := m.audio.codec; a != nil {
		tracks = append(tracks, trackBox(audioID, a)...)
		defaults = append(defaults, trackDefaults(audioID, flagsSync)...)
	}
	header := fullBox("mvhd", 0, 0, u32(0, 0, movieClock, 0, 1<<16), u16(0x0100), make([]byte, 10),
		matrix(), make([]byte, 24), u32(audioID+1))
	// RFC 8216 section 3.3 wants a brand that is compatible with iso6, and no samples in moov.
	dst = append(dst, box("ftyp", []byte("iso6"), u32(0), []byte("iso6mp41"))...)
	return append(dst, box("moov", header, tracks, box("mvex", defaults))...)
}

// trackDefaults is a trex box; samples say what differs from it.
func trackDefaults(id, flags uint32) []byte {
	return fullBox("trex", 0, 0, u32(id, 1, 0, 0, flags))
}

// trackBox is a trak box: header, media header, handler, sample entry, and the
// tables of samples, which are empty.
func trackBox(id uint32, c *codec) []byte {
	handler, volume, kind := "vide", uint16(0), fullBox("vmhd", 0, 1, make([]byte, 8))
	entry := visualEntry
	if c.typ == media.TypeAudio {
		handler, volume, kind = "soun", 0x0100, fullBox("smhd", 0, 0, make([]byte, 4))
		entry = audioEntry
	}
	header := fullBox("tkhd", 0, trackEnabled, u32(0, 0, id, 0, 0), make([]byte, 12), u16(volume, 0), matrix(),
		u32(uint32(c.width)<<16, uint32(c.height)<<16))
	const undetermined = 0x55C4 // the language "und"
	table := box("stbl", fullBox("stsd", 0, 0, u32(1), entry(c)), fullBox("stts", 0, 0, u32(0)),
		fullBox("stsc", 0, 0, u32(0)), fullBox("stsz", 0, 0, u32(0, 0)), fullBox("stco", 0, 0, u32(0)))
	const selfContained = 1 // the samples are in this file
	data := box("dinf", fullBox("dref", 0, 0, u32(1), fullBox("url ", 0, selfContained)))
	return box("trak", header, box("mdia",
		fullBox("mdhd", 0, 0, u32(0, 0, c.rate, 0), u16(undetermined, 0)),
		fullBox("hdlr", 0, 0, u32(0), []byte(handler), make([]byte, 12), []byte("tmms\x00")),
		box("minf", kind, data, table)))
}

// matrix is the one that changes nothing.
func matrix() []byte { return u32(1<<16, 0, 0, 0, 1<<16, 0, 0, 0, 1<<30) }

// visualEntry is a VisualSampleEntry (ISO/IEC 14496-12 section 12.1.3).
func visualEntry(c *codec) []byte {
	const dpi72, depth = 0x00480000, 0x0018
	return box(c.fourCC, make([]byte, 6), u16(1), make([]byte, 16), u16(uint16(c.width), uint16(c.height)),
		u32(dpi72, dpi72, 0), u16(1), make([]byte, 32), u16(depth, 0xFFFF), c.config)
}

// audioEntry is an AudioSampleEntry (ISO/IEC 14496-12 section 12.2.3). A rate
// that has more than 16 bits is halved until it fits, as FLAC in ISO media asks
// for; decoders take it from the configuration.
func audioEntry(c *codec) []byte {
	rate := c.rate
	for rate > 0xFFFF {
		rate /= 2
	}
	return box(c.fourCC, make([]byte, 6), u16(1), make([]byte, 8), u16(uint16(c.channels), uint16(c.bits), 0, 0),
		u32(rate<<16), c.config)
}
