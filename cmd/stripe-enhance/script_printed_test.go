package main

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// printed matches a command between backticks, as sentences print it.
var printed = regexp.MustCompile("`(stripe-enhance [^`]*)`")

// printed PATTERN [FROM=TO…] [+ARG…] runs the only command that the last output printed
// and that matches, word for word as it stands there, FROM replaced by TO; +ARG is put
// after it.
func runPrinted(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: printed PATTERN [FROM=TO…] [+ARG…]")
	}
	like := regexp.MustCompile(args[0])
	found := map[string]bool{}
	command := ""
	for _, m := range printed.FindAllStringSubmatch(ts.ReadFile("stdout"), -1) {
		if like.MatchString(m[1]) {
			command, found[m[1]] = m[1], true
		}
	}
	if len(found) != 1 {
		ts.Fatalf("%d commands like %s were printed: %v", len(found), args[0], found)
	}
	var more []string
	for _, a := range args[1:] {
		if from, to, ok := strings.Cut(a, "="); ok && !strings.HasPrefix(a, "+") {
			command = strings.ReplaceAll(command, from, to)
		} else {
			more = append(more, strings.TrimPrefix(a, "+"))
		}
	}
	words := shellWords(command)
	err := ts.Exec(words[0], append(words[1:], more...)...)
	if neg != (err != nil) {
		ts.Fatalf("%s: %v", command, err)
	}
}

// shellWords splits a command as a shell does, single quotes included.
func shellWords(command string) (words []string) {
	for i, part := range strings.Split(command, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

// unknown makes Stripe deny a subscription, and noEmail has its customer without an e-mail.
// Stripe's times are whole seconds, and a listing shows that a subscription is missing only
// if it was made in an earlier one.
func (o *outside) unknown(sub string) error {
	var created int64
	err := o.simulated.Edit(sub, func(s *simulator.Subscription) { created, s.Unknown = s.Created, true })
	for o.simulated.Now().Unix() <= created {
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

func (o *outside) noEmail(sub string) error {
	for _, s := range o.signed {
		if s.Subscription == sub {
			return o.simulated.SetEmail(s.Customer, "")
		}
	}
	return simulator.NotFoundError{Kind: "subscription", ID: sub}
}

// metadata WHO HOSTING writes a hosting and its org into the metadata of an order;
// "metadata WHO KEY=VALUE" writes that.
func (o *outside) metadata(ts *testscript.TestScript, args []string) {
	if key, value, ok := strings.Cut(args[1], "="); ok {
		ts.Check(o.simulated.SetMetadata(o.signed[args[0]].Subscription, map[string]string{key: value}))
		return
	}
	for _, h := range o.simulated.Hostings() {
		if strconv.Itoa(h.ID) == args[1] {
			ts.Check(o.simulated.SetMetadata(o.signed[args[0]].Subscription, map[string]string{"enhance_org_id": h.Org, "enhance_subscription_id": args[1]}))
			return
		}
	}
	ts.Fatalf("there is no hosting %s", args[1])
}

// ownhosting WHO sets $own to the id of the hosting that carries the marker of an order.
func (o *outside) ownHosting(ts *testscript.TestScript, args []string) {
	for _, h := range o.simulated.Hostings() {
		if h.Status != "deleted" && strings.Contains(h.FriendlyName, "["+o.signed[args[0]].Subscription+"/") {
			ts.Setenv("own", strconv.Itoa(h.ID))
			return
		}
	}
	ts.Fatalf("%s has no hosting", args[0])
}

// ownOrg WHO [ORG] sets $org to the organisation in which the hosting of WHO's order is, and
// fails if that is not ORG.
func (o *outside) ownOrg(ts *testscript.TestScript, args []string) {
	for _, h := range o.simulated.Hostings() {
		if h.Status != "deleted" && strings.Contains(h.FriendlyName, "["+o.signed[args[0]].Subscription+"/") {
			ts.Setenv("org", h.Org)
			if len(args) > 1 && h.Org != args[1] {
				ts.Fatalf("hosting %d of %s is in org %s, want %s", h.ID, args[0], h.Org, args[1])
			}
			return
		}
	}
	ts.Fatalf("%s has no hosting", args[0])
}
