package page

import (
	"cmp"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile/adopt"
	"github.com/stripe-enhance/stripe-enhance/server"
)

// adoptionBody is the body of the pairs.
type adoptionBody struct {
	*list
	At     time.Time // of the comparison; zero: there was none
	Undone string    // why the last decision could not be carried out
}

// decisionMarks are the colours of the decisions.
var decisionMarks = map[adopt.Decision]string{adopt.Link: "good", adopt.Review: "wait", adopt.New: "quiet", adopt.Ignore: "quiet"}

// pairRows is how many pairs a page shows: each has a form of its own.
const pairRows = 10

// adoption lists hostings beside subscriptions, as long as nothing links them.
func (v *visit) adoption() (any, error) {
	desk := v.server.Adoption()
	if desk == nil {
		return nil, fault.NotFound
	}
	pairs, at := desk.Pairs()
	if v.query().CSV {
		return v.pairsFile(pairs), nil
	}
	columns := []column{{Key: "adoption.at_stripe"}, {Key: "adoption.at_panel"}, {Key: "adoption.score", Kind: "number"}, {Key: "adoption.evidence"}, {Key: "adoption.decision", Kind: "state"}, {Key: "adoption.reason", Kind: "wide"}, {Key: "adoption.change", Kind: "forms"}}
	return adoptionBody{list: v.pagedOf("adoption.none", columns, pairRows, len(pairs), func(i int) row { return v.pairRow(&pairs[i]) }), At: at, Undone: v.Problem("pair")}, nil
}

// pairsFile has the columns of the command, which takes the file back with its decisions.
func (v *visit) pairsFile(pairs []adopt.Pair) *list {
	lines := make([][]string, 0, len(pairs))
	for i := range pairs {
		p := &pairs[i]
		evidence := make([]string, len(p.Evidence))
		for j, e := range p.Evidence {
			evidence[j] = string(e)
		}
		plan := ""
		if p.Plan != 0 {
			plan = strconv.Itoa(p.Plan)
		}
		lines = append(lines, []string{p.Customer, p.Subscription, p.Email, p.Org, p.OrgName, hostingText(p.Hosting), plan, strconv.Itoa(p.Score), strings.Join(evidence, ";"), string(p.Decision), p.Reason})
	}
	return v.file([]string{"customer", "subscription", "email", "org", "org_name", "hosting", "plan", "score", "evidence", "decision", "reason"}, lines)
}

func (v *visit) pairRow(p *adopt.Pair) row {
	billed, there := cell{Text: cmp.Or(p.Email, p.Customer), Note: p.Subscription}, cell{Text: p.OrgName}
	if p.Customer != "" { // the database may not know it yet
		billed.Href = customersPath + "?" + searchFor(p.Customer)
	}
	if p.Subscription == "" {
		billed = cell{Text: v.T("adoption.no_subscription")}
	}
	if there.Text == "" {
		there.Text = v.T("adoption.no_hosting")
	}
	if p.Hosting != 0 {
		there.Note = v.T("adoption.hosting", strconv.FormatInt(p.Hosting, 10), strconv.Itoa(p.Plan))
	}
	evidence := make([]string, len(p.Evidence))
	for i, e := range p.Evidence {
		evidence[i] = strings.ReplaceAll(string(e), "_", " ")
	}
	decide := form{To: "/ui/adoption/decide", Task: "approve", Name: "decision",
		Fields: map[string]string{"customer": p.Customer, "subscription": p.Subscription, "org": p.Org, "hosting": strconv.FormatInt(p.Hosting, 10), "plan": strconv.Itoa(p.Plan)}}
	if p.Subscription != "" && p.Hosting != 0 {
		decide.Buttons = append(decide.Buttons, button{"adoption.link", string(adopt.Link)})
	}
	if p.Subscription != "" {
		decide.Buttons = append(decide.Buttons, button{"adoption.new", string(adopt.New)})
	}
	decide.Buttons = append(decide.Buttons, button{"adoption.ignore", string(adopt.Ignore)})
	return row{billed, there, {Text: strconv.Itoa(p.Score)}, {Text: strings.Join(evidence, ", ")}, {Text: string(p.Decision), Mark: decisionMarks[p.Decision]}, {Text: p.Reason}, {Forms: []form{decide}}}
}

// compare reads both sides anew.
func (v *visit) compare() (done, error) {
	desk := v.server.Adoption()
	if desk == nil {
		return done{}, fault.NotFound
	}
	err := desk.Compare(v.r.Context())
	var no server.Refused
	if errors.As(err, &no) {
		err = mistake(no.Text)
	}
	return done{to: "/ui/adoption", text: "adoption.compared"}, err
}

// decidePair carries out the decision about one pair, which has to be as the person has seen
// it. A link that cannot be made is shown above the rows.
func (v *visit) decidePair() (done, error) {
	desk := v.server.Adoption()
	if desk == nil {
		return done{}, fault.NotFound
	}
	value := v.r.PostFormValue
	p := adopt.Pair{Decision: adopt.Decision(value("decision")), Customer: value("customer"), Subscription: value("subscription"), Org: value("org")}
	var errHosting, errPlan error
	p.Hosting, errHosting = strconv.ParseInt(value("hosting"), 10, 64)
	p.Plan, errPlan = strconv.Atoi(value("plan"))
	if errHosting != nil || errPlan != nil {
		return done{}, mistake(v.T("adoption.no_number"))
	}
	p.Reason = "decided on the page" // for the journal, which has one language
	err := desk.Decide(v.r.Context(), p, v.author())
	var no server.Refused
	if errors.As(err, &no) {
		return done{}, v.mistaken("/ui/adoption", "pair", no.Text)
	}
	if err == nil {
		v.server.Changed()
	}
	text := map[adopt.Decision]string{adopt.Link: "adoption.linked", adopt.New: "adoption.is_new", adopt.Ignore: "adoption.ignored"}[p.Decision]
	return done{to: "/ui/adoption", text: text}, err
}
