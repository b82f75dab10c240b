package main

import (
	"encoding/csv"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// town is a company that served its customers by hand.
type town struct {
	*simulator.World
	ts       *testscript.TestScript
	hostings map[int]simulator.Hosting // as they were
	orgs     int
	link     int // rows that are certain
	review   int // rows that a person decides
}

var prices = []string{"", "price_basic_monthly", "price_pro_monthly", "price_business_monthly"}

// town N adds N customers, with the odd ones among them, and sets $LINK and $REVIEW to the
// number of rows that are certain, and that are not.
func (o *outside) town(ts *testscript.TestScript, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	t := &town{World: o.simulated, ts: ts, hostings: map[int]simulator.Hosting{}}
	for _, odd := range []func(){
		t.twoOrgs, t.agency, t.guest, t.abuse, t.threeForThree, t.threeForOne, t.movedOwner, t.late, t.smaller, t.nobody, t.orderOnly,
	} {
		odd()
	}
	names := []string{"Bäckerei Süß", "Café Łódź", "Ștefan și fiii", "O'Neill & Søn", "Ψωμί", "plain"}
	for i := len(o.simulated.Orgs()); i < n; i++ {
		email, plan := fmt.Sprintf("c%d@example.com", i), 1+i%3
		t.org(fmt.Sprintf("%s %d", names[i%len(names)], i), strings.ToUpper(email), plan)
		t.order(email, plan, 1, nil)
		t.link++
	}
	for _, h := range o.simulated.Hostings() {
		t.hostings[h.ID] = h
	}
	t.orgs = len(o.simulated.Orgs())
	o.town400 = t
	ts.Setenv("LINK", strconv.Itoa(t.link))
	ts.Setenv("REVIEW", strconv.Itoa(t.review))
}

// org makes an org with hostings on these plans.
func (t *town) org(name, owner string, plans ...int) (org string, hostings []int) {
	org = t.StaffCreateOrg(name, owner)
	for _, plan := range plans {
		id, err := t.StaffCreateHosting(org, plan, name)
		t.ts.Check(err)
		hostings = append(hostings, id)
	}
	return org, hostings
}

func (t *town) order(email string, plan int, quantity int64, change func(*simulator.SignUp)) simulator.SignedUp {
	o := simulator.SignUp{Email: email, Name: email, Lines: []simulator.Line{{Price: prices[plan], Quantity: quantity}}}
	if change != nil {
		change(&o)
	}
	done, err := t.SignUp(o)
	t.ts.Check(err)
	return done
}

func (t *town) twoOrgs() {
	t.org("Twice", "twice@example.com", 1)
	t.org("Twice", "twice@example.com", 1)
	t.order("twice@example.com", 1, 1, nil)
	t.review += 2
}

// agency owns an org alone, and is a member of two customers' orgs.
func (t *town) agency() {
	t.org("Agency", "agency@example.com", 2)
	t.order("agency@example.com", 2, 1, nil)
	for _, client := range []string{"client1@example.com", "client2@example.com"} {
		org, _ := t.org(client, client, 1)
		t.ts.Check(t.StaffAddOwner(org, "agency@example.com"))
		t.order(client, 1, 1, nil)
	}
	t.review += 3
}

// guest ordered twice, and is two customers at Stripe.
func (t *town) guest() {
	t.org("Guest", "guest@example.com", 1)
	t.order("guest@example.com", 1, 1, nil)
	again := t.order("guest@example.com", 1, 1, func(o *simulator.SignUp) { o.Guest = true })
	t.ts.Check(t.Cancel(again.Subscription))
	t.review++
}

func (t *town) abuse() {
	_, hostings := t.org("Abuse", "abuse@example.com", 1)
	t.order("abuse@example.com", 1, 1, nil)
	t.ts.Check(t.StaffSuspend(hostings[0]))
	t.review++
}

func (t *town) threeForThree() {
	t.org("Three", "three@example.com", 2, 2, 2)
	for range 3 {
		t.order("three@example.com", 2, 1, nil)
	}
	t.review += 3
}

func (t *town) threeForOne() {
	t.org("Trio", "trio@example.com", 2, 2, 2)
	t.order("trio@example.com", 2, 3, nil)
	t.link += 3
}

// movedOwner are two owners who have another e-mail at the panel by now. One ordered a
// domain, which shows the org.
func (t *town) movedOwner() {
	_, hostings := t.org("Moved", "new-address@example.net", 1)
	_, err := t.AddWebsite(hostings[0], "moved.example")
	t.ts.Check(err)
	t.order("moved@example.com", 1, 1, func(o *simulator.SignUp) { o.Domain = "www.Moved.example" })
	t.link++
	t.org("Gone", "another-address@example.net", 1)
	t.order("gone@example.com", 1, 1, nil)
	t.review += 2
}

func (t *town) late() {
	t.org("Late", "late@example.com", 1)
	done := t.order("late@example.com", 1, 1, nil)
	t.ts.Check(t.FailPayment(done.Subscription))
	t.review++
}

func (t *town) smaller() {
	t.org("Smaller", "smaller@example.com", 3)
	t.order("smaller@example.com", 1, 1, nil)
	t.review++
}

func (t *town) nobody() {
	t.org("Friends", "nobody@example.org", 2)
	t.review++
}

func (t *town) orderOnly() {
	t.order("orderonly@example.com", 1, 1, nil)
	t.review++
}

// untouched makes sure that the panel is as it was, but for the names of hostings.
func (o *outside) untouched(ts *testscript.TestScript, _ []string) {
	o.compare(ts, 0)
}

// grown N makes sure that N hostings came, each in an org of its own, that none went or was
// suspended or resumed, and that one plan was changed.
func (o *outside) grown(ts *testscript.TestScript, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	o.compare(ts, n)
}

func (o *outside) compare(ts *testscript.TestScript, more int) {
	t, now := o.town400, o.simulated.Hostings()
	if len(now) != len(t.hostings)+more || len(o.simulated.Orgs()) != t.orgs+more {
		ts.Fatalf("%d hostings in %d orgs, want %d in %d", len(now), len(o.simulated.Orgs()), len(t.hostings)+more, t.orgs+more)
	}
	changed := 0
	for _, h := range now {
		was, known := t.hostings[h.ID]
		if !known {
			continue
		}
		if h.Status != was.Status || h.SuspendedBy != was.SuspendedBy || h.Org != was.Org || !strings.HasPrefix(h.FriendlyName, was.FriendlyName) {
			ts.Fatalf("hosting %d was %+v and is %+v", h.ID, was, h)
		}
		if h.Plan != was.Plan {
			changed++
		}
	}
	if changed > min(more, 1) {
		ts.Fatalf("%d plans were changed", changed)
	}
	if v := o.simulated.Violations(); len(v) > 0 {
		ts.Fatalf("sent what must never be sent: %v", v)
	}
}

// carry N makes sure that N hostings carry a marker.
func (o *outside) carry(ts *testscript.TestScript, args []string) {
	n := 0
	for _, h := range o.simulated.Hostings() {
		if strings.Contains(h.FriendlyName, " [sub_") {
			n++
		}
	}
	if strconv.Itoa(n) != args[0] {
		ts.Fatalf("%d hostings carry a marker, want %s", n, args[0])
	}
}

// decideall FROM TO is a person who decides every row: pairs are linked, single orders are
// new, single hostings are ignored, and so is a pair that the panel or Stripe has stopped.
func decideAll(ts *testscript.TestScript, _ bool, args []string) {
	rows, err := csv.NewReader(strings.NewReader(ts.ReadFile(args[0]))).ReadAll()
	ts.Check(err)
	column := func(name string) int { return slices.Index(rows[0], name) }
	for _, row := range rows[1:] {
		sub, hosting, reason := row[column("subscription")], row[column("hosting")], row[column("reason")]
		decision := "link"
		switch {
		case sub == "", strings.Contains(reason, "suspended"), strings.Contains(reason, "past_due"):
			decision = "ignore"
		case hosting == "":
			decision = "new"
		}
		row[column("decision")] = decision
	}
	f, err := os.Create(ts.MkAbs(args[1]))
	ts.Check(err)
	ts.Check(csv.NewWriter(f).WriteAll(rows))
	ts.Check(f.Close())
}
