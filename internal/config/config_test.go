package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

const org = "6f1c1c5e-52c3-4f0e-9a53-6f5d8f0b7a11"

// complete is an environment that every command accepts.
func complete(more ...string) []string {
	return append([]string{
		"STRIPE_SECRET_KEY=rk_test_abc123",
		"ENHANCE_API_URL=https://panel.example.com",
		"ENHANCE_API_TOKEN=token-of-the-seller",
		"ENHANCE_ORG_ID=" + org,
	}, more...)
}

func names(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var p Problems
	if !errors.As(err, &p) {
		t.Fatalf("the error is a %T, not Problems", err)
	}
	var all []string
	for _, one := range p {
		all = append(all, one.Name)
	}
	return all
}

func TestDefaultsAreThoseOfTheManual(t *testing.T) {
	c, warnings, err := Load(Sources{Environ: complete()}, NeedStripe|NeedEnhance)
	if err != nil {
		t.Fatal(err)
	}
	if len(warnings) > 0 {
		t.Errorf("warnings about defaults: %q", warnings)
	}
	wantPolicy := reconcile.Policy{
		Mode: reconcile.Enforce, Grace: 72 * time.Hour, Onboarding: reconcile.Invite, CreateWebsites: true, Backup: true,
	}
	if diff := cmp.Diff(wantPolicy, c.Policy()); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(planner.DefaultBrakes(), c.Brakes()); diff != "" {
		t.Errorf("brakes (-want +got):\n%s", diff)
	}
	got := []any{
		c.DatabaseURL.Reveal(), c.StripeURL.String(), string(c.ListenAddr), string(c.PollSchedule), string(c.FullSchedule),
		float64(c.StripeRPS), float64(c.EnhanceRPS), c.Concurrency, c.DriftInterval, c.SettleTime, c.RetryMin, c.RetryMax,
		c.LeaseTTL, string(c.LogLevel), string(c.LogFormat), c.LogLevelSet, c.Paused.String(), c.AutoMigrate,
	}
	want := []any{
		"sqlite:stripe-enhance.db", "https://api.stripe.com", ":8080", "@every 1m", "@daily",
		20.0, 10.0, 8, 24 * time.Hour, 90 * time.Second, 10 * time.Second, time.Hour,
		30 * time.Second, "info", "auto", false, "keep", true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the rest (-want +got):\n%s", diff)
	}
}

func TestWhatIsWrongIsToldByName(t *testing.T) {
	for _, c := range []struct {
		name string
		env  []string
		want []string
	}{
		{"nothing at all is set", []string{"-"}, []string{"STRIPE_SECRET_KEY", "ENHANCE_API_URL", "ENHANCE_API_TOKEN", "ENHANCE_ORG_ID"}},
		{"a publishable key", complete("STRIPE_SECRET_KEY=pk_live_abc"), []string{"STRIPE_SECRET_KEY"}},
		{"a webhook secret as key", complete("STRIPE_SECRET_KEY=whsec_abcdefghij"), []string{"STRIPE_SECRET_KEY"}},
		{"a key with a quote in it", complete("STRIPE_SECRET_KEY=sk_live_abc'"), []string{"STRIPE_SECRET_KEY"}},
		{"a prefix without a key", complete("STRIPE_SECRET_KEY=sk_live_"), []string{"STRIPE_SECRET_KEY"}},
		{"a key that names no mode", complete("STRIPE_SECRET_KEY=sk_abc123"), nil},
		{"a restricted key that names no mode", complete("STRIPE_SECRET_KEY=rk_abc123"), nil},
		{"a prefix alone", complete("STRIPE_SECRET_KEY=rk_"), []string{"STRIPE_SECRET_KEY"}},
		{"a key of another kind", complete("STRIPE_SECRET_KEY=ek_test_abc123"), []string{"STRIPE_SECRET_KEY"}},
		{"a short webhook secret", complete("STRIPE_WEBHOOK_SECRET=whsec_test,whsec_x"), nil},
		{"a webhook secret that is only its prefix", complete("STRIPE_WEBHOOK_SECRET=whsec_"), []string{"STRIPE_WEBHOOK_SECRET"}},
		{"a webhook secret without its prefix", complete("STRIPE_WEBHOOK_SECRET=abcdefghijk"), []string{"STRIPE_WEBHOOK_SECRET"}},
		{"one bad webhook secret of two", complete("STRIPE_WEBHOOK_SECRET=whsec_abcdefgh,sk_live_x"), []string{"STRIPE_WEBHOOK_SECRET"}},
		{"an admin key of 31 characters", complete("ADMIN_API_KEY=" + strings.Repeat("a", 31)), []string{"ADMIN_API_KEY"}},
		{"a support key of 31 characters", complete("SUPPORT_API_KEY=" + strings.Repeat("a", 31)), []string{"SUPPORT_API_KEY"}},
		{"a support key that is an admin key too", complete("ADMIN_API_KEY="+strings.Repeat("a", 32), "SUPPORT_API_KEY="+strings.Repeat("b", 32)+","+strings.Repeat("a", 32)), []string{"SUPPORT_API_KEY"}},
		{"a support key beside an admin key", complete("ADMIN_API_KEY="+strings.Repeat("a", 32), "SUPPORT_API_KEY="+strings.Repeat("b", 32)), nil},
		{"an admin key of 32 characters", complete("ADMIN_API_KEY=" + strings.Repeat("a", 32)), nil},
		{"retention of 29 days", complete("RETENTION_PERIOD=29d"), []string{"RETENTION_PERIOD"}},
		{"retention of one second less than 30 days", complete("RETENTION_PERIOD=719h59m59s"), []string{"RETENTION_PERIOD"}},
		{"retention of 30 days", complete("RETENTION_PERIOD=720h"), nil},
		{"retention while provisioning only: it waits for enforce", complete("RETENTION_PERIOD=90d", "MODE=provision"), nil},
		{"retention while observing: it is planned with", complete("RETENTION_PERIOD=90d", "MODE=observe"), nil},
		{"short retention while observing", complete("RETENTION_PERIOD=1d", "MODE=observe"), []string{"RETENTION_PERIOD"}},
		{"retention beside an unknown mode", complete("RETENTION_PERIOD=90d", "MODE=enforced"), []string{"MODE"}},
		{"negative settle time", complete("SETTLE_TIME=-1s"), []string{"SETTLE_TIME"}},
		{"negative days", complete("GRACE_PERIOD=-3d"), []string{"GRACE_PERIOD"}},
		{"a duration without a unit", complete("GRACE_PERIOD=72"), []string{"GRACE_PERIOD"}},
		{"no grace", complete("GRACE_PERIOD=0"), nil},
		{"back-off upside down", complete("RETRY_MIN=2h"), []string{"RETRY_MIN"}},
		{"a lease shorter than a database is slow", complete("LEASE_TTL=2s"), []string{"LEASE_TTL"}},
		{"a panel without scheme", complete("ENHANCE_API_URL=panel.example.com"), []string{"ENHANCE_API_URL"}},
		{"a panel with credentials", complete("ENHANCE_API_URL=https://me:hunter2@panel.example.com"), []string{"ENHANCE_API_URL"}},
		{"a panel spoken to by ftp", complete("ENHANCE_API_URL=ftp://panel.example.com"), []string{"ENHANCE_API_URL"}},
		{"a panel with a query", complete("ENHANCE_API_URL=https://panel.example.com/?token=x"), []string{"ENHANCE_API_URL"}},
		{"an org that is a name", complete("ENHANCE_ORG_ID=my-company"), []string{"ENHANCE_ORG_ID"}},
		{"an org in capitals", complete("ENHANCE_ORG_ID=" + strings.ToUpper(org)), nil},
		{"a token with its scheme", complete("ENHANCE_API_TOKEN=Bearer abc"), []string{"ENHANCE_API_TOKEN"}},
		{"a token with a line break in it", complete("ENHANCE_API_TOKEN=abc\ndef"), []string{"ENHANCE_API_TOKEN"}},
		{"a token that ends in a line break", complete("ENHANCE_API_TOKEN=abc\n"), nil},
		{"a cron expression of four fields", complete("POLL_SCHEDULE=* * * *"), []string{"POLL_SCHEDULE"}},
		{"a cron expression that crashes its parser", complete("POLL_SCHEDULE=TZ=0"), []string{"POLL_SCHEDULE"}},
		{"a brake with words", complete("BRAKE_SUSPEND=few"), []string{"BRAKE_SUSPEND"}},
		{"a database of another maker", complete("DATABASE_URL=mysql://localhost/x"), []string{"DATABASE_URL"}},
		{"a database with parameters", complete("DATABASE_URL=sqlite:a.db?_pragma=synchronous(OFF)"), []string{"DATABASE_URL"}},
		{"a database without a file", complete("DATABASE_URL=sqlite:"), []string{"DATABASE_URL"}},
		{"rate zero", complete("STRIPE_RPS=0"), []string{"STRIPE_RPS"}},
		{"rate NaN", complete("ENHANCE_RPS=NaN"), []string{"ENHANCE_RPS"}},
		{"concurrency zero", complete("CONCURRENCY=0"), []string{"CONCURRENCY"}},
		{"a port that is a word", complete("PORT=http"), []string{"LISTEN_ADDR"}},
		{"a port beyond the last", complete("LISTEN_ADDR=:70000"), []string{"LISTEN_ADDR"}},
		{"a first day", complete("NEW_CUSTOMERS_ONLY_AFTER=2026-11-01"), nil},
		{"a first second", complete("NEW_CUSTOMERS_ONLY_AFTER=2026-11-01T09:00:00+01:00"), nil},
		{"a first day as some write it", complete("NEW_CUSTOMERS_ONLY_AFTER=1.11.2026"), []string{"NEW_CUSTOMERS_ONLY_AFTER"}},
		{"a first day that does not exist", complete("NEW_CUSTOMERS_ONLY_AFTER=2026-02-30"), []string{"NEW_CUSTOMERS_ONLY_AFTER"}},
		{"a word of 16 letters", complete("INSTANCE=" + strings.Repeat("a", 16)), nil},
		{"a word of 17 letters", complete("INSTANCE=" + strings.Repeat("a", 17)), []string{"INSTANCE"}},
		{"a word with a capital", complete("INSTANCE=Shop"), []string{"INSTANCE"}},
		{"a word that would end a marker", complete("INSTANCE=a]"), []string{"INSTANCE"}},
		{"a truth that is neither", complete("CREATE_WEBSITES=maybe"), []string{"CREATE_WEBSITES"}},
		{"a level that does not exist", complete("LOG_LEVEL=LOUD"), []string{"LOG_LEVEL"}},
		{"a notification without scheme", complete("NOTIFY_URLS=slack"), []string{"NOTIFY_URLS"}},
		{"three at once", complete("MODE=x", "GRACE_PERIOD=y", "STRIPE_RPS=z"), []string{"STRIPE_RPS", "MODE", "GRACE_PERIOD"}},
		{"empty values are unset", complete("MODE=", "GRACE_PERIOD= ", "STRIPE_WEBHOOK_SECRET="), nil},
		{"a key left empty", complete("STRIPE_SECRET_KEY="), []string{"STRIPE_SECRET_KEY"}},
		{"a misspelt key", complete("STRIPE_SECRETKEY=sk_live_x"), []string{"STRIPE_SECRETKEY"}},
		{"a misspelt period", complete("GRACE_PERIODE=30d"), []string{"GRACE_PERIODE"}},
		{"letters swapped", complete("RETENTOIN_PERIOD=30d"), []string{"RETENTOIN_PERIOD"}},
		{"a word left out", complete("ENHANCE_TOKEN=x"), []string{"ENHANCE_TOKEN"}},
		{"Stripe's own CLI's variable", complete("STRIPE_API_KEY=sk_live_x"), nil},
		{"other programs' variables", complete("LISTEN_FDS=1", "DATABASE_NAME=x", "STRIPE_SERVICE_HOST=10.0.0.1", "ENHANCE_API_PORT=tcp://10.0.0.1", "MODEL=x", "LOG_DIR=/x"), nil},
		{"another program's database beside ours", complete("DATABASE_URI=x", "DATABASE_URL=sqlite:a.db"), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := Load(Sources{Environ: c.env}, NeedStripe|NeedEnhance)
			if diff := cmp.Diff(c.want, names(t, err)); diff != "" {
				t.Errorf("problems (-want +got):\n%s\n%v", diff, err)
			}
		})
	}
}

func TestACommandThatNeedsNothingAcceptsAnEmptyEnvironment(t *testing.T) {
	if _, _, err := Load(Sources{}, 0); err != nil {
		t.Error(err)
	}
}

func TestEveryProblemHasAMeaningAndAnExample(t *testing.T) {
	for _, v := range Variables() {
		if v.Usage == "" || v.Example == "" || v.Group == "" {
			t.Errorf("%s lacks usage, example or group", v.Name)
		}
	}
	_, _, err := Load(Sources{Environ: complete("GRACE_PERIOD=soon")}, 0)
	for _, part := range []string{"1 problem ", `"soon" is not a duration`, "means:   how long a past_due hosting", "example: GRACE_PERIOD=7d"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in:\n%v", part, err)
		}
	}
}

func TestEveryExampleThatIsAValueIsAccepted(t *testing.T) {
	for _, v := range Variables() {
		if v.Secret && !strings.Contains(v.Example, ":") || strings.Contains(v.Example, "openssl") {
			continue
		}
		env := complete(v.Name + "=" + v.Example)
		if _, _, err := Load(Sources{Environ: env}, 0); err != nil {
			t.Errorf("%s=%s: %v", v.Name, v.Example, err)
		}
	}
}

func TestNoMessageContainsASecret(t *testing.T) {
	const canary = "CANARY7f3a"
	env := complete(
		"STRIPE_SECRET_KEY=pk_live_"+canary,
		"STRIPE_WEBHOOK_SECRET="+canary,
		"STRIPE_SECRETKEY=sk_live_"+canary,
		"ENHANCE_API_URL=https://u:"+canary+"@panel.example.com",
		"ENHANCE_API_TOKEN=Bearer "+canary,
		"ADMIN_API_KEY="+canary, "SUPPORT_API_KEY="+canary+"2",
		"NOTIFY_URLS="+canary,
		"DATABASE_URL=postgres:"+canary,
	)
	_, _, err := Load(Sources{Environ: env}, NeedStripe|NeedEnhance)
	if err == nil || len(names(t, err)) != 9 {
		t.Fatalf("want 9 problems, got %v", err)
	}
	if strings.Contains(err.Error(), canary) {
		t.Errorf("a secret was echoed:\n%v", err)
	}
}

// pasted is a part of credentials that must not be shown.
const pasted = "CANARYq7"

// TestWhatWasPastedIntoTheWrongVariableIsNotShown: if a setting is no secret, the message
// about it quotes the value.
func TestWhatWasPastedIntoTheWrongVariableIsNotShown(t *testing.T) {
	for _, v := range Variables() {
		for _, value := range []string{"sk_live_" + pasted, "postgres://u:" + pasted + "@host/db", pasted + "@host", "0123456789abcdef0123456789" + pasted, "nearby,whsec_" + pasted, "postgres://u:\"" + pasted + "\\@host/db"} {
			_, _, err := Load(Sources{Environ: complete(v.Name + "=" + value)}, 0)
			if err != nil && strings.Contains(err.Error(), pasted) {
				t.Errorf("%s=%s:\n%v", v.Name, value, err)
			}
		}
	}
	_, _, err := Load(Sources{Environ: complete("ENHANCE_ORG_ID=my-company")}, 0)
	if err == nil || !strings.Contains(err.Error(), `"my-company"`) {
		t.Errorf("what is no credential is not quoted: %v", err)
	}
}

func TestAProxyOfWhichThePasswordCouldBeCutIsRefused(t *testing.T) {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		for value, bad := range map[string]bool{
			"http://user:" + pasted + "@ss@proxy:3128": true, "user:" + pasted + "/ss@proxy:3128": true, "user:" + pasted + "%zz@proxy": true,
			"http://user:" + pasted + "%40ss@proxy:3128": false, "proxy:3128": false, "socks5://127.0.0.1:1080": false,
		} {
			_, _, err := Load(Sources{Environ: complete(name + "=" + value)}, 0)
			if (err != nil) != bad || err != nil && (strings.Contains(err.Error(), pasted) || !strings.Contains(err.Error(), name+": ")) {
				t.Errorf("%s=%s: %v", name, value, err)
			}
		}
	}
}

func TestFlagsWinOverTheEnvironmentAndTheEnvironmentOverTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), ".env")
	text := "MODE=observe\nGRACE_PERIOD=1d\nLOG_LEVEL=DEBUG\nNODE_ENV=production\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := Load(Sources{
		DotEnv:  file,
		Environ: []string{"MODE=provision", "GRACE_PERIOD=2d"},
		Flags:   map[string]string{"GRACE_PERIOD": "3d"},
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []any{"provision", 72 * time.Hour, "debug", true}
	got := []any{c.Mode.String(), c.Grace, string(c.LogLevel), c.LogLevelSet}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestABrokenDotEnvIsToldByLineWithoutQuotingIt(t *testing.T) {
	file := filepath.Join(t.TempDir(), ".env")
	text := "MODE=observe\nNOTE=\"two\nlines\"\nthis is sk_live_CANARY\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := Load(Sources{DotEnv: file}, 0)
	if err == nil || !strings.Contains(err.Error(), "line 4 ") || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("want a message about line 4 that does not quote it, got: %v", err)
	}
}

func TestThePortOfThePlatformIsHonouredOnlyWhenNoAddressIsSet(t *testing.T) {
	for _, c := range []struct {
		env  []string
		want Address
	}{
		{[]string{"PORT=3000"}, ":3000"},
		{[]string{"PORT=3000", "LISTEN_ADDR=127.0.0.1:9"}, "127.0.0.1:9"},
	} {
		got, _, err := Load(Sources{Environ: c.env}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got.ListenAddr != c.want {
			t.Errorf("%v: listens on %s, want %s", c.env, got.ListenAddr, c.want)
		}
	}
}

func TestClearTextToAnotherMachineIsWarnedAbout(t *testing.T) {
	for url, want := range map[string]int{
		"http://panel.example.com": 1, "https://panel.example.com": 0,
		"http://127.0.0.1:9": 0, "http://localhost:9": 0, "http://[::1]:9": 0,
	} {
		_, warnings, err := Load(Sources{Environ: complete("ENHANCE_API_URL=" + url)}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(warnings) != want {
			t.Errorf("%s: %d warnings, want %d: %q", url, len(warnings), want, warnings)
		}
	}
}

func TestDurationsAcceptDays(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0d": 0, "7d": 168 * time.Hour, "1d12h": 36 * time.Hour, "1.5d": 36 * time.Hour, "90s": 90 * time.Second,
	} {
		if got, err := reconcile.ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "7", "7 d", "7dd", "h", "-1s", "-1d", "1d-1h", "NaNd", "Infd", "1e9d", "2000000h"} {
		if got, err := reconcile.ParseDuration(text); err == nil {
			t.Errorf("%q was accepted as %v", text, got)
		}
	}
}

func TestLimitsAcceptCountAndPercentageInAnyOrder(t *testing.T) {
	for text, want := range map[string]planner.Limit{
		"5,2%": {Count: 5, Percent: 2}, "2%,5": {Count: 5, Percent: 2}, "5": {Count: 5}, "2.5%": {Percent: 2.5},
		"0": {}, " 5 , 2 % ": {Count: 5, Percent: 2}, "100%": {Percent: 100},
	} {
		if got, err := ParseLimit(text); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", ",", "%", "-1", "101%", "-1%", "NaN%", "5,5", "2%,2%", "5,2%,1", "1.5", "99999999999"} {
		if got, err := ParseLimit(text); err == nil {
			t.Errorf("%q was accepted as %v", text, got)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("GRACE_PERIOD", "1d", "MODE=observe")
	f.Add("POLL_SCHEDULE", "TZ=0", "A=\"b")
	f.Add("BRAKE_SUSPEND", "5,2%", "export X=$Y")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, name, value, file string) {
		path := filepath.Join(dir, ".env")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		c, _, err := Load(Sources{DotEnv: path, Environ: []string{name + "=" + value}}, 0)
		if (c == nil) == (err == nil) {
			t.Errorf("configuration %v and error %v", c != nil, err)
		}
	})
}

func TestTheSettingsThatApplyHaveNoSecret(t *testing.T) {
	c, _, err := Load(Sources{Environ: []string{
		"STRIPE_SECRET_KEY=rk_test_51Habcdefghijklmnopqrstuvwx", "STRIPE_WEBHOOK_SECRET=whsec_abcdef,whsec_ghijkl", "ENHANCE_API_URL=https://panel.example.com",
		"DATABASE_URL=postgres://ada:hunter2secret@db.example.com/x", "GRACE_PERIOD=7d", "NOTIFY_URLS=slack://token-hunter2secret@channel", "SMTP_URL=",
	}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]Effective{}
	for _, e := range c.Effective() {
		values[e.Name] = e
		for _, bad := range []string{"hunter2secret", "abcdef", "ghijkl"} {
			if strings.Contains(e.Value, bad) {
				t.Errorf("%s shows %q", e.Name, e.Value)
			}
		}
	}
	if len(values) != len(Variables()) {
		t.Errorf("%d settings, want %d", len(values), len(Variables()))
	}
	for name, want := range map[string]struct {
		value string
		set   bool
	}{"STRIPE_SECRET_KEY": {"[redacted]", true}, "STRIPE_WEBHOOK_SECRET": {"[redacted]", true}, "DATABASE_URL": {"[redacted]", true}, "SMTP_URL": {"", false}, "GRACE_PERIOD": {"7d", true},
		"RETENTION_PERIOD": {"0", false}, "ENHANCE_API_URL": {"https://panel.example.com", true}} {
		if got := values[name]; got.Value != want.value || got.Set != want.set {
			t.Errorf("%s: %q, set %t", name, got.Value, got.Set)
		}
	}
}

// The environment of the functions on Vercel, with what Vercel and Neon add by themselves,
// works as it is.
func TestTheEnvironmentOfTheFunctionsOnVercelWorks(t *testing.T) {
	url := "postgresql://owner:secret@ep-x-pooler.eu-central-1.aws.neon.tech/stripe_enhance?sslmode=require&channel_binding=require"
	c, warnings, err := Load(Sources{Environ: []string{
		"DATABASE_URL=" + url, "STRIPE_SECRET_KEY=sk_live_abc123", "STRIPE_WEBHOOK_SECRET=whsec_0123456789abcdef",
		"ENHANCE_API_URL=https://panel.example.com", "ENHANCE_API_TOKEN=token-of-the-seller", "ENHANCE_ORG_ID=" + org,
		"ADMIN_API_KEY=0123456789abcdef0123456789abcdef", "LOG_LEVEL=INFO", "APP_VERSION=1.0.0",
		"VERCEL=1", "VERCEL_ENV=production", "VERCEL_URL=billing.vercel.app", "VERCEL_REGION=fra1", "NODE_ENV=production",
		"DATABASE_URL_UNPOOLED=" + url, "POSTGRES_URL=" + url, "POSTGRES_PRISMA_URL=" + url, "POSTGRES_URL_NON_POOLING=" + url,
		"POSTGRES_USER=owner", "POSTGRES_HOST=ep-x", "POSTGRES_PASSWORD=secret", "POSTGRES_DATABASE=neondb",
		"PGHOST=ep-x-pooler", "PGHOST_UNPOOLED=ep-x", "PGUSER=owner", "PGDATABASE=neondb", "PGPASSWORD=secret", "NEON_PROJECT_ID=x",
		"NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY=pk_live_abc", "STRIPE_PUBLISHABLE_KEY=pk_live_abc",
	}}, NeedStripe|NeedEnhance)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v %q", err, warnings)
	}
	if c.DatabaseURL.Reveal() != url || c.AppVersion != "1.0.0" || len(c.AdminKeys) != 1 {
		t.Errorf("%+v", c)
	}
}
