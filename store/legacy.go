package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

// Legacy is what the database of the older system has: the functions on Vercel, whose tables
// have the same names as some of ours and other columns.
type Legacy struct {
	Mappings []LegacyMapping
	Rows     []LegacyRow
	Webhooks int64
}

// LegacyMapping is a row of its table plan_mappings.
type LegacyMapping struct{ Provider, BillingID, Plan string }

// LegacyRow is a row of its table subscriptions with that of its customer, or a customer
// without any. Every value is as it stands there; "": NULL.
type LegacyRow struct {
	Customer, Email, Org  string
	Deleted               bool // the customer, in the older system
	Subscription, Hosting string
	Status                string // active, suspended or canceled; "": it is a customer alone
}

// legacyColumns are those that are read, by table.
var legacyColumns = []struct {
	table   string
	columns []string
}{
	{"customers", []string{"id", "email", "stripe_customer_id", "enhance_customer_id", "deleted_at"}},
	{"subscriptions", []string{"id", "customer_id", "stripe_subscription_id", "enhance_subscription_id", "status"}},
	{"plan_mappings", []string{"billing_provider", "billing_plan_id", "enhance_plan_id"}},
	{"webhook_logs", []string{"status"}},
}

// legacyLimit is how long reading all of it may take.
const legacyLimit = 2 * time.Minute

// ReadLegacy reads the database of the older system in one transaction that cannot write.
func ReadLegacy(ctx context.Context, from secret.Text) (l Legacy, err error) {
	raw := from.Reveal()
	if DumpCommand(from, "") == "" {
		return l, permanent("the database of the older system is on PostgreSQL, at a URL like postgres://user:password@host/database")
	}
	config, err := postgresConfig(raw)
	if err != nil {
		return l, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("the database of the older system: %w", withoutPassword(raw, err))
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, legacyLimit)
	defer cancel()
	db, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, db.Close(context.WithoutCancel(ctx))) }()
	tx, err := db.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, tx.Rollback(context.WithoutCancel(ctx))) }()
	if err := legacyTables(ctx, tx); err != nil {
		return l, err
	}
	return l, l.read(ctx, tx)
}

// legacyTables is an error if a table or a column is missing: then it is another database,
// or another version of that system, and half of it proves nothing.
func legacyTables(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = current_schema()")
	if err != nil {
		return err
	}
	there, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	if slices.ContainsFunc(there, func(name string) bool { return strings.HasPrefix(name, versionTable+".") }) {
		return permanent("it is a database of this program, and not of the older system; nothing was read")
	}
	var missing []string
	for _, t := range legacyColumns {
		if !slices.ContainsFunc(there, func(name string) bool { return strings.HasPrefix(name, t.table+".") }) {
			missing = append(missing, "the table "+t.table)
			continue
		}
		for _, column := range t.columns {
			if !slices.Contains(there, t.table+"."+column) {
				missing = append(missing, "the column "+t.table+"."+column)
			}
		}
	}
	if len(missing) > 0 {
		return permanent("%s missing, or this user may not read it; nothing was read: is it the right database, and the right schema (search_path)?", listed(missing))
	}
	return nil
}

// listed is "a is", "a and b are", "a, b and c are".
func listed(names []string) string {
	if len(names) == 1 {
		return names[0] + " is"
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last] + " are"
}

func (l *Legacy) read(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `SELECT CAST(billing_provider AS TEXT), CAST(billing_plan_id AS TEXT), CAST(enhance_plan_id AS TEXT)
		FROM plan_mappings ORDER BY 1, 2`)
	if err != nil {
		return err
	}
	l.Mappings, err = pgx.CollectRows(rows, pgx.RowToStructByPos[LegacyMapping])
	if err != nil {
		return err
	}
	rows, err = tx.Query(ctx, `SELECT coalesce(CAST(c.stripe_customer_id AS TEXT), ''), coalesce(CAST(c.email AS TEXT), ''), coalesce(CAST(c.enhance_customer_id AS TEXT), ''),
			c.deleted_at IS NOT NULL, coalesce(CAST(s.stripe_subscription_id AS TEXT), ''), coalesce(CAST(s.enhance_subscription_id AS TEXT), ''),
			coalesce(CAST(s.status AS TEXT), '')
		FROM customers c LEFT JOIN subscriptions s ON s.customer_id = c.id ORDER BY c.id, s.id`)
	if err != nil {
		return err
	}
	l.Rows, err = pgx.CollectRows(rows, pgx.RowToStructByPos[LegacyRow])
	if err != nil {
		return err
	}
	return tx.QueryRow(ctx, "SELECT count(*) FROM webhook_logs").Scan(&l.Webhooks)
}
