package mpegts

// Descriptor tags (ISO/IEC 13818-1 table 2-45; ETSI EN 300 468 table 12).
const (
	tagRegistration    = 0x05
	tagMetadataPointer = 0x25
	tagMetadata        = 0x26
	tagExtension       = 0x7F
)

// registration is a registration descriptor (ISO/IEC 13818-1 section 2.6.8).
func registration(format string) []byte {
	return append([]byte{tagRegistration, byte(len(format))}, format...)
}

// metadataFormat says that metadata are ID3 tags (ISO/IEC 13818-1 sections 2.6.58
// and 2.6.60; Timed Metadata for HTTP Live Streaming, sections 2.3.1 and 2.3.2):
//
//	application format: as in the identifier (2) | identifier (4) | format: likewise (1) | identifier (4) |
//	service id 0
const metadataFormat = "\xFF\xFF" + "ID3 " + "\xFF" + "ID3 " + "\x00"

// metadataPointer goes into the program's descriptors: the metadata are in this
// program. It ends with
//
//	locator record 0 (1 bit) | carriage 0: in this transport stream (2 bits) | 11111 | program (2)
func metadataPointer() []byte {
	body := metadataFormat + "\x1F" + "\x00\x01" // programNumber
	return append([]byte{tagMetadataPointer, byte(len(body))}, body...)
}

// metadataDescriptor is that of the elementary stream. It ends with
//
//	decoder configuration 000 (3 bits) | DSM-CC 0 | 1111
func metadataDescriptor() []byte {
	body := metadataFormat + "\x0F"
	return append([]byte{tagMetadata, byte(len(body))}, body...)
}
