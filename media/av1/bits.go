package av1

import "tmms/media/bitio"

// uvlc reads a number of variable length (section 4.10.3).
func uvlc(r *bitio.Reader) uint32 {
	zeros := r.Zeros()
	if zeros >= 32 || r.Short() {
		return 1<<32 - 1
	}
	return 1<<zeros - 1 + r.U(zeros)
}
