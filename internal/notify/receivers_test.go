package notify

import (
	"context"
	"encoding/json"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/mailtest"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// news is a message with letters that only Romanian has, of two pieces of news.
func news(t *testing.T) string {
	t.Helper()
	w := Watch{Language: Romanian}
	message := w.Look(reconcile.Report{Run: reconcile.RunRecord{Gates: []string{"the clock is off"}},
		Holds: []reconcile.Hold{{Kind: reconcile.HoldParked, Customer: "cus_a"}}}, nil)
	if !strings.Contains(message, "eșecuri") || !strings.Contains(message, "\n") {
		t.Fatalf("the message is %q", message)
	}
	return message
}

// delivered sends a message to one URL.
func delivered(t *testing.T, address, message string) (missed []string) {
	t.Helper()
	log, text := journal()
	n, err := New([]secret.Text{secret.New(address)}, Romanian, log)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	missed = n.Deliver(message)
	if strings.Contains(text.String(), "CANARY") {
		t.Errorf("a password is in the log: %s", text)
	}
	return missed
}

// A mail server gets the message over TLS and after a login, and its reader sees every letter.
func TestAMailServerTakesTheMessage(t *testing.T) {
	message := news(t)
	for name, tt := range map[string]struct {
		options  mailtest.Options
		query    url.Values
		user     *url.Userinfo
		subject  string
		isMissed bool
	}{
		"STARTTLS":                       {subject: "stripe-enhance: noutăți de la o rulare"},
		"TLS from the beginning":         {options: mailtest.Options{ImplicitTLS: true}, query: url.Values{"encryption": {"ImplicitTLS"}}, subject: "stripe-enhance: noutăți de la o rulare"},
		"the operator's own subject":     {query: url.Values{"Subject": {"hosting"}}, subject: "hosting"},
		"a wrong password":               {user: url.UserPassword(mailtest.User, "CANARY-wrong"), isMissed: true},
		"a certificate that none trusts": {query: url.Values{"skiptlsverify": {"no"}}, isMissed: true},
		"a server without TLS":           {options: mailtest.Options{Plain: true}, query: url.Values{"requirestarttls": {"yes"}}, isMissed: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, err := mailtest.Start(tt.options)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(server.Close)
			at, err := url.Parse(server.URL())
			if err != nil {
				t.Fatal(err)
			}
			if at.Scheme = "smtp"; tt.user != nil {
				at.User = tt.user
			}
			query := url.Values{"auth": {"Plain"}, "fromaddress": {mailtest.User}, "fromname": {"stripe-enhance"}, "toaddresses": {"ana@example.com"}, "skiptlsverify": {"yes"}}
			for key, value := range tt.query {
				query[key] = value
			}
			at.Path, at.RawQuery = "/", query.Encode()
			missed, taken := delivered(t, at.String(), message), server.Taken()
			if tt.isMissed {
				if len(missed) != 1 || len(taken) > 0 {
					t.Errorf("missed by %q, and the server has %v", missed, taken)
				}
				return
			}
			if len(missed) > 0 || len(taken) != 1 || server.Logins() != 1 {
				t.Fatalf("missed by %q, %d mails, %d logins", missed, len(taken), server.Logins())
			}
			read(t, taken[0], tt.subject, message)
		})
	}
}

// read reads a mail as a mail program does.
func read(t *testing.T, taken mailtest.Message, subject, message string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(taken.Text))
	if err != nil {
		t.Fatal(err)
	}
	got, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || got != subject {
		t.Errorf("the subject is %q (%v), want %q", got, err, subject)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "text/plain" || !strings.EqualFold(params["charset"], "utf-8") {
		t.Errorf("the text is %s %v, %v", kind, params, err)
	}
	body, err := io.ReadAll(m.Body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(message, strings.TrimSpace(string(body))); diff != "" {
		t.Errorf("the text (-sent +read):\n%s", diff)
	}
}

// A webhook of any kind, and the chats that take Slack's form, get the message as each of
// them expects it.
func TestAWebhookTakesTheMessage(t *testing.T) {
	message := news(t)
	for name, tt := range map[string]struct {
		url  string // HOST stands for the server
		read func(t *testing.T, body []byte) string
	}{
		"the text alone":       {"generic://HOST/hook?disabletls=yes", func(_ *testing.T, body []byte) string { return string(body) }},
		"JSON":                 {"generic://HOST/hook?disabletls=yes&template=json", field("message")},
		"JSON in Slack's form": {"generic://HOST/hook?disabletls=yes&template=json&messagekey=text", field("text")},
		"a server like Slack":  {"mattermost://HOST/CANARYTOKEN?disabletls=yes", field("text")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got [][]byte
			status := http.StatusOK
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil || r.Method != http.MethodPost {
					t.Errorf("%s: %v", r.Method, err)
				}
				got = append(got, body)
				w.WriteHeader(status)
			}))
			t.Cleanup(server.Close)
			address := strings.Replace(tt.url, "HOST", strings.TrimPrefix(server.URL, "http://"), 1)
			if missed := delivered(t, address, message); len(missed) > 0 || len(got) != 1 {
				t.Fatalf("missed by %q; %d requests", missed, len(got))
			}
			if diff := cmp.Diff(message, tt.read(t, got[0])); diff != "" {
				t.Errorf("the message (-sent +read):\n%s", diff)
			}
			status = http.StatusForbidden
			if missed := delivered(t, address, message); len(missed) != 1 {
				t.Errorf("the server has refused the message, and it is missed by %q", missed)
			}
		})
	}
}

func field(name string) func(*testing.T, []byte) string {
	return func(t *testing.T, body []byte) string {
		t.Helper()
		var all map[string]any
		if err := json.Unmarshal(body, &all); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		text, _ := all[name].(string)
		return text
	}
}

// The webhook of Slack itself has one address, so the way there is turned to this machine.
func TestSlacksOwnWebhookTakesTheMessage(t *testing.T) {
	message := news(t)
	var got []byte
	var path string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path = r.Host + r.URL.Path
		got, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, "ok")
	}))
	t.Cleanup(server.Close)
	there := server.Client().Transport.(*http.Transport).Clone()
	there.TLSClientConfig.ServerName = "example.com" // for which httptest has a certificate
	there.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
	}
	before := http.DefaultTransport
	http.DefaultTransport = there
	t.Cleanup(func() { http.DefaultTransport = before })
	if missed := delivered(t, "slack://hook:T00000000-B00000000-CANARYCANARYCANARYCANARY@webhook", message); len(missed) > 0 {
		t.Fatalf("missed by %q", missed)
	}
	if path != "hooks.slack.com/services/T00000000/B00000000/CANARYCANARYCANARYCANARY" {
		t.Errorf("it was sent to %s", path)
	}
	var body struct {
		Text        string
		Attachments []struct{ Text string }
	}
	if err := json.Unmarshal(got, &body); err != nil {
		t.Fatal(err)
	}
	read := body.Text
	for _, a := range body.Attachments {
		read += "\n" + a.Text
	}
	if diff := cmp.Diff(message, strings.TrimPrefix(read, "\n")); diff != "" {
		t.Errorf("Slack shows (-sent +shown):\n%s", diff)
	}
}
