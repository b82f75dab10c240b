package scenario

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// plainOrder is an order of one unit at a mapped price, by an ordinary buyer.
const plainOrder = 40

// ordinary is a company without anything special to it.
func ordinary() Company {
	return Company{
		Policy: reconcile.Policy{Mode: reconcile.Enforce, Grace: 72 * time.Hour, Onboarding: reconcile.Invite, CreateWebsites: true},
		Brakes: reconcile.Brakes{Suspend: reconcile.Limit{Count: 5}, ChangePlan: reconcile.Limit{Count: 5},
			Create: reconcile.Limit{Count: 25}, Terminate: reconcile.Limit{Count: 1}},
		Latency: 100 * time.Millisecond, Page: 25, AfterRetries: "cancel",
	}
}

// found are the histories that broke a promise once, made small. Each names what
// was wrong; with that put back, it breaks the promise again.
var found = []struct {
	name  string
	steps []Step
}{
	{"staff suspends a hosting that we have suspended, and the customer is back", []Step{
		{Kind: SignUp, Pick: plainOrder}, {Kind: Run, Pick: runFull}, {Kind: Cancel}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run},
		{Kind: StaffSuspend}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: SignUp, Pick: plainOrder}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run},
	}},
	{"the database is lost when the org has its name and not yet its hosting", []Step{
		{Kind: SignUp, Pick: plainOrder}, {Kind: Run, Pick: runFull, Cut: &Cut{At: "after-record", Nth: 2, Dies: true}},
		{Kind: LoseDB, Pick: 1}, {Kind: Run},
	}},
	{"the database is put back to a copy that does not know the org", []Step{
		{Kind: SignUp, Pick: plainOrder}, {Kind: Run, Pick: runDry}, {Kind: CopyDB}, {Kind: Run}, {Kind: RestoreDB}, {Kind: Run},
	}},
	{"the same, and the next run is a full one", []Step{
		{Kind: SignUp, Pick: plainOrder}, {Kind: Run, Pick: runDry}, {Kind: CopyDB}, {Kind: Run}, {Kind: RestoreDB}, {Kind: Run, Pick: runFull},
	}},
	{"the database is lost, and of the customer's org only a deleted hosting tells", []Step{
		{Kind: SignUp, Pick: plainOrder}, {Kind: Run, Pick: runFull}, {Kind: Cancel}, {Kind: StaffDelete}, {Kind: SignUp, Pick: plainOrder},
		{Kind: LoseDB, Pick: 1}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run},
	}},
	{"the database is lost, and with it that staff deleted what was bound", []Step{
		{Kind: SignUp, Pick: plainOrder}, {Kind: Run, Pick: runFull}, {Kind: StaffDelete}, {Kind: LoseDB, Pick: 1}, {Kind: Run},
	}},
}

func TestWhatBrokeAPromiseOnceDoesNotBreakItAgain(t *testing.T) {
	for _, f := range found {
		t.Run(f.name, func(t *testing.T) {
			for i := range f.steps {
				f.steps[i].ID = i + 1
			}
			o, err := Play(Scenario{Seed: 1, Company: ordinary(), Steps: f.steps}, true)
			if err != nil {
				t.Fatal(err)
			}
			if o.Violation != nil {
				t.Errorf("%s\n%s", o.Violation, o.Trace)
			}
		})
	}
}
