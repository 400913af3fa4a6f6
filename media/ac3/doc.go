// Package ac3 reads the syncframes of AC-3 and E-AC-3 (ATSC A/52, ETSI TS 102
// 366) as far as containers need it.
package ac3
