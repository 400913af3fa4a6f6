package mpegts

import (
	"bytes"
	"encoding/binary"
)

// Identifiers of the one program.
const (
	transportStreamID = 1
	programNumber     = 1
)

// Table ids (ISO/IEC 13818-1 table 2-31).
const (
	tablePAT = 0x00
	tablePMT = 0x02
)

// maxVersion is the highest version_number; 0 follows.
const maxVersion = 31

// tables are PAT and PMT, rendered once as whole packets.
type tables struct {
	pat, pmt pid
	version  uint8  // of the PMT
	program  []byte // PMT body the version stands for
	packets  [2 * packetSize]byte
}

// append appends PAT and PMT with their continuity counters.
func (t *tables) append(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, t.packets[:]...)
	for i, p := range [...]*pid{&t.pat, &t.pmt} {
		dst[at+i*packetSize+3] |= p.next
		p.next = (p.next + 1) & 0x0F
	}
	return dst
}

// renderTables brings the tables up to date with the tracks; the version rises
// if they changed.
func (m *Muxer) renderTables() {
	t := &m.tables
	program := m.appendProgram(nil)
	if bytes.Equal(program, t.program) {
		return
	}
	t.program = program
	t.version = (t.version + 1) & maxVersion
	m.clock.tablesChanged()
	pat := []byte{0, programNumber, 0xE0 | pmtPID>>8, pmtPID & 0xFF}
	b := appendTable(t.packets[:0], patPID, appendSection(nil, tablePAT, transportStreamID, 0, pat))
	appendTable(b, pmtPID, appendSection(nil, tablePMT, programNumber, t.version, program))
}

// appendProgram appends the body of the PMT (ISO/IEC 13818-1 section 2.4.4.8):
//
//	111 PCR PID (13 bits) | 1111 descriptors length (12 bits) | descriptors |
//	{ stream type | 111 PID (13 bits) | 1111 descriptors length (12 bits) | descriptors }
func (m *Muxer) appendProgram(b []byte) []byte {
	pcr := m.pcrPID().id
	b = append(b, 0xE0|byte(pcr>>8), byte(pcr))
	if m.metadata.on {
		b = appendDescriptors(b, metadataPointer())
	} else {
		b = appendDescriptors(b, nil)
	}
	for _, s := range [...]*stream{&m.video, &m.audio} {
		if s.es != nil {
			b = appendStream(b, s.streamType, s.pid.id, s.es.descriptors())
		}
	}
	if m.metadata.on {
		b = appendStream(b, typeMetadata, metadataPID, metadataDescriptor())
	}
	return b
}

// appendStream appends the part of one elementary stream.
func appendStream(b []byte, streamType byte, id uint16, descriptors []byte) []byte {
	return appendDescriptors(append(b, streamType, 0xE0|byte(id>>8), byte(id)), descriptors)
}

func appendDescriptors(b, descriptors []byte) []byte {
	n := len(descriptors)
	return append(append(b, 0xF0|byte(n>>8), byte(n)), descriptors...)
}

// appendSection appends a PSI section (ISO/IEC 13818-1 section 2.4.4.11):
//
//	table id | 1 0 11 length (12 bits) | extension (2) | 11 version (5 bits) current 1 |
//	section 0 | last section 0 | body | CRC (4)
func appendSection(b []byte, tableID byte, extension uint16, version uint8, body []byte) []byte {
	at := len(b)
	n := 5 + len(body) + 4
	b = append(b, tableID, 0xB0|byte(n>>8), byte(n), byte(extension>>8), byte(extension), 0xC0|version<<1|1, 0, 0)
	b = append(b, body...)
	return binary.BigEndian.AppendUint32(b, crc32(b[at:]))
}

// appendTable appends one packet with a section, which fits into it. The
// continuity counter is left 0.
func appendTable(b []byte, id uint16, section []byte) []byte {
	end := len(b) + packetSize
	b = append(b, 0x47, unitStart|byte(id>>8), byte(id), withPayload, 0)
	b = append(b, section...)
	for len(b) < end {
		b = append(b, 0xFF)
	}
	return b
}

// crc32 is the CRC of PSI sections (ISO/IEC 13818-1 annex A): polynomial
// 0x04C11DB7, highest bit first.
func crc32(b []byte) uint32 {
	crc := ^uint32(0)
	for _, c := range b {
		crc ^= uint32(c) << 24
		for range 8 {
			carry := crc >> 31
			crc = crc<<1 ^ carry*0x04C11DB7
		}
	}
	return crc
}
