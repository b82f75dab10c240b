package engine_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

const (
	postApp = "POST /orgs/{org}/websites/{website}/apps"
	getApps = "GET /orgs/{org}/websites/{website}/apps"
	getDBs  = "GET /orgs/{org}/websites/{website}/mysql-dbs"
)

// withWordPress maps the first price with an application.
func withWordPress(t *testing.T, r *testenv.Env, app reconcile.App) {
	t.Helper()
	must(t, r.Store.SetMapping(context.Background(), reconcile.Mapping{BillingID: "price_basic_monthly", Plan: "1",
		MappingOptions: reconcile.MappingOptions{App: app}}, "test", r.World.Now()))
}

// blog is a company whose basic hosting comes with WordPress, and Ada's order of one.
func blog(t *testing.T) *testenv.Env {
	t.Helper()
	r := testenv.New(t, testenv.Options{})
	withWordPress(t, r, reconcile.AppWordPress)
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Name: "Ada", Price: "price_basic_monthly", Domain: "ada.example.com"})
	return r
}

// installs counts the installs by our hand.
func installs(r *testenv.Env) (n int) {
	for _, e := range r.World.Effects() {
		if e.Kind == "install_app" && !e.Staff {
			n++
		}
	}
	return n
}

func appOn(r *testenv.Env) string {
	var all []string
	for _, s := range r.World.Websites() {
		all = append(all, s.AppsOn())
	}
	return strings.Join(all, ", ")
}

// runs are n runs, some time apart.
func runs(r *testenv.Env, n int, apart time.Duration) (rep reconcile.Report) {
	for range n {
		rep, _ = r.Try(engine.Request{})
		r.World.Advance(apart)
	}
	return rep
}

func TestAnOrderGetsItsApplicationOnce(t *testing.T) {
	r := blog(t)
	rep := r.Run(engine.Request{})
	if !rep.Converged() || !slices.Contains(kinds(rep), "install_app applied") {
		t.Errorf("%v, %v", kinds(rep), rep.Holds)
	}
	site := r.World.Websites()[0]
	if len(site.Apps) != 1 || site.Apps[0].Kind != "wordpress" || site.Apps[0].AdminEmail != "ada@example.com" {
		t.Errorf("on the website is %+v", site.Apps)
	}
	runs(r, 3, 25*time.Hour)
	if installs(r) != 1 {
		t.Errorf("%d installs", installs(r))
	}
}

// A website that was made before the mapping asked for an application gets none.
func TestAnApplicationIsForWebsitesThatAreMadeSince(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: "price_basic_monthly", Domain: "ada.example.com"})
	r.Run(engine.Request{})
	withWordPress(t, r, reconcile.AppWordPress)
	if rep := runs(r, 4, time.Hour); installs(r) != 0 || !rep.Converged() {
		t.Errorf("%d installs, %v", installs(r), rep.Holds)
	}
}

// A website that the customer had made is not ours to put anything on.
func TestAWebsiteOfTheCustomerGetsNoApplication(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	withWordPress(t, r, reconcile.AppWordPress)
	s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: "price_basic_monthly"})
	r.Run(engine.Request{})
	_, err := r.World.AddWebsite(r.World.Hostings()[0].ID, "ada.example.com")
	must(t, err)
	r.World.Advance(time.Minute)
	must(t, r.World.SetMetadata(s.Subscription, map[string]string{"domain": "ada.example.com"}))
	rep := runs(r, 3, 2*time.Minute)
	diff(t, "held", []string{"website"}, holdKinds(rep))
	if installs(r) != 0 || !strings.Contains(rep.Holds[0].Reason, "not certain that the website is of our making") {
		t.Errorf("%d installs, %v", installs(r), rep.Holds)
	}
	must(t, r.World.AddApp("ada.example.com")) // a person decides
	r.World.Advance(time.Hour + time.Minute)
	if rep := r.Run(engine.Request{}); !rep.Converged() {
		t.Errorf("after a person installed it: %v", rep.Holds)
	}
}

// The answer to the making of the website is lost: the website is ours all the same.
func TestAWebsiteWhoseAnswerWasLostGetsItsApplication(t *testing.T) {
	r := blog(t)
	once := false
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Route != "POST /orgs/{org}/websites" || once {
			return simulator.Fault{Honest: true}
		}
		once = true
		return simulator.Lost(true)
	})
	rep := runs(r, 6, 2*time.Minute)
	if appOn(r) != "wordpress" || installs(r) != 1 || !rep.Converged() {
		t.Errorf("%q after %d installs: %v", appOn(r), installs(r), rep.Holds)
	}
}

// An install that outlasts the call is found, and not made a second time; one that left a
// database and no application is a person's.
func TestAnInstallWithoutAnAnswerIsLookedFor(t *testing.T) {
	for name, tt := range map[string]struct {
		apps simulator.Apps
		held []string
	}{
		"slow":   {simulator.Apps{Take: 3 * time.Minute}, nil},
		"broken": {simulator.Apps{Fail: true}, []string{"website"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := blog(t)
			r.World.SetApps(tt.apps)
			r.Run(engine.Request{})
			r.World.SetApps(simulator.Apps{Take: tt.apps.Take})
			rep := runs(r, 12, time.Minute)
			diff(t, "held", tt.held, holdKinds(rep))
			if installs(r) != 1 {
				t.Errorf("%d installs", installs(r))
			}
		})
	}
}

// Whatever is on the website, nothing is installed beside it.
func TestNothingIsInstalledBesideWhatIsThere(t *testing.T) {
	for name, tt := range map[string]struct {
		add  func(r *testenv.Env) error
		held []string
	}{
		"an application": {func(r *testenv.Env) error { return r.World.AddApp("ada.example.com") }, nil},
		"a database":     {func(r *testenv.Env) error { return r.World.AddDatabase("ada.example.com") }, []string{"website"}},
		"it is gone":     {func(r *testenv.Env) error { return r.World.RemoveWebsite("ada.example.com") }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := blog(t)
			r.World.SetApps(simulator.Apps{Denied: true})
			r.Run(engine.Request{})
			r.World.SetApps(simulator.Apps{})
			must(t, tt.add(r))
			r.World.Advance(time.Hour + time.Minute)
			rep := runs(r, 3, time.Minute)
			diff(t, "held", tt.held, holdKinds(rep))
			if installs(r) != 0 {
				t.Errorf("%d installs", installs(r))
			}
		})
	}
}

// A panel that installs nothing delays nothing: the hosting is up, the owner invited, and
// the customer is not set aside. The hold names a command that ends it.
func TestAPanelThatInstallsNothingDelaysNothing(t *testing.T) {
	for name, apps := range map[string]simulator.Apps{"the token may not": {Denied: true}, "there is no such operation": {Missing: true}} {
		t.Run(name, func(t *testing.T) {
			r := blog(t)
			r.World.SetApps(apps)
			rep := r.Run(engine.Request{})
			diff(t, "held", []string{"website"}, holdKinds(rep))
			if !strings.Contains(rep.Holds[0].Reason, "stripe-enhance mappings set price_basic_monthly 1 --app none") || parked(t, r) != 0 {
				t.Errorf("%v", rep.Holds)
			}
			diff(t, "panel", []string{"Basic active"}, panel(r))
			sub := r.World.Subscriptions()[0]
			must(t, r.World.ChangePrice(sub.ID, sub.Items[0].ID, priceFor(t, r, plans(r)[1])))
			r.World.Advance(time.Minute)
			r.Run(engine.Request{})
			diff(t, "upgraded", []string{"Pro active"}, panel(r))
		})
	}
	r := blog(t)
	r.World.SetApps(simulator.Apps{Denied: true})
	r.Run(engine.Request{})
	withWordPress(t, r, "")
	r.World.Advance(time.Minute)
	if rep := r.Run(engine.Request{}); !rep.Converged() {
		t.Errorf("with --app none: %v", rep.Holds)
	}
}

// What the panel refuses is asked again within the hour, and no longer than two days after
// the website was made: then it may have files that nothing shows.
func TestAnApplicationIsInstalledWithinTwoDaysOrByAPerson(t *testing.T) {
	for name, tt := range map[string]struct {
		after time.Duration
		want  string
	}{"an hour later": {61 * time.Minute, "wordpress"}, "three days later": {72 * time.Hour, ""}} {
		t.Run(name, func(t *testing.T) {
			r := blog(t)
			r.World.SetApps(simulator.Apps{Denied: true})
			r.Run(engine.Request{})
			r.World.SetApps(simulator.Apps{})
			r.World.Advance(tt.after)
			runs(r, 2, time.Minute)
			if appOn(r) != tt.want {
				t.Errorf("on the website is %q", appOn(r))
			}
		})
	}
}

// An install without an answer, and a panel that does not show how it ended: it is
// not tried again, and a person is asked.
func TestAnInstallThatNothingShowsIsNotTriedAgain(t *testing.T) {
	r := blog(t)
	sent := false
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		switch {
		case c.Route == postApp && !sent:
			sent = true
			return simulator.Lost(false)
		case c.Route == getApps && sent:
			return simulator.NotDone(http.StatusForbidden)
		}
		return simulator.Fault{Honest: true}
	})
	runs(r, 6, time.Minute)
	r.World.SetFault(nil)
	r.World.Advance(2 * time.Hour)
	rep := runs(r, 4, time.Hour)
	diff(t, "held", []string{"website"}, holdKinds(rep))
	if !sent || installs(r) != 0 {
		t.Errorf("sent %v, %d installs", sent, installs(r))
	}
}

// While the panel does not answer about applications, everything else of the customer goes
// on, a suspension too.
func TestWhileAnInstallHasNoOutcomeTheRestGoesOn(t *testing.T) {
	r := blog(t)
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		switch c.Route {
		case postApp:
			return simulator.Lost(true)
		case getApps, getDBs:
			if installs(r) > 0 {
				return simulator.NotDone(http.StatusServiceUnavailable)
			}
		}
		return simulator.Fault{Honest: true}
	})
	runs(r, 2, time.Second)
	must(t, r.World.MarkUnpaid(r.World.Subscriptions()[0].ID))
	r.World.Advance(time.Second)
	runs(r, 2, time.Second)
	diff(t, "panel", []string{"Basic suspended"}, panel(r))
	if parked(t, r) != 0 || installs(r) != 1 {
		t.Errorf("%d set aside, %d installs", parked(t, r), installs(r))
	}
}
