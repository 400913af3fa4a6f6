package relayend

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// Shape is what the synthetic streams look like.
type Shape struct {
	BitrateBPS int // of the packets' bodies: 200,000 to 50,000,000
	FPS        int // video frames a second: 1 to 240
	GOP        int // frames from keyframe to keyframe: 1 to 10,000
}

const (
	audioRate = 43  // frames a second, as of AAC at 44.1 kHz
	audioBody = 370 // bytes
	// keyShare of a group's video bytes is the keyframe's, unless all frames are.
	keyShare = 0.12
	minBody  = 64
)

// DefaultShape is a stream of 1 Mbit/s, 30 frames a second and a keyframe each 2 s.
func DefaultShape() Shape { return Shape{BitrateBPS: 1_000_000, FPS: 30, GOP: 60} }

// Validate names the first value out of range.
func (s Shape) Validate() error {
	switch {
	case s.BitrateBPS < 200_000 || s.BitrateBPS > 50_000_000:
		return fmt.Errorf("relayend: bit rate %d is not in 200000..50000000", s.BitrateBPS)
	case s.FPS < 1 || s.FPS > 240:
		return fmt.Errorf("relayend: %d frames a second are not in 1..240", s.FPS)
	case s.GOP < 1 || s.GOP > 10_000:
		return fmt.Errorf("relayend: a GOP of %d frames is not in 1..10000", s.GOP)
	}
	return nil
}

// span is the time of a group.
func (s Shape) span() time.Duration { return time.Duration(s.GOP) * time.Second / time.Duration(s.FPS) }

// sizes of the bodies of a keyframe and of another video frame.
func (s Shape) sizes() (key, delta int) {
	group := (s.BitrateBPS/8 - audioRate*audioBody) * s.GOP / s.FPS
	if s.GOP == 1 {
		return max(group, minBody), max(group, minBody)
	}
	key = max(int(float64(group)*keyShare), group/s.GOP)
	return max(key, minBody), max((group-key)/(s.GOP-1), minBody)
}

// A body carries what tells a lost, repeated or damaged packet:
//
//	codec byte (1) | number of the packet in its stream, from 0 (8) | CRC-32C of the rest (4) | filler
const (
	numberAt = 1
	sumAt    = numberAt + 8
	restAt   = sumAt + 4
)

// errDamaged says that a body is not as it was made.
var errDamaged = errors.New("relayend: damaged packet")

// seal makes b a body.
func seal(b []byte, codec byte, number uint64) {
	b[0] = codec
	binary.BigEndian.PutUint64(b[numberAt:], number)
	binary.BigEndian.PutUint32(b[sumAt:], sum(b))
}

// unseal gives the number of a body that is as it was made.
func unseal(b []byte) (number uint64, err error) {
	if len(b) < minBody || binary.BigEndian.Uint32(b[sumAt:]) != sum(b) {
		return 0, fmt.Errorf("%w of %d bytes", errDamaged, len(b))
	}
	return binary.BigEndian.Uint64(b[numberAt:]), nil
}

func sum(b []byte) uint32 {
	t := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(b[:sumAt], t), t, b[restAt:])
}
