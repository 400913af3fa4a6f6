// Package timewheel is a hierarchical timing wheel for one event loop.
//
// Time is a parameter: the wheel reads no clock, starts no goroutine and takes
// no lock. An [Entry] is embedded in whatever it times, so scheduling allocates
// nothing. Adding, extending and cancelling are O(1) whatever the number of
// entries and however far their deadlines are away.
//
// # Slots
//
// Deadlines are whole ticks, rounded up, counted from the time given to [New].
// Level 0 has a slot for each of the 64 ticks of the current window, level 1 a
// slot for each of the 64 windows of the next size, and so on, six bits of the
// tick number a level; eleven levels hold every deadline a time.Duration can
// express, so there is no horizon. An entry stands in the level of the highest
// six-bit digit in which its deadline differs from the current tick:
//
//	current tick   0 … 02 17 33
//	deadline       0 … 02 17 40   level 0, slot 40: fires there
//	deadline       0 … 02 20 05   level 1, slot 20: spread over level 0 at 02 20 00
//
// Every occupied slot lies ahead of the current digit of its level, and all of
// a level lies before the next higher one. The earliest slot is therefore the
// lowest bit of the lowest level that is not empty, which makes the next
// wake-up, and the skipping of any number of empty ticks after a stall, O(1).
//
// # Extending
//
// The classic wheel of this kind holds a reference to a task in each slot that
// the task was extended to, and fires when the last reference goes. Here the
// entry keeps one place and its latest deadline: when its slot passes too
// early it is put in again. What can be observed is the same; a million
// extensions cost a million stores and no memory.
package timewheel
