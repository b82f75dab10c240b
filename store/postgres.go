package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

const (
	// connectLimit bounds the first contact, so that a wrong host is told at once.
	connectLimit = 10 * time.Second
	// defaultPool is what a run, the web side and the lease use at most together;
	// pool_max_conns in the URL changes it.
	defaultPool = 8
)

// openPostgres connects by the URL. Statements are described once and sent
// unnamed (cache_describe): the fastest way that leaves nothing behind on the
// server's session, so that any pooler between is fine. default_query_exec_mode
// in the URL changes it.
func openPostgres(ctx context.Context, o Options) (*Store, error) {
	raw := o.URL.Reveal()
	if problem := secret.URLProblem(raw); problem != "" {
		return nil, permanent("in the database URL %s", problem)
	}
	config, err := pgxpool.ParseConfig(raw)
	if err != nil {
		return nil, permanent("the database URL is not valid: %w", withoutPassword(raw, err))
	}
	if !strings.Contains(raw, "default_query_exec_mode=") {
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	if !strings.Contains(raw, "pool_max_conns=") {
		config.MaxConns = defaultPool
	}
	config.MaxConns = max(config.MaxConns, 2) // migrating holds its lock on one and works on another
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectLimit
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, withoutPassword(raw, err)
	}
	db := stdlib.OpenDBFromPool(pool)
	s := &Store{d: postgres, write: db, read: db, server: serverOf(config.ConnConfig.Config)}
	s.close = []func() error{db.Close, func() error { pool.Close(); return nil }}
	ctx, cancel := context.WithTimeout(ctx, 2*connectLimit)
	defer cancel()
	if err := pool.Ping(ctx); err != nil {
		return nil, errors.Join(withoutPassword(raw, s.server.explain(err)), s.Close())
	}
	return s, nil
}

// withoutPassword keeps an error from quoting the password or the whole URL, of which
// every parser reads the same password; see secret.URLProblem. It drops the chain,
// which might be formatted elsewhere.
func withoutPassword(raw string, err error) error {
	text := oneLine(err.Error())
	for _, hidden := range secret.Passwords(raw) {
		text = strings.ReplaceAll(text, hidden, "[redacted]")
	}
	kind := fault.Of(err)
	if kind == fault.Unknown {
		kind = kindOf(err)
	}
	return fault.Wrap(kind, errors.New(text))
}
