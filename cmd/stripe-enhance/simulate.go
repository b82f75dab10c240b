package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/mapping"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

const simulateLong = `Runs a small Stripe and a small Enhance panel on loopback ports, with products,
plans and some customers, and prints the settings to work against them. Paste
those into another terminal. It runs until Ctrl-C and keeps nothing.

Both are hostile by default, as the real ones are on a bad day: late and lost
events, small pages, writes that are done and still answer 502. --calm switches
that off. Their clock is this machine's until POST /_sim/advance moves it on. Commands
with the printed settings follow it (SIMULATED_CLOCK), so that grace, trials and
retention can be tried in minutes.`

type simulation struct {
	stripeAddr, enhanceAddr string
	customers               int
	seed                    uint64
	calm                    bool
}

func (p *program) simulateCommand() *cobra.Command {
	var s simulation
	c := &cobra.Command{
		Use:     "simulate",
		Short:   "Only the two simulators, on loopback, to develop against",
		Long:    simulateLong,
		GroupID: groupTry,
		Example: "  stripe-enhance simulate\n" +
			"  stripe-enhance simulate --customers 500 --seed 7 --stripe-addr 127.0.0.1:12111 --enhance-addr 127.0.0.1:12112",
		RunE: func(c *cobra.Command, _ []string) error { return p.simulate(c.Context(), s, c.CommandPath()) },
	}
	c.Flags().StringVar(&s.stripeAddr, "stripe-addr", "127.0.0.1:0", "where Stripe listens; port 0 takes a free one")
	c.Flags().StringVar(&s.enhanceAddr, "enhance-addr", "127.0.0.1:0", "where Enhance listens")
	c.Flags().IntVar(&s.customers, "customers", 20, "how many subscriptions there are at the beginning")
	c.Flags().Uint64Var(&s.seed, "seed", 1, "chooses every id, fault and delay")
	c.Flags().BoolVar(&s.calm, "calm", false, "no faults except those that you make")
	return c
}

// maxSimulated is the size of fleet that the simulators are made for.
const maxSimulated = 1_000_000

func (p *program) simulate(ctx context.Context, s simulation, command string) error {
	if s.customers < 0 || s.customers > maxSimulated {
		return &usageError{fmt.Errorf("--customers %d: from 0 to %d", s.customers, maxSimulated), command}
	}
	world := simulator.New(simulator.Options{Seed: s.seed, Calm: s.calm, Follow: p.now})
	plans := world.Offer()
	if s.customers > 0 {
		plans = world.Populate(s.customers, simulator.Mix{Living: true}).Plans
	}
	servers, err := world.Listen(ctx, s.stripeAddr, s.enhanceAddr)
	if err != nil {
		return err
	}
	defer func() { _ = servers.Close() }() // nothing is lost: it keeps nothing
	if err := p.printSimulation(world, servers, plans); err != nil {
		return err
	}
	p.sayf("simulating until Ctrl-C")
	<-ctx.Done()
	return nil
}

type simulationDocument struct {
	Environment map[string]string `json:"environment"`
	Mappings    []mapping.Row     `json:"mappings"`
	Control     string            `json:"control"`
}

func (p *program) printSimulation(world *simulator.World, servers *simulator.Servers, plans map[string]int) error {
	d := simulationDocument{
		Environment: map[string]string{
			"DATABASE_URL":      "sqlite:simulated.db",
			"STRIPE_API_URL":    servers.StripeURL,
			"STRIPE_SECRET_KEY": world.StripeKey(),
			"ENHANCE_API_URL":   servers.EnhanceURL,
			"ENHANCE_API_TOKEN": world.EnhanceToken(),
			"ENHANCE_ORG_ID":    world.OrgID(),
			"SIMULATED_CLOCK":   "true",
		},
		Control: servers.StripeURL + "/_sim/",
	}
	for _, price := range slices.Sorted(maps.Keys(plans)) {
		d.Mappings = append(d.Mappings, mapping.Row{Provider: mapping.Provider, Billing: price, Plan: fmt.Sprint(plans[price])})
	}
	if p.format == formatJSON {
		return report.WriteJSON(p.out, d)
	}
	return p.printf("%s", d.script())
}

// script is meant to be pasted into a shell as it stands.
func (d simulationDocument) script() string {
	var b strings.Builder
	b.WriteString("# Settings for the two simulators; paste them into another terminal.\n")
	for _, name := range slices.Sorted(maps.Keys(d.Environment)) {
		fmt.Fprintf(&b, "export %s=%s\n", name, d.Environment[name])
	}
	b.WriteString("\n# Which price buys which plan.\n")
	for _, m := range d.Mappings {
		fmt.Fprintf(&b, "stripe-enhance mappings set %s %s\n", m.Billing, m.Plan)
	}
	price := "PRICE"
	if len(d.Mappings) > 0 {
		price = d.Mappings[0].Billing
	}
	fmt.Fprintf(&b, tryByHand, d.Control, price)
	return b.String()
}

// tryByHand are commands to try by hand: a line that begins with # can be pasted without it.
// The time moves for both sides and, because of SIMULATED_CLOCK, for every command that has
// the settings above.
const tryByHand = `
# Then look, and make the changes.
stripe-enhance plan
stripe-enhance reconcile

# Make something happen, and see what a run does. sub_… is the id that signup answers
# (all controls: curl %[1]s).
#   curl -X POST '%[1]ssignup?email=bakery@example.com&price=%[2]s'
#   stripe-enhance reconcile
#
# Grace: a charge fails, four days later a run suspends, and a payment lifts it.
#   curl -X POST '%[1]sfail?subscription=sub_…'
#   stripe-enhance reconcile
#   curl -X POST '%[1]sadvance?d=96h'
#   stripe-enhance reconcile
#   curl -X POST '%[1]spay?subscription=sub_…'
#   stripe-enhance reconcile
#
# Retention: a cancelled hosting is suspended, and deleted a month later.
#   curl -X POST '%[1]scancel?subscription=sub_…'
#   stripe-enhance reconcile
#   curl -X POST '%[1]sadvance?d=744h'
#   RETENTION_PERIOD=30d BRAKE_TERMINATE=10 stripe-enhance reconcile
#
# A trial of two weeks, which ends.
#   curl -X POST '%[1]ssignup?email=cinema@example.com&price=%[2]s&trial=336h'
#   stripe-enhance reconcile
#   curl -X POST '%[1]sadvance?d=360h'
#   stripe-enhance reconcile
#
# The state of both sides:
#   curl %[1]sstate
`
