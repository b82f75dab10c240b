package browser

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	code := m.Run()
	Close()
	os.Exit(code)
}

func TestComplaintsOfTheConsoleAreNoticed(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		if r.URL.Path == "/good" {
			_, _ = w.Write([]byte(`<!DOCTYPE html><link rel="icon" href="data:,"><p>fine</p>`))
			return
		}
		_, _ = w.Write([]byte(`<!DOCTYPE html><p style="color:red">fine</p><script>alert(1)</script>`))
	}))
	defer s.Close()
	tab := New(t)
	tab.Open(s.URL + "/bad")
	if all := strings.Join(tab.Complaints(), "\n"); !strings.Contains(all, "inline style") || !strings.Contains(all, "inline script") {
		t.Errorf("complaints: %s", all)
	}
	if text := tab.Text("p"); text != "fine" {
		t.Errorf("text: %q", text)
	}
}
