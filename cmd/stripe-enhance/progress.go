package main

import (
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// screen is a terminal on which a bar may be drawn. A line that is written meanwhile takes
// the place of the bar, and the bar is drawn again below it. It is safe for concurrent use.
type screen struct {
	mu  sync.Mutex // guards the fields below
	out io.Writer
	bar *progressbar.ProgressBar // nil: none is drawn
}

// Write takes the bar away, and writes.
func (s *screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bar != nil {
		_ = s.bar.Clear()
	}
	return s.out.Write(text)
}

// progress draws a bar for each phase of a run if stderr is a terminal. finish removes the
// bar.
//
// Calls of show do not overlap; finish comes after the last.
type progress struct {
	*screen
	phase string
}

// watch returns the function that the engine calls, and the one that ends the drawing.
func (p *program) watch() (show func(reconcile.Progress), finish func()) {
	s, drawn := p.err.(*screen)
	if !p.terminalErr || !drawn {
		return nil, func() {}
	}
	b := &progress{screen: s}
	return b.show, b.finish
}

// redraw is how often the bar moves; faster is only work for the terminal.
const redraw = 100 * time.Millisecond

func (b *progress) show(now reconcile.Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Phase != b.phase {
		b.end()
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
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end()
}

func (b *progress) end() {
	if b.bar != nil {
		_ = b.bar.Finish()
		_ = b.bar.Clear()
		b.bar, b.phase = nil, ""
	}
}
