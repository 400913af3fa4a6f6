package glass

// A picture of the clock, in gray:
//
//	4 rows of 10 cells, each white for 1 or black for 0, the highest bit first:
//	unix milliseconds modulo 2^32 (32) | check (8), see checkOf
//
// Cells are far larger than what an encoder blurs.
const (
	pictureWidth, pictureHeight = 320, 180
	columns, rows               = 10, 4
	cellWidth, cellHeight       = pictureWidth / columns, pictureHeight / rows

	black, white = 16, 235
)

// checkOf is the sum of ms's bytes, with some bits turned so that neither a black
// nor a white picture is a clock.
func checkOf(ms uint32) byte {
	return byte(ms>>24) + byte(ms>>16) + byte(ms>>8) + byte(ms) ^ 0xA5
}

// draw makes b, of pictureWidth * pictureHeight bytes, a picture of the time ms.
func draw(b []byte, ms uint32) {
	bits := uint64(ms)<<8 | uint64(checkOf(ms))
	for row := range rows {
		line := b[row*cellHeight*pictureWidth:][:pictureWidth]
		for column := range columns {
			shade := byte(black)
			if bits>>(rows*columns-1-row*columns-column)&1 != 0 {
				shade = white
			}
			cell := line[column*cellWidth:][:cellWidth]
			for i := range cell {
				cell[i] = shade
			}
		}
		for y := 1; y < cellHeight; y++ {
			copy(b[(row*cellHeight+y)*pictureWidth:][:pictureWidth], line)
		}
	}
}
