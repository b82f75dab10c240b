package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

type wanted struct {
	Name string `json:"name"`
	N    int    `json:"n"`
}

func TestABodyIsExactlyWhatIsDocumented(t *testing.T) {
	for _, test := range []struct {
		name, body string
		optional   bool
		ok         bool
	}{
		{"an object", `{"name":"a","n":1}`, false, true},
		{"an empty object", `{}`, false, true},
		{"white space around it", " \n{\"n\":1}\t\n", false, true},
		{"no body where none is needed", ``, true, true},
		{"no body where one is needed", ``, false, false},
		{"an unknown field", `{"nmae":"a"}`, false, false},
		{"something after it", `{"n":1}{"n":2}`, false, false},
		{"a bracket after it", `{"n":1}]`, false, false},
		{"a key twice", `{"n":1,"n":2}`, false, false},
		{"a key twice in another case", `{"n":1,"N":2}`, false, false},
		{"a key twice, escaped", `{"n":1,"\u006e":2}`, false, false},
		{"the wrong type", `{"n":"1"}`, false, false},
		{"an array", `[]`, false, false},
		{"a string", `"a"`, false, false},
		{"half of it", `{"n":`, false, false},
		{"not JSON", `name=a`, false, false},
		{"nested without end", strings.Repeat(`[`, 100_000), false, false},
		{"nested too deeply", `{"name":` + strings.Repeat(`[`, 40) + strings.Repeat(`]`, 40) + `}`, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var v wanted
			err := decode(strings.NewReader(test.body), &v, test.optional)
			if (err == nil) != test.ok {
				t.Errorf("decode(%.40q) = %v, want ok %t", test.body, err, test.ok)
			}
		})
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
		if err := json.Unmarshal(body, &plain); err != nil || got != plain {
			t.Errorf("%q was read as %+v, a plain decoder reads %+v, %v", body, got, plain, err)
		}
	})
}
