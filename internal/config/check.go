package config

import (
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

// check looks for values that parse and still cannot be meant. Rules that compare two
// variables report nothing if one of them is already known to be wrong.
func check(c *Config, p *Problems) {
	checkDatabase(c, p)
	checkStripe(c, p)
	checkEnhance(c, p)
	checkPolicy(c, p)
	checkTimes(c, p)
	checkSimulated(c, p)
	checkService(c, p)
}

func checkDatabase(c *Config, p *Problems) {
	scheme, rest, _ := strings.Cut(c.DatabaseURL.Reveal(), ":")
	switch scheme {
	case "sqlite":
		switch {
		case rest == "" || rest == "//":
			p.add("DATABASE_URL", "names no file after sqlite:")
		case strings.Contains(rest, "?"):
			p.add("DATABASE_URL", "has parameters after the path (from the ? on), and sqlite: takes none: they are fixed, so that no commit is lost")
		}
	case "postgres", "postgresql":
		if problem := secret.URLProblem(c.DatabaseURL.Reveal()); problem != "" {
			p.add("DATABASE_URL", problem)
		} else if u, err := url.Parse(c.DatabaseURL.Reveal()); err != nil || !strings.HasPrefix(rest, "//") || u.Opaque != "" {
			p.add("DATABASE_URL", "is not a PostgreSQL URL like postgres://user:password@host/database (special characters of a password are written as %XX)")
		}
	default:
		p.add("DATABASE_URL", "begins with neither sqlite: nor postgres://")
	}
}

func checkStripe(c *Config, p *Problems) {
	switch key := c.StripeKey.Reveal(); {
	case key == "":
	case strings.HasPrefix(key, "pk_"):
		p.add("STRIPE_SECRET_KEY", "is a publishable key (pk_…), which may read nothing; use a secret or restricted key from the same page")
	case strings.HasPrefix(key, "whsec_"):
		p.add("STRIPE_SECRET_KEY", "is the signing secret of a webhook (whsec_…); that one belongs in STRIPE_WEBHOOK_SECRET")
	case !keyShape(key):
		p.add("STRIPE_SECRET_KEY", "does not look like a key of Stripe: those begin with sk_ or rk_ (rk_live_…, sk_test_…), and contain only letters and digits after that")
	}
	for _, s := range c.WebhookSecrets {
		if rest, ok := strings.CutPrefix(s.Reveal(), "whsec_"); !ok || rest == "" || strings.ContainsAny(rest, " \t\r\n\"'") {
			p.add("STRIPE_WEBHOOK_SECRET", "has a part that does not look like a signing secret (whsec_… , shown when the endpoint is made)")
			break
		}
	}
}

// keyShape accepts a secret or restricted key, with or without its mode: a prefix and then
// letters, digits and underscores, the characters of Stripe's keys.
func keyShape(key string) bool {
	for _, prefix := range []string{"sk_live_", "sk_test_", "rk_live_", "rk_test_", "sk_", "rk_"} {
		if rest, ok := strings.CutPrefix(key, prefix); ok {
			return rest != "" && strings.Trim(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
		}
	}
	return false
}

func checkEnhance(c *Config, p *Problems) {
	token := c.EnhanceToken.Reveal()
	switch {
	case token == "":
	case strings.HasPrefix(strings.ToLower(token), "bearer"):
		p.add("ENHANCE_API_TOKEN", "begins with the word Bearer; only the token itself belongs here")
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		p.add("ENHANCE_API_TOKEN", "contains white space or characters that no token has; was it copied whole?")
	}
}

func checkPolicy(c *Config, p *Problems) {
	if p.has("RETENTION_PERIOD") || c.Retention == 0 {
		return
	}
	if c.Retention < minRetention {
		p.add("RETENTION_PERIOD", "is less than 30 days; a hosting that is deleted sooner is deleted before people are back from their holidays")
	}
}

func checkTimes(c *Config, p *Problems) {
	if !p.has("RETRY_MIN") && c.RetryMin == 0 {
		p.add("RETRY_MIN", "is zero: a customer that fails would be tried without a pause")
	}
	if !p.has("RETRY_MIN") && !p.has("RETRY_MAX") && c.RetryMin > c.RetryMax {
		p.addf("RETRY_MIN", "is %s and RETRY_MAX is %s: the first back-off cannot be longer than the longest", c.RetryMin, c.RetryMax)
	}
	if !p.has("LEASE_TTL") && c.LeaseTTL < minLease {
		p.addf("LEASE_TTL", "is less than %s, shorter than a slow database takes to renew it", minLease)
	}
	if !p.has("DRIFT_INTERVAL") && c.DriftInterval == 0 {
		p.add("DRIFT_INTERVAL", "is zero: every run would read every hosting")
	}
}

// checkSimulated keeps the simulated clock away from real accounts: it is for two
// simulators on this machine, and for a test key, which charges no card.
func checkSimulated(c *Config, p *Problems) {
	const name, why = "SIMULATED_CLOCK", "; with a simulated clock, a real account would lose customers who have paid: remove it"
	key := c.StripeKey.Reveal()
	switch {
	case !c.SimulatedClock || p.has(name):
	case c.StripeURL == nil || !loopback(c.StripeURL.Hostname()):
		p.add(name, "is for stripe-enhance simulate alone, and STRIPE_API_URL is not on this machine"+why)
	case c.EnhanceURL == nil || !loopback(c.EnhanceURL.Hostname()):
		p.add(name, "is for stripe-enhance simulate alone, and ENHANCE_API_URL is not on this machine"+why)
	case !strings.HasPrefix(key, "sk_test_") && !strings.HasPrefix(key, "rk_test_"):
		p.add(name, "is for stripe-enhance simulate alone, and STRIPE_SECRET_KEY is not a test key"+why)
	}
}

func checkService(c *Config, p *Problems) {
	for name, keys := range map[string]Secrets{"ADMIN_API_KEY": c.AdminKeys, "SUPPORT_API_KEY": c.SupportKeys} {
		if slices.ContainsFunc(keys, func(key secret.Text) bool { return len(key.Reveal()) < minAdminKey }) {
			p.addf(name, "has a key of fewer than %d characters, which can be guessed", minAdminKey)
		}
	}
	for _, key := range c.SupportKeys {
		if slices.ContainsFunc(c.AdminKeys, func(admin secret.Text) bool { return admin.Reveal() == key.Reveal() }) {
			p.add("SUPPORT_API_KEY", "has a key that is in ADMIN_API_KEY too, and so may approve: choose another")
			break
		}
	}
	checkHeaders(c.CollectorHeaders.Reveal(), p)
	for _, u := range c.NotifyURLs {
		if scheme, _, ok := strings.Cut(u.Reveal(), "://"); !ok || scheme == "" || strings.ContainsAny(scheme, " /?#") {
			p.add("NOTIFY_URLS", "has a part without a scheme like slack:// or smtp://")
			break
		}
	}
}

// checkHeaders checks the form of the headers for the collector, which are not repeated.
func checkHeaders(text string, p *Problems) {
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' }) {
		key, value, ok := strings.Cut(part, "=")
		if _, err := url.PathUnescape(value); !ok || strings.TrimSpace(key) == "" || err != nil {
			p.add("OTEL_EXPORTER_OTLP_HEADERS", "is not key=value, several separated by commas, with special characters written as %XX")
			return
		}
	}
}

// checkProxies checks the proxies that net/http takes from the environment. If net/http
// cannot parse one, it quotes all of it, password included, in every error.
func checkProxies(environ map[string]string, p *Problems) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		value := environ[name]
		if value == "" {
			continue
		}
		if !strings.Contains(value, "://") { // net/http adds the scheme
			value = "http://" + value
		}
		wrong := secret.URLProblem(value)
		if _, err := url.Parse(value); wrong == "" && err != nil {
			wrong = "is not a URL like http://user:password@host:port"
		}
		if wrong != "" {
			*p = append(*p, Problem{Name: name, Wrong: wrong, Meaning: "the proxy by which Stripe is reached", Example: name + "=http://proxy.example.com:3128"})
		}
	}
}

// checkReceivers checks each receiver with the package that will send the messages.
func checkReceivers(c *Config, wrong func(secret.Text) error, p *Problems) {
	if wrong == nil || p.has("NOTIFY_URLS") {
		return
	}
	for i, u := range c.NotifyURLs {
		if err := wrong(u); err != nil {
			p.addf("NOTIFY_URLS", "URL %d of %d: %s", i+1, len(c.NotifyURLs), err)
		}
	}
}

// checkMail checks the settings for mails to customers with the package that will send them.
func checkMail(c *Config, with *MailChecks, p *Problems) {
	if with == nil {
		return
	}
	add := func(name string, err error) {
		if err != nil && !p.has(name) {
			p.add(name, strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	}
	if c.SMTPServer.IsSet() {
		add("SMTP_URL", with.Server(c.SMTPServer))
	}
	if c.MailFrom != "" {
		add("MAIL_FROM", with.Sender(c.MailFrom))
	}
	if c.MailTemplates != "" {
		add("MAIL_TEMPLATES", with.Templates(c.MailTemplates))
	}
}

// require reports missing settings that the command needs.
func require(c *Config, need Need, p *Problems) {
	missing := func(name string, absent bool) {
		if absent && !p.has(name) {
			p.add(name, "is not set")
		}
	}
	if need&NeedStripe != 0 {
		missing("STRIPE_SECRET_KEY", !c.StripeKey.IsSet())
	}
	if need&NeedEnhance != 0 {
		missing("ENHANCE_API_URL", c.EnhanceURL == nil)
		missing("ENHANCE_API_TOKEN", !c.EnhanceToken.IsSet())
		missing("ENHANCE_ORG_ID", c.EnhanceOrg == "")
	}
}

// warn returns warnings about settings that are allowed and dangerous.
func warn(c *Config) []string {
	var all []string
	for _, side := range []struct {
		name string
		url  *url.URL
	}{{"STRIPE_API_URL", c.StripeURL}, {"ENHANCE_API_URL", c.EnhanceURL}} {
		if side.url != nil && side.url.Scheme == "http" && !loopback(side.url.Hostname()) {
			all = append(all, side.name+" is http:// to another machine: the credential crosses the network in clear; use https://")
		}
	}
	if c.SMTPServer.IsSet() != (c.MailFrom != "") {
		all = append(all, "one of SMTP_URL and MAIL_FROM is set without the other: no mail is sent to customers")
	}
	return all
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
