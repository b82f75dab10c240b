package mail

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// page has the fields that a template may use.
type page struct {
	Language string
	Name     string // of the customer; "" if Stripe has none
	At       string // when it happens or happened, the first of the topics
	Unpaid   bool   // of any topic
	Topics   []topic
	Invoices []invoice
	// Only for pages:
	Subject    string
	Text       string
	Paragraphs []paragraph
}

type topic struct {
	What                           string // domain and plan, or the subscription
	Plan, Domain, Subscription, At string
	Deleted                        string // when it will be deleted; "" if that is not decided
	Ended, Unpaid                  bool
}

type invoice struct{ Number, Amount, Due, URL string }

// paragraph is either a list or lines.
type paragraph struct {
	Items []string
	Lines []line
}

// line is text, and the link at its end; "": none.
type line struct{ Text, URL string }

// Write writes a letter in the first language of the customer's that there are templates
// for, else in English.
func (t *Templates) Write(l reconcile.Letter) (w Written, err error) {
	w.Language = t.language(l)
	key := l.Kind.String() + "." + w.Language
	text, known := t.texts[key]
	if !known {
		return w, fmt.Errorf("there is no template for %s", l.Kind)
	}
	p := pageOf(l, w.Language)
	var out strings.Builder
	if err := text.Execute(&out, p); err != nil {
		return w, err
	}
	subject, body, _ := strings.Cut(strings.TrimPrefix(out.String(), subjectLine), "\n")
	w.Subject, w.Text = clean(subject), tidy(body)
	if w.Subject == "" || w.Text == "" {
		return w, fmt.Errorf("%s: writes no subject or no text", text.Name())
	}
	p.Subject, p.Text, p.Paragraphs = w.Subject, w.Text, paragraphs(w.Text)
	pages := t.pages[key]
	if pages == nil {
		pages = t.pages[strings.TrimSuffix(layout, ".html")]
	}
	out.Reset()
	if err := pages.Execute(&out, p); err != nil {
		return w, err
	}
	w.HTML = out.String()
	return w, nil
}

// language is the first that the customer prefers and that has this kind of mail.
func (t *Templates) language(l reconcile.Letter) string {
	for _, locale := range l.To.Locales {
		short, _, _ := strings.Cut(strings.ToLower(strings.ReplaceAll(locale, "_", "-")), "-")
		if t.texts[l.Kind.String()+"."+short] != nil {
			return short
		}
	}
	return fallback
}

func pageOf(l reconcile.Letter, language string) page {
	p := page{Language: language, Name: clean(l.To.Name)}
	var first time.Time
	for _, t := range l.Topics {
		if first.IsZero() || !t.At.IsZero() && t.At.Before(first) {
			first = t.At
		}
		p.Unpaid = p.Unpaid || t.Unpaid
		one := topic{Plan: clean(t.Plan), Domain: clean(t.Domain), Subscription: t.Subscription, At: date(t.At, language),
			Deleted: date(t.Deleted, language), Ended: t.Ended, Unpaid: t.Unpaid}
		switch {
		case one.Domain != "" && one.Plan != "":
			one.What = one.Domain + " (" + one.Plan + ")"
		case one.Domain != "" || one.Plan != "":
			one.What = one.Domain + one.Plan
		default:
			one.What = one.Subscription
		}
		p.Topics = append(p.Topics, one)
	}
	p.At = date(first, language)
	for _, i := range l.Invoices {
		one := invoice{Number: clean(i.Number), Amount: amount(i, language), Due: day(i.Due, language)}
		if strings.HasPrefix(i.URL, "https://") && clean(i.URL) == i.URL {
			one.URL = i.URL
		}
		p.Invoices = append(p.Invoices, one)
	}
	return p
}

// clean puts a text from Stripe, which any buyer may have typed, on one line.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	return strings.Join(strings.Fields(s), " ")
}

// tidy drops the empty lines that conditions leave behind, but for one between paragraphs.
func tidy(s string) string {
	var lines []string
	for l := range strings.SplitSeq(s, "\n") {
		l = strings.TrimRightFunc(l, unicode.IsSpace)
		if l == "" && (len(lines) == 0 || lines[len(lines)-1] == "") {
			continue
		}
		lines = append(lines, l)
	}
	return strings.TrimSpace(strings.Join(lines, "\n")) + "\n"
}

// paragraphs splits a text for the page.
func paragraphs(text string) (all []paragraph) {
	for part := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		var p paragraph
		lines := strings.Split(part, "\n")
		if !slices.ContainsFunc(lines, func(l string) bool { return !strings.HasPrefix(l, "- ") }) {
			for _, l := range lines {
				p.Items = append(p.Items, strings.TrimPrefix(l, "- "))
			}
			all = append(all, p)
			continue
		}
		for _, l := range lines {
			if i := strings.Index(l, "https://"); i >= 0 && !strings.ContainsRune(l[i:], ' ') {
				p.Lines = append(p.Lines, line{Text: l[:i], URL: l[i:]})
				continue
			}
			p.Lines = append(p.Lines, line{Text: l})
		}
		all = append(all, p)
	}
	return all
}

// months are the names of months in Romanian; English has those of package time.
var months = [...]string{"ianuarie", "februarie", "martie", "aprilie", "mai", "iunie", "iulie", "august", "septembrie", "octombrie", "noiembrie", "decembrie"}

// day is the day of an instant, in UTC; "" of none.
func day(t time.Time, language string) string {
	switch t = t.UTC(); {
	case t.IsZero():
		return ""
	case language == "ro":
		return fmt.Sprintf("%d %s %d", t.Day(), months[t.Month()-1], t.Year())
	case language == fallback:
		return t.Format("2 January 2006")
	}
	return t.Format(time.DateOnly)
}

// date is a day with the time of day.
func date(t time.Time, language string) string {
	if t.IsZero() {
		return ""
	}
	return day(t, language) + t.UTC().Format(", 15:04 UTC")
}

// amount writes an amount as the language does: with the decimal comma, except in English.
func amount(i reconcile.Invoice, language string) string {
	number, currency := reconcile.FormatAmount(i.Amount, i.Currency), strings.ToUpper(clean(i.Currency))
	if language == fallback {
		return currency + " " + number
	}
	return strings.Replace(number, ".", ",", 1) + " " + currency
}
