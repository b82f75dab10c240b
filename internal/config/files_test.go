package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

const someKey = "CANARY0123456789CANARY0123456789"

// put writes a file whose last change is over.
func put(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-time.Minute)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
	return path
}

// good are the secrets, each with a value that is valid and one that may follow it.
var good = map[string][2]string{
	"DATABASE_URL":          {"postgres://app:CANARY@db.example.com/hosting", "postgres://app2:CANARY2@db.example.com/hosting"},
	"STRIPE_SECRET_KEY":     {"sk_test_CANARY1", "rk_test_CANARY2"},
	"STRIPE_WEBHOOK_SECRET": {"whsec_CANARY1", "whsec_CANARY1\nwhsec_CANARY2"},
	"ENHANCE_API_TOKEN":     {"CANARY1", "CANARY2"},
	"ADMIN_API_KEY":         {someKey + "1", someKey + "2," + someKey + "3"},
	"SUPPORT_API_KEY":       {someKey + "4", someKey + "5"},
	"NOTIFY_URLS":           {"discord://CANARY@channel", "discord://CANARY2@channel,slack://CANARY"},
	"SMTP_URL":              {"smtp://user:CANARY@smtp.example.com", "smtp://user:CANARY2@smtp.example.com"},

	"OTEL_EXPORTER_OTLP_HEADERS": {"api-key=CANARY", "api-key=CANARY2"},
}

// reveal returns the credentials of a setting as they are now.
func reveal(c *Config, name string) []string {
	lists := map[string][]secret.Text{
		"DATABASE_URL": {c.DatabaseURL}, "STRIPE_SECRET_KEY": {c.StripeKey}, "STRIPE_WEBHOOK_SECRET": c.WebhookSecrets, "ENHANCE_API_TOKEN": {c.EnhanceToken},
		"ADMIN_API_KEY": c.AdminKeys, "SUPPORT_API_KEY": c.SupportKeys, "NOTIFY_URLS": c.NotifyURLs, "SMTP_URL": {c.SMTPServer}, "OTEL_EXPORTER_OTLP_HEADERS": {c.CollectorHeaders},
	}
	var all []string
	for _, one := range secret.Each(lists[name]) {
		all = append(all, one.Reveal())
	}
	return all
}

func parts(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' })
}

// Every setting that is a secret: a new one that this test does not know fails it.
func TestEverySecretMayBeInAFileThatIsReadAgain(t *testing.T) {
	for _, v := range Variables() {
		if !v.Secret {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "secret")
			put(t, path, good[v.Name][0]+"\n")
			c, _, err := Load(Sources{Environ: []string{v.File() + "=" + path}}, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range good[v.Name] {
				put(t, path, want+"\n")
				if diff := cmp.Diff(parts(want), reveal(c, v.Name)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
			put(t, path, "CANARY not valid \x01")
			if v.Name == "ENHANCE_API_TOKEN" || v.Name == "STRIPE_SECRET_KEY" || v.Name == "DATABASE_URL" {
				if diff := cmp.Diff(parts(good[v.Name][1]), reveal(c, v.Name)); diff != "" {
					t.Errorf("a value that would be refused at start was taken (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestTheFileOfASecretIsNamedWithTheNextStep(t *testing.T) {
	dir := t.TempDir()
	empty, large, text := put(t, filepath.Join(dir, "empty"), "\n"), put(t, filepath.Join(dir, "large"), strings.Repeat("x", secret.MaxFile+1)), put(t, filepath.Join(dir, "text"), "pk_live_CANARY")
	key := put(t, filepath.Join(dir, "key"), "sk_test_CANARY")
	const name = "STRIPE_SECRET_KEY_FILE="
	for _, tc := range []struct {
		environ []string
		want    string
	}{
		{[]string{name + dir + "/none"}, "STRIPE_SECRET_KEY_FILE: " + dir + "/none does not exist: create it, or correct the path"},
		{[]string{name + empty}, "STRIPE_SECRET_KEY_FILE: " + empty + " is empty: write the secret into it"},
		{[]string{name + large}, "STRIPE_SECRET_KEY_FILE: " + large + " is larger than 64 KiB"},
		{[]string{name + dir}, "STRIPE_SECRET_KEY_FILE: " + dir + " is a directory: name the file in it"},
		{[]string{name + os.DevNull}, "STRIPE_SECRET_KEY_FILE: " + os.DevNull + " is not a regular file"},
		{[]string{name + key, "STRIPE_SECRET_KEY=sk_test_CANARY"}, "STRIPE_SECRET_KEY_FILE: STRIPE_SECRET_KEY is set too, and they may differ: take one of the two out"},
		{[]string{name + text}, "STRIPE_SECRET_KEY: is a publishable key (pk_…), which may read nothing; use a secret or restricted key from the same page (it was read from " + text + ")"},
		{[]string{"STRIPE_SECRET_KEY_FIEL=" + key}, "did you mean STRIPE_SECRET_KEY_FILE?"},
		{[]string{"GRACE_PERIOD_FILE=" + key}, "did you mean GRACE_PERIOD?"},
	} {
		_, _, err := Load(Sources{Environ: tc.environ}, NeedStripe)
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%q: %v\nwant %s", tc.environ, err, tc.want)
		}
		if err != nil && strings.Contains(tc.want, "_FILE: ") && strings.Contains(err.Error(), "is not set") {
			t.Errorf("%q: the secret is also called missing: %v", tc.environ, err)
		}
	}
}

// A rotated value that is good by itself may be wrong beside the others.
func TestARotatedSecretIsCheckedBesideTheOthers(t *testing.T) {
	dir := t.TempDir()
	admin, support := put(t, filepath.Join(dir, "admin"), someKey+"1"), put(t, filepath.Join(dir, "support"), someKey+"2")
	key, database := put(t, filepath.Join(dir, "key"), "sk_test_1"), put(t, filepath.Join(dir, "database"), "postgres://app:CANARY@one/hosting?sslmode=require")
	c, _, err := Load(Sources{Environ: []string{"ADMIN_API_KEY_FILE=" + admin, "SUPPORT_API_KEY_FILE=" + support, "STRIPE_SECRET_KEY_FILE=" + key, "DATABASE_URL_FILE=" + database,
		"SIMULATED_CLOCK=true", "STRIPE_API_URL=http://127.0.0.1:1", "ENHANCE_API_URL=http://127.0.0.1:1"}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	var noted []string
	for _, f := range c.Files {
		f.Note(func(_ bool, message string) { noted = append(noted, strings.ReplaceAll(message, dir+"/", "")) })
	}
	put(t, admin, someKey+"2")
	put(t, key, "sk_live_1")
	put(t, database, "postgres://app:CANARY@two/hosting?sslmode=require")
	got := slices.Concat(reveal(c, "ADMIN_API_KEY"), reveal(c, "STRIPE_SECRET_KEY"), reveal(c, "DATABASE_URL"))
	if diff := cmp.Diff([]string{someKey + "1", "sk_test_1", "postgres://app:CANARY@one/hosting?sslmode=require"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i, want := range []string{"does not go with SUPPORT_API_KEY", "does not go with SIMULATED_CLOCK", "names another database than the one that is in use: restart"} {
		if i >= len(noted) || !strings.Contains(noted[i], want) {
			t.Errorf("note %d of %q, want %q", i, noted, want)
		}
	}
}

func TestACredentialThatSystemdLoadsCountsByItsName(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "ENHANCE_API_TOKEN"), "CANARY1\n")
	c, _, err := Load(Sources{Environ: []string{"CREDENTIALS_DIRECTORY=" + dir}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := reveal(c, "ENHANCE_API_TOKEN"); !slices.Equal(got, []string{"CANARY1"}) || c.StripeKey.IsSet() {
		t.Errorf("%q", got)
	}
	_, _, err = Load(Sources{Environ: []string{"CREDENTIALS_DIRECTORY=" + dir, "ENHANCE_API_TOKEN=x"}}, 0)
	if err == nil || !strings.Contains(err.Error(), "CREDENTIALS_DIRECTORY: ENHANCE_API_TOKEN is set too") {
		t.Errorf("set twice: %v", err)
	}
}

// A relative path in .env counts from its folder, as that of a database does.
func TestAFileThatDotEnvNamesIsBesideIt(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "key"), "sk_test_1")
	put(t, filepath.Join(dir, "database"), "sqlite:state.db\n")
	dotEnv := put(t, filepath.Join(dir, ".env"), "STRIPE_SECRET_KEY_FILE=key\nDATABASE_URL_FILE=database\n")
	c, _, err := Load(Sources{DotEnv: dotEnv}, NeedStripe)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.DatabaseURL.Reveal(), "sqlite:"+filepath.Join(dir, "state.db"); got != want || c.DatabaseFrom != SourceFile {
		t.Errorf("%s (%s), want %s", got, c.DatabaseFrom, want)
	}
}

// Others can read a file only if they may pass the folders above it.
func TestADotEnvThatOthersCanReadIsRefused(t *testing.T) {
	for _, tc := range []struct {
		text   string
		mode   os.FileMode
		folder os.FileMode
		want   string
	}{
		{"STRIPE_SECRET_KEY=sk_test_CANARY\n", 0o604, 0o755, "can be read by every user of this machine, and there are credentials in it: chmod 600 "},
		{"ENHANCE_API_TOKEN=short\n", 0o644, 0o755, "can be read by every user of this machine, and there are credentials in it: chmod 600 "},
		{"MODE=observe\n", 0o602, 0o755, "can be changed by every user of this machine, and with it what this program does: chmod 600 "},
		{"STRIPE_SECRET_KEY=sk_test_CANARY\n", 0o640, 0o755, ""},
		{"STRIPE_SECRET_KEY=sk_test_CANARY\n", 0o644, 0o700, ""},
		{"MODE=observe\nDATABASE_URL=sqlite:state.db\n", 0o644, 0o755, ""},
		{"STRIPE_SECRET_KEY_FILE=/run/secrets/stripe_secret_key\n", 0o644, 0o755, ""},
	} {
		dir, err := os.MkdirTemp("", "dotenv") // a folder of the test is below one that others may not pass
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		path := put(t, filepath.Join(dir, ".env"), tc.text)
		for p, mode := range map[string]os.FileMode{path: tc.mode, dir: tc.folder} {
			if err := os.Chmod(p, mode); err != nil {
				t.Fatal(err)
			}
		}
		_, _, problems := Inspect(Sources{DotEnv: path}, 0)
		got := ""
		if i := slices.IndexFunc(problems, func(p Problem) bool { return p.Name == path }); i >= 0 {
			got = problems[i].Wrong
		}
		if !strings.HasPrefix(got, tc.want) || tc.want == "" && got != "" {
			t.Errorf("%q, %v in %v: %q, want %q", tc.text, tc.mode, tc.folder, got, tc.want)
		}
	}
}

func TestHistoryIsKeptForYearsOrDaysOrForEver(t *testing.T) {
	for text, want := range map[string]time.Duration{"2y": 2 * 365 * 24 * time.Hour, "90d": 90 * 24 * time.Hour, "0": 0, "forever": 0, "2400h": 2400 * time.Hour} {
		var k Keep
		if err := k.UnmarshalText([]byte(text)); err != nil || time.Duration(k) != want {
			t.Errorf("%q: %v, %v; want %v", text, time.Duration(k), err, want)
		}
	}
	for _, text := range []string{"", "y", "2 y", "-2y", "89d", "1h", "200y", "2y3d", "ever"} {
		if err := new(Keep).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}
