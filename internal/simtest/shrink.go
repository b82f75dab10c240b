package simtest

import "slices"

// Shrink looks for a smaller scenario that breaks the same promise: without runs of steps,
// then without single ones, without the events in the middle of runs, without kinds of
// faults, and without customers. It plays at most budget scenarios.
func Shrink(s Scenario, v Violation, budget int) (Scenario, Violation, error) {
	m := shrinker{best: s, violation: v, left: budget}
	for changed := true; changed && m.left > 0 && m.err == nil; {
		changed = m.steps()
		changed = m.cuts() || changed
		changed = m.faults() || changed
		changed = m.people() || changed
	}
	return m.best, m.violation, m.err
}

type shrinker struct {
	best      Scenario
	violation Violation
	left      int
	err       error
}

// try keeps a smaller scenario when it breaks the same promise.
func (m *shrinker) try(s Scenario) bool {
	if m.left <= 0 || m.err != nil {
		return false
	}
	m.left--
	o, err := Play(s, false)
	if err != nil {
		m.err = err
		return false
	}
	if o.Violation == nil || o.Violation.Invariant != m.violation.Invariant {
		return false
	}
	m.best, m.violation = s, *o.Violation
	return true
}

// steps drops halves, quarters, and so on down to single steps.
func (m *shrinker) steps() (changed bool) {
	for size := len(m.best.Steps) / 2; size > 0; size /= 2 {
		for at := len(m.best.Steps) - size; at >= 0; at -= size {
			at = min(at, len(m.best.Steps)-size)
			if at < 0 {
				break
			}
			s := m.best
			s.Steps = slices.Delete(slices.Clone(s.Steps), at, at+size)
			changed = m.try(s) || changed
		}
	}
	return changed
}

// cuts lets runs end in peace.
func (m *shrinker) cuts() (changed bool) {
	for i := range m.best.Steps {
		if m.best.Steps[i].Cut == nil {
			continue
		}
		s := m.best
		s.Steps = slices.Clone(s.Steps)
		s.Steps[i].Cut = nil
		if m.try(s) {
			changed = true
			continue
		}
		for j := len(m.best.Steps[i].Cut.Meanwhile) - 1; j >= 0; j-- {
			cut := *m.best.Steps[i].Cut
			cut.Meanwhile = slices.Delete(slices.Clone(cut.Meanwhile), j, j+1)
			s.Steps = slices.Clone(m.best.Steps)
			s.Steps[i].Cut = &cut
			changed = len(cut.Meanwhile) > 0 && m.try(s) || changed
		}
	}
	return changed
}

func (m *shrinker) faults() (changed bool) {
	for _, f := range allFaults {
		if m.best.Faults[f] == 0 {
			continue
		}
		s := m.best
		s.Faults = Mix{}
		for other, rate := range m.best.Faults {
			if other != f {
				s.Faults[other] = rate
			}
		}
		changed = m.try(s) || changed
	}
	return changed
}

func (m *shrinker) people() (changed bool) {
	for who := range people {
		s := m.best
		s.Steps = slices.DeleteFunc(slices.Clone(s.Steps), func(st Step) bool { return st.Who == who && ofSomebody(st.Kind) })
		changed = len(s.Steps) < len(m.best.Steps) && m.try(s) || changed
	}
	return changed
}

func ofSomebody(k Kind) bool {
	switch k {
	case Wait, Run, Restart, WrongKey, Skew, CopyDB, LoseDB, RestoreDB, Install, Calm, Storm, MapRemove, MapBreak, MapSwap, MapNone, MapRestore, Approve:
		return false
	}
	return true
}
