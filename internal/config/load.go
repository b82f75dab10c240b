package config

import (
	"cmp"
	"errors"
	"maps"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"github.com/caarlos0/env/v11"

	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

// Sources are the origins of values. If several have a value, the later one counts:
// DotEnv, Environ, Flags.
type Sources struct {
	// DotEnv is the path of a file that may be absent; "" reads none.
	DotEnv string
	// Environ is the environment as os.Environ returns it.
	Environ []string
	// Flags are the flags that were given, by the variable's name.
	Flags map[string]string
	// Receiver checks one of the URLs of NOTIFY_URLS. Its error does not quote the URL, and
	// it contacts no receiver. nil: only the form of the URLs is checked.
	Receiver func(secret.Text) error
	// Mail checks the settings for mails to customers, with the package that will send them.
	// It contacts no server, and its errors do not quote a secret. nil: they are not checked.
	Mail *MailChecks
}

// MailChecks are the checks of SMTP_URL, MAIL_FROM and MAIL_TEMPLATES.
type MailChecks struct {
	Server    func(secret.Text) error
	Sender    func(string) error
	Templates func(directory string) error
}

// Load reads, parses and checks everything. The error is Problems. Warnings are sentences
// about settings that are allowed and dangerous.
func Load(from Sources, need Need) (c *Config, warnings []string, err error) {
	c, warnings, problems := Inspect(from, need)
	if len(problems) > 0 {
		return nil, nil, problems
	}
	return c, warnings, nil
}

// Inspect is Load for a command that goes on in spite of problems. A setting that problems
// name has no meaning in the Config; all others are right.
func Inspect(from Sources, need Need) (c *Config, warnings []string, problems Problems) {
	file := readDotEnv(from.DotEnv, &problems)
	warnings = exposed(from.DotEnv, file, &problems)
	values := gather(file, from, &problems)
	files := secretFiles(from, file, values, func(values map[string]string) (p Problems) { checked(values, from, &p); return p }, &problems)
	database := beside(from, file, values)
	c = checked(values, from, &problems)
	c.DatabaseFrom, c.given = database, shown(values)
	checkProxies(env.ToMap(from.Environ), &problems)
	require(c, need, &problems)
	problems.inFiles(files)
	_, c.LogLevelSet = values["LOG_LEVEL"]
	follow(c, files)
	return c, append(append(warnings, changeable(files)...), warn(c)...), problems.sorted()
}

// checked parses values and looks for those that cannot be meant.
func checked(values map[string]string, from Sources, problems *Problems) *Config {
	c := parse(values, problems)
	check(c, problems)
	checkReceivers(c, from.Receiver, problems)
	checkMail(c, from.Mail, problems)
	return c
}

// gather merges the sources, leaves out empty values, and looks for misspelt names.
func gather(file map[string]string, from Sources, problems *Problems) map[string]string {
	environ := env.ToMap(from.Environ)
	all := maps.Clone(file)
	for name, value := range environ {
		if strings.TrimSpace(value) != "" { // an empty one is unset: it hides nothing
			all[name] = value
		}
	}
	for name, value := range all {
		if all[name] = strings.TrimSpace(value); all[name] == "" {
			delete(all, name)
		}
	}
	misspelt(all, problems)
	for name, value := range from.Flags {
		if all[name] = strings.TrimSpace(value); all[name] == "" {
			problems.add(name, "was given as a flag without a value")
			delete(all, name)
		}
	}
	if _, ok := all["LISTEN_ADDR"]; !ok && all[port] != "" {
		all["LISTEN_ADDR"] = ":" + all[port]
	}
	return all
}

// beside returns the source of DATABASE_URL. A relative path in .env counts from the folder
// of that file, and so does the default if there is a .env: settings and state of an
// installation are in one place, whatever the working directory is.
func beside(from Sources, file, values map[string]string) Source {
	const name, scheme = "DATABASE_URL", "sqlite:"
	source, environ := SourceDefault, env.ToMap(from.Environ)
	switch {
	case from.Flags[name]+from.Flags[name+fileSuffix] != "":
		return SourceFlag
	case strings.TrimSpace(environ[name]+environ[name+fileSuffix]) != "":
		return SourceEnvironment
	case strings.TrimSpace(file[name]+file[name+fileSuffix]) != "":
		source = SourceFile
	case values[name] != "": // a credential of systemd
		return SourceEnvironment
	case !IsDotEnv(from.DotEnv):
		return SourceDefault
	}
	v, _ := known(name)
	path, ok := strings.CutPrefix(cmp.Or(values[name], v.Default), scheme)
	if folder := filepath.Dir(from.DotEnv); ok && folder != "." && path != "" && !strings.HasPrefix(path, ":") && !filepath.IsAbs(path) {
		values[name] = scheme + filepath.Join(folder, path)
	}
	return source
}

// parse reads every variable, and collects those that do not parse.
func parse(values map[string]string, problems *Problems) *Config {
	c := new(Config)
	err := env.ParseWithOptions(c, env.Options{Environment: values, FuncMap: parsers})
	var all env.AggregateError
	if !errors.As(err, &all) {
		if err != nil {
			panic("config: " + reflect.TypeOf(err).String() + " from a struct that the tests parse")
		}
		return c
	}
	for _, one := range all.Errors {
		var p env.ParseError
		if !errors.As(one, &p) {
			panic("config: " + reflect.TypeOf(one).String() + " from a struct that the tests parse")
		}
		v, _ := byField(p.Name)
		wrong := unquoted(p.Err.Error(), values[v.Name])
		if v.Name == "LISTEN_ADDR" && values[port] != "" && values["LISTEN_ADDR"] == ":"+values[port] {
			wrong += " (from PORT)"
		}
		problems.add(v.Name, wrong)
	}
	return c
}

// unquoted returns the message, unless it quotes a value that looks like a credential,
// because it was pasted into the wrong variable.
func unquoted(message, value string) string {
	for part := range strings.SplitSeq(value, ",") {
		part = strings.TrimSpace(part)
		quoted := strings.Trim(strconv.Quote(part), `"`)
		if looksSecret(part) && (strings.Contains(message, part) || strings.Contains(message, quoted)) {
			return "is set to something else: it looks like a credential, and is not shown"
		}
	}
	return message
}

// looksSecret recognises URLs, Stripe's keys, and long words like those of tokens. A UUID,
// which has hyphens, is shown.
func looksSecret(value string) bool {
	for _, prefix := range []string{"sk_", "rk_", "pk_", "whsec_", "Bearer "} {
		if strings.HasPrefix(value, prefix) {
			return true
		}
	}
	return strings.Contains(value, "://") || strings.Contains(value, "@") || len(value) >= minAdminKey && !strings.ContainsAny(value, "- *")
}
