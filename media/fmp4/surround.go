package fmp4

import (
	"fmt"
	"math/bits"

	"tmms/media/ac3"
)

// openAC3 carries AC-3 (ETSI TS 102 366 annex F.3) by the syncframe given.
func openAC3(frame []byte) (*codec, error) {
	h, err := ac3.ParseHeader(frame)
	if err != nil {
		return nil, err
	}
	if h.EAC3 {
		return nil, fmt.Errorf("%w E-AC-3 as AC-3", ErrUnsupported)
	}
	var w bitWriter
	w.put(h.FSCod, 2).put(h.BSID, 5).put(h.BSMOD, 3).put(h.ACMOD, 3).flag(h.LFE).put(h.BitRateCode, 5).put(0, 5)
	return surround("ac-3", box("dac3", w.b), h), nil
}

// openEAC3 carries E-AC-3 (ETSI TS 102 366 annex F.5) by the access unit given.
func openEAC3(frame []byte) (*codec, error) {
	u, err := ac3.ParseUnit(frame)
	if err != nil {
		return nil, err
	}
	h := u.First
	if !h.EAC3 {
		return nil, fmt.Errorf("%w AC-3 as E-AC-3", ErrUnsupported)
	}
	var w bitWriter
	w.put16(uint16(min(h.DataRate, 1<<13-1)), 13).put(0, 3) // one independent substream
	w.put(h.FSCod, 2).put(h.BSID, 5).put(0, 1).put(0, 1).put(h.BSMOD, 3).put(h.ACMOD, 3).flag(h.LFE).put(0, 3)
	w.put(byte(u.Dependent), 4)
	if u.Dependent > 0 {
		w.put16(channelLocations(u.ChannelMap), 9)
	} else {
		w.put(0, 1)
	}
	return surround("ec-3", box("dec3", w.b), h), nil
}

// surround is what AC-3 and E-AC-3 have in common. A message is one sample, as an
// access unit of E-AC-3 may have several syncframes.
func surround(name string, config []byte, h ac3.Header) *codec {
	return &codec{
		fourCC: name, name: name, config: config, rate: uint32(h.SampleRate), channels: h.Channels, bits: sampleBits,
		next: func(b []byte) (size, samples int, err error) {
			u, err := ac3.ParseUnit(b)
			if err == nil && (u.First.SampleRate != h.SampleRate || u.First.EAC3 != h.EAC3) {
				err = fmt.Errorf("%w a frame of %d Hz, E-AC-3 %t, in a track of %d Hz, E-AC-3 %t",
					ErrUnsupported, u.First.SampleRate, u.First.EAC3, h.SampleRate, h.EAC3)
			}
			return len(b), u.Samples, err
		},
	}
}

// channelLocations makes chan_loc (ETSI TS 102 366 table F.2), whose lowest bit is
// the pair Lc/Rc, of chanmap, whose highest bit is L and in which that pair is
// the sixth.
func channelLocations(chanmap uint16) uint16 {
	up := bits.Reverse16(chanmap)
	return up>>5&0xFF | up>>14&1<<8 // LFE2 follows another pair
}

// bitWriter writes bits from the highest down.
type bitWriter struct {
	b    []byte
	bits int // in b
}

// put writes the low n bits of v.
func (w *bitWriter) put(v byte, n int) *bitWriter { return w.put16(uint16(v), n) }

func (w *bitWriter) put16(v uint16, n int) *bitWriter {
	for i := n - 1; i >= 0; i-- {
		if w.bits&7 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[w.bits>>3] |= byte(v>>i&1) << (7 - w.bits&7)
		w.bits++
	}
	return w
}

func (w *bitWriter) flag(set bool) *bitWriter {
	if set {
		return w.put(1, 1)
	}
	return w.put(0, 1)
}
