package media_test

import (
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"

	"tmms/media"
)

func tableKey(i int) media.StreamKey {
	return media.StreamKey{Domain: "default", App: "live", Stream: "s" + strconv.Itoa(i)}
}

// A table holds what a map holds, whatever is done to it.
func TestTableIsAMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var table media.Table[int]
	model := map[media.StreamKey]int{}
	for round := range 200_000 {
		k := tableKey(rng.IntN(4000))
		// It fills and empties again and again.
		if fill := round / 10_000 % 2; rng.IntN(10) < 2+6*fill {
			table.Set(k, round)
			model[k] = round
		} else {
			table.Delete(k)
			delete(model, k)
		}
		if round%50_000 == 49_999 {
			table.Clear()
			clear(model)
		}
		if table.Len() != len(model) || table.Get(k) != model[k] {
			t.Fatalf("round %d: %d entries and %d for %v, want %d and %d",
				round, table.Len(), table.Get(k), k, len(model), model[k])
		}
		if round%5000 != 0 {
			continue
		}
		n := 0
		for k, v := range table.All() {
			if model[k] != v {
				t.Fatalf("round %d: %v is %d, want %d", round, k, v, model[k])
			}
			n++
		}
		if n != len(model) {
			t.Fatalf("round %d: All gives %d entries, want %d", round, n, len(model))
		}
	}
}

// Entries may be deleted on the way through them, all the same whether the map is
// made anew meanwhile.
func TestTableLosesEntriesInAll(t *testing.T) {
	var table media.Table[int]
	const n = 5000
	for i := range n {
		table.Set(tableKey(i), i)
	}
	seen := make([]int, n)
	for k, v := range table.All() {
		seen[v]++
		if v%100 != 0 {
			table.Delete(k)
		}
	}
	for v, times := range seen {
		if times != 1 {
			t.Fatalf("entry %d was seen %d times", v, times)
		}
	}
	if table.Len() != n/100 || table.Get(tableKey(100)) != 100 {
		t.Errorf("%d entries are left, want %d", table.Len(), n/100)
	}
}

// A few that stay do not keep the memory of the many that were there.
func TestTableGivesItsMemoryBack(t *testing.T) {
	held := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var table media.Table[*int]
	before := held()
	for i := range 200_000 {
		table.Set(tableKey(i), nil)
	}
	for i := 10; i < 200_000; i++ {
		table.Delete(tableKey(i))
	}
	if more := held() - before; more > 64<<10 || table.Len() != 10 {
		t.Errorf("%d bytes more with %d entries", more, table.Len())
	}
	runtime.KeepAlive(&table)
}
