package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// The panel accepts a change once, and reads back as before: that is no answer, and the
// change is looked for before it is sent again.
func TestAChangeThatDoesNotShowIsLookedFor(t *testing.T) {
	accepted := simulator.Fault{Apply: simulator.Skip, Status: http.StatusNoContent, Body: []byte{}}
	for name, c := range map[string]struct {
		fault simulator.Fault
		why   string // part of the error of the action
		end   string // "": as in the story
	}{
		"rename an org":    {accepted, "still has its old name", ""},
		"change the plan":  {accepted, "and reads as plan", ""},
		"suspend":          {accepted, "was to be suspended and reads as active", ""},
		"resume":           {accepted, "was to be active and reads as suspended", ""},
		"delete":           {accepted, "was deleted and reads as suspended", ""},
		"create a website": {simulator.NotDone(http.StatusConflict), "409 Conflict", ""}, // it is asked again after a day,
	} {
		t.Run(name, func(t *testing.T) {
			i := slices.IndexFunc(writes, func(s story) bool { return s.name == name })
			s := writes[i]
			r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) {
				if s.set != nil {
					s.set(o)
				}
			}})
			l := life{t: t, r: r}
			for _, step := range s.life {
				l.step(step)
			}
			hit := false
			r.World.SetFault(func(call simulator.Call) simulator.Fault {
				if hit || call.Route != s.route || !bytes.Contains(call.Body, []byte(s.body)) {
					return simulator.Fault{Honest: true}
				}
				hit = true
				return c.fault
			})
			rep, _ := r.Try(engine.Request{})
			if text := fmt.Sprint(rep.Actions, rep.Holds); !strings.Contains(text, c.why) {
				t.Errorf("not because %q: %v, %s", c.why, kinds(rep), text)
			}
			if c.end == "" {
				c.end = s.want
			}
			l.end(c.end, false)
		})
	}
}

// Staff delete an org right before it is bound to the customer whose it seems to be.
func TestAnOrgThatIsDeletedMeanwhileIsNotBound(t *testing.T) {
	g := &gate{}
	r := testenv.New(t, testenv.Options{Transport: func(next http.RoundTripper) http.RoundTripper { g.RoundTripper = next; return g }})
	org := r.World.StaffCreateOrg("by hand", "ada@example.com")
	r.Run(engine.Request{})
	s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	deleted := false
	_, open := g.shut(1, func(req *http.Request) bool {
		if !deleted && strings.HasSuffix(req.URL.Path, "/members") {
			deleted = true
			must(t, r.World.StaffDeleteOrg(org))
		}
		return false
	})
	defer open()
	rep, _ := r.Try(engine.Request{})
	diff(t, "deleted", true, deleted)
	diff(t, "done", "link failed", kinds(rep)[0])
	if err := rep.Actions[0].Error; !strings.Contains(err, "was deleted in the panel") {
		t.Errorf("error: %s", err)
	}
	r.World.Advance(time.Hour)
	r.Converge(8)
	diff(t, "hostings in it", 0, len(r.World.Hostings()))
	diff(t, "bindings", 0, len(bindings(t, r, s.Customer)))
}

// Two customers with one e-mail, and the run is stopped while the second waits for the org
// of the first: the call under way is recorded, and nothing else is begun or reported.
func TestARunThatIsStoppedLeavesWhoWaitsForATurn(t *testing.T) {
	g := &gate{}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	waits := make(chan struct{}, 100)
	r := testenv.New(t, testenv.Options{
		Transport: func(next http.RoundTripper) http.RoundTripper { g.RoundTripper = next; return g },
		Engine: func(o *engine.Options) {
			o.Failpoint = func(step, _ string) {
				if step == "waits" {
					waits <- struct{}{}
				}
			}
		},
	})
	r.Run(engine.Request{})
	for range 2 {
		signUp(t, r, simulator.SignUp{Email: "ada@example.com", Guest: true, Price: priceFor(t, r, plans(r)[0])})
	}
	arrived, open := g.shut(1, func(req *http.Request) bool {
		return req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/customers")
	})
	go func() {
		<-waits
		<-arrived
		stop()
		open()
	}()
	rep, err := r.Engine.Run(ctx, engine.Request{Trigger: "test"})
	if !errors.Is(err, context.Canceled) || rep.Partial {
		t.Errorf("the run ended with %v, partial %v: %q", err, rep.Partial, rep.Notes)
	}
	diff(t, "orgs and hostings", []int{1, 0}, []int{len(r.World.Orgs()), len(r.World.Hostings())})
	diff(t, "done", 1, rep.Run.Applied)
	r.World.Advance(2 * time.Minute)
	r.Converge(5)
	diff(t, "hostings in the end", 2, len(live(r)))
}
