package main

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// dated are the verbs of "world" that give a subscription something with a date.
func (o *outside) dated() map[string]func(string) error {
	return map[string]func(string) error{
		"trial": func(id string) error {
			return o.simulated.Edit(id, func(s *simulator.Subscription) {
				s.Status, s.TrialEnd = "trialing", time.Now().Add(72*time.Hour).Unix()
				s.PeriodEnd = s.TrialEnd
			})
		},
		"scheduled": func(id string) error {
			_, err := o.simulated.ScheduleChange(id, "price_pro_monthly", time.Now().Add(10*24*time.Hour))
			return err
		},
		"endslater": func(id string) error { return o.simulated.CancelAt(id, time.Now().Add(96*time.Hour)) },
	}
}

// schedulesRefused answers every listing of schedules as Stripe does a key that may not
// read them.
func schedulesRefused(c simulator.Call) simulator.Fault {
	if c.Side == simulator.Stripe && c.Route == "GET /v1/subscription_schedules" {
		return simulator.Fault{Status: 403}
	}
	return simulator.Fault{}
}

// appointments reads the events of an iCalendar file by their summaries; the reader that
// holds every rule of RFC 5545 is in internal/report.
func appointments(text string) (map[string]map[string]string, error) {
	if !strings.HasPrefix(text, "BEGIN:VCALENDAR\r\n") || !strings.HasSuffix(text, "END:VCALENDAR\r\n") || strings.Count(text, "\n") != strings.Count(text, "\r\n") {
		return nil, errors.New("no calendar")
	}
	all := map[string]map[string]string{}
	for _, one := range strings.Split(strings.ReplaceAll(text, "\r\n ", ""), "BEGIN:VEVENT\r\n")[1:] {
		properties := map[string]string{}
		for _, line := range strings.Split(one, "\r\n") {
			name, value, _ := strings.Cut(line, ":")
			properties[name] = value
		}
		all[properties["SUMMARY"]] = properties
	}
	return all, nil
}

// calendar FILE N SUMMARY TEXT reads a calendar, which has N events, and one whose
// description begins with TEXT.
func (o *outside) calendar(ts *testscript.TestScript, args []string) {
	all, err := appointments(ts.ReadFile(args[0]))
	ts.Check(err)
	if n, err := strconv.Atoi(args[1]); err != nil || len(all) != n {
		ts.Fatalf("%d events, want %s: %v", len(all), args[1], all)
	}
	if got := all[args[2]]["DESCRIPTION"]; !strings.HasPrefix(got, args[3]) {
		ts.Fatalf("%s: %q, want %q", args[2], got, args[3])
	}
}

// moved BEFORE AFTER SUMMARY compares an event of two calendars: another day, the same UID.
func (o *outside) moved(ts *testscript.TestScript, args []string) {
	before, err := appointments(ts.ReadFile(args[0]))
	ts.Check(err)
	after, err := appointments(ts.ReadFile(args[1]))
	ts.Check(err)
	a, b := before[args[2]], after[args[2]]
	if a["UID"] == "" || a["UID"] != b["UID"] || a["DTSTART"] == b["DTSTART"] {
		ts.Fatalf("%s: %v, then %v", args[2], a, b)
	}
}
