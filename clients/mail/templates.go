package mail

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	texttemplate "text/template"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

//go:embed templates
var builtIn embed.FS

// fallback is the language of customers who prefer none that there are templates for.
const fallback = "en"

// layout is the page that is made of a text if there is no template for the HTML.
const layout = "layout.html"

// Templates are the texts of mails: one for each kind and language. The file
// suspended.ro.txt has the notice of a suspension in Romanian: a first line that begins
// with "Subject: ", an empty line, and the text. The HTML is made of the text by
// layout.html, or has a template of its own, suspended.ro.html.
type Templates struct {
	texts  map[string]*texttemplate.Template // by kind.language
	pages  map[string]*htmltemplate.Template // by kind.language, and "layout"
	spoken []string                          // languages, in order
}

// Written is a mail as it is read.
type Written struct{ Language, Subject, Text, HTML string }

// templateName is the form of a name: kind, language, text or HTML.
var templateName = regexp.MustCompile(`^([a-z_]+)\.([a-z]{2})\.(txt|html)$`)

// maxTemplate bounds a file of the directory.
const maxTemplate = 1 << 20

// Load reads the built-in templates, and those of a directory, which come in their place
// or add a language; "": there is none. It tries each with an example. The error joins
// everything that is wrong.
func Load(directory string) (*Templates, error) {
	t := &Templates{texts: map[string]*texttemplate.Template{}, pages: map[string]*htmltemplate.Template{}}
	ours, err := fs.Sub(builtIn, "templates")
	problems := []error{err, t.add(ours)}
	if directory != "" {
		problems = append(problems, t.add(os.DirFS(directory)))
	}
	for key := range t.texts {
		_, language, _ := strings.Cut(key, ".")
		t.spoken = append(t.spoken, language)
	}
	slices.Sort(t.spoken)
	t.spoken = slices.Compact(t.spoken)
	if err := errors.Join(append(problems, t.try())...); err != nil {
		return nil, err
	}
	return t, nil
}

// add parses the files of a directory. Files that begin with a dot are left alone.
func (t *Templates) add(dir fs.FS) error {
	files, err := fs.ReadDir(dir, ".")
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		return fmt.Errorf("the directory cannot be read: %w", err)
	}
	var problems []error
	for _, f := range files {
		if strings.HasPrefix(f.Name(), ".") {
			continue
		}
		if err := t.parse(dir, f); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", f.Name(), err))
		}
	}
	return errors.Join(problems...)
}

func (t *Templates) parse(dir fs.FS, f fs.DirEntry) error {
	name := f.Name()
	m := templateName.FindStringSubmatch(name)
	known := m != nil && slices.ContainsFunc(reconcile.MailKinds(), func(k reconcile.MailKind) bool { return k.String() == m[1] })
	if !known && name != layout {
		return errors.New("is no template: they are named like suspended.en.txt, suspended.en.html and layout.html, for " + kindWords())
	}
	if info, err := fs.Stat(dir, name); err != nil || info.Size() > maxTemplate {
		return cmp.Or(err, errors.New("is larger than 1 MiB"))
	}
	text, err := fs.ReadFile(dir, name)
	if err != nil {
		return err
	}
	body := strings.ReplaceAll(string(text), "\r\n", "\n")
	if path.Ext(name) == ".html" {
		page, err := htmltemplate.New(name).Option("missingkey=error").Parse(body)
		if err != nil {
			return err
		}
		t.pages[strings.TrimSuffix(name, ".html")] = page
		return nil
	}
	if !strings.HasPrefix(body, subjectLine) {
		return errors.New(`does not begin with a line like "Subject: Your hosting is suspended"`)
	}
	parsed, err := texttemplate.New(name).Option("missingkey=error").Parse(body)
	if err != nil {
		return err
	}
	t.texts[strings.TrimSuffix(name, ".txt")] = parsed
	return nil
}

func kindWords() string {
	var words []string
	for _, k := range reconcile.MailKinds() {
		words = append(words, k.String())
	}
	return strings.Join(words, ", ")
}

const subjectLine = "Subject: "

// try writes an example with each template, so that a mistake in one shows at the start,
// and not in the night in which the mail is due.
func (t *Templates) try() error {
	var problems []error
	for _, kind := range reconcile.MailKinds() {
		for _, language := range t.spoken {
			for _, full := range []bool{true, false} {
				if _, err := t.Write(example(kind, language, full)); err != nil {
					problems = append(problems, err)
					break
				}
			}
		}
	}
	return errors.Join(problems...)
}

// example is a letter with all that a letter may have, or with the least.
func example(kind reconcile.MailKind, language string, full bool) reconcile.Letter {
	at := time.Date(2026, 11, 30, 9, 30, 0, 0, time.UTC)
	l := reconcile.Letter{ID: "mail:example", To: reconcile.Addressee{Email: "ana@example.com", Locales: []string{language}},
		Mail: reconcile.Mail{Kind: kind, Topics: []reconcile.MailTopic{{Key: "example", Subscription: "sub_example", Plan: "Basic", At: at}}}}
	if full {
		l.To.Name = "Ana Ionescu"
		l.Topics = append(l.Topics, reconcile.MailTopic{Subscription: "sub_example2", Plan: "Pro", Domain: "example.com", At: at, Unpaid: true},
			reconcile.MailTopic{Subscription: "sub_example3", Plan: "Pro", At: at, Ended: true, Deleted: at.AddDate(0, 1, 0)})
		l.Invoices = []reconcile.Invoice{{Number: "A-1", Amount: 1250, Currency: "eur", Due: at, URL: "https://invoice.example.com/A-1"}}
	}
	return l
}

// Example is a letter for a test.
func Example(kind reconcile.MailKind, to string) reconcile.Letter {
	l := example(kind, fallback, true)
	l.To.Email, l.ID = to, "mail:example:"+to
	return l
}

// CheckTemplates reports everything that is wrong with a directory of templates.
func CheckTemplates(directory string) error {
	_, err := Load(directory)
	return err
}
