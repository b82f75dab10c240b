package page

import (
	"embed"
	"encoding/json"
	"html/template"
	"strings"
	"time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"
)

//go:embed texts/*.json
var textFiles embed.FS

// languages are those of the catalogue, by the names of its columns. The first one is for
// browsers that want none of them.
var languages = []string{"en", "ro"}

var (
	tags    = []language.Tag{language.English, language.Romanian}
	matcher = language.NewMatcher(tags)
)

// months are as they stand between day and year.
var months = map[string][]string{
	"en": {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"},
	"ro": {"ian.", "feb.", "mar.", "apr.", "mai", "iun.", "iul.", "aug.", "sept.", "oct.", "nov.", "dec."},
}

// text is one text in each language. A text with a number has its forms between bars: in
// English for one and for others, in Romanian for one, for few, and for others.
type text map[string]string

// catalogue has all texts of the page by key. A key stands in one file only.
var catalogue = readCatalogue()

func readCatalogue() map[string]text {
	all := map[string]text{}
	files, err := textFiles.ReadDir("texts")
	if err != nil {
		panic(err) // they are embedded
	}
	for _, f := range files {
		content, err := textFiles.ReadFile("texts/" + f.Name())
		if err != nil {
			panic(err)
		}
		if err := json.Unmarshal(content, &all); err != nil {
			panic(f.Name() + ": " + err.Error())
		}
	}
	return all
}

// words write texts, numbers and times in one language.
type words struct {
	index   int
	printer *message.Printer
}

// wordsFor chooses the language: that of the click, else the best for the browser.
func wordsFor(chosen, accepted string) words {
	index := 0
	wanted, _, err := language.ParseAcceptLanguage(accepted)
	if err == nil && len(wanted) > 0 {
		_, index, _ = matcher.Match(wanted...)
	}
	for i, l := range languages {
		if l == chosen {
			index = i
		}
	}
	return words{index: index, printer: message.NewPrinter(tags[index])}
}

// Language is the language of the page, as HTML names it.
func (w words) Language() string { return languages[w.index] }

// T is the text of a key. Numbers among args are written as the language does.
func (w words) T(key string, args ...any) string {
	t := catalogue[key][w.Language()]
	if len(args) == 0 {
		return t
	}
	return w.printer.Sprintf(t, plainNumbers(args)...)
}

// plainNumbers makes whole numbers of those that went through JSON.
func plainNumbers(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		if f, ok := a.(float64); ok {
			a = int64(f)
		}
		out[i] = a
	}
	return out
}

// N is the text of a key in the form that a number demands. The number is its first argument.
func (w words) N(key string, n int, args ...any) string {
	forms := strings.Split(catalogue[key][w.Language()], "|")
	index := len(forms) - 1
	switch plural.Cardinal.MatchPlural(tags[w.index], n, 0, 0, 0, 0) {
	case plural.One:
		index = 0
	case plural.Few:
		index = min(1, index)
	default:
	}
	return w.printer.Sprintf(forms[index], append([]any{n}, args...)...)
}

// Number writes a number with the separators of the language.
func (w words) Number(n int) string { return w.printer.Sprintf("%d", n) }

// Money writes an exact amount, such as 1234.50, with its currency.
func (w words) Money(amount, currency string) string {
	group, point := ",", "."
	if w.Language() == "ro" {
		group, point = ".", ","
	}
	whole, cents, hasCents := strings.Cut(strings.TrimPrefix(amount, "-"), ".")
	var b strings.Builder
	if strings.HasPrefix(amount, "-") {
		b.WriteString("−")
	}
	for i, c := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteString(group)
		}
		b.WriteRune(c)
	}
	if hasCents {
		b.WriteString(point + cents)
	}
	if w.Language() == "ro" {
		return b.String() + "\u00a0" + strings.ToUpper(currency)
	}
	return strings.ToUpper(currency) + "\u00a0" + b.String()
}

// day writes a date.
func (w words) day(t time.Time) string {
	t = t.UTC()
	return t.Format("2") + " " + months[w.Language()][t.Month()-1] + t.Format(" 2006")
}

// Instant writes a time to the minute, in UTC.
func (w words) Instant(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return w.day(t) + ", " + t.UTC().Format("15:04")
}

// When writes a time for people, with the exact one and its zone where the pointer rests.
func (w words) When(t time.Time) template.HTML { return w.moment(t, w.Instant(t)) }

func (w words) moment(t time.Time, shown string) template.HTML {
	if t.IsZero() {
		return "–"
	}
	t = t.UTC()
	return template.HTML(`<time datetime="` + t.Format(time.RFC3339) + `" title="` + t.Format("2006-01-02 15:04:05 UTC") + `">` + //nolint:gosec // digits, and escaped words
		template.HTMLEscapeString(shown) + `</time>`)
}

// Ago writes how long ago a time was, as seen at another one.
func (w words) Ago(t, now time.Time) template.HTML {
	d := now.Sub(t)
	var shown string
	switch {
	case d < -time.Minute:
		return w.moment(t, w.T("time.in", w.span(-d)))
	case d < time.Minute:
		shown = w.T("time.now")
	default:
		shown = w.T("time.ago", w.span(d))
	}
	return w.moment(t, shown)
}

// Milliseconds writes how long a request took.
func (w words) Milliseconds(d time.Duration) string {
	return w.T("today.milliseconds", int(d/time.Millisecond))
}

// Rate writes a number of requests a second.
func (w words) Rate(n float64) string {
	return w.T("today.rate", w.printer.Sprint(number.Decimal(n, number.MaxFractionDigits(1))))
}

// span writes a duration in its largest unit.
func (w words) span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return w.N("time.seconds", int((d+time.Second-1)/time.Second))
	case d < time.Hour:
		return w.N("time.minutes", int(d/time.Minute))
	case d < 2*day:
		return w.N("time.hours", int(d/time.Hour))
	default:
		return w.N("time.days", int(d/day))
	}
}
