package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/pipeline/stage"
)

// reasons is what is to be said of a fault of a step.
func reasons() map[string]string {
	return map[string]string{doCrash: "crashed", doExit: "crashed", doKill: "killed", doEat: "out-of-memory", doAsk: "out-of-memory", doStop: "hang", doSpin: "hang"}
}

// stepFaults are faults in all steps of all kinds of captures.
func stepFaults() (list []struct {
	kind captureKind
	fault
}) {
	add := func(kind captureKind, step stage.StepName, at, do string) {
		list = append(list, struct {
			kind captureKind
			fault
		}{kind, fault{Step: step, At: at, Do: do, Times: 1}})
	}
	add(kindCopied, stage.StepOpen, "", doKill)
	add(kindCopied, stage.StepRender, "progress", doKill)
	add(kindCopied, stage.StepThumbnails, "", doKill)
	add(kindEncoded, stage.StepRender, "progress", doKill)
	add(kindCall, stage.StepRender, "item:track-001", doKill)
	add(kindLong, stage.StepPlan, "", doKill)
	add(kindLong, stage.StepUnits, "unit", doKill)
	add(kindEncoded, stage.StepOpen, "", doCrash)
	add(kindEncoded, stage.StepThumbnails, "", doCrash)
	add(kindCall, stage.StepRender, "item:composite", doCrash)
	add(kindLong, stage.StepUnits, "unit", doCrash)
	add(kindCopied, stage.StepRender, "", doExit)
	add(kindCall, stage.StepOpen, "", doExit)
	add(kindEncoded, stage.StepRender, "", doEat)
	add(kindLong, stage.StepUnits, "", doEat)
	add(kindCopied, stage.StepRender, "", doAsk)
	add(kindEncoded, stage.StepRender, "progress", doAsk)
	add(kindCopied, stage.StepOpen, "", doStop)
	add(kindCall, stage.StepRender, "item:composite", doStop)
	add(kindEncoded, stage.StepThumbnails, "", doStop)
	add(kindLong, stage.StepUnits, "unit", doStop)
	add(kindCall, stage.StepRender, "", doSpin)
	return list
}

// TestFaultsOfSteps has the processes of steps killed, crash, run out of memory and hang, once each: the attempt says
// why, and the next one makes everything. Beside them are captures that crash every time.
func TestFaultsOfSteps(t *testing.T) {
	t.Parallel()
	c := newCluster(t, newMix(t), "--idle", "20s", "--cpus", "8")
	rounds := repeats(1, 7) // with seven, each reason is there 20 times or nearly so
	var faults []fault
	var ids, whole []string
	for range rounds {
		for _, f := range stepFaults() {
			id := c.enqueue(f.kind)
			f.Capture = c.names[id]
			ids, faults = append(ids, id), append(faults, f.fault)
		}
	}
	poisoned := c.poison(&faults)
	for _, kind := range captureKinds() {
		whole = append(whole, c.enqueue(kind))
	}
	c.inject(faults...)
	c.start(0)
	c.start(1)
	c.over(3*time.Minute*time.Duration(rounds), slices.Concat(ids, whole, poisoned)...)
	for i, id := range ids {
		c.requireDeath(id, faults[i])
	}
	for _, j := range c.family(whole) {
		require.Equal(c, 1, j.Attempts, "a neighbour suffers")
	}
	c.requireMade(slices.Concat(ids, whole)...)
	c.requirePoisoned(poisoned)
	c.requireClean()
}

// requireDeath wants one failed attempt at a job, or at one of its parts, that says the right reason soon.
func (c *cluster) requireDeath(id string, f fault) {
	c.Helper()
	var failed []catalog.AttemptRecord
	for _, j := range c.family([]string{id}) {
		for _, r := range c.attempts(j.ID) {
			if r.Ending == catalog.EndRetry {
				failed = append(failed, r)
			}
		}
	}
	require.Len(c, failed, 1, "%+v", f)
	require.Contains(c, failed[0].Failure.Message, "child process died: "+reasons()[f.Do], "%+v", f)
	took := failed[0].EndedAt.Sub(failed[0].StartedAt)
	require.Less(c, took, 75*time.Second)
	c.Logf("%s in %s of a %s capture: %q after %v", f.Do, f.Step, c.kinds[id], failed[0].Failure.Message, took.Round(10*time.Millisecond))
}

// poison queues captures that crash the decoder every time: a recording, a track of a call, the composite of a call,
// and the same made in parts.
func (c *cluster) poison(faults *[]fault) (ids []string) {
	c.Helper()
	for range repeats(1, 5) {
		for _, p := range []fault{
			{Capture: string(kindEncoded), Step: stage.StepRender, At: "item:room-composite"},
			{Capture: string(kindCall), Step: stage.StepRender, At: "item:track-001"},
			{Capture: string(kindCall), Step: stage.StepRender, At: "item:composite"},
			{Capture: string(kindLong), Step: stage.StepUnits, At: "progress"},
		} {
			id := c.enqueue(captureKind(p.Capture), "--max-attempts", "2")
			p.Capture, p.Do = c.names[id], doCrash
			ids, *faults = append(ids, id), append(*faults, p)
		}
	}
	return ids
}

// requirePoisoned wants the poisoned assets failed after all attempts, and the others of the same capture made.
func (c *cluster) requirePoisoned(ids []string) {
	c.Helper()
	for i, id := range ids {
		j := c.job(id)
		assets, err := c.data.catalog.ListAssets(c.Context(), catalog.Filter{JobID: id})
		require.NoError(c, err)
		var failed, made []string
		for _, a := range assets {
			if a.Status == catalog.AssetFailed {
				failed = append(failed, string(a.Type)+" "+a.Metadata.TrackID)
				require.Contains(c, a.Error.Message, "child process died: crashed")
				require.Empty(c, a.Path)
				continue
			}
			made = append(made, inWords(a))
		}
		want := c.mix.wanted[c.kinds[id]]
		require.Len(c, made, len(want)-1)
		require.Subset(c, want, made)
		require.Equal(c, []string{"room-composite ", "track ann-mic", "room-composite-legacy ", "room-composite-legacy "}[i%4], strings.Join(failed, ", "))
		if i%4 == 0 { // nothing was made
			require.Equal(c, catalog.JobFailed, j.State)
			require.Equal(c, 2, j.Attempts)
			require.Equal(c, []catalog.Ending{catalog.EndRetry, catalog.EndFailed}, c.endings(id))
			require.Contains(c, j.Error.Message, "child process died: crashed")
			continue
		}
		require.Equal(c, catalog.JobCompleted, j.State, fmt.Sprint(j.Error))
		for _, p := range c.parts(id) {
			if p.State != catalog.JobCompleted {
				require.Equal(c, catalog.JobFailed, p.State)
				require.Equal(c, 2, p.Attempts)
			}
		}
	}
}
