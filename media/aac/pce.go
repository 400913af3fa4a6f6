package aac

import (
	"fmt"

	"tmms/media/bitio"
)

// idPCE is the syntactic element id of a program config element (table 4.85).
const idPCE = 5

// pceCopier reads a PCE and writes the same bits elsewhere.
type pceCopier struct {
	r *bitio.Reader
	w bitWriter
}

// u copies n bits.
func (p *pceCopier) u(n int) uint32 {
	v := p.r.U(n)
	p.w.u(v, n)
	return v
}

// elements copies n channel elements and counts their channels; pair says that
// each has a bit in front that makes it a pair of channels.
func (p *pceCopier) elements(n uint32, pair bool) (channels int) {
	for range n {
		channels++
		if pair && p.u(1) == 1 {
			channels++
		}
		p.u(4) // element tag
	}
	return channels
}

// readPCE reads program_config_element (section 4.4.1.1), counts its channels
// and keeps a copy for raw data blocks, where another alignment holds.
func (c *Config) readPCE(r *bitio.Reader) error {
	p := &pceCopier{r: r}
	p.w.u(idPCE, 3)
	p.u(4)                                                   // element_instance_tag
	p.u(2)                                                   // object_type
	p.u(4)                                                   // sampling_frequency_index
	front, side, back, lfe := p.u(4), p.u(4), p.u(4), p.u(2) // element counts
	data, coupling := p.u(3), p.u(4)                         // more element counts
	for _, bits := range [...]int{4, 4, 3} {                 // mono, stereo and matrix mixdown
		if p.u(1) == 1 {
			p.u(bits)
		}
	}
	count := p.elements(front, true) + p.elements(side, true) + p.elements(back, true) + p.elements(lfe, false)
	p.elements(data, false)
	for range coupling {
		p.u(1) // cc_element_is_ind_sw
		p.u(4) // valid_cc_element_tag_select
	}
	r.Align() // relative to the start of AudioSpecificConfig
	p.w.align()
	for range p.u(8) { // comment_field_data
		p.u(8)
	}
	if r.Short() {
		return nil // reported by ParseConfig
	}
	if count == 0 {
		return fmt.Errorf("%w: program config element without a channel: % x", ErrMalformed, head(r.Bytes()))
	}
	c.Channels, c.pce = count, p.w.b
	return nil
}
