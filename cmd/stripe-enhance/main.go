// Command stripe-enhance keeps hosting at Enhance in step with what customers pay
// for at Stripe.
//
// Each command is a file that parses its arguments, calls, and prints the result. The parts
// come from internal/app. This package decides nothing about customers: that is package
// reconcile.
//
// Results go to stdout; progress, warnings, logs and errors go to stderr, so that
// `stripe-enhance plan -o json > plan.json` is always a whole document.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
)

// build is the version, set by -ldflags "-X main.build=1.2.3".
var build string

func main() { os.Exit(start()) }

// start is main without the exit, so that deferred work is done. The first interrupt or
// SIGTERM asks for a clean end. After it the default applies again, so that the second one
// ends the process immediately.
func start() int {
	withoutCore()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	errs := &screen{out: os.Stderr}
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-ctx.Done():
			select {
			case <-done: // the command has ended, and the deferred stop ended ctx
				return
			default:
			}
			stop()
			fmt.Fprintln(errs, "stripe-enhance: stopping (interrupt again to end immediately)")
		case <-done:
		}
	}()
	p := &program{
		out:         os.Stdout,
		err:         errs,
		in:          os.Stdin,
		environ:     os.Environ(),
		dotEnvs:     app.DotEnvs(),
		terminalOut: term.IsTerminal(int(os.Stdout.Fd())),
		terminalErr: term.IsTerminal(int(os.Stderr.Fd())),
		width: func() int {
			n, _, err := term.GetSize(int(os.Stdout.Fd()))
			if err != nil {
				return 0
			}
			return n
		},
		now: time.Now,
	}
	p.failpoint, p.now = app.Arm(p.environ, p.now)
	return p.run(ctx, os.Args[1:])
}
