package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// desk runs commands of the program against simulators.
type desk struct {
	world   *simulator.World
	environ []string
}

func newDesk(t *testing.T, more ...string) *desk {
	t.Helper()
	world := simulator.New(simulator.Options{Calm: true, Follow: time.Now})
	world.Offer()
	servers, err := world.Listen(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = servers.Close() })
	return &desk{world: world, environ: append([]string{
		"DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "state.db"), "STRIPE_API_URL=" + servers.StripeURL, "ENHANCE_API_URL=" + servers.EnhanceURL,
		"STRIPE_SECRET_KEY=" + world.StripeKey(), "ENHANCE_API_TOKEN=" + world.EnhanceToken(), "ENHANCE_ORG_ID=" + world.OrgID(),
		"STRIPE_RPS=1000", "ENHANCE_RPS=1000", "USER=operator"}, more...)}
}

// does runs one command line and returns its output; want is the exit code.
func (d *desk) does(t *testing.T, want int, input string, args ...string) string {
	t.Helper()
	p, stdout, stderr := bench(d.environ...)
	p.in = strings.NewReader(input)
	if code := p.run(t.Context(), args); code != want {
		t.Fatalf("%s: exit code %d, want %d: %s%s", strings.Join(args, " "), code, want, stderr, stdout)
	}
	return stdout.String()
}

// fields are the names in a JSON document: of the object, or of the first of a
// list. There must be exactly one document, and a list must not be empty.
func fields(text string) (names []string, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	var document any
	if err := d.Decode(&document); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something behind the document")
	}
	if list, ok := document.([]any); ok {
		if len(list) == 0 {
			return nil, errors.New("the list is empty")
		}
		document = list[0]
	}
	object, ok := document.(map[string]any)
	if !ok {
		return nil, errors.New("it is not an object")
	}
	return slices.Sorted(maps.Keys(object)), nil
}

const (
	mappingFields = "billing_plan_id billing_provider enhance_plan_id"
	planFields    = "actions approved_at approved_by closed_at created_at expires_at id kind reason rejected_at rejected_by rejected_reason state version"
	holdFields    = "author created_at customer id kind reason subscription until"
	runFields     = "actions converged counts dry enhance error finished_at gates holds mode notes plan_id plans run_id started_at stripe trigger"
)

// Scripts read the JSON: every command that prints takes -o json, and prints one document
// with these names and nothing else on stdout. The names are a contract: a new one belongs
// here too, and one that is missing breaks a script.
//
// The test fails if a name is misspelt in one document, if a sentence is printed beside the
// JSON of approve, if healthcheck ignores -o, or if an empty list is null.
func TestTheJSONOfEveryCommandHasItsFields(t *testing.T) {
	d := newDesk(t, "BRAKE_CREATE=0", "LOG_LEVEL=error")
	bakery, err := d.world.SignUp(simulator.SignUp{Email: "bakery@example.com", Price: "price_basic_monthly"})
	if err != nil {
		t.Fatal(err)
	}
	service := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer service.Close()
	var plans []struct{ ID string }
	var hold struct{ ID string }
	for _, c := range []struct {
		want  int
		args  string
		names string
		input string
		keep  any // decode into this
	}{
		{0, "migrate --dry-run", "dry migrations", "", nil},
		{0, "migrate", "dry migrations", "", nil},
		{0, "version", "arch date go modified os revision schema version", "", nil},
		{0, "healthcheck --url " + service.URL, "ready", "", nil},
		{0, "mappings set price_basic_monthly 1", mappingFields, "", nil},
		{0, "mappings import -", "imported", "billing_plan_id,enhance_plan_id\nprice_pro_monthly,2\n", nil},
		{0, "mappings list", mappingFields, "", nil},
		{0, "mappings export", mappingFields, "", nil},
		{0, "mappings suggest", "amount archived billing_plan_id enhance_plan_id plan_name product_name", "", nil},
		{0, "mappings delete price_pro_monthly", "deleted", "", nil},
		{0, "check", "checks ok", "", nil},
		{3, "plan", runFields, "", nil},
		{3, "reconcile", runFields, "", nil},
		{0, "plans", planFields, "", &plans},
		{0, "backup " + filepath.Join(t.TempDir(), "backup.db"), "bytes file rows schema tables", "", nil},
		{0, "plans PLAN", planFields, "", nil},
		{0, "approve PLAN", runFields, "", nil},
		{0, "reconcile --subscription " + bakery.Subscription, strings.Replace(runFields, "trigger", "targets trigger", 1), "", nil},
		{0, "customers show --email bakery@example.com", "customers", "", nil},
		{0, "holds add --kind ignore --reason x --customer " + bakery.Customer, holdFields, "", &hold},
		{0, "holds list", holdFields, "", nil},
		{0, "holds remove HOLD", "removed", "", nil},
	} {
		if len(plans) > 0 {
			c.args = strings.ReplaceAll(c.args, "PLAN", plans[0].ID)
		}
		c.args = strings.ReplaceAll(c.args, "HOLD", hold.ID)
		out := d.does(t, c.want, c.input, append(strings.Fields(c.args), "-o", "json")...)
		names, err := fields(out)
		if err != nil {
			t.Fatalf("%s: %v:\n%s", c.args, err, out)
		}
		if diff := cmp.Diff(c.names, strings.Join(names, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.args, diff)
		}
		if c.keep != nil {
			if err := json.Unmarshal([]byte(out), c.keep); err != nil {
				t.Fatal(err)
			}
		}
	}
	d.does(t, 0, "", "mappings", "delete", "price_basic_monthly")
	for _, args := range []string{"mappings list", "plans", "holds list"} {
		if out := d.does(t, 0, "", append(strings.Fields(args), "-o", "json")...); out != "[]\n" {
			t.Errorf("%s: an empty list is %q", args, out)
		}
	}
}

// Lists are CSV for spreadsheets, with a head, and also when there is nothing in
// them.
func TestEveryListIsCSVForASpreadsheet(t *testing.T) {
	d := newDesk(t)
	d.does(t, 0, "", "migrate")
	for args, head := range map[string]string{
		"mappings list":    "billing_provider,billing_plan_id,enhance_plan_id",
		"mappings export":  "billing_provider,billing_plan_id,enhance_plan_id",
		"mappings suggest": "billing_provider,billing_plan_id,enhance_plan_id",
		"plans":            "id,kind,changes,created,expires,state,reason,version",
		"holds list":       "id,kind,customer,subscription,until,reason,author,created",
	} {
		first, _, _ := bytes.Cut([]byte(d.does(t, 0, "", append(strings.Fields(args), "-o", "csv")...)), []byte("\n"))
		if diff := cmp.Diff(head, string(first)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", args, diff)
		}
	}
}
