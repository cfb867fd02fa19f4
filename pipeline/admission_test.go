package pipeline

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rushes/catalog"
)

func TestAdmissionByBothMeasures(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		held, asked catalog.Cost
		want        bool
	}{
		{"nothing held", catalog.Cost{}, catalog.Cost{CPU: 4000, Memory: 100}, true},
		{"both fit", catalog.Cost{CPU: 3000, Memory: 60}, catalog.Cost{CPU: 1000, Memory: 40}, true},
		{"no processor left", catalog.Cost{CPU: 3001, Memory: 10}, catalog.Cost{CPU: 1000, Memory: 10}, false},
		{"no memory left", catalog.Cost{CPU: 10, Memory: 61}, catalog.Cost{CPU: 10, Memory: 40}, false},
		{"larger than the machine beside another", catalog.Cost{CPU: 1}, catalog.Cost{CPU: 4001}, false},
		{"beside one that is larger", catalog.Cost{Memory: 101}, catalog.Cost{CPU: 1}, false},
		{"two that are larger", catalog.Cost{Memory: 101}, catalog.Cost{CPU: 5000}, false},
		{"costs nothing beside one that is larger", catalog.Cost{CPU: 4001}, catalog.Cost{}, false},
		{"costs nothing beside a full machine", catalog.Cost{CPU: 4000, Memory: 50}, catalog.Cost{}, true},
		{"negative counts as nothing", catalog.Cost{CPU: 4000, Memory: 50}, catalog.Cost{CPU: -5, Memory: -5}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := NewAdmission(Capacity{CPU: 4000, Memory: 100})
			if tt.held != (catalog.Cost{}) {
				require.True(t, a.TryAcquire(tt.held))
				defer func() {
					a.Release(tt.held)
					require.Zero(t, a.InUse())
				}()
			}
			require.Equal(t, tt.want, a.TryAcquire(tt.asked))
			if tt.want {
				a.Release(tt.asked)
			}
		})
	}
}

// TestAdmissionKeepsOrder has a big one wait in front of small ones that would fit.
func TestAdmissionKeepsOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := NewAdmission(Capacity{CPU: 4000, Memory: 100})
		small := catalog.Cost{CPU: 1000, Memory: 1}
		require.NoError(t, a.Acquire(t.Context(), small))
		var order []string
		var mu sync.Mutex
		enter := func(ctx context.Context, name string, cost catalog.Cost) {
			if a.Acquire(ctx, cost) == nil {
				mu.Lock()
				defer mu.Unlock()
				order = append(order, name)
			}
		}
		impatient, giveUp := context.WithCancel(t.Context())
		defer giveUp()
		go enter(impatient, "impatient", catalog.Cost{CPU: 9000})
		synctest.Wait()
		go enter(t.Context(), "big", catalog.Cost{CPU: 4000, Memory: 100})
		synctest.Wait()
		go enter(t.Context(), "small", small)
		synctest.Wait()
		require.Equal(t, 3, a.Waiting())
		require.False(t, a.TryAcquire(small), "nobody passes those who wait")

		giveUp()
		synctest.Wait()
		require.Equal(t, 2, a.Waiting())
		a.Release(small)
		synctest.Wait()
		require.Equal(t, []string{"big"}, order)
		a.Release(catalog.Cost{CPU: 4000, Memory: 100})
		synctest.Wait()
		require.Equal(t, []string{"big", "small"}, order)
		require.Equal(t, Capacity{CPU: 1000, Memory: 1}, a.InUse())
		require.ErrorIs(t, a.Acquire(impatient, small), context.Canceled, "not even when there is room")
	})
}

// TestAdmissionGivesUpTheLine lets those in when the one in front of them leaves.
func TestAdmissionGivesUpTheLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := NewAdmission(Capacity{CPU: 2000})
		require.NoError(t, a.Acquire(t.Context(), catalog.Cost{CPU: 1000}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		big := make(chan error)
		go func() { big <- a.Acquire(ctx, catalog.Cost{CPU: 2000}) }()
		synctest.Wait()
		require.NoError(t, a.Acquire(t.Context(), catalog.Cost{CPU: 500}), "after the second in which the big one waits")
		require.ErrorIs(t, <-big, context.DeadlineExceeded)
	})
}

// TestAdmissionProperty: whatever is asked for, never more than the machine is
// given out, the line is in order, and everything comes back.
func TestAdmissionProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		capacity := Capacity{CPU: rapid.IntRange(0, 4).Draw(rt, "cpu"), Memory: int64(rapid.IntRange(0, 4).Draw(rt, "memory"))}
		n := rapid.IntRange(1, 12).Draw(rt, "jobs")
		costs := make([]catalog.Cost, n)
		steps := rapid.SliceOfN(rapid.IntRange(0, 2), 0, 40).Draw(rt, "steps")
		for i := range costs {
			costs[i] = catalog.Cost{CPU: rapid.IntRange(0, 6).Draw(rt, "c"), Memory: int64(rapid.IntRange(0, 6).Draw(rt, "m"))}
		}
		synctest.Test(t, func(t *testing.T) { admissionModel(t, capacity, costs, steps) })
	})
}

func admissionModel(t *testing.T, capacity Capacity, costs []catalog.Cost, steps []int) {
	t.Helper()
	a := NewAdmission(capacity)
	admitted := make(chan int, len(costs))
	cancels := make([]context.CancelFunc, len(costs))
	holding, waiting := []int{}, []int{}
	next := 0
	large := func(c catalog.Cost) bool { return c.CPU > capacity.CPU || c.Memory > capacity.Memory }
	check := func() {
		synctest.Wait()
		var batch []int
		for len(admitted) > 0 {
			batch = append(batch, <-admitted)
		}
		slices.Sort(batch) // admitted at once, they say so in any order
		require.Equal(t, waiting[:len(batch)], append([]int{}, batch...), "in order")
		waiting, holding = waiting[len(batch):], append(holding, batch...)
		var sum Capacity
		for _, i := range holding {
			if large(costs[i]) {
				require.Len(t, holding, 1, "alone")
				sum = capacity
				continue
			}
			sum.CPU += costs[i].CPU
			sum.Memory += costs[i].Memory
		}
		require.Equal(t, sum, a.InUse())
		require.LessOrEqual(t, sum.CPU, capacity.CPU)
		require.LessOrEqual(t, sum.Memory, capacity.Memory)
		require.Equal(t, len(waiting), a.Waiting())
		require.False(t, len(holding) == 0 && len(waiting) > 0, "nobody waits for an empty machine")
	}
	release := func() {
		if len(holding) > 0 {
			a.Release(costs[holding[0]])
			holding = holding[1:]
		}
	}
	for _, step := range steps {
		switch {
		case step == 0 && next < len(costs):
			i := next
			next++
			var ctx context.Context
			ctx, cancels[i] = context.WithCancel(t.Context())
			waiting = append(waiting, i)
			go func() {
				if a.Acquire(ctx, costs[i]) == nil {
					admitted <- i
				}
			}()
		case step == 1:
			release()
		case step == 2 && len(waiting) > 0:
			last := len(waiting) - 1
			cancels[waiting[last]]()
			waiting = waiting[:last]
		}
		check()
	}
	for len(holding)+len(waiting) > 0 {
		release()
		check()
	}
	require.Zero(t, a.InUse())
	for _, cancel := range cancels[:next] {
		cancel()
	}
}
