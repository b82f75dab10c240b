package simulator

import (
	"encoding/json"
	"strconv"
)

// doc writes a JSON document field by field. It is used instead of structs because the
// wire objects have some hundred fields of which few vary, pages of a hundred of them
// must cost microseconds, and equal worlds must give equal bytes.
type doc struct {
	b []byte
}

// comma separates a value from the one before it at this level.
func (d *doc) comma() {
	if n := len(d.b); n > 0 && d.b[n-1] != '{' && d.b[n-1] != '[' && d.b[n-1] != ':' {
		d.b = append(d.b, ',')
	}
}

func (d *doc) open()  { d.comma(); d.b = append(d.b, '{') }
func (d *doc) close() { d.b = append(d.b, '}') }

func (d *doc) key(k string) {
	d.comma()
	d.b = append(d.b, '"')
	d.b = append(d.b, k...)
	d.b = append(d.b, '"', ':')
}

func (d *doc) object(k string) { d.key(k); d.b = append(d.b, '{') }
func (d *doc) array(k string)  { d.key(k); d.b = append(d.b, '[') }
func (d *doc) closeArray()     { d.b = append(d.b, ']') }

func (d *doc) str(k, v string) { d.key(k); d.b = appendString(d.b, v) }

// text writes a string, or null if it is empty.
func (d *doc) text(k, v string) {
	if v == "" {
		d.null(k)
		return
	}
	d.str(k, v)
}

func (d *doc) num(k string, v int64) { d.key(k); d.b = strconv.AppendInt(d.b, v, 10) }

// when writes a time in Unix seconds, or null if it is zero.
func (d *doc) when(k string, v int64) {
	if v == 0 {
		d.null(k)
		return
	}
	d.num(k, v)
}

func (d *doc) flag(k string, v bool) { d.key(k); d.b = strconv.AppendBool(d.b, v) }

func (d *doc) null(keys ...string) {
	for _, k := range keys {
		d.key(k)
		d.b = append(d.b, "null"...)
	}
}

// raw writes a value that is already JSON.
func (d *doc) raw(k, v string) { d.key(k); d.b = append(d.b, v...) }

// fields writes ready-made fields, `"a":1,"b":null`.
func (d *doc) fields(v string) { d.comma(); d.b = append(d.b, v...) }

func (d *doc) element(v string) { d.comma(); d.b = appendString(d.b, v) }

func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, err := json.Marshal(s)
			if err != nil { // cannot happen, because a string always marshals
				return append(b, `""`...)
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// metadata writes the field "metadata", sorted by key.
func (d *doc) metadata(m map[string]string) {
	d.object("metadata")
	for _, name := range sortedKeys(m) {
		d.comma()
		d.b = appendString(d.b, name)
		d.b = append(d.b, ':')
		d.b = appendString(d.b, m[name])
	}
	d.close()
}

// text returns a document of its own.
func text(write func(*doc)) string {
	d := doc{b: make([]byte, 0, 4096)}
	write(&d)
	return string(d.b)
}
