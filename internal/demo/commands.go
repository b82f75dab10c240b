package demo

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/adoption"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/adopt"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// wide is how many columns the output of a command may have in the story.
const wide = 110

// wasThere is a customer who has a hosting that staff made by hand, and pays at Stripe.
func wasThere(who, plan string) event {
	return func(ctx context.Context, s *stage) error {
		for _, p := range s.world.Plans() {
			if p.Name != plan {
				continue
			}
			hosting, err := s.world.StaffCreateHosting(s.world.StaffCreateOrg(who, mail(who)), p.ID, plan)
			if err != nil {
				return err
			}
			if _, err := s.world.AddWebsite(hosting, who+".example"); err != nil {
				return err
			}
			return signsUp(who, simulator.SignUp{Price: basic, Domain: who + ".example"})(ctx, s)
		}
		return fmt.Errorf("the panel has no plan %s", plan)
	}
}

// adopts is adopt --apply.
func adopts(ctx context.Context, s *stage) (lines []string, err error) {
	desk := &adoption.Desk{App: s.app, Engine: s.engine, Author: "operator@example.com", Show: func(reconcile.Progress) {}}
	rows, err := desk.Rows(ctx)
	if err != nil {
		return nil, err
	}
	applied, err := desk.Certain(ctx, rows)
	for _, r := range rows {
		if r.Decision != adopt.Link {
			continue
		}
		var evidence []string
		for _, e := range r.Evidence {
			evidence = append(evidence, string(e))
		}
		lines = append(lines, fmt.Sprintf("%s: hosting %d of organisation %q (%s)", r.Email, r.Hosting, r.OrgName, strings.Join(evidence, ", ")))
	}
	return append(lines, fmt.Sprintf("%d of %s linked", applied, report.Count(len(rows), "pair"))), err
}

// forecasts is forecast --days N.
func forecasts(days int) func(context.Context, *stage) ([]string, error) {
	return func(ctx context.Context, s *stage) ([]string, error) {
		f, err := s.app.Forecast(ctx, s.world.Now().Add(time.Duration(days)*day))
		if err != nil {
			return nil, err
		}
		var text bytes.Buffer
		err = report.ForecastOf(days, f.Entries, f.Notes).Text(&text, report.View{Width: wide})
		return printed(&text), err
	}
}

// reports is report.
func reports(ctx context.Context, s *stage) ([]string, error) {
	d, err := s.app.Discrepancies(ctx, nil)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	err = report.DiscrepanciesOf(s.world.Now(), d.Rows, d.Notes).Text(&text, d.Rows, report.View{Width: wide})
	return printed(&text), err
}

// printed are the lines of a text, without the empty ones at its end.
func printed(text *bytes.Buffer) []string {
	return strings.Split(strings.TrimRight(text.String(), "\n"), "\n")
}

// postbox keeps the mails to the customers, as a mail server that takes all of them.
type postbox struct {
	mu      sync.Mutex // guards letters
	letters []reconcile.Letter
}

// Open implements engine.Mailer.
func (p *postbox) Open(context.Context) (engine.MailSession, error) { return p, nil }

// Send implements engine.MailSession.
func (p *postbox) Send(_ context.Context, l reconcile.Letter) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.letters = append(p.letters, l)
	return nil
}

// Usable implements engine.MailSession.
func (p *postbox) Usable() bool { return true }

// Close implements engine.MailSession.
func (p *postbox) Close() {}

// count is how many mails of a kind an address has got.
func (p *postbox) count(to string, kind reconcile.MailKind) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.letters {
		if p.letters[i].To.Email == to && p.letters[i].Kind == kind {
			n++
		}
	}
	return n
}
