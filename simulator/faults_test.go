package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// heard is the result of one call at the client.
type heard struct {
	Status int
	Err    string // none, reset, truncated, time-out, other
	JSON   bool   // the body is JSON
}

func (c *caller) hear(r *http.Request) heard {
	s, err := c.try(r)
	h := heard{Status: s.status, Err: "none", JSON: err == nil && json.Valid(s.body)}
	var timeout net.Error
	switch {
	case err == nil:
	case errors.Is(err, io.ErrUnexpectedEOF):
		h.Err = "truncated"
	case errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF):
		h.Err = "reset"
	case errors.As(err, &timeout) && timeout.Timeout():
		h.Err = "time-out"
	default:
		h.Err = "other: " + err.Error()
	}
	return h
}

// faultCases are every fault on a create: the result at the client, and the objects
// immediately afterwards and an hour later.
var faultCases = map[string]struct {
	fault       Fault
	want        heard
	now, atLast int
}{
	"honest":                     {Fault{Honest: true}, heard{201, "none", true}, 1, 1},
	"not done, 500":              {NotDone(500), heard{500, "none", true}, 0, 0},
	"not done, 502":              {NotDone(502), heard{502, "none", false}, 0, 0},
	"done but answered 502":      {DoneBut(502), heard{502, "none", false}, 1, 1},
	"done but answered 500":      {DoneBut(500), heard{500, "none", true}, 1, 1},
	"late":                       {LateBy(time.Minute), heard{504, "none", false}, 0, 1},
	"late after a reset":         {Fault{Apply: Late, After: time.Minute, Reset: true}, heard{0, "reset", false}, 0, 1},
	"throttled":                  {Throttled("3"), heard{429, "none", true}, 0, 0},
	"lost before it was done":    {Lost(false), heard{0, "reset", false}, 0, 0},
	"lost after it was done":     {Lost(true), heard{0, "reset", false}, 1, 1},
	"truncated":                  {Fault{Truncate: true}, heard{201, "truncated", false}, 1, 1},
	"malformed":                  {Fault{Malformed: true}, heard{201, "none", false}, 1, 1},
	"unauthorised":               {NotDone(401), heard{401, "none", true}, 0, 0},
	"forbidden":                  {NotDone(403), heard{403, "none", true}, 0, 0},
	"not found":                  {NotDone(404), heard{404, "none", true}, 0, 0},
	"conflict":                   {NotDone(409), heard{409, "none", true}, 0, 0},
	"an empty object for a 201":  {Fault{Status: 201, Body: []byte("{}")}, heard{201, "none", true}, 1, 1},
	"other words for the failed": {Fault{Apply: Skip, Status: 409, Body: []byte(`{"code":"odd"}`)}, heard{409, "none", true}, 0, 0},
}

func TestEveryFaultKeepsEffectAndAnswerApart(t *testing.T) {
	for name, tt := range faultCases {
		t.Run(name, func(t *testing.T) {
			c := calm(t)
			c.w.SetFault(func(call Call) Fault {
				if call.Route == "POST /orgs/{org}/customers" {
					return tt.fault
				}
				return Fault{}
			})
			got := c.hear(c.enhanceRequest("POST", "/orgs/{org}/customers", `{"name":"X"}`))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("heard (-want +got):\n%s", diff)
			}
			now := len(c.w.Effects())
			c.w.Advance(time.Hour)
			if last := len(c.w.Effects()); now != tt.now || last != tt.atLast {
				t.Errorf("%d effects at once and %d at last, want %d and %d", now, last, tt.now, tt.atLast)
			}
		})
	}
}

func TestFaultsAreTheSameOverSockets(t *testing.T) {
	for name, tt := range faultCases {
		t.Run(name, func(t *testing.T) {
			c := calm(t)
			servers, err := c.w.Listen(t.Context(), "", "")
			c.must(err)
			defer servers.Close()
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			c.http = transport
			c.w.SetFault(func(Call) Fault { return tt.fault })
			r := c.request("POST", servers.EnhanceURL+"/orgs/"+c.w.OrgID()+"/customers", c.w.EnhanceToken(), `{"name":"X"}`)
			r.Header.Set("Content-Type", "application/json")
			if diff := cmp.Diff(tt.want, c.hear(r)); diff != "" {
				t.Errorf("heard (-want +got):\n%s", diff)
			}
			if n := len(c.w.Effects()); n != tt.now {
				t.Errorf("%d effects, want %d", n, tt.now)
			}
		})
	}
}

func TestACallThatHangsIsATimeOut(t *testing.T) {
	c := calm(t)
	c.w.SetFault(func(Call) Fault { return Fault{Apply: Do, Hang: true} })
	got := c.hear(c.enhanceRequest("POST", "/orgs/{org}/customers", `{"name":"X"}`))
	if diff := cmp.Diff(heard{0, "time-out", false}, got); diff != "" {
		t.Errorf("in the process (-want +got):\n%s", diff)
	}
	servers, err := c.w.Listen(t.Context(), "", "")
	c.must(err)
	defer servers.Close()
	c.http = &http.Transport{}
	ctx, cancel := context.WithCancel(t.Context())
	c.w.SetFault(func(Call) Fault { cancel(); return Fault{Apply: Do, Hang: true} })
	r := c.request("GET", servers.StripeURL+"/v1/account", c.w.StripeKey(), "")
	if _, err := c.try(r.WithContext(ctx)); !errors.Is(err, context.Canceled) {
		t.Errorf("over a socket: %v, want the client to give up", err)
	}
}

func TestALateWriteLandsAtItsInstantAndSeesTheWorldOfThen(t *testing.T) {
	c := calm(t)
	s := c.signUp(SignUp{Email: "a@example.com", Price: "pro_monthly"})
	org, id := c.customer("X", "Pro ["+s.Subscription+"/1]")
	c.must(c.w.MarkUnpaid(s.Subscription))
	c.w.SetFault(func(call Call) Fault {
		if call.Method == http.MethodPatch {
			return LateBy(80 * time.Second)
		}
		return Fault{}
	})
	c.enhance("PATCH", fmt.Sprintf("/orgs/%s/subscriptions/%d", org, id), `{"isSuspended":true}`)
	c.w.Advance(30 * time.Second)
	c.must(c.w.Pay(s.Subscription))
	c.w.Advance(time.Minute)
	e := c.w.Effects()
	got := e[len(e)-1]
	want := Effect{
		Seq: 3, At: fixedStart.Add(80 * time.Second), Side: Enhance, Kind: "suspend", Org: org, Hosting: id, Late: true,
		Before:       State{Name: "Pro [" + s.Subscription + "/1]", Plan: 2, Status: "active"},
		After:        State{Name: "Pro [" + s.Subscription + "/1]", Plan: 2, Status: "active", SuspendedBy: c.w.OrgID()},
		Subscription: s.Subscription, Unit: "1", StripeStatus: "active", StripePrices: []string{"price_pro_monthly"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the late effect (-want +got):\n%s", diff)
	}
}

func TestListingsCanLie(t *testing.T) {
	c := calm(t)
	c.w.Populate(40, Mix{Plain: true, Bound: true})
	for name, tt := range map[string]struct {
		fault        Fault
		stripe, orgs int
	}{
		"the truth":    {Fault{Honest: true}, 40, len(c.w.Orgs())},
		"an empty one": {EmptyList(), 0, 0},
		"half of it":   {HalfList(), 20, len(c.w.Orgs()) / 2},
	} {
		c.w.SetFault(func(Call) Fault { return tt.fault })
		list := c.object(c.stripe("GET", "/v1/subscriptions?status=all&limit=100", ""), 200)
		orgs := c.object(c.enhance("GET", "/orgs/{org}/customers?limit=100", ""), 200)
		if len(list.ids()) != tt.stripe || list["has_more"] != false {
			t.Errorf("%s: %d subscriptions, has_more %v", name, len(list.ids()), list["has_more"])
		}
		if len(orgs.ids()) != tt.orgs || orgs["total"] != float64(tt.orgs) {
			t.Errorf("%s: %d orgs of %v, want %d", name, len(orgs.ids()), orgs["total"], tt.orgs)
		}
	}
	c.w.SetFault(func(Call) Fault { return HalfList() })
	if page := c.object(c.stripe("GET", "/v1/subscriptions?status=all&limit=10", ""), 200); len(page.ids()) != 5 || page["has_more"] != false {
		t.Errorf("half of a page with more behind it: %d and has_more %v", len(page.ids()), page["has_more"])
	}
	c.w.SetFault(func(Call) Fault { return WrongLivemode() })
	if got := c.object(c.stripe("GET", "/v1/products/prod_pro", ""), 200)["livemode"]; got != true {
		t.Errorf("livemode in the wrong mode: %v", got)
	}
	c.w.SetFault(func(Call) Fault { return EmptyObject() })
	if s := c.stripe("GET", "/v1/subscriptions", ""); string(s.body) != "{}" || s.status != 200 {
		t.Errorf("the empty object: %d %s", s.status, s.body)
	}
}

func TestAHookMayActWhileACallIsOnItsWay(t *testing.T) {
	c := calm(t)
	sub := c.signUp(SignUp{Email: "a@example.com", Price: "pro_monthly"}).Subscription
	calls := []Call{}
	c.w.SetFault(func(call Call) Fault {
		calls = append(calls, call)
		c.must(c.w.Cancel(sub))
		c.w.Advance(time.Minute)
		return Fault{}
	})
	if got := c.object(c.stripe("GET", "/v1/subscriptions/"+sub+"?expand[]=customer", ""), 200)["status"]; got != "canceled" {
		t.Errorf("the answer shows %v, want what became of it on the way", got)
	}
	c.w.SetFault(nil)
	c.stripe("GET", "/v1/account", "")
	if len(calls) != 1 || calls[0].Route != "GET /v1/subscriptions/{id}" || calls[0].Seq != 1 || calls[0].Query.Get("expand[]") != "customer" {
		t.Errorf("calls seen by the hook: %+v", calls)
	}
}

func TestADelayMovesTheSimulatedClockInTheProcess(t *testing.T) {
	c := calm(t)
	c.w.SetFault(func(Call) Fault { return Fault{Delay: 20 * time.Second} })
	c.stripe("GET", "/v1/account", "")
	if got := c.w.Now().Sub(fixedStart); got != 20*time.Second {
		t.Errorf("%v passed, want 20s", got)
	}
}
