package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// rotate leads a path to a file with another secret, in one step, as a volume of Kubernetes
// does.
func rotate(t *testing.T, path, value string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "value")
	for _, err := range []error{os.WriteFile(file, []byte(value+"\n"), 0o600), os.Symlink(file, path+".tmp"), os.Rename(path+".tmp", path)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// TestTheServiceUsesARotatedSecretFromTheNextRequestOn, for the keys that it accepts. A file
// that is away for a moment changes nothing.
func TestTheServiceUsesARotatedSecretFromTheNextRequestOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hooks, admin, support := filepath.Join(dir, "hooks"), filepath.Join(dir, "admin"), filepath.Join(dir, "support")
	const third = "whsec_" + canary + "third0123456789"
	s := serveHere(t, serving{environ: []string{"STRIPE_WEBHOOK_SECRET=", "ADMIN_API_KEY=", "SUPPORT_API_KEY=",
		"STRIPE_WEBHOOK_SECRET_FILE=" + rotate(t, hooks, hookSecret), "ADMIN_API_KEY_FILE=" + rotate(t, admin, adminKey), "SUPPORT_API_KEY_FILE=" + rotate(t, support, supportKey)}})
	event := 0
	status := func(secret string) int {
		event++
		body := subscriptionEvent("evt_"+strings.Repeat("x", event), "sub_1")
		return s.call(http.MethodPost, "/api/webhook", body, "Stripe-Signature: "+simulator.SignWebhook([]byte(body), secret, time.Now())).status
	}
	may := func(key string) int {
		return s.call(http.MethodGet, "/api/admin/plans", "", "Authorization: Bearer "+key).status
	}
	approves := func(key string) int {
		return s.call(http.MethodPost, "/api/admin/plans/none/approve", "", "Authorization: Bearer "+key).status
	}
	shows := func(when string, want, got []int) {
		t.Helper()
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: %v, want %v", when, got, want)
				return
			}
		}
	}
	shows("first", []int{200, 400, 200, 401, 200}, []int{status(hookSecret), status(third), may(adminKey), may(adminKey2), may(supportKey)})
	rotate(t, hooks, hookSecret+"\n"+third)
	rotate(t, admin, adminKey2)
	shows("rotated", []int{200, 200, 401, 200, 403}, []int{status(hookSecret), status(third), may(adminKey), may(adminKey2), approves(supportKey)})
	rotate(t, hooks, third)
	rotate(t, support, adminKey2)
	shows("a support key that is the admin key", []int{400, 200, 200, 404, 200}, []int{status(hookSecret), status(third), may(supportKey), approves(adminKey2), may(adminKey2)})
	for _, path := range []string{hooks, admin, support} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	shows("away", []int{200, 200, 200, 403}, []int{status(third), may(adminKey2), may(supportKey), approves(supportKey)})
	said := s.said.String()
	for what, n := range map[string]int{"STRIPE_WEBHOOK_SECRET was read again": 2, "ADMIN_API_KEY was read again": 1, "SUPPORT_API_KEY keeps its last value": 2, "ADMIN_API_KEY keeps its last value": 1} {
		if got := strings.Count(said, what); got != n {
			t.Errorf("logged %d times, want %d: %s", got, n, what)
		}
	}
	if strings.Contains(said, canary) {
		t.Error("the log shows a secret")
	}
}
