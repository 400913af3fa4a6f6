package hevc

import (
	"strings"

	"tmms/media/nal"
)

// bitWriter writes syntax elements as H.265 section 9.2 has them.
type bitWriter struct {
	b    []byte
	bits int
}

func (w *bitWriter) u(v uint64, n int) *bitWriter {
	for i := n - 1; i >= 0; i-- {
		if w.bits&7 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[w.bits>>3] |= byte(v>>i&1) << (7 - w.bits&7)
		w.bits++
	}
	return w
}

func (w *bitWriter) ue(values ...uint64) *bitWriter {
	for _, v := range values {
		n := 0
		for (v+1)>>n > 1 {
			n++
		}
		w.u(v+1, 2*n+1)
	}
	return w
}

// nalu ends the RBSP and puts emulation prevention in.
func (w *bitWriter) nalu() []byte {
	w.u(1, 1)
	var out []byte
	zeros := 0
	for _, c := range w.b {
		if zeros >= 2 && c <= 3 {
			out, zeros = append(out, 3), 0
		}
		if out = append(out, c); c == 0 {
			zeros++
		} else {
			zeros = 0
		}
	}
	return out
}

// spsOptions are the parts of an SPS that a test wants.
type spsOptions struct {
	id, layers    uint64 // layers: sub-layers beside the whole
	format        uint64
	width, height uint64
	window        []uint64
	lists, pcm    bool
	sets          bool
	timing        [2]uint64
}

// sps makes an SPS that has everything in front of the timing, if it is to.
func (o spsOptions) sps() []byte {
	w := &bitWriter{}
	w.u(uint64(nalSPS)<<9|1, 16).u(0, 4).u(o.layers, 3).u(1, 1)
	profile := func() { w.u(1, 8).u(0x60000000, 32).u(0xB0, 8).u(0, 40) }
	profile()
	w.u(93, 8)
	if o.layers > 0 {
		for i := range uint64(8) {
			w.u(boolBit(i < o.layers)*3, 2)
		}
		for range o.layers {
			profile()
			w.u(90, 8)
		}
	}
	w.ue(o.id, o.format)
	if o.format == 3 {
		w.u(0, 1)
	}
	w.ue(o.width, o.height).u(boolBit(o.window != nil), 1).ue(o.window...)
	w.ue(0, 0, 4) // bit depths, POC of 8 bits
	w.u(1, 1)
	for range o.layers + 1 {
		w.ue(4, 2, 0)
	}
	w.ue(0, 3, 0, 3, 0, 0)
	o.lists1(w)
	w.u(3, 2).u(boolBit(o.pcm), 1)
	if o.pcm {
		w.u(0x77, 8).ue(0, 1).u(1, 1)
	}
	o.sets1(w)
	w.u(3, 2) // temporal_mvp, strong_intra_smoothing
	o.vui(w)
	return w.nalu()
}

func (o spsOptions) lists1(w *bitWriter) {
	if w.u(boolBit(o.lists), 1); !o.lists {
		return
	}
	w.u(1, 1)
	for size := range 4 {
		for matrix := range 6 {
			switch {
			case size == 3 && matrix%3 != 0:
			case matrix == 0:
				w.u(1, 1)
				if size > 1 {
					w.ue(5)
				}
				for range min(64, 1<<(4+2*size)) {
					w.ue(1)
				}
			default:
				w.u(0, 1).ue(1)
			}
		}
	}
}

func (o spsOptions) sets1(w *bitWriter) {
	if !o.sets {
		w.ue(0).u(0, 1)
		return
	}
	w.ue(3)
	w.ue(2, 1).ue(0).u(1, 1).ue(1).u(1, 1).ue(0).u(0, 1)    // three pictures
	w.u(1, 1).u(1, 1).ue(0).u(1, 1).u(0, 2).u(1, 2).u(1, 1) // of four candidates one is left out
	w.u(0, 1).ue(1, 0).ue(0).u(1, 1)
	w.u(1, 1).ue(2).u(7, 8).u(1, 1).u(9, 8).u(0, 1) // two long-term pictures
}

func (o spsOptions) vui(w *bitWriter) {
	if o.timing[1] == 0 {
		w.u(0, 2)
		return
	}
	w.u(1, 1)
	w.u(1, 1).u(255, 8).u(4, 16).u(3, 16) // aspect ratio
	w.u(3, 2)                             // overscan
	w.u(1, 1).u(5, 3).u(0, 1).u(1, 1).u(0x010101, 24)
	w.u(1, 1).ue(0, 0)               // chroma location
	w.u(0, 3).u(1, 1).ue(0, 0, 1, 1) // default display window: does not count
	w.u(1, 1).u(o.timing[0], 32).u(o.timing[1], 32).u(0, 2)
}

func boolBit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// Parameter sets of a 320x180 picture, and what access units are made of.
var (
	testVPS  = (&bitWriter{}).u(uint64(nalVPS)<<9|1, 16).u(0, 4).u(3, 2).u(0, 6).u(1, 4).u(0xFFFF, 16).u(1, 8).nalu()
	testSPS  = spsOptions{width: 320, height: 184, format: 1, window: []uint64{0, 0, 0, 2}, timing: [2]uint64{1, 25}}.sps()
	testPPS  = (&bitWriter{}).u(uint64(nalPPS)<<9|1, 16).ue(0, 0).u(0x55, 7).nalu()
	testPPS1 = (&bitWriter{}).u(uint64(nalPPS)<<9|1, 16).ue(1, 0).u(0x55, 7).nalu()

	testAUD   = []byte("\x46\x01\x50")
	testIDR   = []byte("\x26\x01\xaf\x08")
	testCRA   = []byte("\x2a\x01\xaf\x08")
	testSlice = []byte("\x02\x01\xd0\x09")
	testSEI   = []byte("\x4e\x01\x05\x01\x00\x80")
)

// record makes a configuration record.
func record(lengthSize int, arrays ...[][]byte) []byte {
	b := []byte("\x01\x01\x60\x00\x00\x00\xb0\x00\x00\x00\x00\x00\x5d\xf0\x00\xfc\xfd\xf8\xf8\x00\x00")
	b = append(b, 0x0C|byte(lengthSize-1), byte(len(arrays)))
	for _, units := range arrays {
		typ := byte(nalSPS)
		if len(units) > 0 && len(units[0]) > 0 {
			typ = byte(TypeOf(units[0]))
		}
		b = append(b, 0x80|typ, byte(len(units)>>8), byte(len(units)))
		for _, n := range units {
			b = append(append(b, byte(len(n)>>8), byte(len(n))), n...)
		}
	}
	return b
}

// prefixed joins NAL units with lengths of the size.
func prefixed(size int, nalus ...[]byte) []byte {
	var b []byte
	for _, n := range nalus {
		for i := size - 1; i >= 0; i-- {
			b = append(b, byte(len(n)>>(8*i)))
		}
		b = append(b, n...)
	}
	return b
}

// show names the NAL units of an Annex B access unit.
func show(b []byte) string {
	var names []string
	for _, n := range strings.Split(string(b), "\x00\x00\x00\x01")[1:] {
		names = append(names, TypeOf([]byte(n)).String())
	}
	return strings.Join(names, " ")
}

var annexB = nal.AppendAnnexB
