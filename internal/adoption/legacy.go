package adoption

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/mapping"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/adopt"
	"github.com/stripe-enhance/stripe-enhance/store"
)

// Import is a row of the older system's database with its end here.
type Import struct {
	Kind         string // mapping or hosting
	End          ImportEnd
	BillingID    string
	Plan         string
	Customer     string
	Subscription string
	Email        string
	Org          string
	Hosting      string // as it stands there
	Reason       string
	Command      string // for a person who decides it
}

// ImportEnd is how a row ended.
type ImportEnd string

const (
	ImportTaken   ImportEnd = "taken"
	ImportKnown   ImportEnd = "known"   // it was here before
	ImportSkipped ImportEnd = "skipped" // there is nothing to take, and nothing to decide
	ImportWaits   ImportEnd = "waits"   // for a person
)

// ImportEnds are all of them.
var ImportEnds = []ImportEnd{ImportTaken, ImportKnown, ImportSkipped, ImportWaits}

const (
	importedMapping = "mapping"
	importedHosting = "hosting"
)

// importedWhy is the reason of each binding, for the journal.
const importedWhy = "it is in the table subscriptions of the older system"

// ImportLegacy takes over the rows of the older system that both sides confirm. A mapping is
// set unless the price has one; a hosting is linked as by a decision in a file of adopt, with
// the same checks. A row that is not confirmed, or that a person has decided otherwise, waits.
// With dry nothing is changed.
func (d *Desk) ImportLegacy(ctx context.Context, old store.Legacy, dry bool) ([]Import, error) {
	all, mappings, err := d.importable(ctx, old.Mappings)
	if err != nil {
		return nil, err
	}
	own := *d
	if dry {
		own.suppose = mappings
	} else if err := d.Store.ImportMappings(ctx, mappings, d.Author, d.Now()); err != nil {
		return nil, err
	}
	pic, err := own.stored(ctx)
	if err != nil {
		return nil, err
	}
	rows, work, at := judged(pic, old.Rows, len(all))
	all = append(all, rows...)
	waits := func(i int, why error) error {
		r := &all[at[i]]
		r.End, r.Reason, r.Command = ImportWaits, why.Error(), bindCommand(work[i])
		return nil
	}
	if dry {
		_, refusals, err := own.prepared(ctx, work)
		for i, why := range refusals {
			_ = waits(i, why) // it never fails
		}
		return all, err
	}
	_, _, err = own.carryOut(ctx, work, waits)
	return all, err
}

// panelPlans are plans that were read once for many mappings.
type panelPlans []reconcile.EnhancePlan

func (p panelPlans) Plans(context.Context) ([]reconcile.EnhancePlan, error) { return p, nil }

// importable asks both sides about each mapping, and returns those to be set.
func (d *Desk) importable(ctx context.Context, old []store.LegacyMapping) (all []Import, take []reconcile.Mapping, err error) {
	stands, err := d.Store.Mappings(ctx)
	if err != nil {
		return nil, nil, err
	}
	plans, err := d.Enhance.Plans(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, m := range old {
		one := Import{Kind: importedMapping, End: ImportTaken, BillingID: m.BillingID, Plan: m.Plan}
		has := slices.IndexFunc(stands, func(s reconcile.Mapping) bool { return s.BillingID == m.BillingID })
		want := reconcile.Mapping{BillingID: m.BillingID, Plan: m.Plan}
		switch {
		case m.Provider != "stripe":
			one.End, one.Reason = ImportSkipped, "it is of "+m.Provider+", and this program reads Stripe"
		case has >= 0 && stands[has].Plan == m.Plan:
			one.End = ImportKnown
		case has >= 0:
			one.End, one.Reason = ImportWaits, "it is mapped to "+stands[has].Plan+" here"
		case m.Plan == reconcile.NotHosting:
			one.End, one.Reason = ImportWaits, "none means here that the price buys no hosting, and it was the name of a plan there"
		default:
			problem, err := mapping.Check(ctx, d.Stripe, panelPlans(plans), want)
			if err != nil {
				return nil, nil, err
			}
			if problem != "" {
				one.End, one.Reason = ImportWaits, problem
				break
			}
			take = append(take, want)
		}
		if one.End == ImportWaits {
			one.Command = "stripe-enhance mappings set " + shellWord(m.BillingID) + " PLAN"
		}
		all = append(all, one)
	}
	return all, take, nil
}

// judged compares the rows about hostings with both sides, and returns those to be linked:
// work[i] is all[at[i]], if all of them come after as many others as offset.
func judged(pic *picture, old []store.LegacyRow, offset int) (rows []Import, work []Row, at []int) {
	check, twice := newChecker(pic), map[string]int{}
	for _, r := range old {
		twice["hosting "+r.Hosting]++
		twice[r.Subscription]++
	}
	for i, r := range old {
		one := Import{Kind: importedHosting, Customer: r.Customer, Subscription: r.Subscription, Email: r.Email, Org: r.Org, Hosting: r.Hosting}
		row, end, why := legacyRow(r)
		row.Line = i + 1
		switch {
		case end != "":
		case twice["hosting "+r.Hosting] > 1 || twice[r.Subscription] > 1:
			end, why = ImportWaits, "two rows of the older system name that subscription or that hosting"
		default:
			end, why = check.legacy(row, r.Status)
		}
		one.End, one.Reason = end, why
		if end == ImportTaken {
			work, at = append(work, row), append(at, offset+len(rows))
		}
		if end == ImportWaits {
			one.Command = bindCommand(row)
		}
		rows = append(rows, one)
	}
	return rows, work, at
}

// legacyRow is a row of the older system as one of a file of adopt. end and why are set if it
// cannot be, by itself.
func legacyRow(r store.LegacyRow) (row Row, end ImportEnd, why string) {
	row.Decision, row.Reason = adopt.Link, importedWhy
	row.Customer, row.Subscription, row.Email, row.Org = r.Customer, r.Subscription, r.Email, strings.ToLower(r.Org)
	id, err := strconv.ParseInt(r.Hosting, 10, 64)
	if err == nil && reconcile.FormatID(id) == r.Hosting {
		row.Hosting = id
	}
	switch {
	case r.Status == "":
		return row, ImportSkipped, "the customer has no subscription there"
	case r.Deleted:
		return row, ImportSkipped, "the customer was deleted there"
	case r.Subscription == "":
		return row, ImportSkipped, "it is not paid for at Stripe"
	case row.Hosting <= 0:
		return row, ImportWaits, fmt.Sprintf("%q is not the id of a hosting, which is the number of the subscription at the panel", r.Hosting)
	case misfit(&row) != "":
		return row, ImportWaits, misfit(&row)
	case row.Customer == "" || row.Org == "":
		return row, ImportWaits, "the row names no customer at Stripe, or no organisation at the panel"
	}
	return row, "", ""
}

// legacy compares a row of the older system, with the status that it has there, with the
// present facts. What a person has decided here counts more than the row.
func (c *checker) legacy(r Row, status string) (ImportEnd, string) {
	k, there := c.pic.subs[r.Subscription], c.pic.hostings[r.Hosting]
	_, stands := c.pic.hostings[r.Hosting]
	ended := k != nil && (k.gone || k.status.Ended())
	switch {
	case k != nil && slices.Contains(k.bound, r.Hosting):
		return ImportKnown, ""
	case k != nil && slices.Contains(k.unbound, r.Hosting):
		return ImportWaits, fmt.Sprintf("a person has unbound hosting %d from it", r.Hosting)
	case there.Ignored != "":
		return ImportWaits, fmt.Sprintf("hosting %d is ignored: %s", r.Hosting, there.Ignored)
	case ended && !stands && c.pic.bound[r.Hosting] == "":
		return ImportSkipped, "the subscription has ended at Stripe, and the panel has no such hosting without a payer"
	case ended:
		return ImportWaits, "the subscription has ended at Stripe, and a hosting that is bound to it would be suspended"
	case status == "canceled":
		return ImportWaits, "it is canceled there, and lives at Stripe"
	}
	todo, why := c.check(r)
	switch {
	case why != "":
		return ImportWaits, strings.ReplaceAll(why, "the file has", "the older system has")
	case !todo:
		return ImportKnown, ""
	case there.Suspended:
		return ImportTaken, "it is suspended at the panel, and stays so: only people lift what this program has not suspended"
	}
	return ImportTaken, ""
}

// bindCommand is how a person decides a row.
func bindCommand(r Row) string {
	if !reconcile.ValidID("sub_", r.Subscription) {
		return "stripe-enhance adopt"
	}
	hosting := "HOSTING"
	if r.Hosting > 0 {
		hosting = reconcile.FormatID(r.Hosting)
	}
	return "stripe-enhance customers bind " + r.Subscription + " " + hosting + " --reason REASON --dry-run"
}

// shellWord is a word of a command line.
func shellWord(text string) string {
	if text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.") == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// ImportColumns are those of the CSV, in order; they are also the names in JSON.
var ImportColumns = []string{"kind", "end", "billing_id", "plan", "customer", "subscription", "email", "org", "hosting", "reason", "command"}

// Cells are the columns of a row.
func (r Import) Cells() []string {
	return []string{r.Kind, string(r.End), r.BillingID, r.Plan, r.Customer, r.Subscription, r.Email, r.Org, r.Hosting, r.Reason, r.Command}
}
