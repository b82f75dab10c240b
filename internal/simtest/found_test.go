package simtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// plainOrder is an order of one unit at a mapped price, by an ordinary buyer.
const plainOrder = 40

// ordinary is a company without anything special to it.
func ordinary() Company {
	return Company{
		Policy: reconcile.Policy{Mode: reconcile.Enforce, Grace: 72 * time.Hour, Onboarding: reconcile.Invite, CreateWebsites: true, NewAfter: everybodyIsNew},
		Brakes: planner.Brakes{Suspend: planner.Limit{Count: 5}, ChangePlan: planner.Limit{Count: 5},
			Create: planner.Limit{Count: 25}, Terminate: planner.Limit{Count: 1}},
		Latency: 100 * time.Millisecond, Page: 25, AfterRetries: "cancel",
	}
}

// found are the histories that broke a promise once, made small. Each names the mistake
// that broke it; if the mistake is put back, the history breaks the promise again.
var found = []struct {
	name    string
	steps   []Step
	company func(*Company) // nil: an ordinary one
}{
	{name: "staff suspends a hosting that we have suspended, and the customer is back", steps: []Step{
		{Kind: SignUp, Pick: plainOrder}, {Kind: Run, Pick: runFull}, {Kind: Cancel}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run},
		{Kind: StaffSuspend}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: SignUp, Pick: plainOrder}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run},
	}},
	{name: "the database is lost when the org has its name and not yet its hosting", steps: []Step{
		{Kind: SignUp, Pick: plainOrder}, {Kind: Run, Pick: runFull, Cut: &Cut{At: "after-record", Nth: 2, Dies: true}},
		{Kind: LoseDB, Pick: 1}, {Kind: Run},
	}},
	{name: "the database is put back to a copy that does not know the org", steps: []Step{
		{Kind: SignUp, Pick: plainOrder}, {Kind: Run, Pick: runDry}, {Kind: CopyDB}, {Kind: Run}, {Kind: RestoreDB}, {Kind: Run},
	}},
	{name: "the same, and the next run is a full one", steps: []Step{
		{Kind: SignUp, Pick: plainOrder}, {Kind: Run, Pick: runDry}, {Kind: CopyDB}, {Kind: Run}, {Kind: RestoreDB}, {Kind: Run, Pick: runFull},
	}},
	{name: "the database is lost, and of the customer's org only a deleted hosting is left", steps: []Step{
		{Kind: SignUp, Pick: plainOrder}, {Kind: Run, Pick: runFull}, {Kind: Cancel}, {Kind: StaffDelete}, {Kind: SignUp, Pick: plainOrder},
		{Kind: LoseDB, Pick: 1}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run},
	}},
	{name: "the database is lost, and with it that staff deleted what was bound", steps: []Step{
		{Kind: SignUp, Pick: plainOrder}, {Kind: Run, Pick: runFull}, {Kind: StaffDelete}, {Kind: LoseDB, Pick: 1}, {Kind: Run},
	}},
	{name: "the hosting of a subscription under a hold is taken over by another, which ends too", steps: []Step{
		{Kind: SignUp, Pick: 38}, {Kind: Run, Pick: runFull}, {Kind: HoldAdd, Pick: 35}, {Kind: Cancel}, {Kind: SignUp, N: 1, Pick: 29},
		{Kind: Run, Pick: runFull}, {Kind: Cancel},
	}},
	{name: "an unmapped price is left again in the moment in which it is mapped", steps: []Step{
		{Kind: SignUp, Pick: plainOrder}, {Kind: Run, Pick: runFull}, {Kind: MapRemove, Pick: 16}, {Kind: Wait, Wait: 10 * time.Minute},
		{Kind: ChangePrice, N: 1, Pick: 41}, {Kind: Run, Pick: runDry}, {Kind: ChangePrice, N: 3}, {Kind: MapRestore}, {Kind: Run},
	}},
	{name: "a lost database is replaced by an old copy after the customer got a second org", steps: []Step{
		{Kind: SignUp, Pick: 54}, {Kind: Run, Pick: runFull}, {Kind: CopyDB}, {Kind: StaffPurge}, {Kind: Quantity, Pick: 58},
		{Kind: LoseDB, Pick: 2}, {Kind: Run}, {Kind: RestoreDB},
	}},
	{name: "a subscription ends while the hosting of another one is gone", steps: []Step{
		{Kind: SignUp, Pick: plainOrder}, {Kind: Run, Pick: runFull}, {Kind: StaffDelete}, {Kind: SignUp, N: 2, Pick: 9},
		{Kind: Wait, Wait: 27 * time.Hour}, {Kind: Run}, {Kind: Cancel, N: 2},
	}},
	{name: "the same, before a run has seen that it is gone", steps: []Step{
		{Kind: SignUp, Pick: plainOrder}, {Kind: SignUp, N: 2, Pick: 9}, {Kind: Run, Pick: runFull}, {Kind: StaffPurge}, {Kind: Cancel, N: 1}, {Kind: Run},
	}},
	{name: "a clock hours ahead decides when to look again, and is set right", steps: []Step{
		{Kind: SignUp, Pick: 5}, {Kind: Skew, Wait: 20 * time.Hour}, {Kind: Run}, {Kind: LoseDB, Pick: 1}, {Kind: Run, Pick: runDry},
		{Kind: StaffPlan, N: 2, Pick: 39},
	}},
	{name: "a clock hours behind thinks that there is grace, and staff have changed the plan", steps: []Step{
		{Kind: SignUp, Pick: 13}, {Kind: Run, Pick: runFull}, {Kind: FailPayment}, {Kind: Wait, Wait: 74 * time.Hour}, {Kind: Wait, Wait: 4 * time.Minute},
		{Kind: Skew, Wait: -20 * time.Hour}, {Kind: StaffPlan, Pick: 3}, {Kind: Run, Pick: runFull},
	}},
	{name: "a process dies with the hosting of an item made, and the item is removed", steps: []Step{
		{Kind: SignUp, Pick: 18}, {Kind: Run, Pick: runTargeted}, {Kind: AddItem}, {Kind: Run, Cut: &Cut{At: "after-call", Nth: 1, Dies: true}},
		{Kind: RemoveItem, N: 1},
	}},
	{name: "a process dies with a hosting made, and its subscription ends days before the next run", steps: []Step{
		{Kind: SignUp, Pick: plainOrder}, {Kind: Run, Pick: runFull, Cut: &Cut{At: "after-call", Nth: 2, Dies: true}},
		{Kind: Cancel}, {Kind: Wait, Wait: 68 * time.Hour},
	}},
	{name: "an old copy of the database remembers a suspension that was not done, and there is one of later", company: withRetention, steps: []Step{
		{Kind: SignUp, Pick: plainOrder}, {Kind: Run, Pick: runFull}, {Kind: Cancel},
		{Kind: Run, Pick: runFull, Cut: &Cut{At: "after-intent", Nth: 1, Dies: true}}, {Kind: CopyDB}, {Kind: Wait, Wait: 13 * 24 * time.Hour},
		{Kind: Run, Pick: runFull}, {Kind: Wait, Wait: 20 * 24 * time.Hour}, {Kind: RestoreDB},
	}},
	{name: "an old copy of the database knows nothing of the subscription that had the hosting since", company: withRetention, steps: []Step{
		{Kind: SignUp, Pick: plainOrder}, {Kind: Run, Pick: runFull}, {Kind: Cancel}, {Kind: Run, Pick: runFull}, {Kind: CopyDB},
		{Kind: Wait, Wait: 2 * time.Hour}, {Kind: SignUp, N: 1, Pick: plainOrder}, {Kind: Run, Pick: runFull}, {Kind: Wait, Wait: 10 * 24 * time.Hour},
		{Kind: Cancel}, {Kind: Run, Pick: runFull}, {Kind: Wait, Wait: 25 * 24 * time.Hour}, {Kind: RestoreDB},
	}},
	{name: "the database is lost, and who has the hosting of an ended subscription stands in the metadata", company: withMetadata, steps: []Step{
		{Kind: SignUp, Pick: 1}, {Kind: Run}, {Kind: SignUp, Pick: 31}, {Kind: Cancel, N: 1}, {Kind: Wait, Wait: 49 * time.Hour}, {Kind: Run},
		{Kind: LoseDB, Pick: 2},
	}},
	{name: "an old copy of the database learns of the newest org by metadata, and not of those before it", company: withMetadataOneByOne, steps: []Step{
		{Kind: SignUp, Pick: plainOrder}, {Kind: SignUp, Who: 1, Pick: plainOrder}, {Kind: SignUp, Who: 2, Pick: plainOrder}, {Kind: Run, Pick: runDry}, {Kind: CopyDB},
		{Kind: Run, Pick: runTargeted, Cut: &Cut{At: "after-record", Nth: 3, Dies: true}}, {Kind: Wait, Wait: 20 * time.Hour},
		{Kind: Run, Pick: runTargeted, Who: 1}, {Kind: RestoreDB},
	}},
	{name: "the database is lost, the plan of who had come back is missing, and the customer comes back once more", company: withMetadata, steps: []Step{
		{Kind: SignUp, Pick: 2}, {Kind: Run, Pick: runFull}, {Kind: Cancel, N: 2}, {Kind: SignUp, N: 3, Pick: 48}, {Kind: Wait, Wait: 6 * time.Minute}, {Kind: Run},
		{Kind: SignUp, Pick: 1}, {Kind: LoseDB, Pick: 2}, {Kind: MapBreak, Pick: 51}, {Kind: Run}, {Kind: MapSwap, Pick: 3},
	}},
	{name: "the database is lost, staff delete the hosting that metadata names, and another subscription ends", company: withMetadata, steps: []Step{
		{Kind: SignUp, Pick: 45}, {Kind: Run, Pick: runFull}, {Kind: SignUp, N: 2, Pick: 19}, {Kind: CancelLater, Pick: 14}, {Kind: LoseDB, Pick: 2},
		{Kind: StaffDelete, N: 1, Pick: 1}, {Kind: Run, Pick: runFull}, {Kind: Wait, Wait: 312 * time.Hour},
	}},
	{name: "staff have made a hosting on another plan for who orders", steps: []Step{
		{Kind: Elsewhere, Pick: 2}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: SignUp, Pick: plainOrder}, {Kind: Run},
	}},
	{name: "the panel was in use before, and no person has decided who is new", company: undecided, steps: []Step{
		{Kind: Elsewhere, Who: 1}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: SignUp, Pick: plainOrder}, {Kind: Run}, {Kind: Run, Pick: runFull},
	}},
	{name: "two installations make one hosting each, and the customer is back with another order", steps: []Step{
		{Kind: Install}, {Kind: SignUp, Pick: plainOrder},
		{Kind: Run, Pick: runFull, Cut: &Cut{At: "before-intent", Nth: 2, Meanwhile: []Step{{ID: 90, Kind: Run, N: second, Pick: runFull}}}},
		{Kind: Cancel}, {Kind: SignUp, Pick: plainOrder},
	}},
	{name: "three suspensions wait, two are paid, and the third is within the limit", company: oneAtATime, steps: []Step{
		{Kind: SignUp, Pick: plainOrder}, {Kind: SignUp, Who: 1, Pick: plainOrder}, {Kind: SignUp, Who: 2, Pick: plainOrder}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run, Pick: runFull},
		{Kind: GiveUp}, {Kind: GiveUp, Who: 1}, {Kind: GiveUp, Who: 2}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run},
		{Kind: Pay}, {Kind: Pay, Who: 1}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run},
	}},
	{name: "the database is put back to before a suspension, and then it is paid", steps: []Step{
		{Kind: SignUp, Pick: plainOrder}, {Kind: SignUp, Who: 1, Pick: plainOrder}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run, Pick: runFull}, {Kind: CopyDB},
		{Kind: GiveUp}, {Kind: GiveUp, Who: 1}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run}, {Kind: RestoreDB}, {Kind: Pay},
		{Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run}, {Kind: Pay, Who: 1}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run, Pick: runFull},
	}},
	{name: "the database is lost while a hosting is suspended by us, and then it is paid", steps: []Step{
		{Kind: SignUp, Pick: plainOrder}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run, Pick: runFull}, {Kind: GiveUp}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run},
		{Kind: LoseDB, Pick: 1}, {Kind: Pay}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run},
	}},
	{name: "an order for many waits, is for two then, and others order", steps: []Step{
		{Kind: OrderMany}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run, Pick: runFull}, {Kind: Quantity, Pick: 1}, {Kind: SignUp, Who: 1, Pick: plainOrder},
		{Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run}, {Kind: Approve}, {Kind: ChangePrice, Pick: 1}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run},
	}},
	{name: "an old copy of the database holds an order again of which part was made, and then binds that", steps: []Step{
		{Kind: SignUp, Who: 1, Pick: plainOrder}, {Kind: Run, Pick: runFull}, {Kind: OrderMany, Pick: 18}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: CopyDB},
		{Kind: Run}, {Kind: Approve}, {Kind: Run, Cut: &Cut{At: "after-record", Nth: 14, Dies: true}}, {Kind: RestoreDB}, {Kind: SignUp, Who: 2, Pick: plainOrder},
		{Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run},
	}},
	{name: "the same, and all of it was made", steps: []Step{
		{Kind: SignUp, Who: 1, Pick: plainOrder}, {Kind: Run, Pick: runFull}, {Kind: OrderMany, Pick: 18}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: CopyDB},
		{Kind: Run}, {Kind: Approve}, {Kind: Run}, {Kind: RestoreDB}, {Kind: SignUp, Who: 2, Pick: plainOrder},
		{Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run},
	}},
	{name: "staff take the marker off, we suspend, and the database is lost", steps: []Step{
		{Kind: SignUp, Pick: plainOrder}, {Kind: Run, Pick: runFull}, {Kind: StaffRename, Pick: 1}, {Kind: Cancel}, {Kind: Wait, Wait: 2 * time.Minute}, {Kind: Run},
		{Kind: SignUp, Pick: plainOrder}, {Kind: LoseDB, Pick: 1},
	}},
}

// foundSeeds broke a promise once, and depend on single seconds or are too long to write
// down.
var foundSeeds = []uint64{
	969, 1883, 1959, 2815, 3053, 3082, 3449, 4031, 5067, 5537, 5805, 10324, 30062, 30159, 40449, 40488, 60763, 61326, 61779,
	29145,  // a database that is older than the panel, and Stripe's answer about the one subscription that shows whose an org is cannot be read
	43883,  // the other installation's org is old when a listing that is a minute old shows it empty
	44130,  // a lost database, and a hosting that staff remove before the next look
	44680,  // an old database gives a customer's old hosting to an order whose own it has forgotten
	55248,  // an org that cannot be listed when the database is lost holds staff's hosting
	93121,  // a listing that is a minute old lacks the other installation's hosting in an org of one's own
	94489,  // a lost database, a guest with a new address, and the founder's hosting deleted
	46830,  // a sent invoice is due after the one that failed, and before the first run: grace counts from the later one
	46981,  // one order is called new beside a hosting by staff, the address changes, and the next order waits for it
	45890,  // of two installations one alone has read of the order with which a customer is back
	45760,  // the database is lost, and an order that has a hosting by its marker gets its further unit before anybody decides who is new
	45510,  // two installations made a hosting each, the customer is back, and the metadata by the one names the second to the other
	45026,  // two orders of one domain, in one plan
	46348,  // another order of a domain that has its website
	47285,  // the owner of an org that is there is invited in the run, and a guest with that e-mail follows
	60827,  // the metadata names an org that is not the customer's by its marker or its e-mail, and it has an owner
	61204,  // two orders of one domain, with policies
	35092,  // a lost database, two customers of one person, and the hosting of one is purged
	35136,  // an org that was refused in the first run shows a hosting by staff to the look before a create
	35814,  // a lost database, a guest with a new address, and the first customer's hosting without its marker
	37022,  // a create without an answer took effect, and staff took the marker off before it was looked for
	26090,  // of two installations one has invited the owner, and the other one gives the org its name later
	20511,  // a flow run holds a second order of a customer whose first one a run has let pass
	300426, // a create without an answer, a listing that lacks its hosting, and staff purge that before the next look
	301850, // an answer about the first of two trials that cannot be read
	312183, // a website that staff deleted still has the domain, and the org in which to ask is yet to be made
	121218, // two customers share an org, and the look of one of them is refused
	309268, // staff lift a suspension whose answer was lost, before it is looked for
	325962, // an order is called new beside a hosting by staff, its hosting is refused, the address changes, and the next order waits
	325730, // an item is gone, and another one that was sold as hosting is mapped to none before its hosting is found
	326060, // a person has to choose between two hostings with websites, for an order of another plan
	338597, // staff suspend a hosting in the moment of our first suspension of all
	343913, // a sent invoice is paid before it is due, in the second in which the subscription was seen unpaid, and the next one fails
	371609, // a database that is put back does not know of a website and its application
	363040, // a database is put back that knows neither of a hosting in an org by staff, which they deleted, nor of the address by which it was the customer's
	425999, // the event of a failed payment is never listed, and its grace period counts from a reading days later
	401438, // an old database has no record of a hosting in another customer's org, and the address has changed
	408181, // a clock that is hours behind takes an older invoice for the latest one
	411070, // a run reads a subscription only to see whether the account is the right one
	411521, // a refused request is made again between a dry run and a run
	413920, // a database that was lost takes its own note in the metadata for an order
	413962, // an item that lost its mapping keeps two hostings though it has one unit now
	415626, // two installations have made an org each for one customer, and one of them makes a hosting in both
	410772, // after a lost database a run suspends, for a dispute, what an order took over that it reads by id only now
	373574, // a person keeps suspended what comes back, and the answer to a create for another order is lost
	319568, // a hold on an order that has ended, whose hosting a person binds to another one
	48482,  // of two installations one reads the other's new org a moment before its hosting shows
}

// foundWithMerges are such seeds of histories with merges.
var foundWithMerges = []uint64{
	265, // of two guests with one e-mail the first was refused before, and the second founds the org
	546, // a hosting by hand shows in the rehearsal, and the brake has one order less to judge
}

func TestSeedsThatBrokeAPromiseOnceDoNotBreakItAgain(t *testing.T) {
	for _, seed := range foundSeeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			o, err := Play(Generate(seed), false)
			if err != nil {
				t.Fatal(err)
			}
			if o.Violation != nil {
				t.Errorf("%s\nsee it with: make sim SEED=%d", o.Violation, seed)
			}
		})
	}
}

func TestSeedsWithMergesThatBrokeAPromiseOnceDoNotBreakItAgain(t *testing.T) {
	for _, seed := range foundWithMerges {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			o, err := Play(withMerges(Generate(seed)), false)
			if err != nil {
				t.Fatal(err)
			}
			if o.Violation != nil {
				t.Error(o.Violation)
			}
		})
	}
}

func oneAtATime(c *Company) { c.Brakes.Suspend = planner.Limit{Count: 1} }

func undecided(c *Company) { c.Policy.NewAfter = time.Time{} }

func withMetadata(c *Company) { c.Policy.WriteMetadata = true }

func withMetadataOneByOne(c *Company) {
	withMetadata(c)
	c.Brakes.Create = planner.Limit{Count: 1}
}

func withRetention(c *Company) { c.Policy.Retention = 30 * 24 * time.Hour }

func TestWhatBrokeAPromiseOnceDoesNotBreakItAgain(t *testing.T) {
	for _, f := range found {
		t.Run(f.name, func(t *testing.T) {
			for i := range f.steps {
				f.steps[i].ID = i + 1
			}
			company := ordinary()
			if f.company != nil {
				f.company(&company)
			}
			o, err := Play(Scenario{Seed: 1, Company: company, Steps: f.steps}, true)
			if err != nil {
				t.Fatal(err)
			}
			if o.Violation != nil {
				t.Errorf("%s\n%s", o.Violation, o.Trace)
			}
		})
	}
}
