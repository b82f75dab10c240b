package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/demo"
)

const demoLong = `Plays the week of a hosting company: customers sign up, fail to pay, come back,
upgrade, cancel; the panel loses an answer; a mistake cancels many at the same time.
Only Stripe and Enhance are simulated, in this process, and the clock, which runs
faster: no key, no network, no server.

After each scene the story is compared with what the simulators did. Exit code 0:
the whole story is true. 1: it is not.

With --serve the real service (see serve -h) runs in front of the simulated company
instead, time moving five minutes a second, until Ctrl-C: customers come, fail to
pay, pay, upgrade and leave, and every address of the API can be tried.`

func (p *program) demoCommand() *cobra.Command {
	var o demo.Options
	var live demo.LiveOptions
	var serve bool
	c := &cobra.Command{
		Use:     "demo",
		Short:   "A hosting company's week in seconds, without keys, network or server",
		Long:    demoLong,
		GroupID: groupTry,
		Example: "  stripe-enhance demo\n" +
			"  stripe-enhance demo --speed 1s\n" +
			"  stripe-enhance demo --keep /tmp/demo && sqlite3 /tmp/demo/demo.db 'SELECT * FROM actions'\n" +
			"  stripe-enhance demo --serve",
		RunE: func(c *cobra.Command, _ []string) error {
			if serve {
				live.Environ, live.Flags, live.Version, live.Printf, live.Log = p.environ, p.flags, versionOf().Version, p.sayf, p.logger
				err := demo.Live(c.Context(), live)
				if wrong := (*demo.AddressError)(nil); errors.As(err, &wrong) {
					return &usageError{wrong, c.CommandPath()}
				}
				return err
			}
			o.Out, o.JSON, o.Style = p.out, p.format == formatJSON, p.style()
			if !p.terminalOut { // a pipe has no reader to wait for
				o.Pause = 0
			}
			return demo.Play(c.Context(), o)
		},
	}
	c.Flags().DurationVar(&o.Pause, "speed", 0, "pause between the scenes, for reading along on a terminal")
	c.Flags().StringVar(&o.Keep, "keep", "", "keep the database in this directory")
	c.Flags().Uint64Var(&o.Seed, "seed", 1, "chooses the ids and delays of the simulated world")
	c.Flags().BoolVar(&serve, "serve", false, "run the real service in front of the simulated company, to try the API")
	c.Flags().StringVar(&live.Control, "control-addr", demo.ControlAddr, "with --serve: where the controls of the simulated company listen")
	c.Flags().DurationVar(&live.Step, "step", 5*time.Minute, "with --serve: how far the simulated clock moves each second")
	return c
}
