package main

import (
	"bytes"
	"fmt"
	"html"
)

// Sizes of the bar chart, in pixels.
const (
	barHeight, barGap, groupGap = 18, 4, 26
	labelWidth, chartWidth      = 190, 460
	chartMargin                 = 30
)

// barColors are by kind of contender: the floor, then the server's ways.
var barColors = []string{"#8a8f98", "#3b6ea5", "#7fa8d1", "#2f8f6b", "#86c9ad"} //nolint:gochecknoglobals // a palette

// svg draws the CPU per delivered MB as bars, a group for each flush interval.
func (t *fanoutTable) svg() []byte {
	most, flushes := 0.0, []int{}
	for _, r := range t.Rows {
		most = max(most, r.MSPerMB)
		if len(flushes) == 0 || flushes[len(flushes)-1] != r.FlushMS {
			flushes = append(flushes, r.FlushMS)
		}
	}
	height := 2*chartMargin + len(t.Rows)*(barHeight+barGap) + len(flushes)*groupGap
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif"`+
		` font-size="12">`+"\n", labelWidth+chartWidth+120, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/>`+"\n")
	fmt.Fprintf(&b, `<text x="10" y="20" font-weight="bold">`+
		"CPU ms per delivered MB, %d viewers x %.1f Mbit/s, one processor</text>\n", t.Viewers, float64(t.Bitrate)/1e6)
	y, n, last := chartMargin, 0, -1
	for _, r := range t.Rows {
		if r.FlushMS != last {
			y, n, last = y+groupGap, 0, r.FlushMS
			fmt.Fprintf(&b, `<text x="10" y="%d" fill="#555">flush every %d ms</text>`+"\n", y-8, r.FlushMS)
		}
		width := int(r.MSPerMB / most * chartWidth)
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", labelWidth-8, y+13, html.EscapeString(r.Name))
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>`+"\n",
			labelWidth, y, width, barHeight, barColors[n%len(barColors)])
		fmt.Fprintf(&b, `<text x="%d" y="%d" fill="#333">%.3f (%.2f x, p99 %.0f ms)</text>`+"\n",
			labelWidth+width+6, y+13, r.MSPerMB, r.Ratio, r.P99MS)
		y, n = y+barHeight+barGap, n+1
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}
