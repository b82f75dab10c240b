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

// Sources are where values come from, the later ones winning: DotEnv, Environ,
// Flags.
type Sources struct {
	// DotEnv is the path of a file that may be absent; "" reads none.
	DotEnv string
	// Environ is the environment as os.Environ gives it.
	Environ []string
	// Flags are those that were given, by the variable's name.
	Flags map[string]string
	// Receiver tells what is wrong with one of the URLs of NOTIFY_URLS, without
	// quoting it and without contacting anybody. nil: only their form is checked.
	Receiver func(secret.Text) error
}

// Load reads, parses and checks everything. The error is Problems. Warnings are
// sentences about what is allowed and still worth a look.
func Load(from Sources, need Need) (c *Config, warnings []string, err error) {
	c, warnings, problems := Inspect(from, need)
	if len(problems) > 0 {
		return nil, nil, problems
	}
	return c, warnings, nil
}

// Inspect is Load for somebody who wants to see what can be seen although something
// is wrong: a setting that problems name has no meaning in the Config, the others
// have theirs.
func Inspect(from Sources, need Need) (c *Config, warnings []string, problems Problems) {
	file := readDotEnv(from.DotEnv, &problems)
	values := gather(file, from, &problems)
	database := beside(from, file, values)
	c = parse(values, &problems)
	c.DatabaseFrom = database
	check(c, &problems)
	checkProxies(env.ToMap(from.Environ), &problems)
	checkReceivers(c, from.Receiver, &problems)
	require(c, need, &problems)
	_, c.LogLevelSet = values["LOG_LEVEL"]
	return c, append(exposed(from.DotEnv, file), warn(c)...), problems.sorted()
}

// gather merges the sources, leaves out what is empty, and looks for misspelt
// names.
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

// beside says where DATABASE_URL comes from. A relative path in .env is one from the
// folder of that file, and so is the default where there is a .env: the settings and
// the state of an installation are in one place, wherever the command is given.
func beside(from Sources, file, values map[string]string) Source {
	const name, scheme = "DATABASE_URL", "sqlite:"
	source := SourceDefault
	switch {
	case from.Flags[name] != "":
		return SourceFlag
	case strings.TrimSpace(env.ToMap(from.Environ)[name]) != "":
		return SourceEnvironment
	case strings.TrimSpace(file[name]) != "":
		source = SourceFile
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

// parse reads every variable, collecting what does not parse.
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

// unquoted is a message, unless it quotes what was pasted into the wrong variable: a
// value, or one of several, that looks like a credential.
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

// looksSecret recognises URLs with a user, Stripe's keys, and the long words of which
// tokens are made. A UUID, which has hyphens, is shown.
func looksSecret(value string) bool {
	for _, prefix := range []string{"sk_", "rk_", "pk_", "whsec_", "Bearer "} {
		if strings.HasPrefix(value, prefix) {
			return true
		}
	}
	return strings.Contains(value, "://") || strings.Contains(value, "@") || len(value) >= minAdminKey && !strings.ContainsAny(value, "- *")
}
