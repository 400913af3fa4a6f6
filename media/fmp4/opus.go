package fmp4

import (
	"fmt"

	"tmms/media/opus"
)

// openOpus carries Opus (Encapsulation of Opus in ISO Base Media File Format).
func openOpus(head []byte) (*codec, error) {
	h, err := opus.ParseHead(head)
	if err != nil {
		return nil, err
	}
	if h.MappingFamily != opus.FamilyRTP && h.Mapping == nil {
		return nil, fmt.Errorf("%w Opus of mapping family %d", ErrUnsupported, h.MappingFamily)
	}
	body := append([]byte{0, byte(h.Channels)}, u16(uint16(h.PreSkip))...) // version 0
	body = append(body, u32(uint32(h.InputRate))...)
	body = append(body, u16(uint16(h.Gain))...)
	body = append(body, h.MappingFamily)
	if h.MappingFamily != opus.FamilyRTP {
		body = append(append(body, h.Streams, h.Coupled), h.Mapping...)
	}
	return &codec{
		fourCC: "Opus", name: "opus", config: box("dOps", body),
		rate: opus.Rate, channels: h.Channels, bits: sampleBits, next: nextOpus,
	}, nil
}

func nextOpus(packet []byte) (size, samples int, err error) {
	samples, err = opus.Samples(packet)
	return len(packet), samples, err
}
