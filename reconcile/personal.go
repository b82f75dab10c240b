package reconcile

import (
	"bytes"
	"encoding/json"
	"time"
)

// PersonalData is all that the database knows of one customer, in the order in which it is
// shown.
type PersonalData []PersonalRows

// PersonalRows are the rows of one table that are about the customer.
type PersonalRows struct {
	Section string
	Rows    []PersonalRow
}

// PersonalRow is one row: its columns in a fixed order.
type PersonalRow []PersonalValue

// PersonalValue is one column of a row. Value is nil, a bool, an int64, a string, or JSON.
type PersonalValue struct {
	Name  string
	Value any
}

// MarshalJSON writes an object with the columns in their order.
func (r PersonalRow) MarshalJSON() ([]byte, error) {
	return orderedObject(len(r), func(i int) (string, any) { return r[i].Name, r[i].Value })
}

// MarshalJSON writes an object with the sections in their order.
func (d PersonalData) MarshalJSON() ([]byte, error) {
	return orderedObject(len(d), func(i int) (string, any) {
		if d[i].Rows == nil {
			return d[i].Section, []PersonalRow{}
		}
		return d[i].Section, d[i].Rows
	})
}

func orderedObject(n int, field func(i int) (string, any)) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		name, value := field(i)
		for j, part := range []any{name, value} {
			if j > 0 {
				b.WriteByte(':')
			}
			text, err := json.Marshal(part)
			if err != nil {
				return nil, err
			}
			b.Write(text)
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Erasing is the order to erase the name and the e-mail of a customer.
type Erasing struct {
	Customer string
	Author   string
	Reason   string
	At       time.Time
}

// Erased is the result of an erasure, or of its preview.
type Erased struct {
	// Rows counts the changed rows by table; empty: nothing of the person was left.
	Rows map[string]int
	// Same are other customers with one of its e-mails: theirs stays.
	Same []string
	// Unfinished is why the file of the database may still have remains of the former
	// values in its free pages; "": it has none, or it is not ours to write.
	Unfinished string
}
