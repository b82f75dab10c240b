package report

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

var t0 = time.Date(2026, time.March, 2, 10, 0, 0, 999, time.FixedZone("elsewhere", 3600))

func action(id string, state reconcile.ActionState) reconcile.ActionRecord {
	return reconcile.ActionRecord{
		Action: reconcile.Action{
			ID: id, Kind: reconcile.ChangePlan, Customer: "cus_1", Subscription: "sub_1", Email: "a@example.com",
			Plan: 3, PlanName: "Pro", FromPlan: 2, Hosting: 42, Reason: "the price <changed>",
		},
		State: state,
	}
}

func TestTheDocumentHasTheShapeOfTheContract(t *testing.T) {
	r := reconcile.Report{
		Run: reconcile.RunRecord{
			ID: "run1", Trigger: "cli", Mode: "full", Started: t0, Finished: t0.Add(time.Second),
			Subscriptions: 1000, Events: 3, StripeCalls: 12, EnhanceCalls: 7,
		},
		Actions: []reconcile.ActionRecord{action("a1", reconcile.ActionApplied)},
		Holds:   []reconcile.Hold{{Kind: reconcile.HoldGrace, Customer: "cus_2", Subscription: "sub_2", Reason: "why", Until: t0}},
		Plans:   []reconcile.HeldPlan{{ID: "plan1", Kind: reconcile.Suspend, Version: 2, Created: t0, Reason: "7 × suspend"}},
	}
	var b strings.Builder
	if err := WriteJSON(&b, Of(r)); err != nil {
		t.Fatal(err)
	}
	want := `{
  "run_id": "run1",
  "trigger": "cli",
  "mode": "full",
  "dry": false,
  "started_at": "2026-03-02T09:00:00Z",
  "finished_at": "2026-03-02T09:00:01Z",
  "stripe": {
    "requests": 12,
    "subscriptions": 1000,
    "events": 3
  },
  "enhance": {
    "requests": 7
  },
  "actions": [
    {
      "id": "a1",
      "kind": "change_plan",
      "customer": "cus_1",
      "subscription": "sub_1",
      "email": "a@example.com",
      "plan": "3",
      "plan_name": "Pro",
      "from_plan": "2",
      "hosting": 42,
      "state": "applied",
      "reason": "the price <changed>",
      "error": ""
    }
  ],
  "holds": [
    {
      "customer": "cus_2",
      "subscription": "sub_2",
      "kind": "grace",
      "reason": "why",
      "until": "2026-03-02T09:00:00Z"
    }
  ],
  "counts": {
    "planned": 0,
    "applied": 1,
    "failed": 0,
    "held": 1,
    "orders_held": 0
  },
  "plan_id": "plan1",
  "plans": [
    {
      "id": "plan1",
      "kind": "suspend",
      "state": "waits",
      "version": 2,
      "created_at": "2026-03-02T09:00:00Z",
      "expires_at": null,
      "closed_at": null,
      "approved_at": null,
      "approved_by": "",
      "rejected_at": null,
      "rejected_by": "",
      "rejected_reason": "",
      "reason": "7 × suspend",
      "actions": []
    }
  ],
  "notes": [],
  "gates": [],
  "error": "",
  "converged": false
}
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnEmptyReportHasNoNullListAndIsConverged(t *testing.T) {
	text, err := json.Marshal(Of(reconcile.Report{}))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	for name, value := range got {
		if value == nil && name != "started_at" && name != "finished_at" {
			t.Errorf("%s is null", name)
		}
	}
	if got["converged"] != true {
		t.Error("nothing to do is not reported as converged")
	}
}

func TestScriptsSeeFourStates(t *testing.T) {
	type outside struct {
		State         string
		Adopted, Held bool
		Unknown       bool // the error names the outcome as unknown
	}
	for state, want := range map[reconcile.ActionState]outside{
		reconcile.ActionPlanned:    {State: "planned"},
		reconcile.ActionHeld:       {State: "planned", Held: true},
		reconcile.ActionSent:       {State: "failed", Unknown: true},
		reconcile.ActionAmbiguous:  {State: "failed", Unknown: true},
		reconcile.ActionApplied:    {State: "applied"},
		reconcile.ActionAdopted:    {State: "applied", Adopted: true},
		reconcile.ActionFailed:     {State: "failed"},
		reconcile.ActionSuperseded: {State: "superseded"},
		0:                          {State: "failed", Unknown: true},
	} {
		a := ActionOf(action("a", state))
		got := outside{a.State, a.Adopted, a.Held, strings.HasPrefix(a.Error, "outcome unknown")}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", state, diff)
		}
	}
}

func TestWhatAWaitingPlanListsIsHeldAndWhatAnApprovedOneListsIsNot(t *testing.T) {
	a, b := action("a", reconcile.ActionPlanned), action("b", reconcile.ActionPlanned)
	d := Of(reconcile.Report{
		Actions: []reconcile.ActionRecord{a, b},
		Plans: []reconcile.HeldPlan{
			{ID: "waits", Actions: []reconcile.Action{a.Action}},
			{ID: "approved", Actions: []reconcile.Action{b.Action}, Approved: t0},
		},
	})
	if diff := cmp.Diff([]bool{true, false}, []bool{d.Actions[0].Held, d.Actions[1].Held}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheCausesOfAnUnknownOutcomeAreKept(t *testing.T) {
	r := action("a", reconcile.ActionAmbiguous)
	r.Error = "enhance: POST /orgs: 502 Bad Gateway"
	if got := ActionOf(r).Error; !strings.Contains(got, r.Error) {
		t.Errorf("the error lost its cause: %q", got)
	}
}

func TestTextTellsWhatWasDoneWithheldAndWhatToDo(t *testing.T) {
	failed := action("a2", reconcile.ActionFailed)
	failed.Error = "enhance: PATCH: 409"
	r := reconcile.Report{
		Run:     reconcile.RunRecord{ID: "run1", Trigger: "cli", Mode: "full", Subscriptions: 1, StripeCalls: 1234567},
		Actions: []reconcile.ActionRecord{action("a1", reconcile.ActionAdopted), failed, action("a3", reconcile.ActionHeld)},
		Holds:   []reconcile.Hold{{Kind: reconcile.HoldUnmapped, Subscription: "sub_2", Reason: "no mapping for price price_x"}},
		Plans:   []reconcile.HeldPlan{{ID: "3f2a", Reason: "7 × suspend"}},
		Notes:   []string{"a note"},
	}
	var b strings.Builder
	if err := Text(&b, r, View{Verbose: true}); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"Stripe: 1 subscription read, 0 events, 1,234,567 requests.",
		"Done (1 change for 1 customer)", "found done: the price <changed>",
		"Failed (1 change for 1 customer)", "enhance: PATCH: 409",
		"Held for approval (1 change for 1 customer)",
		"sub_2: no mapping for price price_x", "mappings suggest",
		"stripe-enhance approve 3f2a", "a note",
		"1 done, 0 still to do, 1 failed, 1 held for approval, 1 withheld.",
	} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("%q is missing in:\n%s", part, b.String())
		}
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("colours without a terminal")
	}
}

func TestNamesFromStrangersCannotControlTheTerminal(t *testing.T) {
	r := reconcile.Report{Actions: []reconcile.ActionRecord{action("a", reconcile.ActionApplied)}}
	r.Actions[0].Email = "\x1b[2Ja\u202e\r\n@example.com"
	var b strings.Builder
	if err := Text(&b, r, View{}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\r\u202e") || !strings.Contains(b.String(), "?[2Ja???@example.com") {
		t.Errorf("%q", b.String())
	}
}

type broken struct{}

var errBroken = errors.New("broken pipe")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestAFailedWriteIsReported(t *testing.T) {
	if err := Text(broken{}, reconcile.Report{}, View{}); !errors.Is(err, errBroken) {
		t.Errorf("text: %v", err)
	}
	if err := WriteJSON(broken{}, Of(reconcile.Report{})); !errors.Is(err, errBroken) {
		t.Errorf("json: %v", err)
	}
}

func TestTheAdviceIsThatOfThePage(t *testing.T) {
	page := adviceOfPage(t)
	for _, kind := range reconcile.HoldKinds() {
		if word := string(kind); kind.Advice() == "" || page[word] != kind.Advice() {
			t.Errorf("add | `%s` | %s | to the table of docs/held.md", word, kind.Advice())
		}
		delete(page, string(kind))
	}
	for word := range page {
		t.Errorf("take %s out of the table of docs/held.md: there is no such kind", word)
	}
}

// adviceOfPage reads the table of holds.
func adviceOfPage(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/held.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n| hold | what to do |\n")
	if !found {
		t.Fatal("the page has no table of holds")
	}
	all := map[string]string{}
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 2 {
			break
		}
		all[strings.Trim(strings.TrimSpace(cells[0]), "`")] = strings.TrimSpace(cells[1])
	}
	delete(all, "---")
	return all
}

func TestNumbersAreGroupedByThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -100: "-100"} {
		if got := Number(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
