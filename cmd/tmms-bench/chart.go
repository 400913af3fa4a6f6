package main

import (
	"bytes"
	"fmt"
	"html"
)

// Sizes of a bar chart, in pixels.
const (
	barHeight, barGap, groupGap = 18, 4, 26
	labelWidth, chartWidth      = 190, 460
	noteWidth                   = 120
	chartMargin                 = 30
)

// barColors are by place in the group.
var barColors = []string{"#8a8f98", "#3b6ea5", "#7fa8d1", "#2f8f6b", "#86c9ad"} //nolint:gochecknoglobals // a palette

// chart is a picture of figures as bars, in groups.
type chart struct {
	title  string
	groups []chartGroup
}

// chartGroup is bars that are compared with each other.
type chartGroup struct {
	label string
	own   bool // the longest bar of the group is as long as can be, whatever the other groups have
	bars  []bar
}

// bar is one figure: 0 or more.
type bar struct {
	name  string
	value float64
	note  string // beside the bar; the value is not printed otherwise
}

// svg draws the chart.
func (c *chart) svg() []byte {
	height, most := 2*chartMargin, 0.0
	for _, g := range c.groups {
		height += groupGap + len(g.bars)*(barHeight+barGap)
		if !g.own {
			most = max(most, g.most())
		}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif"`+
		` font-size="12">`+"\n", labelWidth+chartWidth+noteWidth, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/>`+"\n")
	fmt.Fprintf(&b, `<text x="10" y="20" font-weight="bold">%s</text>`+"\n", html.EscapeString(c.title))
	y := chartMargin
	for _, g := range c.groups {
		y += groupGap
		fmt.Fprintf(&b, `<text x="10" y="%d" fill="#555">%s</text>`+"\n", y-8, html.EscapeString(g.label))
		scale := most
		if g.own {
			scale = g.most()
		}
		for i, one := range g.bars {
			one.draw(&b, y, scale, barColors[i%len(barColors)])
			y += barHeight + barGap
		}
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func (g *chartGroup) most() (most float64) {
	for _, one := range g.bars {
		most = max(most, one.value)
	}
	return most
}

// draw puts the bar at height y; one of the value scale has the whole width.
func (a bar) draw(b *bytes.Buffer, y int, scale float64, color string) {
	width := 0
	if scale > 0 {
		width = int(a.value / scale * chartWidth)
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", labelWidth-8, y+13, html.EscapeString(a.name))
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>`+"\n",
		labelWidth, y, width, barHeight, color)
	fmt.Fprintf(b, `<text x="%d" y="%d" fill="#333">%s</text>`+"\n", labelWidth+width+6, y+13, html.EscapeString(a.note))
}
