package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/clients/mail"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/notify"
)

// groupTitles are the headings of the groups of variables.
var groupTitles = []struct{ group, title string }{
	{"database", "Database"},
	{"stripe", "Stripe"},
	{"enhance", "Enhance"},
	{"policy", "Policy"},
	{"brake", "Brake (COUNT, PERCENT% or both; the larger counts)"},
	{"mail", "Mails to customers"},
	{"pace", "Pace and patience (durations: 90s, 15m, 72h, 7d)"},
	{"service", "Service, notifications and logs"},
}

// configurationTopic is a page of help, not a command: it has nothing to run.
func (p *program) configurationTopic() *cobra.Command {
	var b strings.Builder
	b.WriteString("Settings come from a file .env, the environment, and flags; a later one wins. The\n" +
		"file is the .env of the working directory or, if there is none, the one beside the\n" +
		"program; then a relative path in it, and the default DATABASE_URL, are in the folder\n" +
		"of that file. The flag of GRACE_PERIOD is --grace-period. All users of the machine\n" +
		"can see flags in the process list, so keys belong in the environment. An empty value\n" +
		"counts as unset. All mistakes are reported together, with exit code 2, before\n" +
		"anything is contacted; check reports them line by line, with exit code 1.\n\n" +
		"Each secret may be in a file instead: STRIPE_SECRET_KEY_FILE=/run/secrets/stripe (or\n" +
		"--stripe-secret-key-file) takes the place of STRIPE_SECRET_KEY, and so for all that\n" +
		"are marked as secrets below. The file is read again when it changes, so that a secret\n" +
		"is rotated without a restart; a list may have one entry a line. A credential that\n" +
		"systemd loads counts by its name: LoadCredential=STRIPE_SECRET_KEY:/etc/….\n")
	for _, g := range groupTitles {
		b.WriteString("\n" + g.title + "\n")
		for _, v := range config.Variables() {
			if v.Group == g.group {
				b.WriteString(describe(v))
			}
		}
	}
	return &cobra.Command{Use: "configuration", Short: "All settings, with defaults and examples", Long: b.String()}
}

func describe(v config.Variable) string {
	def := "not set"
	if v.Default != "" {
		def = v.Default
	}
	if v.Secret {
		def += "; a secret, also by " + v.File()
	}
	return "  " + v.Name + " (default: " + def + ")\n" +
		wrap(v.Usage, "      ") +
		"      example: " + v.Name + "=" + v.Example + "\n"
}

// wrap breaks text at 80 columns.
func wrap(text, indent string) string {
	const width = 80
	var b strings.Builder
	line := indent
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > width && line != indent {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = indent
		}
		line += word + " "
	}
	return b.String() + strings.TrimRight(line, " ") + "\n"
}

// settings reads the configuration for a command and prints its warnings.
func (p *program) settings(need config.Need) (*config.Config, error) {
	c, warnings, err := config.Load(p.sources(), need)
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		p.sayf("warning: %s", w)
	}
	if c.StripeKey.IsSet() {
		p.key = c.StripeKey.Glimpse()
	}
	return c, nil
}

// sources are where settings come from.
func (p *program) sources() config.Sources {
	return config.Sources{DotEnv: p.place().DotEnv(), Environ: p.environ, Flags: p.flags, Receiver: notify.Check,
		Mail: &config.MailChecks{Server: mail.CheckServer, Sender: mail.CheckSender, Templates: mail.CheckTemplates}}
}
