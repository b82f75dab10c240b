package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// treatedRow is a row as it is, with the columns that erasing treats.
type treatedRow struct {
	table   *personal
	columns []personalColumn
	key     []any
	values  []string
	null    []bool
	naming  bool // the column with the treatment title is the name of an org
}

// treated are the columns that erasing may change.
func (p *personal) treated() (columns []personalColumn) {
	for _, c := range p.list() {
		if c.treatment != "" {
			columns = append(columns, c)
		}
	}
	return columns
}

// readTreated reads rows of a table.
func (p *personal) readTreated(ctx context.Context, c conn, where string, args ...any) (rows []treatedRow, err error) {
	columns, key := p.treated(), strings.Fields(p.key)
	if len(columns) == 0 {
		return nil, nil
	}
	var names []string
	for _, column := range columns {
		names = append(names, column.name)
	}
	kind := "''"
	if p.table == "actions" {
		kind = "kind"
	}
	query := "SELECT " + kind + ", " + strings.Join(append(key, names...), ", ") + " FROM " + p.table + " WHERE " + where
	err = c.each(ctx, query, args, func(row scan) error {
		one := treatedRow{table: p, columns: columns, key: make([]any, len(key)), values: make([]string, len(columns)), null: make([]bool, len(columns))}
		all := make([]any, len(columns))
		var of string
		targets := []any{&of}
		for i := range one.key {
			targets = append(targets, &one.key[i])
		}
		for i := range all {
			targets = append(targets, &all[i])
		}
		if err := row(targets...); err != nil {
			return err
		}
		for i, v := range one.key {
			if b, ok := v.([]byte); ok {
				one.key[i] = string(b)
			}
		}
		for i, v := range all {
			switch v := v.(type) {
			case nil:
				one.null[i] = true
			case []byte:
				one.values[i] = string(v)
			default:
				one.values[i] = fmt.Sprint(v)
			}
		}
		named := reconcile.ParseActionKind(of)
		one.naming = p.table != "actions" || named == reconcile.CreateOrg || named == reconcile.RenameOrg || named == reconcile.InviteOwner
		rows = append(rows, one)
		return nil
	})
	return rows, err
}

// update is one row that changes.
type update struct {
	table  *personal
	names  []string // of the columns that change
	values []any
	key    []any
}

// id names the row.
func (u update) id() string { return u.table.table + " " + fmt.Sprint(u.key...) }

// where is the condition on the row, with key as its parameters.
func (u update) where() string {
	var parts []string
	for i, name := range strings.Fields(u.table.key) {
		parts = append(parts, fmt.Sprintf("%s = $%d", name, i+1))
	}
	return strings.Join(parts, " AND ")
}

func (u update) write(ctx context.Context, tx conn) error {
	args := append([]any{}, u.key...)
	var set []string
	for i, name := range u.names {
		args = append(args, u.values[i])
		set = append(set, fmt.Sprintf("%s = $%d", name, len(args)))
	}
	_, err := tx.exec(ctx, "UPDATE "+u.table.table+" SET "+strings.Join(set, ", ")+" WHERE "+u.where(), args...)
	return err
}
