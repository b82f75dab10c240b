package main

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// progress draws a bar for each phase of a run on a terminal, and nothing
// anywhere else. finish removes what is left of it.
//
// Calls of tell never overlap; finish comes after the last.
type progress struct {
	out   io.Writer
	phase string
	bar   *progressbar.ProgressBar
}

// watch returns what the engine calls, and what ends the drawing.
func (p *program) watch() (tell func(reconcile.Progress), finish func()) {
	if !p.terminalErr {
		return nil, func() {}
	}
	b := &progress{out: p.err}
	return b.tell, b.finish
}

// redraw is how often the bar moves; faster is only work for the terminal.
const redraw = 100 * time.Millisecond

func (b *progress) tell(now reconcile.Progress) {
	if now.Phase != b.phase {
		b.finish()
		b.phase = now.Phase
		total := int64(now.Total)
		if total == 0 {
			total = -1 // a spinner with count and rate
		}
		b.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(b.out),
			progressbar.OptionSetDescription(now.Phase),
			progressbar.OptionShowCount(),
			progressbar.OptionShowIts(),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(redraw),
			progressbar.OptionClearOnFinish(),
			progressbar.OptionFullWidth(),
		)
	}
	if now.Total > 0 && b.bar.GetMax() != now.Total {
		b.bar.ChangeMax(now.Total)
	}
	_ = b.bar.Set(now.Done) // drawing is no reason to end a run
}

func (b *progress) finish() {
	if b.bar != nil {
		_ = b.bar.Finish()
		_ = b.bar.Clear()
		b.bar, b.phase = nil, ""
	}
}
