package ac3

// sampleRates by fscod, in Hz (A/52 table 5.6).
var sampleRates = [3]int{48000, 44100, 32000}

// dataRates by half of frmsizecod, in kbit/s (A/52 table 5.18).
var dataRates = [19]int{
	32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640,
}

// channelCounts by acmod, without the low frequency channel (A/52 table 5.8).
var channelCounts = [8]int{2, 1, 2, 3, 3, 4, 4, 5}

// blockCounts by numblkscod (A/52 table E2.15).
var blockCounts = [4]int{1, 2, 3, 6}
