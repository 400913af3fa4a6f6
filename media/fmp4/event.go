package fmp4

import (
	"encoding/binary"
	"fmt"
	"strings"

	"tmms/media"
)

// event is timed metadata.
type event struct {
	at            int64  // presentation time, in ticks
	rate          uint32 // ticks of a second
	scheme, value string
	data          []byte
}

// unknownDuration is the duration of an event that does not tell it.
const unknownDuration = 0xFFFFFFFF

// events are the emsg boxes that wait for the next fragment.
type events struct {
	boxes []byte
	id    uint32 // of the last
}

// add appends an emsg box (ISO/IEC 23009-1 section 5.10.3.3):
//
//	box header, version 1 | timescale (4) | presentation time (8) | duration (4) | id (4) |
//	scheme, 0 | value, 0 | data
func (e *events) add(v event) error {
	size := fullBoxHeader + 4 + 8 + 4 + 4 + len(v.scheme) + 1 + len(v.value) + 1 + len(v.data)
	if len(e.boxes)+size > media.MaxFragmentEvents {
		return fmt.Errorf("%w: an event of %d bytes behind %d, the limit is %d",
			ErrFull, size, len(e.boxes), media.MaxFragmentEvents)
	}
	if strings.IndexByte(v.scheme, 0) >= 0 || strings.IndexByte(v.value, 0) >= 0 {
		return fmt.Errorf("%w an event with a zero byte in its scheme %q or value %q", ErrUnsupported, v.scheme, v.value)
	}
	e.id++
	b := appendFullBoxHeader(e.boxes, "emsg", size, 1, 0)
	b = binary.BigEndian.AppendUint32(b, v.rate)
	b = binary.BigEndian.AppendUint64(b, uint64(v.at))
	b = binary.BigEndian.AppendUint32(b, unknownDuration)
	b = binary.BigEndian.AppendUint32(b, e.id)
	b = append(append(b, v.scheme...), 0)
	b = append(append(b, v.value...), 0)
	b = append(b, v.data...)
	e.boxes = b
	return nil
}
