// Package h264 reads what a container needs to know of H.264 (ITU-T H.264):
// the AVC decoder configuration record (ISO/IEC 14496-15), sequence parameter
// sets, and access units, which it turns from length-prefixed (AVCC) into
// start-code (Annex B) form.
package h264
