package demo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

func TestADemoWithAFalseStatementFails(t *testing.T) {
	stdout := new(bytes.Buffer)
	s, err := newStage(t.Context(), filepath.Join(t.TempDir(), "demo.db"), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.app.Close() }()
	out := &output{Options: Options{Out: stdout}}
	if err := out.open(); err != nil {
		t.Fatal(err)
	}
	all := append(opening(), scene{
		title: "The bakery orders Basic.", do: signsUp("bakery", simulator.SignUp{Price: basic}),
		then: []check{up("bakery", "Pro", 1), up("bakery", "Basic", 1)},
	})
	for _, one := range all {
		if err := s.play(t.Context(), one, out); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.close(s); !errors.Is(err, ErrUntrue) {
		t.Errorf("the end of an untrue story is %v", err)
	}
	if diff := cmp.Diff(1, strings.Count(stdout.String(), "✗")); diff != "" {
		t.Errorf("lines marked untrue (-want +got):\n%s\n%s", diff, stdout)
	}
}

// TestTheChecksOfTheDemoCanFail tries the checks themselves: after harm that the program did not do,
// one of those that always hold must fail.
func TestTheChecksOfTheDemoCanFail(t *testing.T) {
	for _, c := range []struct {
		name string
		harm func(s *stage, hosting simulator.Hosting)
		want string
	}{
		{"a paying customer is switched off through the API", func(s *stage, h simulator.Hosting) {
			s.patch(t, h, `{"isSuspended":true}`)
		}, "no paying customer was switched off"},
		{"a hosting is deleted", func(s *stage, h simulator.Hosting) {
			if err := s.world.StaffDelete(h.ID); err != nil {
				t.Fatal(err)
			}
		}, "nothing was deleted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := newStage(t.Context(), filepath.Join(t.TempDir(), "demo.db"), 1)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.app.Close() }()
			out := &output{Options: Options{Out: io.Discard, JSON: true}}
			for _, one := range append(opening(), arrivals()[0]) {
				if err := s.play(t.Context(), one, out); err != nil {
					t.Fatal(err)
				}
			}
			hostings, _ := s.home("bakery")
			c.harm(s, hostings[0])
			var untrue []string
			for _, one := range always() {
				if !one.holds(s, out.last) {
					untrue = append(untrue, one.statement)
				}
			}
			if diff := cmp.Diff([]string{c.want}, untrue); diff != "" {
				t.Errorf("untrue (-want +got):\n%s", diff)
			}
		})
	}
}

// patch changes a hosting with the program's own token, past the program.
func (s *stage) patch(t *testing.T, h simulator.Hosting, body string) {
	t.Helper()
	url := fmt.Sprintf("http://%s/api/orgs/%s/subscriptions/%d", simulator.EnhanceHost, h.Org, h.ID)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.world.EnhanceToken())
	r.Header.Set("Content-Type", "application/json")
	answer, err := s.world.Transport().RoundTrip(r)
	if err != nil || answer.StatusCode != http.StatusNoContent {
		t.Fatalf("patching: %v %v", answer, err)
	}
}
