// Package hevc reads what a container needs to know of HEVC (ITU-T H.265): the
// decoder configuration record (ISO/IEC 14496-15), sequence parameter sets, and
// access units, which it turns from length-prefixed into start-code (Annex B)
// form.
package hevc
