package store

import (
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

// legacyDatabase is a database of the older system: a customer with a hosting, and one alone.
func legacyDatabase(t *testing.T) (f *fixture, url string) {
	t.Helper()
	url = pgtest.Empty(t)
	f = &fixture{TB: t, Store: open(t, url), url: url}
	f.edit("CREATE TABLE customers (id SERIAL PRIMARY KEY, enhance_customer_id TEXT, stripe_customer_id TEXT, email TEXT, deleted_at TIMESTAMPTZ)",
		"CREATE TABLE subscriptions (id SERIAL PRIMARY KEY, customer_id INTEGER, enhance_subscription_id TEXT, stripe_subscription_id TEXT, status TEXT)",
		"CREATE TABLE plan_mappings (billing_provider TEXT, billing_plan_id TEXT, enhance_plan_id TEXT)",
		"CREATE TABLE webhook_logs (status TEXT)",
		"INSERT INTO customers (enhance_customer_id, stripe_customer_id, email) VALUES ('org', 'cus_1', 'ada@example.com'), ('alone', NULL, 'bob@example.com')",
		"INSERT INTO subscriptions (customer_id, enhance_subscription_id, stripe_subscription_id, status) VALUES (1, '7', 'sub_1', 'active')",
		"INSERT INTO plan_mappings VALUES ('stripe', 'price_1', 'Basic')", "INSERT INTO webhook_logs VALUES ('error')")
	return f, url
}

func TestTheOlderSystemIsReadWhole(t *testing.T) {
	_, url := legacyDatabase(t)
	got, err := ReadLegacy(t.Context(), secret.New(url))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the older system", Legacy{
		Mappings: []LegacyMapping{{"stripe", "price_1", "Basic"}},
		Rows: []LegacyRow{
			{Customer: "cus_1", Email: "ada@example.com", Org: "org", Subscription: "sub_1", Hosting: "7", Status: "active"},
			{Email: "bob@example.com", Org: "alone"}},
		Webhooks: 1,
	}, got)
}

// A view may write when it is read: in a transaction that cannot, it fails instead.
func TestTheOlderSystemIsReadInATransactionThatCannotWrite(t *testing.T) {
	f, url := legacyDatabase(t)
	f.edit("CREATE SEQUENCE reads", "DROP TABLE plan_mappings",
		"CREATE VIEW plan_mappings AS SELECT 'stripe' AS billing_provider, CAST(nextval('reads') AS TEXT) AS billing_plan_id, 'Basic' AS enhance_plan_id")
	if _, err := ReadLegacy(t.Context(), secret.New(url)); err == nil || !strings.Contains(err.Error(), "read-only transaction") {
		t.Errorf("it was read by a transaction that may write: %v", err)
	}
}

func TestHalfOfTheOlderSystemIsRefused(t *testing.T) {
	for statement, want := range map[string]string{
		"DROP TABLE webhook_logs":                                  "the table webhook_logs is missing",
		"ALTER TABLE customers DROP COLUMN stripe_customer_id":     "the column customers.stripe_customer_id is missing",
		"DROP TABLE plan_mappings; DROP TABLE subscriptions":       "the table subscriptions and the table plan_mappings are missing",
		"CREATE TABLE goose_db_version (id INTEGER)":               "it is a database of this program",
		"ALTER TABLE subscriptions RENAME status TO former_status": "the column subscriptions.status is missing",
	} {
		f, url := legacyDatabase(t)
		f.edit(strings.Split(statement, "; ")...)
		if _, err := ReadLegacy(t.Context(), secret.New(url)); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "nothing was read") {
			t.Errorf("%s: %v, want %q", statement, err, want)
		}
	}
}

// The older system and this program have tables with the same names, so that a DATABASE_URL
// which was kept must not be migrated.
func TestADatabaseWithTablesOfAnotherProgramIsNotMigrated(t *testing.T) {
	for _, url := range []string{sqliteURL(t), pgtest.Empty(t)} {
		f := &fixture{TB: t, Store: open(t, url), url: url}
		f.edit("CREATE TABLE customers (id INTEGER PRIMARY KEY)", "CREATE TABLE others (id INTEGER PRIMARY KEY)")
		for _, dry := range []bool{true, false} {
			if _, err := f.Migrate(t.Context(), dry); err == nil || !strings.Contains(err.Error(), "tables of another program (customers), and none of this one; nothing was changed") {
				t.Errorf("dry %t: %v", dry, err)
			}
		}
		if version, err := f.Version(t.Context()); err != nil || version != 0 {
			t.Errorf("version %d: %v", version, err)
		}
		f.edit("DROP TABLE customers")
		if _, err := f.Migrate(t.Context(), false); err != nil {
			t.Errorf("beside tables with other names: %v", err)
		}
	}
}
