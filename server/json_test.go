package server

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

type wanted struct {
	Name string `json:"name"`
	N    int    `json:"n"`
	Any  any    `json:"any"`
}

func TestABodyIsExactlyWhatIsDocumented(t *testing.T) {
	for _, test := range []struct {
		name, body string
		optional   bool
		problem    string // "": it is accepted
	}{
		{"an object", `{"name":"a","n":1}`, false, ""},
		{"an empty object", `{}`, false, ""},
		{"white space around it", " \n{\"n\":1}\t\n", false, ""},
		{"no body where none is needed", ``, true, ""},
		{"white space where no body is needed", " \n", true, ""},
		{"no body where one is needed", ``, false, "it is not a JSON object"},
		{"an unknown field", `{"nmae":"a"}`, false, `unknown field "nmae"`},
		{"something after it", `{"n":1}{"n":2}`, false, "there is something after the object"},
		{"a bracket after it", `{"n":1}]`, false, "there is something after the object"},
		{"a key twice", `{"n":1,"n":2}`, false, `the key "n" is given twice`},
		{"a key twice in another case", `{"n":1,"N":2}`, false, `the key "N" is given twice`},
		{"a key twice, escaped", `{"n":1,"\u006e":2}`, false, `the key "n" is given twice`},
		{"a key twice, further inside", `{"any":[{"a":1},{"b":[{"c":1,"C":2}]}]}`, false, `the key "C" is given twice`},
		{"the same key in two objects", `{"any":[{"a":1},{"a":1}]}`, false, ""},
		{"the wrong type", `{"n":"1"}`, false, "n must be a number"},
		{"another wrong type", `{"name":[]}`, false, "name must be a string"},
		{"an array", `[]`, false, "it is not a JSON object"},
		{"a string", `"a"`, false, "it is not a JSON object"},
		{"half of it", `{"n":`, false, "it is not JSON"},
		{"all but its end", `{"n":1`, false, "it is not JSON"},
		{"half a key", `{"n":1,"na`, false, "it is not JSON"},
		{"a key without quotation marks", `{n:1}`, false, "it is not JSON"},
		{"the wrong bracket at its end", `{"any":[1}`, false, "it is not JSON"},
		{"not JSON", `name=a`, false, "it is not a JSON object"},
		{"not JSON inside", `{"n":one}`, false, "it is not JSON"},
		{"not JSON in a list", `{"any":[one]}`, false, "it is not JSON"},
		{"nested without end", strings.Repeat(`[`, 100_000), false, "it is not a JSON object"},
		{"nested without end in a field", `{"any":` + strings.Repeat(`[`, 100_000), false, "it is nested too deeply"},
		{"nested as deeply as may be", `{"any":` + strings.Repeat(`[`, maxDepth-1) + strings.Repeat(`]`, maxDepth-1) + `}`, false, ""},
		{"nested too deeply", `{"any":` + strings.Repeat(`[`, maxDepth) + strings.Repeat(`]`, maxDepth) + `}`, false, "it is nested too deeply"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var v wanted
			problem := ""
			if err := decode(strings.NewReader(test.body), &v, test.optional); err != nil {
				problem = err.Error()
			}
			if problem != test.problem {
				t.Errorf("decode(%.40q): %q, want %q", test.body, problem, test.problem)
			}
		})
	}
	if err := decode(iotest.ErrReader(io.ErrUnexpectedEOF), &wanted{}, true); err == nil || err.Error() != "it could not be read to its end" {
		t.Errorf("a body that breaks off: %v", err)
	}
}

func TestABodyOverTheLimitIs413(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPut, "/", strings.NewReader(`{"name":"`+strings.Repeat("a", 300)+`"}`))
	r.Body = http.MaxBytesReader(w, r.Body, 100)
	var v wanted
	if readBody(w, r, &v, false) {
		t.Error("it was accepted")
	}
	if w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d, want 413", w.Code)
	}
}

func TestWhatCannotBeEncodedIsAWholeError(t *testing.T) {
	w := httptest.NewRecorder()
	respond(w, http.StatusOK, map[string]any{"f": func() {}})
	var f failure
	if err := json.Unmarshal(w.Body.Bytes(), &f); err != nil || w.Code != http.StatusInternalServerError || f.Error == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// If a body is accepted, a plain decoder reads the same from it.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{"name":"a","n":1}`, `{"n":1,"n":2}`, `{}`, `[{}]`, `{"n":1}x`, "{\"name\":\"\\ud800\"}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got, plain wanted
		if decode(bytes.NewReader(body), &got, false) != nil {
			return
		}
		if err := json.Unmarshal(body, &plain); err != nil || !reflect.DeepEqual(got, plain) {
			t.Errorf("%q was read as %+v, a plain decoder reads %+v, %v", body, got, plain, err)
		}
	})
}
