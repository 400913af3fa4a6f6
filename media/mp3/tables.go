package mp3

// sampleRates of MPEG-1 in Hz (ISO/IEC 11172-3 section 2.4.2.3).
var sampleRates = [3]int{44100, 48000, 32000}

// bitRates1 of MPEG-1 layers I, II, III in kbit/s.
var bitRates1 = [3][15]int{
	{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
	{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
	{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
}

// bitRates2 of MPEG-2 and 2.5, layer I and layers II and III, in kbit/s.
var bitRates2 = [2][15]int{
	{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
	{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
}
