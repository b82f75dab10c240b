package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite" // the driver, for looking at the database from outside

	"github.com/stripe-enhance/stripe-enhance/internal/browser"
	"github.com/stripe-enhance/stripe-enhance/internal/mailtest"
	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/simulator"
	"github.com/stripe-enhance/stripe-enhance/store"
)

func TestMain(m *testing.M) {
	testscript.Main(withServer{m}, map[string]func(){"stripe-enhance": main, "only-verifies": onlyVerifies})
}

// withServer stops the PostgreSQL that tests may have started.
type withServer struct{ *testing.M }

func (w withServer) Run() int {
	code := w.M.Run()
	browser.Close()
	if err := pgtest.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

// TestScripts runs the program as a process of its own, the way users do, each
// script on a SQLite of its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, scripts(func(*testscript.Env) {}, testscript.Params{Dir: "testdata/script"}))
}

// TestScriptsOnPostgreSQL runs those whose outcome could depend on the database.
func TestScriptsOnPostgreSQL(t *testing.T) {
	files := []string{"testdata/postgres/seed.txtar", "testdata/postgres/durability.txtar", "testdata/postgres/place.txtar", "testdata/postgres/copy.txtar",
		"testdata/postgres/import_legacy.txtar", "testdata/postgres/restore.txtar"}
	for _, name := range []string{"reconcile", "brake", "reject", "standing", "lease", "interrupted", "says_so", "notify", "adopt", "forecast", "mail", "erase", "wordpress", "email", "features", "disputes", "merge"} {
		files = append(files, "testdata/script/"+name+".txtar")
	}
	urls := make(chan string, len(files))
	for range files {
		urls <- pgtest.Empty(t)
	}
	testscript.Run(t, scripts(func(e *testscript.Env) {
		url := <-urls
		e.Setenv("DATABASE_URL", url)
		e.Setenv("POSTGRES", url)
	}, testscript.Params{Files: files}))
}

// scripts adds what all scripts have beside the usual commands.
func scripts(setup func(*testscript.Env), p testscript.Params) testscript.Params {
	p.RequireExplicitExec = true
	p.Setup = func(e *testscript.Env) error {
		e.Values[outsideKey{}] = &outside{signed: map[string]simulator.SignedUp{}}
		e.Setenv("USER", "operator")
		setup(e)
		return nil
	}
	p.Cmds = map[string]func(*testscript.TestScript, bool, []string){
		"exits":      exits,
		"printed":    runPrinted,
		"metadata":   command((*outside).metadata),
		"ways":       command((*outside).ways),
		"ownhosting": command((*outside).ownHosting),
		"ownorg":     command((*outside).ownOrg),
		"tries":      tries,
		"writes":     writesFile,
		"public":     publicFolder,
		"sim":        command((*outside).sim),
		"signup":     command((*outside).signup),
		"world":      command((*outside).verb),
		"panel":      command((*outside).panel),
		"site":       command((*outside).site),
		"unsite":     command((*outside).unsite),
		"groups":     command((*outside).groups),
		"placed":     command((*outside).placed),
		"apps":       command((*outside).apps),
		"installed":  command((*outside).installed),
		"details":    command((*outside).details),
		"trial":      command((*outside).trial),
		"features":   command((*outside).features),
		"dispute":    command((*outside).dispute),
		"serves":     command((*outside).serves),
		"sql":        command((*outside).sql),
		"lease":      command((*outside).lease),
		"planid":     command((*outside).planID),
		"holdid":     command((*outside).holdID),
		"slow":       command((*outside).slow),
		"first":      command((*outside).first),
		"staff":      command((*outside).staff),
		"chat":       command((*outside).chatting),
		"collector":  command((*outside).collecting),
		"mail":       command((*outside).mailing),
		"calendar":   command((*outside).calendar),
		"moved":      command((*outside).moved),
		"named":      command((*outside).named),
		"decide":     decide,
		"decideall":  decideAll,
		"town":       command((*outside).town),
		"untouched":  command((*outside).untouched),
		"grown":      command((*outside).grown),
		"carry":      command((*outside).carry),
		"sell":       command((*outside).sell),
		"discount":   command((*outside).discount),
		"twin":       command((*outside).twin),
		"erased":     command((*outside).erased),
		"intables":   command((*outside).inTables),
	}
	return p
}

// writesFile FILE TEXT writes a file that is a minute old.
func writesFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: writes FILE TEXT")
	}
	path, at := ts.MkAbs(args[0]), time.Now().Add(-time.Minute)
	ts.Check(os.WriteFile(path, []byte(args[1]+"\n"), 0o600))
	ts.Check(os.Chtimes(path, at, at))
}

// publicFolder sets $PUBLIC to a new folder that every user may enter; that of the script is
// below one that others may not.
func publicFolder(ts *testscript.TestScript, _ bool, _ []string) {
	dir, err := os.MkdirTemp("/tmp", "stripe-enhance-public-")
	ts.Check(err)
	ts.Defer(func() { _ = os.RemoveAll(dir) })
	ts.Check(os.Chmod(dir, 0o755))
	ts.Setenv("PUBLIC", dir)
}

// exits CODE PROGRAM ARGS… is exec for a certain exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// tries PROGRAM ARGS… is exec for a program that may end either way.
func tries(ts *testscript.TestScript, _ bool, args []string) {
	var exit *exec.ExitError
	if err := ts.Exec(args[0], args[1:]...); err != nil && !errors.As(err, &exit) {
		ts.Check(err)
	}
}

// outside is the world around the program in one script.
type outside struct {
	simulated *simulator.World
	signed    map[string]simulator.SignedUp
	writes    chan struct{} // closed at the first write to Enhance
	chat      *chat         // the receiver of NOTIFY_URLS
	mails     *mailtest.Server
	collector *collector // of traces
	town400   *town
}

type outsideKey struct{}

func command(do func(*outside, *testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("this command has no opposite")
		}
		do(ts.Value(outsideKey{}).(*outside), ts, args)
	}
}

// canary is part of every credential of the scripts; it must be found nowhere.
const canary = "CANARY"

// sim [hostile] [deny=invoices,…] starts the simulators and sets the environment to work
// against them. The shop has its three prices and plans, and no customer yet.
func (o *outside) sim(ts *testscript.TestScript, args []string) {
	options := simulator.Options{
		Calm: true, Follow: time.Now, StripeKey: "sk_test_" + canary + "stripe", EnhanceToken: canary + "enhance",
	}
	for _, a := range args {
		switch name, value, _ := strings.Cut(a, "="); name {
		case "hostile":
			options.Calm = false
		case "deny":
			options.StripeKey, options.Deny = "rk_test_"+canary+"restricted", strings.Split(value, ",")
		default:
			ts.Fatalf("sim: %s?", a)
		}
	}
	o.simulated = simulator.New(options)
	o.simulated.Offer()
	ctx, stop := context.WithCancel(context.Background())
	ts.Defer(stop)
	servers, err := o.simulated.Listen(ctx, "", "")
	ts.Check(err)
	if ts.Getenv("POSTGRES") == "" {
		ts.Setenv("DATABASE_URL", "sqlite:"+ts.MkAbs("state.db"))
	}
	for name, value := range map[string]string{
		"STRIPE_API_URL": servers.StripeURL, "ENHANCE_API_URL": servers.EnhanceURL,
		"STRIPE_SECRET_KEY": o.simulated.StripeKey(), "ENHANCE_API_TOKEN": o.simulated.EnhanceToken(), "ENHANCE_ORG_ID": o.simulated.OrgID(),
		"STRIPE_RPS": "1000", "ENHANCE_RPS": "1000",
	} {
		ts.Setenv(name, value)
	}
}

// signup WHO PRICE [QUANTITY [CUSTOMER]] orders, and sets $WHO and $WHO_customer to the ids.
// WHO@OTHER is a further order of the same customer.
func (o *outside) signup(ts *testscript.TestScript, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: signup WHO PRICE [QUANTITY]")
	}
	line := simulator.Line{Price: args[1]}
	if len(args) > 2 {
		n, err := strconv.ParseInt(args[2], 10, 64)
		ts.Check(err)
		line.Quantity = n
	}
	chosen := ""
	if len(args) > 3 {
		chosen = args[3]
	}
	who, of, again := strings.Cut(args[0], "@")
	if !again {
		of = who
	}
	done, err := o.simulated.SignUp(simulator.SignUp{Email: of + "@example.com", Name: of, Lines: []simulator.Line{line}, NewCustomer: chosen})
	ts.Check(err)
	o.signed[who] = done
	ts.Setenv(who, done.Subscription)
	ts.Setenv(who+"_customer", done.Customer)
}

// world VERB WHO… does something to each of them at Stripe; or "world plan NAME", "world
// price NAME" adds to the offers; "world silent" lets Stripe list no subscription, and
// "world well" ends every fault.
func (o *outside) verb(ts *testscript.TestScript, args []string) {
	verbs := map[string]func(string) error{
		"cancel": o.simulated.Cancel, "unpaid": o.simulated.MarkUnpaid, "pay": o.simulated.Pay, "fail": o.simulated.FailPayment,
		"nobody":  o.unknown,
		"noemail": o.noEmail,
		"deletes": o.deleteCustomer, "readdresses": o.readdresses,
		"odd": func(id string) error {
			return o.simulated.Edit(id, func(s *simulator.Subscription) { s.Items = append(s.Items, s.Items[0]) })
		},
		"strange":   func(id string) error { return o.simulated.SetStatus(id, "dormant") },
		"upgrade":   func(id string) error { return o.simulated.ChangePrice(id, "", "price_pro_monthly") },
		"downgrade": func(id string) error { return o.simulated.ChangePrice(id, "", "price_basic_monthly") },
		"two":       func(id string) error { return o.simulated.SetQuantity(id, "", 2) },
		"news": func(id string) error {
			_, err := o.simulated.AddItem(id, "newsletter", 1)
			return errors.Join(err, o.simulated.Edit(id, func(s *simulator.Subscription) { // it came with the order
				s.Items[len(s.Items)-1].Created = s.Created
			}))
		},
		"ends":     func(id string) error { return o.simulated.CancelAt(id, time.Now().Add(48*time.Hour)) },
		"pause":    func(id string) error { return o.simulated.PauseCollection(id, "") },
		"onlynews": func(id string) error { return o.simulated.RemoveItem(id, "") },
		"accepts":  o.accept,
		"abuse":    o.staffSuspend, "handed": o.staffUpgrade,
		"changed":  o.simulated.BillChange,
		"billed90": func(id string) error { return o.simulated.BillExtra(id, 90*24*time.Hour) },
	}
	maps.Copy(verbs, o.dated())
	switch {
	case args[0] == "refuseschedules":
		o.simulated.SetFault(schedulesRefused)
	case args[0] == "refuse-all":
		o.simulated.SetFault(stripeRefuses)
	case args[0] == "silent": // Stripe lists no subscription, and knows each by its id
		// A listing need not have a subscription of its own second.
		for _, s := range o.simulated.Subscriptions() {
			for o.simulated.Now().Unix() <= s.Created {
				time.Sleep(10 * time.Millisecond)
			}
		}
		o.simulated.SetFault(func(c simulator.Call) simulator.Fault {
			if c.Side == simulator.Stripe && c.Route == "GET /v1/subscriptions" {
				return simulator.Fault{Status: 200, Body: []byte(`{"object":"list","url":"/v1/subscriptions","has_more":false,"data":[]}`)}
			}
			return simulator.Fault{}
		})
	case args[0] == "well":
		o.simulated.SetFault(nil)
	case args[0] == "refuse": // the panel refuses every write
		o.simulated.SetFault(refusal)
	case args[0] == "quota": // of customers, for the organisation that sells
		n, err := strconv.ParseInt(args[1], 10, 64)
		ts.Check(err)
		o.simulated.SetQuota(simulator.Resource{Name: "customers", Total: n})
	case args[0] == "nosso": // the token has no role that may make login links
		o.simulated.SetFault(mayNotLogIn)
	case args[0] == "archive":
		ts.Check(o.simulated.Archive(args[1]))
	case args[0] == "plan":
		o.simulated.AddPlan(0, args[1])
	case args[0] == "price":
		o.simulated.AddPrice("prod_other", args[1], 100)
	case verbs[args[0]] == nil:
		ts.Fatalf("world: %s?", args[0])
	default:
		for _, who := range args[1:] {
			ts.Check(verbs[args[0]](o.signed[who].Subscription))
		}
	}
}

// staff ORG OWNER PLAN NAME creates an org and a hosting by hand, and sets $byhand to the
// hosting's id and $byhand_org to the org's; "staff delete ID" and "staff suspend ID" do that to one. If OWNER is "-", the
// org has no owner; if it is "of", the org is that of the hosting with the id ORG.
func (o *outside) staff(ts *testscript.TestScript, args []string) {
	if do := map[string]func(int) error{"delete": o.simulated.StaffDelete, "suspend": o.simulated.StaffSuspend}[args[0]]; do != nil {
		id, err := strconv.Atoi(args[1])
		ts.Check(errors.Join(err, do(id)))
		return
	}
	plan, err := strconv.Atoi(args[2])
	ts.Check(err)
	org := ""
	if args[1] == "of" {
		for _, h := range o.simulated.Hostings() {
			if strconv.Itoa(h.ID) == args[0] {
				org = h.Org
			}
		}
	} else {
		org = o.simulated.StaffCreateOrg(args[0], strings.TrimPrefix(args[1], "-"))
	}
	id, err := o.simulated.StaffCreateHosting(org, plan, args[3])
	ts.Check(err)
	ts.Setenv("byhand", strconv.Itoa(id))
	ts.Setenv("byhand_org", org)
}

// panel up=N down=N orgs=N writes=N compares what stands at Enhance.
func (o *outside) panel(ts *testscript.TestScript, args []string) {
	got := map[string]int{"orgs": len(o.simulated.Orgs()), "writes": len(o.simulated.Effects())}
	for _, h := range o.simulated.Hostings() {
		if h.SuspendedBy == "" {
			got["up"]++
		} else {
			got["down"]++
		}
	}
	for _, a := range args {
		name, value, _ := strings.Cut(a, "=")
		if want, err := strconv.Atoi(value); err != nil || got[name] != want {
			ts.Fatalf("%s is %d, want %s", name, got[name], value)
		}
	}
	if v := o.simulated.Violations(); len(v) > 0 {
		ts.Fatalf("sent what must never be sent: %v", v)
	}
}

// sql FILE STATEMENT changes a SQLite database from outside.
func (o *outside) sql(ts *testscript.TestScript, args []string) {
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	_, err = db.Exec(args[1])
	ts.Check(errors.Join(err, db.Close()))
}

// lease OWNER TTL takes the lease, as another process would, and never renews
// it; "lease OWNER TTL kept" renews it until the end of the script.
func (o *outside) lease(ts *testscript.TestScript, args []string) {
	ttl, err := time.ParseDuration(args[1])
	ts.Check(err)
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{URL: secret.New(ts.Getenv("DATABASE_URL"))})
	ts.Check(err)
	_, err = s.Migrate(ctx, false)
	ts.Check(err)
	_, heldBy, _, err := s.Acquire(ctx, args[0], time.Now(), ttl)
	ts.Check(err)
	if heldBy != "" {
		ts.Fatalf("the lease is held by %s", heldBy)
	}
	ended, stop := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(ttl / 4)
		defer tick.Stop()
		for len(args) > 2 {
			select {
			case <-stop:
				return
			case <-tick.C:
				_, _, _, _ = s.Acquire(ctx, args[0], time.Now(), ttl)
			}
		}
	}()
	ts.Defer(func() {
		close(stop)
		<-ended
		_ = s.Close()
	})
}

// planid sets $PLAN to the id of the plan that waits for approval.
func (o *outside) planID(ts *testscript.TestScript, _ []string) {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{URL: secret.New(ts.Getenv("DATABASE_URL"))})
	ts.Check(err)
	plans, err := s.HeldPlans(ctx, time.Now(), false)
	ts.Check(errors.Join(err, s.Close()))
	if len(plans) != 1 {
		ts.Fatalf("%d plans wait for approval, want 1", len(plans))
	}
	ts.Setenv("PLAN", plans[0].ID)
}

// holdid sets $HOLD to the id of the only hold that a person set.
func (o *outside) holdID(ts *testscript.TestScript, _ []string) {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{URL: secret.New(ts.Getenv("DATABASE_URL"))})
	ts.Check(err)
	holds, err := s.ManualHolds(ctx, time.Now())
	ts.Check(errors.Join(err, s.Close()))
	if len(holds) != 1 {
		ts.Fatalf("%d holds are in force, want 1", len(holds))
	}
	ts.Setenv("HOLD", holds[0].ID)
}

// slow makes every write to Enhance take a while, and lets first wait for one.
func (o *outside) slow(*testscript.TestScript, []string) {
	o.writes = make(chan struct{}, 1)
	o.simulated.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Side == simulator.Enhance && c.Write() {
			select {
			case o.writes <- struct{}{}:
			default:
			}
			return simulator.Fault{Delay: 300 * time.Millisecond}
		}
		return simulator.Fault{}
	})
}

// first waits until the program has sent its first write to Enhance.
func (o *outside) first(ts *testscript.TestScript, _ []string) {
	select {
	case <-o.writes:
	case <-time.After(20 * time.Second):
		ts.Fatalf("no write was sent")
	}
}
