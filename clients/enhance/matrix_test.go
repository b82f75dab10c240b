package enhance_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

var suspended, named = true, "Mine"

var ops = []op{
	{"create an org", "POST /orgs/{org}/customers", "create", "permanent", func(ctx context.Context, n *town) error {
		_, err := n.client.CreateOrg(ctx, "Grace [cus_1]")
		return err
	}},
	{"create a hosting", "POST /orgs/{org}/customers/{customer}/subscriptions", "create", "not found", func(ctx context.Context, n *town) error {
		_, err := n.client.CreateHosting(ctx, n.org, 2, "Pro [sub_2/1]")
		return err
	}},
	{"create a website", "POST /orgs/{org}/websites", "create", "not found", func(ctx context.Context, n *town) error {
		_, err := n.client.CreateWebsite(ctx, n.org, n.hosting, "ada.example.com", reconcile.SiteOptions{})
		return err
	}},
	{"install an app", "POST /orgs/{org}/websites/{website}/apps", "create", "not found", func(ctx context.Context, n *town) error {
		if _, err := n.client.CreateWebsite(ctx, n.org, n.hosting, "app.example.com", reconcile.SiteOptions{}); err != nil {
			return err
		}
		return n.client.InstallApp(ctx, n.org, n.hosting, "app.example.com", "wordpress", "ada@example.com")
	}},
	{"create a login", "POST /logins", "create", "not found", func(ctx context.Context, n *town) error {
		return n.client.CreateLogin(ctx, n.org, "new@example.com", "New")
	}},
	{"join a login", "POST /orgs/{org}/members", "create", "not found", func(ctx context.Context, n *town) error {
		return n.client.CreateLogin(ctx, n.org, "new@example.com", "New")
	}},
	{"start a recovery", "PUT /login/password-recovery", "set", "permanent", func(ctx context.Context, n *town) error {
		return n.client.CreateLogin(ctx, n.org, "new@example.com", "New")
	}},
	{"invite an owner", "POST /orgs/{org}/invites", "set", "not found", func(ctx context.Context, n *town) error {
		return n.client.Invite(ctx, n.org, "new@example.com", "New")
	}},
	{"rename an org", "PATCH /orgs/{org}", "set", "not found", func(ctx context.Context, n *town) error {
		return n.client.RenameOrg(ctx, n.org, "Ada Lovelace")
	}},
	{"suspend a hosting", routeOfHosting("PATCH"), "set", "not found", func(ctx context.Context, n *town) error {
		return n.client.Change(ctx, n.org, n.hosting, reconcile.HostingChange{Suspended: &suspended})
	}},
	{"change a plan", routeOfHosting("PATCH"), "set", "not found", func(ctx context.Context, n *town) error {
		return n.client.Change(ctx, n.org, n.hosting, reconcile.HostingChange{Plan: 2})
	}},
	{"rename a hosting", routeOfHosting("PATCH"), "set", "not found", func(ctx context.Context, n *town) error {
		return n.client.Change(ctx, n.org, n.hosting, reconcile.HostingChange{Name: &named})
	}},
	{"delete a hosting", routeOfHosting("DELETE"), "set", "not found", func(ctx context.Context, n *town) error {
		return n.client.Delete(ctx, n.org, n.hosting)
	}},

	{"read the plans", "GET /orgs/{org}/plans", "read", "permanent", func(ctx context.Context, n *town) error {
		_, err := n.client.Plans(ctx)
		return err
	}},
	{"read all orgs", "GET /orgs/{org}/customers", "read", "permanent", func(ctx context.Context, n *town) error {
		_, err := n.client.Orgs(ctx, time.Time{})
		return err
	}},
	{"read the newest orgs", "GET /orgs/{org}/customers", "read", "permanent", func(ctx context.Context, n *town) error {
		_, err := n.client.Orgs(ctx, time.Now().Add(-time.Hour))
		return err
	}},
	{"count the customers", "GET /orgs/{org}/customers", "read", "permanent", func(ctx context.Context, n *town) error {
		_, err := n.client.CustomerCount(ctx)
		return err
	}},
	{"read an org", "GET /orgs/{org}", "read", "not found", func(ctx context.Context, n *town) error {
		_, err := n.client.Org(ctx, n.org)
		return err
	}},
	{"read ourselves", "GET /orgs/{org}", "read", "permanent", func(ctx context.Context, n *town) error {
		_, err := n.client.Self(ctx)
		return err
	}},
	{"read the hostings", "GET /orgs/{org}/customers/{customer}/subscriptions", "read", "not found", func(ctx context.Context, n *town) error {
		_, err := n.client.Hostings(ctx, n.org)
		return err
	}},
	{"read a hosting", routeOfHosting("GET"), "read", "not found", func(ctx context.Context, n *town) error {
		_, err := n.client.Hosting(ctx, n.org, n.hosting)
		return err
	}},
	{"read the owners", "GET /orgs/{org}/members", "read", "not found", func(ctx context.Context, n *town) error {
		_, err := n.client.OwnerEmails(ctx, n.org)
		return err
	}},
	{"read the websites", "GET /orgs/{org}/websites", "read", "not found", func(ctx context.Context, n *town) error {
		_, err := n.client.Websites(ctx, n.org)
		return err
	}},
	{"read the version", "GET /version", "read", "permanent", func(ctx context.Context, n *town) error {
		_, err := n.client.Version(ctx)
		return err
	}},
	{"ask whether it is ready", "GET /status", "read", "permanent", func(ctx context.Context, n *town) error {
		return n.client.Ready(ctx)
	}},
}

func routeOfHosting(method string) string {
	return method + " /orgs/{org}/subscriptions/{subscription}"
}

// ill is one fault and the result expected of each class of call. "404" stands for the
// op's own reading of that status.
type ill struct {
	name              string
	fault             simulator.Fault
	create, set, read string
	// honest marks an answer that is given only if nothing was done. The others are
	// given both ways.
	honest bool
}

func html(status int) simulator.Fault {
	return simulator.Fault{Status: status, Body: []byte("<html><body>Maintenance</body></html>")}
}

func bare(status int) simulator.Fault {
	return simulator.Fault{Status: status, Body: []byte(" ")}
}

func body(status int, text string) simulator.Fault {
	return simulator.Fault{Status: status, Body: []byte(text)}
}

func redirect(status int) simulator.Fault {
	return simulator.Fault{Status: status, Header: http.Header{"Location": {"/api/version"}}}
}

const (
	unclear   = "ambiguous"
	unclear29 = "ambiguous throttled"
	unclear03 = "ambiguous denied"
)

var ills = []ill{
	{"500", simulator.Fault{Status: 500}, unclear, unclear, "transient", false},
	{"502", simulator.Fault{Status: 502}, unclear, unclear, "transient", false},
	{"503", simulator.Fault{Status: 503}, unclear, unclear, "transient", false},
	{"504", simulator.Fault{Status: 504}, unclear, unclear, "transient", false},
	{"500 in the panel's words", body(500, `{"code":"internal"}`), unclear, unclear, "transient", false},
	{"late", simulator.LateBy(time.Minute), unclear, unclear, "transient", true},
	{"reset", simulator.Fault{Reset: true}, unclear, unclear, "transient", false},
	{"429", simulator.Throttled(""), unclear29, "throttled", "throttled", true},

	{"400", simulator.NotDone(400), "permanent", "permanent", "permanent", true},
	{"401", simulator.NotDone(401), "denied", "denied", "denied", true},
	{"403", simulator.NotDone(403), "denied", "denied", "denied", true},
	{"404", simulator.NotDone(404), "404", "404", "404", true},
	{"405", body(405, `{"code":"method_not_allowed"}`), "permanent", "permanent", "permanent", true},
	{"409", simulator.NotDone(409), "conflict", "conflict", "conflict", true},
	{"413", body(413, `{"code":"too_large"}`), "permanent", "permanent", "permanent", true},
	{"422", body(422, `{"code":"unprocessable"}`), "permanent", "permanent", "permanent", true},
	{"404 about something else", body(404, `{"code":"not_found","detail":"server"}`), "conflict", "conflict", "conflict", true},
	{"418 in the panel's words", body(418, `{"code":"teapot"}`), unclear, unclear, "transient", false},
	{"404 with another code", body(404, `{"code":"no_route"}`), unclear, unclear, "transient", false},

	{"409 in other words", body(409, `{"error":"conflict"}`), unclear, unclear, "transient", false},
	{"400 with a code that is no word", body(400, `{"code":7}`), unclear, unclear, "transient", false},
	{"bare 404", bare(404), unclear, unclear, "transient", false},
	{"bare 401", bare(401), unclear03, unclear03, "denied", false},
	{"bare 409", bare(409), unclear, unclear, "transient", false},
	{"HTML 400", html(400), unclear, unclear, "transient", false},
	{"HTML 403", html(403), unclear03, unclear03, "denied", false},
	{"HTML 404", html(404), unclear, unclear, "transient", false},
	{"HTML 502", html(502), unclear, unclear, "transient", false},

	{"redirect 301", redirect(301), unclear, unclear, "malformed", false},
	{"redirect 307", redirect(307), unclear, unclear, "malformed", false},
	{"HTML 200", html(200), unclear, unclear, "malformed", false},
	{"{} with 200", body(200, `{}`), unclear, unclear, "malformed", false},
	{"null with 200", body(200, `null`), unclear, unclear, "malformed", false},
	{"[] with 200", body(200, `[]`), unclear, unclear, "malformed", false},
	{"two values with 200", body(200, `{} {}`), unclear, unclear, "malformed", false},
	{"202", body(202, ``), unclear, unclear, "malformed", false},
	{"206", body(206, `{}`), unclear, unclear, "malformed", false},
	{"a mebibyte too much", body(200, strings.Repeat(" ", 16<<20+1)), unclear, unclear, "malformed", false},
}

// exceptions are the cells that differ from their class, each with its reason.
var exceptions = map[string]string{
	// A 200 is this call's documented success, and its body is not documented.
	"start a recovery × HTML 200":            "ok",
	"start a recovery × {} with 200":         "ok",
	"start a recovery × null with 200":       "ok",
	"start a recovery × [] with 200":         "ok",
	"start a recovery × two values with 200": "ok",
	// If a login exists, its holder is invited, which the calm panel does.
	"create a login × 409": "ok",
	// 409 is documented as "already a member".
	"join a login × 409": "ok",
}

func TestEveryCallUnderEveryFaultSaysWhetherItWasDone(t *testing.T) {
	for _, o := range ops {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			n := newTown(t)
			for _, i := range ills {
				applies := []simulator.Apply{simulator.Skip, simulator.Do}
				if i.honest {
					applies = applies[:1]
				}
				for _, apply := range applies {
					i.fault.Apply = apply
					if i.name == "late" {
						i.fault.Apply = simulator.Late
					}
					checkCell(t, n, o, i)
				}
			}
		})
	}
}

// want is the expected verdict of a cell.
func want(o op, i ill) string {
	verdict := map[string]string{"create": i.create, "set": i.set, "read": i.read}[o.class]
	if verdict == "404" {
		verdict = o.missing
	}
	// If a call is about our own organisation, nothing else can be missing.
	if i.name == "404 about something else" && o.missing == "permanent" {
		verdict = "permanent"
	}
	if except, ok := exceptions[o.name+" × "+i.name]; ok {
		verdict = except
	}
	return verdict
}

func checkCell(t *testing.T, n *town, o op, i ill) {
	t.Helper()
	at := o.name + " × " + i.name + " (" + i.fault.Apply.String() + ")"
	if o.class != "read" {
		n = newTown(t) // so that nothing exists already
	}
	before := len(n.world.Effects())
	n.breaks(o.route, i.fault)
	err := o.do(t.Context(), n)
	if diff := cmp.Diff(want(o, i), verdict(err)); diff != "" {
		t.Errorf("%s: (-want +got)\n%s%v", at, diff, err)
	}
	sent := 1
	if o.class == "read" && strings.ContainsAny(verdict(err)[:1], "tm") { // transient, throttled, malformed
		sent = attempts
	}
	// If a kept connection breaks during a read, net/http makes another attempt.
	if got := n.calls(o.route); got != sent && !(o.class == "read" && i.fault.Reset) {
		t.Errorf("%s: sent %d times, want %d", at, got, sent)
	}
	if o.class == "read" && len(n.world.Effects()) != before {
		t.Errorf("%s: a read had an effect", at)
	}
	if err != nil && strings.Contains(err.Error(), canary) {
		t.Errorf("%s: the error holds the token: %v", at, err)
	}
}

func TestEveryCallSucceedsOnACalmPanelWithOneRequestOfItsRoute(t *testing.T) {
	for _, o := range ops {
		t.Run(o.name, func(t *testing.T) {
			n := newTown(t)
			if err := o.do(t.Context(), n); err != nil {
				t.Fatal(err)
			}
			sent := 1
			if o.name == "read all orgs" {
				sent = 2 // and the deleted ones
			}
			if got := n.calls(o.route); got != sent {
				t.Errorf("sent %d times, want %d", got, sent)
			}
			if v := n.world.Violations(); len(v) != 0 {
				t.Errorf("violations: %v", v)
			}
		})
	}
}

// These answers can only be given to a create.
func TestACreateWithoutAValidIDIsAmbiguous(t *testing.T) {
	for _, answer := range []string{
		``, `{}`, `null`, `[]`, `"x"`, `{"id":null}`, `{"id":""}`, `{"id":[1]}`, `{"id":0}`, `{"id":-1}`, `{"id":1.5}`,
		`{"id":99999999999999999999}`, `{"id":"42"}`, `{"id":"../../x"}`, `{"id":42`, `{"id":42}{"id":43}`, `<html>`,
	} {
		for _, o := range ops {
			// An invitation's answer is any string.
			if o.class != "create" && !(o.route == "POST /orgs/{org}/invites" && answer != `"x"`) {
				continue
			}
			n := newTown(t)
			n.breaks(o.route, body(http.StatusCreated, answer))
			if diff := cmp.Diff(unclear, verdict(o.do(t.Context(), n))); diff != "" {
				t.Errorf("%s answered %s: (-want +got)\n%s", o.name, answer, diff)
			}
			if got := n.calls(o.route); got != 1 {
				t.Errorf("%s answered %s: sent %d times", o.name, answer, got)
			}
		}
	}
}

func TestAWriteThatIsCutOrSucceedsWithTheWrongStatusIsAmbiguous(t *testing.T) {
	for _, o := range ops {
		if o.class == "read" {
			continue
		}
		faults := map[string]simulator.Fault{
			"200": body(200, `{"id":"`+otherOrg+`"}`), "201": body(201, `{"id":"`+otherOrg+`"}`), "204": {Status: 204},
		}
		switch {
		case o.route == "PUT /login/password-recovery":
			delete(faults, "200")
		case o.route == routeOfHosting("PATCH") || o.route == routeOfHosting("DELETE") || o.route == "PATCH /orgs/{org}":
			delete(faults, "204")
		default:
			delete(faults, "201")
			faults["truncated"] = simulator.Fault{Truncate: true}
			if o.name != "invite an owner" { // half a string and a quotation mark is a string
				faults["malformed"] = simulator.Fault{Malformed: true}
			}
			faults["huge"] = body(201, strings.Repeat(" ", 1<<20+1))
		}
		for name, f := range faults {
			n := newTown(t)
			n.breaks(o.route, f)
			if diff := cmp.Diff(unclear, verdict(o.do(t.Context(), n))); diff != "" {
				t.Errorf("%s answered %s: (-want +got)\n%s", o.name, name, diff)
			}
			if got := n.calls(o.route); got != 1 {
				t.Errorf("%s answered %s: sent %d times", o.name, name, got)
			}
		}
	}
}

func TestAReadThatIsCutIsTriedAgain(t *testing.T) {
	for _, o := range ops {
		if o.class != "read" {
			continue
		}
		for name, f := range map[string]simulator.Fault{"truncated": {Truncate: true}, "malformed": {Malformed: true}} {
			if name == "malformed" && (o.name == "read the version" || o.name == "ask whether it is ready") {
				continue // half a string and a quotation mark is a string
			}
			n := newTown(t)
			n.breaks(o.route, f)
			wanted := map[string]string{"truncated": "transient", "malformed": "malformed"}[name]
			if diff := cmp.Diff(wanted, verdict(o.do(t.Context(), n))); diff != "" {
				t.Errorf("%s %s: (-want +got)\n%s", o.name, name, diff)
			}
			if got := n.calls(o.route); got != attempts {
				t.Errorf("%s %s: sent %d times, want %d", o.name, name, got, attempts)
			}
		}
	}
}
