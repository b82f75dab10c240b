package page

import (
	"time"

	"github.com/stripe-enhance/stripe-enhance/server"
)

// figures are the sentences about how present a page is.
type figures struct {
	At        time.Time // zero: there is nothing to show yet
	Sentences []string
}

// comesAgain is after how many seconds the browser loads a page again that has nothing to
// show yet.
const comesAgain = "3"

// figures has the sentences for figures of a walk over all customers.
func (v *visit) figures(is server.Figures) figures {
	f := figures{At: is.At}
	if is.At.IsZero() {
		v.w.Header().Set("Refresh", comesAgain)
		f.Sentences = []string{v.T("figures.first")}
		return f
	}
	if is.Behind {
		f.Sentences = append(f.Sentences, v.T("figures.behind"))
	}
	if is.Failed {
		f.Sentences = append(f.Sentences, v.T("figures.failed"))
	}
	if is.Counting {
		f.Sentences = append(f.Sentences, v.T("figures.counting"))
	}
	return f
}

// cut makes the list count all rows, if it has only the first of them.
func (f *figures) cut(l *list, have, all int) {
	if have >= all {
		return
	}
	f.Sentences = append(f.Sentences, l.N("figures.cut", have))
	if l.Search == "" {
		l.Total = all
	}
}
