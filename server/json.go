package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"reflect"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

// respond writes JSON. The document is complete before the status is sent, so that an
// error in encoding becomes a 500 and not half an answer.
func respond(w http.ResponseWriter, status int, v any) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false) // people read the reasons here, too
	if err := enc.Encode(v); err != nil {
		status = http.StatusInternalServerError
		body.Reset()
		body.WriteString(`{"error":"Internal error"}` + "\n")
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // an error means that the client has gone
}

// failure is the body of every error.
type failure struct {
	Error string `json:"error"`
}

// respondError answers an error.
func respondError(w http.ResponseWriter, status int, message string) {
	respond(w, status, failure{message})
}

// respondPortError answers an error of a port with the status that its kind demands. The
// details of an error of the database or of a side go into the log, not into the answer.
func (s *Server) respondPortError(w http.ResponseWriter, r *http.Request, what string, err error) {
	switch {
	case errors.Is(err, fault.NotFound):
		respondError(w, http.StatusNotFound, what+" not found")
	case errors.Is(err, fault.Conflict):
		respondError(w, http.StatusConflict, plain(err))
	default:
		s.o.Log.WithField("route", r.Method+" "+r.Pattern).WithError(err).Warn("request not answered")
		respondError(w, http.StatusServiceUnavailable, what+" could not be read or written now; try again in a moment")
	}
}

// plain is an error's text without the path of operations in front of it.
func plain(err error) string {
	text := err.Error()
	for _, prefix := range []string{"store: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

// errTooLarge is a body over the limit of its route.
var errTooLarge = errors.New("the body is too large")

// readBody reads a JSON body into v: one object without unknown fields, and nothing
// after it. If the body is anything else, it answers the request and returns false.
// With optional, an empty body is accepted.
func readBody(w http.ResponseWriter, r *http.Request, v any, optional bool) bool {
	err := decode(r.Body, v, optional)
	switch {
	case err == nil:
		return true
	case errors.Is(err, errTooLarge):
		respondError(w, http.StatusRequestEntityTooLarge, err.Error())
	default:
		respondError(w, http.StatusBadRequest, "The body is not as documented: "+err.Error())
	}
	return false
}

func decode(body io.Reader, v any, optional bool) error {
	text, err := io.ReadAll(body)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return errTooLarge
	case err != nil:
		return errors.New("it could not be read to its end")
	case optional && len(bytes.TrimSpace(text)) == 0:
		return nil
	}
	if trimmed := bytes.TrimSpace(text); len(trimmed) == 0 || trimmed[0] != '{' {
		return errors.New("it is not a JSON object")
	}
	if err := unambiguous(text); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		var mistyped *json.UnmarshalTypeError
		if errors.As(err, &mistyped) {
			return fmt.Errorf("%s must be %s", mistyped.Field, kindOf(mistyped.Type))
		}
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// kindOf names a type in the terms of JSON.
func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	default:
		return "a number"
	}
}

// maxDepth is far more than any documented body needs.
const maxDepth = 32

// unambiguous refuses a text that two parsers may read in two ways: one with a key given
// twice, with something after the value, or nested without end.
func unambiguous(text []byte) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := checkValue(dec, 1); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something after the object")
	}
	return nil
}

var errNoJSON = errors.New("it is not JSON")

// checkValue reads one value, with those inside of it.
func checkValue(dec *json.Decoder, depth int) error {
	token, err := dec.Token()
	if err != nil {
		return errNoJSON
	}
	open, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	if depth > maxDepth {
		return errors.New("it is nested too deeply")
	}
	seen := map[string]bool{}
	for dec.More() {
		if open == '{' {
			if err := checkKey(dec, seen); err != nil {
				return err
			}
		}
		if err := checkValue(dec, depth+1); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return errNoJSON
	}
	return nil
}

// checkKey reads the key of a field and adds it to those seen. Case does not count,
// because encoding/json ignores it.
func checkKey(dec *json.Decoder, seen map[string]bool) error {
	key, _ := dec.Token() // after an error the value is an error too
	name := strings.ToLower(fmt.Sprint(key))
	if seen[name] {
		return fmt.Errorf("the key %q is given twice", key)
	}
	seen[name] = true
	return nil
}

// newErrorLog makes the log for the complaints of net/http.
func newErrorLog(w io.Writer) *log.Logger { return log.New(w, "", 0) }
