package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// glass is a terminal as far as a bar needs one: text overwrites the line.
type glass struct {
	mu    sync.Mutex // guards both
	lines []string
	line  []rune
	at    int
}

func (g *glass) Write(text []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range string(text) {
		switch r {
		case '\n':
			g.lines = append(g.lines, strings.TrimRight(string(g.line), " "))
			g.line, g.at = nil, 0
		case '\r':
			g.at = 0
		default:
			for len(g.line) <= g.at {
				g.line = append(g.line, ' ')
			}
			g.line[g.at] = r
			g.at++
		}
	}
	return len(text), nil
}

// When a line is logged while a bar is drawn, it is whole and on a line of its own. The test
// fails if log lines are not written through the bar.
func TestALogLineDoesNotBreakTheBar(t *testing.T) {
	g := &glass{}
	p := &program{err: &screen{out: g}, terminalErr: true}
	show, finish := p.watch()
	var want []string
	for i := range 50 {
		show(reconcile.Progress{Phase: "listing", Done: i, Total: 50})
		want = append(want, fmt.Sprintf("stripe-enhance: line %d", i))
		p.sayf("line %d", i)
	}
	show(reconcile.Progress{Phase: "planning", Done: 1, Total: 2})
	finish()
	p.sayf("the end")
	if got := append(want, "stripe-enhance: the end"); !slices.Equal(g.lines, got) {
		t.Errorf("the terminal shows:\n%s", strings.Join(g.lines, "\n"))
	}
}
