package config

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// parsers read the types of other packages, which cannot have a method here.
var parsers = map[reflect.Type]env.ParserFunc{
	reflect.TypeFor[time.Duration]():        parser(reconcile.ParseDuration),
	reflect.TypeFor[planner.Limit]():        parser(ParseLimit),
	reflect.TypeFor[reconcile.Mode]():       parser(parseMode),
	reflect.TypeFor[reconcile.Onboarding](): parser(parseOnboarding),
	reflect.TypeFor[url.URL]():              parser(parseURL),
	reflect.TypeFor[bool]():                 parser(parseBool),
	reflect.TypeFor[int]():                  parser(parseCount),
}

func parser[T any](parse func(string) (T, error)) env.ParserFunc {
	return func(s string) (any, error) { return parse(s) }
}

// ParseLimit accepts a count, a percentage, or both in any order: "5,2%", "2%", "5". A
// part that is left out is zero, and the larger of the two counts.
func ParseLimit(s string) (planner.Limit, error) {
	var (
		l              planner.Limit
		count, percent int
	)
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		if number, ok := strings.CutSuffix(part, "%"); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
			if err != nil || !(n >= 0 && n <= 100) {
				return l, fmt.Errorf("%q: the percentage is not a number from 0 to 100", s)
			}
			l.Percent = n
			percent++
			continue
		}
		n, err := strconv.ParseUint(part, 10, 31)
		if err != nil {
			return l, fmt.Errorf("%q is not a limit: write a count, a percentage, or both (5,2%%)", s)
		}
		l.Count = int(n)
		count++
	}
	if count > 1 || percent > 1 {
		return l, fmt.Errorf("%q: at most one count and one percentage", s)
	}
	return l, nil
}

func parseMode(s string) (reconcile.Mode, error) {
	if m := reconcile.ParseMode(s); m != 0 {
		return m, nil
	}
	return 0, fmt.Errorf("%q is none of observe, provision, enforce", s)
}

func parseOnboarding(s string) (reconcile.Onboarding, error) {
	if o := reconcile.ParseOnboarding(s); o != 0 {
		return o, nil
	}
	return 0, fmt.Errorf("%q is none of invite, password, none", s)
}

// parseBool accepts the words that people write. strconv's "t" and "F" are mistakes here.
func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true", "1", "yes", "on":
		return true, nil
	case "false", "0", "no", "off":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", s)
}

// maxCount bounds CONCURRENCY, because both sides refuse more connections long before
// they help.
const maxCount = 256

func parseCount(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxCount {
		return 0, fmt.Errorf("%q is not a whole number from 1 to %d", s, maxCount)
	}
	return n, nil
}

// parseURL checks the shape of a base URL. Messages do not repeat it, since
// people paste credentials into URLs.
func parseURL(s string) (url.URL, error) {
	if problem := secret.URLProblem(s); problem != "" {
		return url.URL{}, errors.New(problem + "; but credentials have their own variables")
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return url.URL{}, errors.New("is not a URL like https://host or https://host/path")
	case u.Scheme != "https" && u.Scheme != "http":
		return url.URL{}, errors.New("does not begin with https:// (or http://, to this machine)")
	case u.User != nil:
		return url.URL{}, errors.New("contains a user name or password; credentials have their own variables")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return url.URL{}, errors.New("ends in a query or fragment; only scheme, host and path belong here")
	}
	return *u, nil
}
