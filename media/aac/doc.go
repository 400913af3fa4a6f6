// Package aac reads AudioSpecificConfig (ISO/IEC 14496-3 section 1.6.2.1) and
// wraps raw AAC frames in ADTS (section 1.A.3).
package aac
