package repocheck

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// direction lists the packages that a package may import.
type direction struct {
	folder string
	// may lists the packages of this module that it may import; a pattern as in
	// path.Match.
	may []string
	// std: the standard library and nothing else from outside.
	std bool
	// besides are the packages from outside that it may use nevertheless: tables and pure
	// functions, without input, output or a clock.
	besides []string
	// only: if not nil, these are the only packages of the standard library that it may
	// use.
	only []string
}

// everything is for the wiring, which puts all parts together.
var everything = []string{"*", "*/*", "*/*/*"}

// shared may be used by any package: small things without behaviour of their own.
var shared = []string{"internal/fault", "internal/secret", "internal/fence", "internal/priority"}

// directions is the shape of the program. Engine, store, clients and server never
// import each other: they meet in internal/app, through interfaces that the consumer
// declares.
var directions = []direction{
	{folder: "cmd/stripe-enhance", may: everything},
	{folder: "internal/app", may: everything},
	{folder: "internal/demo", may: everything},
	{folder: "internal/preflight", may: everything},
	{folder: "internal/adoption", may: everything},
	{folder: "internal/mapping", may: with("reconcile", "reconcile/planner", "clients/stripe", "internal/report")},
	{folder: "reconcile", std: true, besides: []string{"golang.org/x/net/idna"}},
	{folder: "reconcile/planner", std: true, may: with("reconcile")},
	{folder: "reconcile/adopt", std: true, may: with("reconcile")},
	{folder: "reconcile/engine", may: with("reconcile", "reconcile/planner")},
	{folder: "server", may: with("reconcile", "reconcile/adopt", "internal/report", "internal/metrics")},
	{folder: "server/page", may: with("reconcile", "reconcile/adopt", "internal/report", "server")},
	{folder: "store", may: with("reconcile", "migrations")},
	{folder: "migrations", std: true, only: []string{"embed", "io/fs"}},
	{folder: "clients/ratelimit", may: shared},
	{folder: "clients/breaker", may: shared},
	{folder: "clients/stripe", may: with("reconcile", "clients/ratelimit", "clients/breaker", "internal/money")},
	{folder: "clients/enhance", may: with("reconcile", "clients/ratelimit", "clients/breaker")},
	{folder: "clients/mail", may: with("reconcile")},
	{folder: "simulator", std: true}, // it knows the wire, not our types
	{folder: "internal/fault", std: true},
	{folder: "internal/fence", std: true},
	{folder: "internal/priority", std: true},
	{folder: "internal/money", std: true},
	{folder: "internal/secret", std: true},
	{folder: "internal/config", may: with("reconcile", "reconcile/planner")},
	{folder: "internal/report", may: with("reconcile", "internal/money")},
	{folder: "internal/metrics", may: with("reconcile")},
	{folder: "internal/notify", may: with("reconcile")},
	{folder: "internal/trace", may: shared},
	// Packages that only tests use.
	{folder: "internal/logtest", std: true},
	{folder: "internal/needs", std: true},
	{folder: "internal/pgtest", may: []string{"internal/needs"}},
	{folder: "internal/browser", may: []string{"internal/needs"}},
	{folder: "internal/mailtest", may: []string{"internal/fault"}},
	{folder: "internal/testenv", may: everything},
	{folder: "internal/simtest", may: everything},
	{folder: "internal/repocheck", may: everything},
	{folder: "internal/crashtest", may: everything},
	{folder: "internal/release", may: []string{"internal/config"}},
	{folder: "internal/overlay", std: true},
	{folder: "internal/mutation", std: true, may: []string{"internal/overlay"}},
	{folder: "internal/guards", std: true, may: []string{"internal/overlay"}},
}

func with(more ...string) []string { return append(more, shared...) }

// scaffolding is never part of the program.
var scaffolding = []string{
	"internal/testenv",
	"internal/simtest",
	"internal/logtest",
	"internal/needs",
	"internal/pgtest",
	"internal/browser",
	"internal/mailtest",
	"internal/repocheck",
	"internal/crashtest",
	"internal/release",
	"internal/overlay",
	"internal/mutation",
	"internal/guards",
}

func TestEveryPackageImportsOnlyWhatItsPlaceAllows(t *testing.T) {
	for _, s := range sources() {
		if s.test() {
			continue
		}
		d, ok := directionOf(s.folder())
		if !ok {
			t.Errorf("%s: no rule for the imports of %s; add it to directions", s.path, s.folder())
			continue
		}
		for _, imported := range importsOf(s) {
			if why := d.forbids(s.folder(), imported); why != "" {
				t.Errorf("%s imports %s: %s", s.path, imported, why)
			}
		}
	}
}

// Tests may combine the parts, except for those whose independence matters: a planner
// that needs only facts, a simulator that shares no misunderstanding with a client, and
// two clients that do not use each other.
func TestTestsKeepThePlannerTheSimulatorAndTheClientsIndependent(t *testing.T) {
	apart := map[string][]string{
		"reconcile":       {"reconcile"},
		"simulator":       {"simulator"},
		"clients/stripe":  {"clients/stripe", "clients/ratelimit", "clients/breaker", "simulator", "reconcile", "internal/fault", "internal/fence", "internal/priority", "internal/secret", "internal/money", "internal/needs"},
		"clients/enhance": {"clients/enhance", "clients/ratelimit", "clients/breaker", "simulator", "reconcile", "internal/fault", "internal/fence", "internal/priority", "internal/secret"},
	}
	for _, s := range sources() {
		may, ok := apart[s.folder()]
		if !s.test() || !ok {
			continue
		}
		for _, imported := range importsOf(s) {
			if ours, inside := strings.CutPrefix(imported, module+"/"); inside && !slices.Contains(may, ours) {
				t.Errorf("%s imports %s: tests of %s may import %q", s.path, ours, s.folder(), may)
			}
		}
	}
}

func TestTheRulesOfImportRefuseWhatTheyAreFor(t *testing.T) {
	for _, c := range []struct{ folder, imported string }{
		{"reconcile", "github.com/sirupsen/logrus"},
		{"reconcile", module + "/store"},
		{"reconcile/engine", module + "/store"},
		{"reconcile/engine", module + "/clients/stripe"},
		{"store", module + "/reconcile/engine"},
		{"server", module + "/reconcile/engine"},
		{"server", module + "/store"},
		{"clients/stripe", module + "/clients/enhance"},
		{"clients/enhance", module + "/simulator"},
		{"simulator", module + "/clients/stripe"},
		{"simulator", "golang.org/x/sync/errgroup"},
		{"migrations", "os"},
		{"cmd/stripe-enhance", module + "/internal/testenv"},
		{"internal/report", module + "/store"},
	} {
		d, ok := directionOf(c.folder)
		if !ok || d.forbids(c.folder, c.imported) == "" {
			t.Errorf("%s may import %s", c.folder, c.imported)
		}
	}
}

func directionOf(folder string) (direction, bool) {
	for _, d := range directions {
		if d.folder == folder {
			return d, true
		}
	}
	return direction{}, false
}

func importsOf(s source) []string {
	var all []string
	for _, i := range s.file.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			panic(err) // the parser accepted it
		}
		all = append(all, p)
	}
	return all
}

// forbids returns why an import is not allowed. "": it is.
func (d direction) forbids(folder, imported string) string {
	ours, inside := strings.CutPrefix(imported, module+"/")
	first, _, _ := strings.Cut(imported, "/")
	switch {
	case inside && slices.Contains(scaffolding, ours) && !slices.Contains(scaffolding, folder):
		return "it is for tests"
	case inside && strings.HasPrefix(ours, "cmd/"):
		return "nothing imports the command"
	case inside && !slices.ContainsFunc(d.may, func(p string) bool { ok, _ := path.Match(p, ours); return ok }):
		return "not in the direction of imports"
	case !inside && strings.Contains(first, ".") && d.std && !slices.Contains(d.besides, imported):
		return "only the standard library is used here"
	case !inside && d.only != nil && !slices.Contains(d.only, imported):
		return "only " + strings.Join(d.only, ", ") + " is used here"
	}
	return ""
}
