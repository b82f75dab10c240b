package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// at is a time as a parameter: UTC, in the microseconds both databases keep, and
// NULL for the zero time.
func at(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Truncate(time.Microsecond)
}

// stamp scans a time column of either database; NULL is the zero time. It takes
// integers too because SQLite stores them and because max() and coalesce() lose
// the column's type.
type stamp time.Time

// Scan implements sql.Scanner.
func (s *stamp) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*s = stamp{}
	case time.Time:
		*s = stamp(v.UTC())
	case int64:
		*s = stamp(time.UnixMicro(v).UTC())
	default:
		return fmt.Errorf("a time stored as %T", v)
	}
	return nil
}

// into scans a time column into t.
func into(t *time.Time) *stamp { return (*stamp)(t) }

// clean makes text that both databases store: no NUL, valid UTF-8.
func clean(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD")
}

// list is a JSON array as the parameter of dialect.texts or dialect.ints.
func list[T string | int64](values []T) string {
	if len(values) == 0 {
		return "[]"
	}
	b, err := json.Marshal(values)
	if err != nil {
		panic(err) // strings and integers always encode
	}
	return string(b)
}

// document is a value as a JSON parameter.
func document(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // every caller passes plain structs of this package
	}
	return string(b)
}
