package engine

import (
	"fmt"
	"slices"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// findings is what a run has to report besides actions and holds.
type findings struct {
	log *logrus.Entry

	mu            sync.Mutex // guards all below
	notes         []string
	partial       bool              // the run could not read all that it was to read
	drifts        []reconcile.Drift // the first hostings that others have changed at the panel
	drifted       int               // how many hostings that is
	subscriptions int               // how many were read
}

// note adds a sentence for people.
func (f *findings) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	f.mu.Lock()
	f.notes = append(f.notes, text)
	f.mu.Unlock()
	f.log.WithField("note", text).Warn("note")
}

// notePartial notes something that could not be read: the run goes on, and its report
// shows that it has not seen everything.
func (f *findings) notePartial(format string, args ...any) {
	f.mu.Lock()
	f.partial = true
	f.mu.Unlock()
	f.note(format, args...)
}

// addDrift counts a hosting that others have changed, and lists it if there is room.
// It returns how many there are.
func (f *findings) addDrift(d reconcile.Drift) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drifted++
	if f.drifted <= reconcile.MostReported {
		f.drifts = append(f.drifts, d)
	}
	return f.drifted
}

// addRead counts subscriptions that were read, and returns how many there are.
func (f *findings) addRead(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subscriptions += n
	return f.subscriptions
}

// fill puts the findings into a report.
func (f *findings) fill(rep *reconcile.Report) {
	f.mu.Lock()
	defer f.mu.Unlock()
	rep.Notes, rep.Partial = slices.Clone(f.notes), f.partial
	rep.Drifts, rep.Drifted = slices.Clone(f.drifts), f.drifted
}

func (r *run) note(format string, args ...any) { r.findings.note(format, args...) }

func (r *run) notePartial(format string, args ...any) { r.findings.notePartial(format, args...) }
