package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/mailtest"
)

// A customer who leaves has one mail at each step of the way to the deletion, and another
// run sends none again.
func TestWhoLeavesIsWrittenToUntilTheDeletion(t *testing.T) {
	mails, err := mailtest.Start(mailtest.Options{Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	defer mails.Close()
	s := newSite(t, "sqlite:"+filepath.Join(t.TempDir(), "state.db"), "SIMULATED_CLOCK=true", "RETENTION_PERIOD=30d", "BRAKE_TERMINATE=10",
		"SMTP_URL="+mails.URL(), "MAIL_FROM=billing@example.com")
	s.mapPrices()
	bakery := s.signUp("bakery")[0]
	const day = 24 * time.Hour
	for _, step := range []struct {
		when string
		do   func() error
		pass time.Duration
		want string // the subject of the one mail; "": there is none
	}{
		{when: "it is new"},
		{when: "it is cancelled", do: func() error { return s.world.Cancel(bakery) }, want: "is suspended"},
		{when: "28 days later", pass: 28*day + time.Hour, want: "will be deleted on"},
		{when: "29 days later", pass: day, want: "will be deleted on"},
		{when: "30 days later", pass: day, want: "was deleted"},
	} {
		if step.do != nil {
			if err := step.do(); err != nil {
				t.Fatal(err)
			}
		}
		s.world.Advance(step.pass)
		for range 2 { // the second run has nothing to send
			if _, talk, code := s.run("reconcile", "--full"); code != exitOK && code != exitLeft {
				t.Fatalf("%s: exit code %d:\n%s", step.when, code, talk)
			}
		}
		var subjects []string
		for _, m := range mails.Taken() {
			subjects = append(subjects, m.Header("Subject")+" to "+strings.Join(m.To, " "))
		}
		right := func(subject string) bool {
			return strings.Contains(subject, step.want) && strings.HasSuffix(subject, "to bakery@example.com")
		}
		if step.want == "" && len(subjects) > 0 || step.want != "" && (len(subjects) != 1 || !slices.ContainsFunc(subjects, right)) {
			t.Fatalf("%s: the mails are %q, want one whose subject has %q", step.when, subjects, step.want)
		}
	}
	for _, h := range s.world.Hostings() {
		if h.Status != "deleted" {
			t.Errorf("the hosting is %s", h.Status)
		}
	}
}
