package path

import (
	"slices"

	"github.com/klauspost/reedsolomon"
)

// decoder solves combinations for missing sources: rows in reduced echelon
// form, each with a pivot that no other row has.
type decoder struct {
	field reedsolomon.LowLevel
	rows  []*row
	free  []*row
}

// row is an equation: the sum of coefficient x source over terms is v. The
// first term is the pivot, with the coefficient 1.
type row struct {
	terms []term
	v     vector
}

type term struct {
	seq Seq
	c   byte
}

// solved is called with each source that becomes known; v is valid until it returns.
type solved func(seq Seq, v *vector)

func (d *decoder) take() *row {
	if n := len(d.free); n > 0 {
		w := d.free[n-1]
		d.free = d.free[:n-1]
		w.terms, w.v.n = w.terms[:0], 0
		return w
	}
	return new(row)
}

// drop takes row i away.
func (d *decoder) drop(i int) {
	d.free = append(d.free, d.rows[i])
	d.rows = slices.Delete(d.rows, i, i+1)
}

// reset forgets all rows.
func (d *decoder) reset() {
	for len(d.rows) > 0 {
		d.drop(len(d.rows) - 1)
	}
}

// index finds a term.
func (w *row) index(seq Seq) int {
	return slices.IndexFunc(w.terms, func(t term) bool { return t.seq == seq })
}

// add adds c times o to w.
func (d *decoder) add(w *row, c byte, o *row) {
	w.v.add(c, &o.v, d.field)
	for _, t := range o.terms {
		x := mul(c, t.c)
		i := w.index(t.seq)
		switch {
		case i < 0:
			w.terms = append(w.terms, term{t.seq, x})
		case w.terms[i].c == x:
			w.terms = slices.Delete(w.terms, i, i+1)
		default:
			w.terms[i].c ^= x
		}
	}
}

// insert takes an equation; w belongs to d from then on.
func (d *decoder) insert(w *row, out solved) {
	for _, o := range d.rows {
		if i := w.index(o.terms[0].seq); i >= 0 {
			d.add(w, w.terms[i].c, o)
		}
	}
	if len(w.terms) == 0 || len(w.terms) > maxTerms || len(d.rows) == maxTerms {
		d.free = append(d.free, w)
		return
	}
	inv := inverse(w.terms[0].c)
	w.v.scale(inv, d.field)
	for i := range w.terms {
		w.terms[i].c = mul(w.terms[i].c, inv)
	}
	for _, o := range d.rows {
		if i := o.index(w.terms[0].seq); i >= 0 {
			d.add(o, o.terms[i].c, w)
		}
	}
	d.rows = append(d.rows, w)
	d.solve(out)
}

// known takes a source out of the equations.
func (d *decoder) known(seq Seq, v *vector, out solved) {
	for i, w := range slices.Backward(d.rows) {
		j := w.index(seq)
		if j < 0 {
			continue
		}
		w.v.add(w.terms[j].c, v, d.field)
		w.terms = slices.Delete(w.terms, j, j+1)
		if j == 0 { // it was the pivot, so no other row has it
			d.rows = slices.Delete(d.rows, i, i+1)
			d.insert(w, out)
			return
		}
	}
	d.solve(out)
}

// solve gives out the rows that have one term left.
func (d *decoder) solve(out solved) {
	for i := 0; i < len(d.rows); {
		w := d.rows[i]
		if len(w.terms) > 1 {
			i++
			continue
		}
		d.rows = slices.Delete(d.rows, i, i+1)
		out(w.terms[0].seq, &w.v)
		d.free = append(d.free, w)
	}
}

// forget drops the rows with sources before seq: they cannot be solved any more.
func (d *decoder) forget(seq Seq) {
	for i, w := range slices.Backward(d.rows) {
		if slices.ContainsFunc(w.terms, func(t term) bool { return t.seq.Sub(seq) < 0 }) {
			d.drop(i)
		}
	}
}
