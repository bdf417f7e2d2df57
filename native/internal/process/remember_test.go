package process

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stacyvm/native/internal/bound"
)

// bare is a table without its agent: nothing is started in it.
func bare(used func()) *Table {
	return &Table{limits: bound.Default(), all: map[string]*Process{}, background: map[*Process]bool{}, used: used}
}

func (t *Table) remember(id string, argv ...string) *Process {
	p := newProcess(t, Spec{ID: id, Argv: append([]string{"true"}, argv...), Env: map[string]string{"A": "1"}})
	t.add(p)
	p.tell(&Exit{}, Exited)
	t.ended(p)
	return p
}

func TestAnEndedProcessIsForgottenAtItsAgeThoughNothingElseHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var woken atomic.Int32
		table := bare(func() { woken.Add(1) })
		table.remember("first")
		time.Sleep(time.Hour)
		table.remember("second")
		woken.Store(0)
		known := func() (ids string) {
			synctest.Wait()
			for _, p := range table.List() {
				ids += p.ID + " "
			}
			return ids
		}
		for _, step := range []struct {
			after time.Duration
			want  string
			woken int32
		}{
			{bound.EndedAge - time.Hour - time.Nanosecond, "first second ", 0},
			{time.Nanosecond, "second ", 1},
			{time.Hour - time.Nanosecond, "second ", 1},
			{time.Nanosecond, "", 2},
			{10 * bound.EndedAge, "", 2},
		} {
			time.Sleep(step.after)
			if got := known(); got != step.want || woken.Load() != step.woken {
				t.Errorf("%v later: %q after %d awakenings, wanted %q after %d", step.after, got, woken.Load(), step.want, step.woken)
			}
		}
		if len(table.finished) != 0 {
			t.Error("a forgotten process is still held")
		}
	})
}

func TestAnEndedProcessHoldsNoVariablesAndLittleOfItsCommandLine(t *testing.T) {
	table := bare(func() {})
	whole := strings.Repeat("x", bound.ArgvShownBytes-len("true")-2)
	for _, c := range []struct {
		name string
		argv []string
		kept []string
	}{
		{"what fits", []string{"a", "", "é"}, []string{"a", "", "é"}},
		{"at the bound", []string{whole}, []string{whole}},
		{"one more byte", []string{whole + "y", "z"}, []string{whole + "y…"}},
		{"one more argument", []string{whole, ""}, []string{whole, "…"}},
		{"a character at the edge", []string{whole[:len(whole)-1] + "éé"}, []string{whole[:len(whole)-1] + "é…"}},
		{"a character over the edge", []string{whole + "é"}, []string{whole + "…"}},
	} {
		p := table.remember("", c.argv...)
		if got := p.Argv()[1:]; strings.Join(got, "|") != strings.Join(c.kept, "|") || p.Env() != nil {
			t.Errorf("%s: kept %d arguments, the last %q, and %v", c.name, len(got), got[len(got)-1][max(0, len(got[len(got)-1])-8):], p.Env())
		}
		if again := Shown(p.Argv()); strings.Join(again, "|") != strings.Join(p.Argv(), "|") {
			t.Errorf("%s: shown otherwise than kept", c.name)
		}
	}
}
