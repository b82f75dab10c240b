package main

import (
	"context"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/notify"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// tellPeople tells NOTIFY_URLS what is new after a run of this process, which may be all
// the program that there is, such as a CronJob. What it told is kept in the database;
// what nobody took is not, so that the next run tells it. The outcome of the run is the
// same in any case.
func (p *program) tellPeople(ctx context.Context, a *parts, r reconcile.Report, runErr error) {
	if len(a.config.NotifyURLs) == 0 {
		return
	}
	ctx = context.WithoutCancel(ctx)
	before, err := a.store.Told(ctx)
	if err != nil {
		p.sayf("nobody was told of this run: %v", err)
		return
	}
	var w notify.Watch
	if err := w.Recall(before); err != nil {
		p.sayf("warning: %v", err)
	}
	if message := w.Look(r, runErr); message != "" && !p.deliver(a, message) {
		return
	}
	if told := w.Memory(); told != before {
		if err := a.store.SetTold(ctx, told); err != nil {
			p.sayf("what was told was not kept, and may be told again: %v", err)
		}
	}
}

// deliver sends a message, and reports whether anybody took it.
func (p *program) deliver(a *parts, message string) bool {
	n, err := notify.New(a.config.NotifyURLs, a.log)
	if err != nil { // it was checked with the other settings
		p.sayf("nobody was told of this run: %v", err)
		return false
	}
	defer n.Close()
	missed := n.Deliver(message)
	switch {
	case len(missed) == n.Receivers():
		p.sayf("nobody could be told of this run, and the next one tries again: none of NOTIFY_URLS took the message; see stripe-enhance check --notify")
		return false
	case len(missed) > 0:
		p.sayf("the message about this run was not taken by %s of NOTIFY_URLS; see stripe-enhance check --notify", strings.Join(missed, ", "))
	}
	return true
}
