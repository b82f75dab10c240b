package enhance_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/clients/enhance"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

var simulator502 = simulator.DoneBut(502)

// mails lists what the panel has mailed, as kind and receiver.
func (n *town) mails() (all []string) {
	for _, m := range n.world.Mails() {
		all = append(all, m.Kind+" "+m.To)
	}
	return all
}

// did lists the effects since the town was built, by kind.
func (n *town) did() (all []string) {
	for _, e := range n.world.Effects() {
		switch e.Kind {
		case "create_login", "add_member", "invite_owner", "create_website":
			all = append(all, e.Kind)
		}
	}
	return all
}

func TestOnlyOwnersAreListedAlsoWhereThePanelIgnoresTheFilter(t *testing.T) {
	n := newTown(t)
	n.breaks("GET /orgs/{org}/members", body(200, `{"total":4,"items":[
		{"id":"1","email":"staff@example.com","roles":["SuperAdmin"]},{"id":"2","email":"zoe@example.com","roles":["Tomorrow","Owner"]},
		{"id":"3","email":"","roles":["Owner"]},{"id":"4","email":"Ada@example.com","roles":["Owner"],"isActive":false}]}`))
	emails, err := n.client.OwnerEmails(t.Context(), n.org)
	if diff := cmp.Diff([]string{"Ada@example.com", "zoe@example.com"}, emails); diff != "" || err != nil {
		t.Errorf("(-want +got)\n%s%v", diff, err)
	}
}

func TestInvitingTwiceMailsTwiceAndChangesNothingElse(t *testing.T) {
	n := newTown(t)
	for range 2 {
		if err := n.client.Invite(t.Context(), n.org, "new@example.com", ""); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"invite new@example.com", "invite new@example.com"}, n.mails()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	emails, err := n.client.OwnerEmails(t.Context(), n.org)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ada@example.com", "new@example.com"}, emails); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestInvitingAMemberIsSuccessWhateverTheCaseOfTheEmail(t *testing.T) {
	n := newTown(t)
	for _, email := range []string{"ada@example.com", "Ada@Example.COM"} {
		if err := n.client.Invite(t.Context(), n.org, email, "Ada"); err != nil {
			t.Errorf("%s: %v", email, err)
		}
	}
	if got := n.mails(); len(got) != 0 {
		t.Errorf("mailed %v", got)
	}
}

func TestARefusedInvitationWhoseMembersCannotBeReadIsNotSuccess(t *testing.T) {
	n := newTown(t)
	n.breaks("GET /orgs/{org}/members", simulator.NotDone(502))
	err := n.client.Invite(t.Context(), n.org, "ada@example.com", "Ada")
	if diff := cmp.Diff("transient permanent", verdict(err)); diff != "" {
		t.Errorf("(-want +got)\n%s%v", diff, err)
	}
}

// TestAnInviteeWithoutANameIsCalledByTheEmail, because the panel requires a name.
func TestAnInviteeWithoutANameIsCalledByTheEmail(t *testing.T) {
	for name, want := range map[string]string{"Ada": "Ada", " Ada Lovelace ": "Ada Lovelace", "": "ada@example.com", " ": "ada@example.com"} {
		var sent struct{ Name, Email string }
		url := served(t, func(w http.ResponseWriter, r *http.Request) {
			if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
				t.Error(err)
			}
			respond(w, 201, `"https://panel.example.com/invites/x"`)
		})
		if err := fast(t, url).Invite(t.Context(), otherOrg, "ada@example.com", name); err != nil || sent.Name != want || sent.Email != "ada@example.com" {
			t.Errorf("%q: sent %+v, %v, want the name %q", name, sent, err, want)
		}
	}
}

func TestALoginIsMadeOwnerAndMailedALinkToChooseAPassword(t *testing.T) {
	n := newTown(t)
	if err := n.client.CreateLogin(t.Context(), n.org, "new@example.com", "New"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"create_login", "add_member"}, n.did()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"password-recovery new@example.com"}, n.mails()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAnInterruptedLoginIsFinishedByTheNextCall(t *testing.T) {
	for _, c := range []struct {
		name, route string
		fault       simulator.Fault
		mails       []string
	}{
		{"the login's answer was lost", "POST /logins", simulator.DoneBut(502), []string{"invite new@example.com"}},
		{"the login was not made", "POST /logins", simulator.NotDone(502), []string{"password-recovery new@example.com"}},
		{"the membership was not made", "POST /orgs/{org}/members", simulator.NotDone(502), []string{"invite new@example.com"}},
		{"the membership's answer was lost", "POST /orgs/{org}/members", simulator.DoneBut(502), []string{"password-recovery new@example.com"}},
		{"the recovery was not started", "PUT /login/password-recovery", simulator.NotDone(502), []string{"password-recovery new@example.com"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newTown(t)
			n.breaks(c.route, c.fault)
			if err := n.client.CreateLogin(t.Context(), n.org, "new@example.com", "New"); fault.Of(err) != fault.Ambiguous {
				t.Fatalf("got %v", err)
			}
			n.breaks("", simulator.Fault{})
			if err := n.client.CreateLogin(t.Context(), n.org, "new@example.com", "New"); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.mails, n.mails()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			owners, err := n.client.OwnerEmails(t.Context(), n.org)
			if diff := cmp.Diff([]string{"ada@example.com", "new@example.com"}, owners); diff != "" || err != nil {
				t.Errorf("(-want +got)\n%s%v", diff, err)
			}
		})
	}
}

func TestALoginThatExistsElsewhereIsInvitedAndNotTouched(t *testing.T) {
	n := newTown(t)
	n.world.StaffCreateOrg("Grace", "grace@example.com")
	if err := n.client.CreateLogin(t.Context(), n.org, "grace@example.com", "Grace"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"invite_owner"}, n.did()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"invite grace@example.com"}, n.mails()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestALoginWhoseMembershipsCannotBeReadIsNotInvited: it may be an owner already, and then
// the mail would ask for what was done.
func TestALoginWhoseMembershipsCannotBeReadIsNotInvited(t *testing.T) {
	n := newTown(t)
	n.world.StaffCreateOrg("Grace", "grace@example.com")
	n.breaks("GET /orgs/{org}/members", simulator.NotDone(502))
	err := n.client.CreateLogin(t.Context(), n.org, "grace@example.com", "Grace")
	if verdict(err) != "transient" || len(n.mails()) != 0 {
		t.Errorf("got %v, mailed %v", err, n.mails())
	}
}

func TestALoginThatIsInvitedAndHasNotAcceptedIsInvitedAgain(t *testing.T) {
	n := newTown(t)
	if err := n.client.Invite(t.Context(), n.org, "new@example.com", "New"); err != nil {
		t.Fatal(err)
	}
	if err := n.client.CreateLogin(t.Context(), n.org, "new@example.com", "New"); err != nil {
		t.Fatal(err)
	}
	// A recovery would mail nothing, because such a login has no password yet.
	if diff := cmp.Diff([]string{"invite new@example.com", "invite new@example.com"}, n.mails()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestADomainThatIsTakenIsAConflictByWhateverStatus(t *testing.T) {
	for answer, want := range map[string]struct {
		taken   bool
		verdict string
	}{
		`409 {"code":"already_exists","detail":"domain"}`: {true, "conflict"},
		`403 {"code":"forbidden","detail":"domain"}`:      {true, "conflict"},
		`400 {"code":"already_exists","detail":"domain"}`: {true, "conflict"},
		`400 {"code":"bad_request","detail":"domain"}`:    {false, "permanent"},
		`409 {"code":"already_exists"}`:                   {false, "conflict"},
		`403 {"code":"forbidden"}`:                        {false, "denied"},
	} {
		n := newTown(t)
		refused := body(status(answer))
		refused.Apply = simulator.Skip
		n.breaks("POST /orgs/{org}/websites", refused)
		_, err := n.client.CreateWebsite(t.Context(), n.org, n.hosting, "taken.example.com", reconcile.SiteOptions{})
		if got := enhance.DomainTaken(err); got != want.taken {
			t.Errorf("%s: taken is %t: %v", answer, got, err)
		}
		if diff := cmp.Diff(want.verdict, verdict(err)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", answer, diff)
		}
	}
	if enhance.DomainTaken(nil) || enhance.DomainTaken(errors.New("x")) || enhance.DomainTaken(fault.Conflict) {
		t.Error("something else is a taken domain")
	}
}

// status splits "409 {…}".
func status(answer string) (int, string) {
	return int(answer[0]-'0')*100 + int(answer[1]-'0')*10 + int(answer[2]-'0'), answer[4:]
}

func TestAWebsiteWhoseAnswerWasLostIsFoundOnItsOwnHosting(t *testing.T) {
	n := newTown(t)
	n.breaks("POST /orgs/{org}/websites", simulator.DoneBut(502))
	if _, err := n.client.CreateWebsite(t.Context(), n.org, n.hosting, "ada.example.com", reconcile.SiteOptions{}); fault.Of(err) != fault.Ambiguous {
		t.Fatalf("got %v", err)
	}
	n.breaks("", simulator.Fault{})
	if _, err := n.client.CreateWebsite(t.Context(), n.org, n.hosting, "Ada.Example.com", reconcile.SiteOptions{}); err != nil {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff([]string{"create_website"}, n.did()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestADomainOnAnotherHostingOrADeletedOneIsTaken(t *testing.T) {
	n := newTown(t)
	other, err := n.world.StaffCreateHosting(n.org, 1, "Basic")
	if err != nil {
		t.Fatal(err)
	}
	for _, domain := range []string{"live.example.com", "dead.example.com"} {
		if _, err := n.world.AddWebsite(other, domain); err != nil {
			t.Fatal(err)
		}
		if _, err := n.client.CreateWebsite(t.Context(), n.org, n.hosting, domain, reconcile.SiteOptions{}); !enhance.DomainTaken(err) {
			t.Errorf("%s: got %v", domain, err)
		}
	}
	n.breaks("GET /orgs/{org}/websites", body(200, `{"items":[{"id":"w","domain":"old.example.com","subscriptionId":`+
		strconv.FormatInt(n.hosting, 10)+`,"status":"deleted"}],"total":1}`))
	if _, err := n.world.AddWebsite(other, "old.example.com"); err != nil {
		t.Fatal(err)
	}
	if _, err := n.client.CreateWebsite(t.Context(), n.org, n.hosting, "old.example.com", reconcile.SiteOptions{}); !enhance.DomainTaken(err) {
		t.Errorf("a deleted website on the hosting: got %v", err)
	}
}

func TestADomainWhoseHostingCannotBeReadIsNotSaidToBeTaken(t *testing.T) {
	n := newTown(t)
	other, err := n.world.StaffCreateHosting(n.org, 1, "Basic")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.world.AddWebsite(other, "ada.example.com"); err != nil {
		t.Fatal(err)
	}
	n.breaks("GET /orgs/{org}/websites", simulator.NotDone(502))
	_, err = n.client.CreateWebsite(t.Context(), n.org, n.hosting, "ada.example.com", reconcile.SiteOptions{})
	if diff := cmp.Diff("transient", verdict(err)); diff != "" {
		t.Errorf("(-want +got)\n%s%v", diff, err)
	}
}
