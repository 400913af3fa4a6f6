package aac

// sampleRates by frequency index, in Hz (ISO/IEC 14496-3 table 1.18).
var sampleRates = [13]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// channelCounts by channel configuration (ISO/IEC 14496-3 table 1.19).
var channelCounts = [15]int{0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 24, 8}
