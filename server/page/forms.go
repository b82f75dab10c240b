package page

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/server"
)

// again is the error of a change that shows the page of its form once more, with what the
// person has typed and, if problem is set, the mistake in it.
type again struct {
	path    string // of the page that has the form
	row     string // the page in the table, by its path there
	form    string // the form that it is about, where a page has several
	problem string
	status  int
}

func (a *again) Error() string { return a.problem }

// mistaken shows the page at a path once more, with the content of its form and the
// mistake. {id} in the path is that of the request.
func (v *visit) mistaken(row, form, problem string) error {
	return &again{path: v.filled(row), row: row, form: form, problem: problem, status: http.StatusUnprocessableEntity}
}

// filled is a path of the table with the id of this request.
func (v *visit) filled(path string) string {
	return strings.ReplaceAll(path, "{id}", url.PathEscape(v.r.PathValue("id")))
}

// refused is an error of a change as a sentence on the page with its form, if it is one that
// the person can do something about.
func (v *visit) refused(row, form string, err error) error {
	no := reconcile.InstructionRefused("")
	switch {
	case err == nil:
		return nil
	case errors.As(err, &no):
		return &again{path: v.filled(row), row: row, form: form, problem: no.Error(), status: http.StatusConflict}
	case errors.Is(err, fault.Conflict):
		return &again{path: v.filled(row), row: row, form: form, problem: sentence(err), status: http.StatusConflict}
	default:
		return err
	}
}

// sentence is what a conflict means for a person, without the parts of the program that it
// came through.
func sentence(err error) string {
	text := err.Error()
	for _, prefix := range []string{"store: ", "approving plan ", "rejecting plan "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

// once is a page that is shown as the answer to a form and has no address of its own.
func (v *visit) once(row string) error {
	return &again{path: v.filled(row), row: row, status: http.StatusOK}
}

// showAgain renders the page for which a change has asked.
func (v *visit) showAgain(a *again) {
	for _, row := range pages() {
		if row.path != a.row {
			continue
		}
		v.typed, v.form, v.problem = v.r.PostForm, a.form, a.problem
		v.r = v.r.Clone(v.r.Context())
		v.r.URL = &url.URL{Path: a.path}
		if to, err := url.Parse(a.path); err == nil {
			v.r.URL = to
		}
		body, err := row.show(v)
		if err != nil {
			v.fail(err)
			return
		}
		v.render(a.status, row, body)
		return
	}
	v.fail(fault.NotFound)
}

// Typed is what the person has typed into a field of a form that is shown once more.
func (v *visit) Typed(form, field string) string {
	if v.form != form {
		return ""
	}
	return v.typed.Get(field)
}

// Problem is the mistake in a form that is shown once more; "": none.
func (v *visit) Problem(form string) string {
	if v.form != form {
		return ""
	}
	return v.problem
}

// words of a form, without spaces around it.
func (v *visit) field(name string) string { return strings.TrimSpace(v.r.PostFormValue(name)) }

// reason is the field of that name; problem is the mistake in it, "" if it is right.
func (v *visit) reason(needed bool) (text, problem string) {
	text = v.field("reason")
	switch {
	case text == "" && needed:
		return "", v.T("form.reason_missing")
	case !server.Printable(text):
		return "", v.T("form.text_refused")
	}
	return text, ""
}
